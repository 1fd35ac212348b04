"""What differs between two documents of one box: key by key, as a person would say it. Does no I/O."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class Change(msgspec.Struct, frozen=True):
    """One key; None where it doesn't stand. Values as JSON."""

    key: str
    old: str | None
    new: str | None


def flat(document: Mapping[str, Any]) -> dict[str, str]:
    """Every value by its path (`timeouts.inspection_s`) as JSON; tables are paths, lists are values."""
    return dict(_flat(document, ""))


def _flat(table: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{path}{key}.")
        else:
            yield path + key, msgspec.json.encode(value, order="deterministic").decode()


def changes(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> tuple[Change, ...]:
    """What is other in `new`, by key. The device's name and the format are no difference."""
    before, after = flat(old or {}), flat(new)
    return tuple(
        Change(key, before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key) and key not in ("device", "format")
    )


def alike(found: Mapping[str, tuple[Change, ...]]) -> list[tuple[tuple[str, ...], tuple[Change, ...]]]:
    """Boxes with the same differences together, most boxes first."""
    groups: dict[tuple[Change, ...], list[str]] = defaultdict(list)
    for device, differences in found.items():
        groups[differences].append(device)
    listed = [(tuple(devices), differences) for differences, devices in groups.items()]
    return sorted(listed, key=lambda one: (-len(one[0]), one[0]))


def shortened(names: Sequence[str], most: int) -> str:
    """The first names, and how many more: `box-1, box-2, … (+98)`."""
    rest = len(names) - most
    return ", ".join(names) if rest <= 0 else f"{', '.join(names[:most])}, … (+{rest})"

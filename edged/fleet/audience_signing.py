"""What the privacy officer signs: one document an audience, checked as every box will check it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edged.desired import MAX_DOCUMENT, parse_audience
from edged.errors import ConfigError
from edged.fleet.compile import check_audience
from edged.fleet.layers import DELIVERIES, audience_files
from edged.fleet.recovery import repository_of
from edged.fleet.state import write_text
from edged.fleet.tuf_roles import PRIVACY
from edged.uplink.sealed_keys import index_target
from edged.uplink.topics import usable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from edged.fleet.key_files import OfflineKey
    from edged.fleet.state import FleetState


class Checked(NamedTuple):
    """A document that every box would take."""

    name: str
    data: bytes
    new: bool
    """Whether it differs from what is signed now."""


def check_files(state: FleetState, paths: Sequence[Path]) -> list[Checked]:
    """Read and check documents: their form, and that no policy goes above the ceiling compiled into the release.

    Raises `ConfigError`: the file, the path of the bad key, what is wrong. `OSError` for a file that can't be read.
    """
    signed = repository_of(state).targets(PRIVACY).signed.targets
    before = audience_files(state)
    found: list[Checked] = []
    for path in paths:
        with path.open("rb") as file:
            data = file.read(MAX_DOCUMENT + 1)
        try:
            document = parse_audience(data)
            if not usable(document.name):
                raise ConfigError("name", "config.bad_name")
            check_audience(document)
        except ConfigError as error:
            raise error.within(str(path)) from None
        if any(one.name == document.name for one in found):
            raise ConfigError(f"{path}: name", "fleet.audience_twice")
        same = before.get(document.name) == data and f"audience/{document.name}.json" in signed
        found.append(Checked(document.name, data, not same))
    return found


def sign(state: FleetState, documents: Sequence[Checked], key: OfflineKey, now: datetime) -> int:
    """Sign documents and keep them in `audiences/`, under `FleetState.changing()`; the metadata's version.

    Raises `StateError` (`fleet.role_not_signed`): it isn't the privacy officer's key; nothing was changed.
    """
    files = {f"audience/{one.name}.json": one.data for one in documents}
    version = repository_of(state).put_targets(PRIVACY, files, [key.signer], now)
    for one in documents:
        write_text(state.directory / "audiences" / f"{one.name}.json", one.data.decode())
    return version


def targets_of(name: str) -> tuple[str, str]:
    """What is signed for one audience: its document, and its organisation's key where it has one."""
    return f"audience/{name}.json", index_target(name)


def remove(state: FleetState, names: Sequence[str], key: OfflineKey, now: datetime) -> int:
    """Take documents back: no further push can name these audiences. The metadata's version.

    Raises `ConfigError` (`config.no_such_audience`), `StateError` as `sign` does.
    """
    known = repository_of(state).targets(PRIVACY).signed.targets
    for name in names:
        if f"audience/{name}.json" not in known:
            raise ConfigError(name, "config.no_such_audience")
    files = dict.fromkeys((path for name in names for path in targets_of(name)), None)
    version = repository_of(state).put_targets(PRIVACY, files, [key.signer], now)
    for name in names:
        for directory in ("audiences", DELIVERIES):
            (state.directory / directory / f"{name}.json").unlink(missing_ok=True)
    return version

"""Which of many byte strings may stand in some bytes: one pass over the bytes, however many strings there are.

A scanner that looked for each of its values in turn would take a minute for what this says in a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

from edged.core._fastruns import Beginnings
from edged.identity import Identity

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHORT: Final = 4
_LONG: Final = 8
"""Octets at the beginning of a string by which it is known: of a short one, of a long one."""
_SAME: Final = bytes(range(256))

T = TypeVar("T")


class Sieve(Identity, Generic[T]):
    """Byte strings, each with what it stands for. Holds raw values where they are some."""

    __slots__ = ("_always", "_beginnings", "_owners")

    def __init__(
        self, strings: Iterable[tuple[bytes, T]], *, lowered: bytes = _SAME, dropped: bytes = b""
    ) -> None:
        """Strings under four octets always may stand there: they aren't looked for.

        `lowered`: 256 octets, what each octet of the searched bytes counts as; those in `dropped` don't count at all.
        """
        self._owners: dict[tuple[int, int], list[T]] = {}
        self._always: list[T] = []
        for text, owner in strings:
            if len(text) < _SHORT:
                self._always.append(owner)
            else:
                size = _LONG if len(text) >= _LONG else _SHORT
                self._owners.setdefault((size, int.from_bytes(text[:size])), []).append(owner)
        short, long = ([key for size, key in self._owners if size == wanted] for wanted in (_SHORT, _LONG))
        self._beginnings = Beginnings(short, long, lowered, dropped)

    def may_hold(self, data: bytes) -> list[T]:
        """What stands for the strings that `data` may hold: every one that it does hold is among them."""
        found = self._beginnings.found(data)
        return self._always + [owner for key in sorted(found) for owner in self._owners[key]]

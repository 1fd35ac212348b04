"""Which of very many byte strings may stand in some bytes: one pass over the bytes, however many strings there are.

A scanner for one document looks for each of its values in turn; one for hundreds of them would take minutes that way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

import numpy as np

from edged.identity import Identity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_KEY: Final = 8
"""Octets at the beginning of a string by which it is known: as many as a machine word has."""
_BITS: Final = 16
_CHUNK: Final = 1 << 20
"""Octets looked at together: their keys take eight times as much memory."""

T = TypeVar("T")


class Sieve(Identity, Generic[T]):
    """Byte strings, each with what it stands for. Holds raw values where they are some."""

    __slots__ = ("_always", "_first", "_keys", "_owners")

    def __init__(self, strings: Iterable[tuple[bytes, T]]) -> None:
        """Strings under eight octets always may stand there: they aren't looked for."""
        self._owners: dict[int, list[T]] = {}
        self._always: list[T] = []
        for text, owner in strings:
            if len(text) < _KEY:
                self._always.append(owner)
            else:
                self._owners.setdefault(int.from_bytes(text[:_KEY], "little"), []).append(owner)
        self._keys = np.array(sorted(self._owners), np.uint64)
        self._first = np.zeros(1 << _BITS, np.bool_)
        self._first[(self._keys & np.uint64((1 << _BITS) - 1)).astype(np.intp)] = True

    def may_hold(self, data: bytes) -> list[T]:
        """What stands for the strings that `data` may hold: every one that it does hold is among them."""
        found: set[int] = set()
        for at in range(0, len(data), _CHUNK):
            found.update(self._keys_in(data[at : at + _CHUNK + _KEY - 1]))
        return self._always + [owner for key in sorted(found) for owner in self._owners[key]]

    def _keys_in(self, data: bytes) -> Iterable[int]:
        if len(data) < _KEY or not len(self._keys):
            return ()
        octets = np.frombuffer(data, np.uint8)
        pairs = octets[:-1].astype(np.uint16) | octets[1:].astype(np.uint16) << np.uint16(8)
        starts = np.flatnonzero(self._first[pairs[: len(data) - _KEY + 1]])
        if not len(starts):
            return ()
        words: NDArray[np.uint64] = np.zeros(len(starts), np.uint64)
        for place in range(_KEY):
            words |= octets[starts + place].astype(np.uint64) << np.uint64(8 * place)
        return [int(key) for key in np.intersect1d(words, self._keys)]

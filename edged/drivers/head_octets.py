"""Fields of messages on the head's line, little-endian; a wrong length or range is a `DecodeError`. Sans-IO."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from edged.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def require(holds: bool) -> None:
    """Raise `ValueError` when a field's range doesn't hold."""
    if not holds:
        raise ValueError("out of range")


def in_range(lowest: int, highest: int, *values: int) -> None:
    """Raise `ValueError` unless every value is in the range, its ends included."""
    require(all(lowest <= value <= highest for value in values))


def number(value: int, octets: int) -> bytes:
    """Unsigned, little-endian."""
    return value.to_bytes(octets, "little")


class Octets:
    """What is left of a message, taken field by field. Raises `ValueError` when there is not enough."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def take(self, octets: int) -> bytes:
        """The next so many octets."""
        require(octets <= len(self._data))
        taken, self._data = self._data[:octets], self._data[octets:]
        return taken

    def number(self, octets: int, *, signed: bool = False) -> int:
        """The next field as a number."""
        return int.from_bytes(self.take(octets), "little", signed=signed)

    def rest(self) -> bytes:
        """Everything that is left."""
        return self.take(len(self._data))

    @property
    def left(self) -> int:
        """How many octets have not been taken."""
        return len(self._data)


def parsed(parse: Callable[[Octets], T], data: bytes) -> T:
    """What `parse` makes of all of `data`. Raises `DecodeError` (`reader_head.bad_message`) for anything else."""
    octets = Octets(data)
    try:
        found = parse(octets)
        require(octets.left == 0)
    except ValueError as error:
        raise DecodeError("head", "reader_head.bad_message") from error
    return found

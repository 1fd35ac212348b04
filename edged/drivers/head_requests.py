"""What every request to the head has in common. Sans-IO; firmware/PROTOCOL.md §5."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Generic, Self, TypeVar

from edged.drivers.head_octets import Octets, parsed

R_co = TypeVar("R_co", covariant=True)

REPLY_S = 2.0
"""For the reply to a request that the head answers out of its main loop; it takes milliseconds."""


class Request(Generic[R_co]):
    """One request; `R_co` is what its successful reply says.

    Attributes:
        type: first octet of the message.
        patience_s: within which the reply must have come.
    """

    __slots__ = ()

    type: ClassVar[int]
    patience_s: ClassVar[float] = REPLY_S

    def body(self) -> bytes:
        """What follows the tag."""
        return b""

    @classmethod
    def parse(cls, octets: Octets) -> Self:  # noqa: ARG003 - most have no body
        """The request with this body. Raises `ValueError`."""
        return cls()

    @abstractmethod
    def result(self, octets: Octets) -> R_co:
        """What the reply says. Raises `ValueError`."""

    def decode_result(self, data: bytes) -> R_co:
        """What the reply with status ok says. Raises `DecodeError`."""
        return parsed(self.result, data)


class Order(Request[None]):
    """A request whose reply says nothing but its status."""

    __slots__ = ()

    def result(self, octets: Octets) -> None:
        """Nothing."""

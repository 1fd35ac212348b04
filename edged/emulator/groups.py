"""Groups in which a card agrees on keys: points of a curve, numbers modulo a prime (Doc 9303-11 §4.4, §9.4, §9.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from edged.errors import DecodeError

if TYPE_CHECKING:
    from edged.core.emrtd.curves import Curve

POINT: Final = 0x86
NUMBER: Final = 0x84
"""Tags of a public key in a public key data object (Doc 9303-11 §9.4.5)."""


class Group(Protocol):
    """A cyclic group with a generator; elements are opaque.

    Attributes:
        order: of the generator.
        tag: of a public key in a public key data object.
        field: octets of a coordinate or of a number: the length of a shared secret.
        modulus: p.
    """

    @property
    def order(self) -> int: ...  # noqa: D102
    @property
    def tag(self) -> int: ...  # noqa: D102
    @property
    def field(self) -> int: ...  # noqa: D102
    @property
    def modulus(self) -> int: ...  # noqa: D102

    def generator(self) -> Any:
        """The standard one."""

    def times(self, element: Any, scalar: int) -> Any:
        """The group's operation, so many times."""

    def plus(self, one: Any, other: Any) -> Any:
        """The group's operation."""

    def encode(self, element: Any) -> bytes:
        """As it is sent. Raises `DecodeError` for the neutral element."""

    def decode(self, octets: bytes) -> Any:
        """The element that was sent. Raises `DecodeError` when it is none of the group."""

    def secret(self, element: Any) -> bytes:
        """The shared secret that an element is: its x-coordinate, or all of it, padded to the field."""

    def hashed(self, number: int) -> Any:
        """The element that integrated mapping makes of a pseudo-random number (Doc 9303-11 §4.4.3.3.2)."""


@dataclass(frozen=True)
class Points:
    """An elliptic curve."""

    curve: Curve
    tag: int = POINT

    @property
    def order(self) -> int:
        """Of the generator."""
        return self.curve.n

    @property
    def field(self) -> int:
        """Octets of a coordinate."""
        return self.curve.octets

    @property
    def modulus(self) -> int:
        """Of the field."""
        return self.curve.p

    def generator(self) -> Any:
        """G."""
        return self.curve.generator

    def times(self, element: Any, scalar: int) -> Any:
        """Scalar multiplication."""
        return element * scalar

    def plus(self, one: Any, other: Any) -> Any:
        """Addition."""
        return one + other

    def encode(self, element: Any) -> bytes:
        """Uncompressed."""
        return self.curve.encode_point(element)

    def decode(self, octets: bytes) -> Any:
        """Of an uncompressed point. Raises `DecodeError`."""
        return self.curve.decode_point(octets)

    def secret(self, element: Any) -> bytes:
        """The x-coordinate."""
        return self.encode(element)[1 : 1 + self.curve.octets]

    def hashed(self, number: int) -> Any:
        """Doc 9303-11 App. B.2: a point from a number, in constant steps, for p = 3 mod 4."""
        p, a, b = self.curve.p, self.curve.a, self.curve.b
        alpha = -(number * number) % p
        both = (alpha + alpha * alpha) % p
        x2 = -b * pow(a, -1, p) * (1 + pow(both, -1, p)) % p
        x3 = alpha * x2 % p
        h2 = (pow(x2, 3, p) + a * x2 + b) % p
        u = pow(number, 3, p) * h2 % p
        root = pow(h2, p - 1 - (p + 1) // 4, p)
        if root * root * h2 % p == 1:
            return self.curve.point(x2, root * h2 % p)
        return self.curve.point(x3, root * u % p)


@dataclass(frozen=True)
class Numbers:
    """The subgroup of order q that g generates modulo the prime p."""

    p: int
    q: int
    g: int
    tag: int = NUMBER

    @property
    def order(self) -> int:
        """Of the generator."""
        return self.q

    @property
    def field(self) -> int:
        """Octets of p."""
        return (self.p.bit_length() + 7) // 8

    @property
    def modulus(self) -> int:
        """Of the numbers."""
        return self.p

    def generator(self) -> int:
        """g."""
        return self.g

    def times(self, element: int, scalar: int) -> int:
        """Exponentiation."""
        return pow(element, scalar, self.p)

    def plus(self, one: int, other: int) -> int:
        """Multiplication."""
        return one * other % self.p

    def encode(self, element: int) -> bytes:
        """An unsigned integer, without octets of zeros before it (Doc 9303-11 §9.4). Raises `DecodeError` for 1."""
        if element in {0, 1}:
            raise DecodeError("chip", "ec.infinity")
        return element.to_bytes((element.bit_length() + 7) // 8, "big")

    def decode(self, octets: bytes) -> int:
        """The number. Raises `DecodeError` when it isn't of the subgroup, or is of another length."""
        element = int.from_bytes(octets, "big")
        if len(octets) > self.field or not 1 < element < self.p - 1 or pow(element, self.q, self.p) != 1:
            raise DecodeError("chip", "ec.bad_point")
        return element

    def secret(self, element: int) -> bytes:
        """All of it, as many octets as p has. Raises `DecodeError` for 1."""
        return self.encode(element).rjust(self.field, b"\x00")

    def hashed(self, number: int) -> int:
        """Doc 9303-11 App. B.1: the number's power that lies in the subgroup."""
        return pow(number, (self.p - 1) // self.q, self.p)

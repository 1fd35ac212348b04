"""Groups for key agreement: elliptic curves and Diffie-Hellman groups behind one small interface.

Standardised domain parameters (Doc 9303-11 §9.5.1): 0-2 are groups of RFC 5114, 8-18 curves. Public keys are octets
as they travel (an uncompressed point; the number y, padded to p's length) and are checked before every use. What is
fast in `cryptography` is done there; it lacks some curves, and a mapped generator on all of them.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

from edged.core.emrtd import agreed_points
from edged.core.emrtd.curves import Curve, curves, openssl_curve
from edged.core.emrtd.dh_groups import GROUPS
from edged.errors import DecodeError
from edged.identity import withheld

if TYPE_CHECKING:
    from ecdsa.ellipticcurve import PointJacobi

CURVE_OF_ID: Final = {
    8: "secp192r1",
    9: "brainpoolP192r1",
    10: "secp224r1",
    11: "brainpoolP224r1",
    12: "secp256r1",
    13: "brainpoolP256r1",
    14: "brainpoolP320r1",
    15: "secp384r1",
    16: "brainpoolP384r1",
    17: "brainpoolP512r1",
    18: "secp521r1",
}

MIN_DH_BITS: Final = 1024
MAX_DH_BITS: Final = 4096
"""Doc 9303-11 lists 1024 and 2048; an exponentiation in twice that takes Python tenths of a second."""
MAX_EXPONENT_BITS: Final = 512
"""Private keys in a group of unknown order: twice the strength of any cipher here; a full one would take seconds."""
MAX_REDRAWS: Final = 8
"""One key in 256 begins with zero; a group where more than a few in a row do is somebody's joke."""


class Draw(Protocol):
    """Where random values come from."""

    def octets(self, count: int) -> bytes:
        """So many random octets."""

    def scalar(self, below: int) -> int:
        """A random number of at least 1 and less than `below`."""


class Secrets:
    """The operating system's random numbers."""

    def octets(self, count: int) -> bytes:
        """So many random octets."""
        return secrets.token_bytes(count)

    def scalar(self, below: int) -> int:
        """A random number of at least 1 and less than `below`."""
        return 1 + secrets.randbelow(below - 1)


SECRETS: Final = Secrets()
"""What every protocol draws from, unless a worked example says otherwise."""


@withheld
class KeyPair(NamedTuple):
    """A private key and its public key as it travels."""

    private: int
    public: bytes


@dataclass(frozen=True)
class EcDomain:
    """A curve with a generator, the standard's own while `generator` is None.

    Attributes:
        agreement: "ECDH".
        public_tag: of a public key in PACE's authentication token (Doc 9303-11 §9.4.4).
    """

    curve: Curve
    generator: PointJacobi | None = field(default=None, repr=False)

    agreement = "ECDH"
    public_tag = 0x86

    @property
    def name(self) -> str:
        """The curve's name."""
        return self.curve.name

    @property
    def octets(self) -> int:
        """Octets of a shared secret."""
        return self.curve.octets

    @property
    def order(self) -> int:
        """The generator's order."""
        return self.curve.n

    @property
    def modulus(self) -> int:
        """The prime p."""
        return self.curve.p

    @property
    def maps_integrated(self) -> bool:
        """Whether integrated mapping is defined: it takes square roots the way of p = 3 mod 4."""
        return self.curve.p & 3 == 3

    def generate(self, draw: Draw = SECRETS) -> KeyPair:
        """A new key pair."""
        return self.pair(draw.scalar(self.order))

    def pair(self, private: int) -> KeyPair:
        """The key pair of a private key, 1 to order - 1."""
        fast = openssl_curve(self.name) if self.generator is None else None
        if fast is not None:
            from cryptography.hazmat.primitives.asymmetric import ec

            numbers = ec.derive_private_key(private, fast).public_key().public_numbers()
            x, y = numbers.x.to_bytes(self.octets, "big"), numbers.y.to_bytes(self.octets, "big")
            return KeyPair(private, b"\x04" + x + y)
        point = self._times(self.generator or self.curve.generator, private)
        return KeyPair(private, self.curve.encode_point(point))

    def check(self, public: bytes) -> bytes:
        """`public` as it is, when it is a point of the curve (all cofactors are 1). Raises `DecodeError`."""
        self.curve.decode_point(public)
        return public

    def shared_secret(self, private: int, public: bytes) -> bytes:
        """The x coordinate of private · public, padded (BSI TR-03111 §4.3.1). Raises `DecodeError`."""
        point = self.curve.decode_point(public)
        fast = openssl_curve(self.name)
        if fast is None:
            return self.multiply(private, public)[1 : 1 + self.octets]
        from cryptography.hazmat.primitives.asymmetric import ec

        theirs = ec.EllipticCurvePublicNumbers(int(point.x()), int(point.y()), fast).public_key()
        return ec.derive_private_key(private, fast).exchange(ec.ECDH(), theirs)

    def multiply(self, scalar: int, public: bytes) -> bytes:
        """scalar · public, coded as a public key. Raises `DecodeError`, for the point at infinity too."""
        return self.curve.encode_point(self._times(self.curve.decode_point(public), scalar % self.order))

    def map_generic(self, nonce: bytes, private: int, public: bytes) -> EcDomain:
        """With the generator nonce · G + private · public (Doc 9303-11 §4.4.3.3.1). Raises `DecodeError`."""
        theirs = self.curve.decode_point(public)
        number = int.from_bytes(nonce, "big") % self.order
        if self._by_agreement(private) and number:
            mapped = self.curve.decode_point(self.pair(number).public) + self._times(theirs, private)
        else:
            mapped = self.curve.generator.mul_add(number, theirs, private)
        self.curve.encode_point(mapped)  # refuses infinity
        return replace(self, generator=mapped)

    def map_integrated(self, element: int) -> EcDomain:
        """With the generator that a field element gives (Doc 9303-11 §4.4.3.3.2, App. B.2). Raises `DecodeError`."""
        if not self.maps_integrated:
            raise DecodeError("chip", "domain.not_supported")
        x, y = _encode_in_curve(self.curve, element % self.modulus)
        return replace(self, generator=self.curve.point(x, y))

    def _times(self, point: PointJacobi, scalar: int) -> PointJacobi:
        fast = openssl_curve(self.name)
        if fast is None or not self._by_agreement(scalar):
            return point * scalar
        return agreed_points.multiple(self.curve, fast, point, scalar)

    def _by_agreement(self, scalar: int) -> bool:
        """Whether OpenSSL multiplies by this scalar, and faster."""
        known = openssl_curve(self.name) is not None and self.name in agreed_points.WORTH_IT
        return known and 0 < scalar < self.order - 1


@dataclass(frozen=True)
class DhDomain:
    """Numbers modulo p with a generator g.

    Attributes:
        p, g: the group; `g` is a mapped generator where one was asked for.
        q: order of g, None where a key doesn't tell.
        length: bits of a private key where a key tells (PKCS #3), else None.
        agreement: "DH".
        public_tag: of a public key in PACE's authentication token (Doc 9303-11 §9.4.3).
    """

    p: int = field(repr=False)
    g: int = field(repr=False)
    q: int | None = field(repr=False)
    length: int | None = None

    agreement = "DH"
    public_tag = 0x84

    @property
    def name(self) -> str:
        """As in reports: "DH-2048"."""
        return f"DH-{self.p.bit_length()}"

    @property
    def octets(self) -> int:
        """Octets of public keys and shared secrets."""
        return (self.p.bit_length() + 7) // 8

    @property
    def order(self) -> int:
        """What private keys lie below: the generator's order, or a bound where that isn't known."""
        if self.q is not None:
            return self.q
        return 1 << min(self.length or MAX_EXPONENT_BITS, MAX_EXPONENT_BITS, self.p.bit_length() - 1)

    @property
    def modulus(self) -> int:
        """The prime p."""
        return self.p

    @property
    def maps_integrated(self) -> bool:
        """Whether integrated mapping can be done: it needs the generator's order."""
        return self.q is not None

    def generate(self, draw: Draw = SECRETS) -> KeyPair:
        """A new key pair.

        Public keys that begin with a zero octet are drawn again: their coding is to leave it out (Doc 9303-11
        §9.4.1), which not every chip knows.
        """
        pair = self.pair(draw.scalar(self.order))
        for _ in range(MAX_REDRAWS):
            if pair.public[0]:
                break
            pair = self.pair(draw.scalar(self.order))
        return pair

    def pair(self, private: int) -> KeyPair:
        """The key pair of a private key."""
        return KeyPair(private, self._coded(pow(self.g, private, self.p)))

    def check(self, public: bytes) -> bytes:
        """`public` padded, when it is of the right group. Raises `DecodeError`.

        1 < y < p - 1, and y^q = 1 where q is known (RFC 2631 §2.1.5).
        """
        return self._coded(self._number(public))

    def shared_secret(self, private: int, public: bytes) -> bytes:
        """public to the power of private, padded (PKCS #3). Raises `DecodeError`."""
        return self.multiply(private, public)

    def multiply(self, scalar: int, public: bytes) -> bytes:
        """public to the power of scalar, coded as a public key. Raises `DecodeError`, for the result 1 too."""
        return self._coded(self._no_one(pow(self._number(public), scalar, self.p)))

    def map_generic(self, nonce: bytes, private: int, public: bytes) -> DhDomain:
        """With the generator g^nonce · public^private (Doc 9303-11 §4.4.3.3.1). Raises `DecodeError`."""
        shared = pow(self._number(public), private, self.p)
        mapped = pow(self.g, int.from_bytes(nonce, "big"), self.p) * shared % self.p
        return replace(self, g=self._no_one(mapped))

    def map_integrated(self, element: int) -> DhDomain:
        """With the generator element^((p-1)/q) (Doc 9303-11 §4.4.3.3.2, App. B.1). Raises `DecodeError`."""
        if self.q is None:
            raise DecodeError("chip", "domain.not_supported")
        return replace(self, g=self._no_one(pow(element % self.p, (self.p - 1) // self.q, self.p)))

    def _coded(self, number: int) -> bytes:
        return number.to_bytes(self.octets, "big")

    def _number(self, public: bytes) -> int:
        if not 1 <= len(public) <= self.octets:
            raise DecodeError("chip", "dh.bad_public")
        y = int.from_bytes(public, "big")
        if not 1 < y < self.p - 1 or (self.q is not None and pow(y, self.q, self.p) != 1):
            raise DecodeError("chip", "dh.bad_public")
        return y

    def _no_one(self, number: int) -> int:
        if number <= 1:
            raise DecodeError("chip", "dh.bad_public")
        return number


Domain: TypeAlias = EcDomain | DhDomain


@cache
def standard_domain(identifier: int) -> Domain | None:
    """The standardised domain parameters with this number (Doc 9303-11 Table 12), None for a reserved one."""
    if identifier in GROUPS:
        p, g, q = GROUPS[identifier]
        return DhDomain(p, g, q)
    name = CURVE_OF_ID.get(identifier)
    return EcDomain(curves()[name]) if name is not None else None


def dh_domain(p: int, g: int, q: int | None, length: int | None = None) -> DhDomain:
    """A group from a key's own parameters. Raises `DecodeError` for numbers that can't be one, or a size not ours."""
    if not MIN_DH_BITS <= p.bit_length() <= MAX_DH_BITS:
        raise DecodeError("chip", "domain.not_supported")
    if not p & 1 or not 1 < g < p - 1:
        raise DecodeError("chip", "domain.malformed")
    if q is not None and (q.bit_length() < 160 or (p - 1) % q or pow(g, q, p) != 1):
        raise DecodeError("chip", "domain.malformed")
    if length is not None and length < 160:
        raise DecodeError("chip", "domain.malformed")
    return DhDomain(p, g, q, length)


def _encode_in_curve(curve: Curve, t: int) -> tuple[int, int]:
    """A point for a field element: simplified SWU (Doc 9303-11 App. B.2, with its names; p = 3 mod 4)."""
    p, a, b = curve.p, curve.a, curve.b
    alpha = -t * t % p
    common = (alpha + alpha * alpha) % p
    if not a or not common:
        raise DecodeError("chip", "pace.bad_nonce")
    x2 = -b * pow(a, -1, p) * (1 + pow(common, -1, p)) % p
    x3 = alpha * x2 % p
    h2 = (pow(x2, 3, p) + a * x2 + b) % p
    root = pow(h2, p - 1 - (p + 1) // 4, p)  # 1 / sqrt(h2) when that exists
    if root * root % p * h2 % p == 1:
        return x2, root * h2 % p
    u = pow(t, 3, p) * h2 % p
    return x3, root * u % p

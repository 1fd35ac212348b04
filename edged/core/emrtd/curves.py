"""Elliptic curves of travel documents: their parameters, their names, and points on them.

Certificates of many states spell their curve out (explicit parameters). They count only when all of p, a, b, G, n and
h are those of a curve listed here: with a generator of one's own choosing any public key can be forged
(CVE-2020-0601). Numbers and point arithmetic are the `ecdsa` package's: `cryptography` neither has all of these curves
nor adds points, which PACE's mapping needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from edged.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric import ec
    from ecdsa.ellipticcurve import PointJacobi

_CURVES: Final = {
    "secp192r1": ("1.2.840.10045.3.1.1", "NIST192p"),
    "secp224r1": ("1.3.132.0.33", "NIST224p"),
    "secp256r1": ("1.2.840.10045.3.1.7", "NIST256p"),
    "secp384r1": ("1.3.132.0.34", "NIST384p"),
    "secp521r1": ("1.3.132.0.35", "NIST521p"),
    "brainpoolP192r1": ("1.3.36.3.3.2.8.1.1.3", "BRAINPOOLP192r1"),
    "brainpoolP224r1": ("1.3.36.3.3.2.8.1.1.5", "BRAINPOOLP224r1"),
    "brainpoolP256r1": ("1.3.36.3.3.2.8.1.1.7", "BRAINPOOLP256r1"),
    "brainpoolP320r1": ("1.3.36.3.3.2.8.1.1.9", "BRAINPOOLP320r1"),
    "brainpoolP384r1": ("1.3.36.3.3.2.8.1.1.11", "BRAINPOOLP384r1"),
    "brainpoolP512r1": ("1.3.36.3.3.2.8.1.1.13", "BRAINPOOLP512r1"),
    "brainpoolP192t1": ("1.3.36.3.3.2.8.1.1.4", "BRAINPOOLP192t1"),
    "brainpoolP224t1": ("1.3.36.3.3.2.8.1.1.6", "BRAINPOOLP224t1"),
    "brainpoolP256t1": ("1.3.36.3.3.2.8.1.1.8", "BRAINPOOLP256t1"),
    "brainpoolP320t1": ("1.3.36.3.3.2.8.1.1.10", "BRAINPOOLP320t1"),
    "brainpoolP384t1": ("1.3.36.3.3.2.8.1.1.12", "BRAINPOOLP384t1"),
    "brainpoolP512t1": ("1.3.36.3.3.2.8.1.1.14", "BRAINPOOLP512t1"),
}


_OPENSSL: Final = {
    "secp192r1": "SECP192R1",
    "secp224r1": "SECP224R1",
    "secp256r1": "SECP256R1",
    "secp384r1": "SECP384R1",
    "secp521r1": "SECP521R1",
    "brainpoolP256r1": "BrainpoolP256R1",
    "brainpoolP384r1": "BrainpoolP384R1",
    "brainpoolP512r1": "BrainpoolP512R1",
}
"""What `cryptography` calls the curves it has."""


@dataclass(frozen=True)
class Curve:
    """y² = x³ + ax + b over GF(p), with a generator of order n and cofactor h.

    Attributes:
        name: SEC's or RFC 5639's.
        oid: its object identifier, dotted.
        octets: of one coordinate; of a scalar too, on all curves listed here.
    """

    name: str
    oid: str
    p: int
    a: int
    b: int
    gx: int
    gy: int
    n: int
    h: int

    @property
    def octets(self) -> int:
        """Octets of a field element."""
        return (self.p.bit_length() + 7) // 8

    @property
    def generator(self) -> PointJacobi:
        """G, for arithmetic."""
        return self.point(self.gx, self.gy)

    def point(self, x: int, y: int) -> PointJacobi:
        """The point (x, y). Raises `DecodeError` ("chip", "ec.not_on_curve") when it isn't on the curve."""
        from ecdsa.ellipticcurve import PointJacobi

        if not (0 <= x < self.p and 0 <= y < self.p) or (y * y - (x * x + self.a) * x - self.b) % self.p:
            raise DecodeError("chip", "ec.not_on_curve")
        return PointJacobi(_field(self.name), x, y, 1, self.n)

    def decode_point(self, octets: bytes | memoryview) -> PointJacobi:
        """An uncompressed point (0x04, x, y; BSI TR-03111 §3.2.1). Raises `DecodeError` for anything else."""
        if len(octets) != 1 + 2 * self.octets or octets[0] != 0x04:
            raise DecodeError("chip", "ec.bad_point")
        middle = 1 + self.octets
        return self.point(int.from_bytes(octets[1:middle], "big"), int.from_bytes(octets[middle:], "big"))

    def encode_point(self, point: PointJacobi) -> bytes:
        """The uncompressed coding, coordinates padded to the field's length.

        Raises `DecodeError` ("chip", "ec.infinity") for the point at infinity, which has none and proves nothing.
        """
        if point.x() is None:
            raise DecodeError("chip", "ec.infinity")
        x, y = int(point.x()), int(point.y())
        return b"\x04" + x.to_bytes(self.octets, "big") + y.to_bytes(self.octets, "big")


@cache
def curves() -> Mapping[str, Curve]:
    """Every curve by its name."""
    import ecdsa.curves

    found = {}
    for name, (oid, theirs) in _CURVES.items():
        curve = getattr(ecdsa.curves, theirs)
        equation, generator = curve.curve, curve.generator
        p = int(equation.p())
        found[name] = Curve(
            name,
            oid,
            p,
            int(equation.a()) % p,
            int(equation.b()) % p,
            int(generator.x()),
            int(generator.y()),
            int(curve.order),
            1,
        )
    return found


@cache
def _field(name: str) -> object:
    """The equation as `ecdsa` has it, made once: it compares curves by identity first."""
    import ecdsa.curves

    return getattr(ecdsa.curves, _CURVES[name][1]).curve


@cache
def openssl_curve(name: str) -> ec.EllipticCurve | None:
    """The curve with this name as `cryptography` knows it, None for one that it lacks."""
    from cryptography.hazmat.primitives.asymmetric import ec

    theirs = _OPENSSL.get(name)
    if theirs is None:
        return None
    curve: ec.EllipticCurve = getattr(ec, theirs)()
    return curve


def by_oid(oid: str) -> Curve | None:
    """The curve with this object identifier (dotted), None for one that isn't listed."""
    return next((curve for curve in curves().values() if curve.oid == oid), None)


def by_parameters(*, p: int, a: int, b: int, generator: bytes, n: int, h: int | None) -> Curve | None:
    """The curve whose parameters are all of these, None when any differs.

    `generator` is coded as in certificates, uncompressed or compressed; a cofactor left out (it is optional) is
    taken for 1, which all curves listed here have.
    """
    for curve in curves().values():
        if (p, a % curve.p, b % curve.p, n) != (curve.p, curve.a, curve.b, curve.n):
            continue
        gx, gy = curve.gx.to_bytes(curve.octets, "big"), curve.gy.to_bytes(curve.octets, "big")
        known = (b"\x04" + gx + gy, bytes((2 + (curve.gy & 1),)) + gx)
        if generator in known and h in {None, curve.h}:
            return curve
    return None

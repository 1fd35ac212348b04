"""Public keys of CSCAs, document signers and chips: SubjectPublicKeyInfo to numbers (RFC 5280 §4.1.2.7, RFC 5480).

`cryptography` refuses the explicit curve parameters that many states use, so keys are read here and handed to it as
numbers. Explicit parameters count only when they are, all of them, those of a known curve (CVE-2020-0601).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from asn1crypto import core

from edged.core.emrtd import asn1, curves
from edged.errors import DecodeError

if TYPE_CHECKING:
    from edged.core.emrtd.curves import Curve

MIN_RSA_BITS: Final = 1024
"""What Doc 9303-12 §4 demands of active authentication, and less than of anything else. 512 bits take hours to
factor, 829 were factored in 2020: a signature with such a key proves nothing."""
MAX_RSA_BITS: Final = 8192
"""CSCAs have up to 6144 (2026). A longer modulus would only cost time."""
MAX_EXPONENT_BITS: Final = 64
"""OpenSSL's own bound for long moduli; verification time grows with the exponent."""
MAX_KEY_OCTETS: Final = 4096
"""Of one SubjectPublicKeyInfo: RSA 8192 takes 1.1 KiB, explicit parameters of 521 bits below 1 KiB."""

RSA_ENCRYPTION: Final = "1.2.840.113549.1.1.1"
RSA_PSS: Final = "1.2.840.113549.1.1.10"
EC_PUBLIC_KEY: Final = "1.2.840.10045.2.1"
_PRIME_FIELD: Final = "1.2.840.10045.1.1"


@dataclass(frozen=True)
class RsaKey:
    """An RSA public key: modulus and exponent."""

    n: int
    e: int

    @property
    def bits(self) -> int:
        """Length of the modulus."""
        return self.n.bit_length()

    @property
    def name(self) -> str:
        """For reports: "RSA 2048"."""
        return f"RSA {self.bits}"


@dataclass(frozen=True)
class EcKey:
    """A public key on a known curve: a point that was checked to lie on it."""

    curve: Curve
    x: int
    y: int

    @property
    def name(self) -> str:
        """For reports: the curve's name."""
        return self.curve.name


PublicKey = RsaKey | EcKey


class _KeyInfo(core.Sequence):  # type: ignore[misc]
    _fields = [("algorithm", core.Any), ("key", core.OctetBitString)]  # noqa: RUF012


class _RsaNumbers(core.Sequence):  # type: ignore[misc]
    _fields = [("n", core.Integer), ("e", core.Integer)]  # noqa: RUF012


class _Field(core.Sequence):  # type: ignore[misc]
    _fields = [("type", core.ObjectIdentifier), ("parameters", core.Any)]  # noqa: RUF012


class _Equation(core.Sequence):  # type: ignore[misc]
    _fields = [  # noqa: RUF012
        ("a", core.OctetString),
        ("b", core.OctetString),
        ("seed", core.BitString, {"optional": True}),
    ]


class _Parameters(core.Sequence):  # type: ignore[misc]
    """ECParameters (X9.62, SEC 1 §C.2)."""

    _fields = [  # noqa: RUF012
        ("version", core.Integer),
        ("field", _Field),
        ("curve", _Equation),
        ("base", core.OctetString),
        ("order", core.Integer),
        ("cofactor", core.Integer, {"optional": True}),
        ("hash", core.Any, {"optional": True}),
    ]


def parse_public_key(der: bytes, what: str = "certificate") -> PublicKey:
    """The key in a SubjectPublicKeyInfo.

    Raises `DecodeError` (`what`): "pki.malformed", "pki.bad_rsa_key" (a size out of bounds, an even number),
    "pki.key_unsupported" (another kind of key), "pki.unknown_curve", "pki.forged_curve" (explicit parameters that
    are a known curve's but for some), "ec.bad_point" and "ec.not_on_curve".
    """
    if len(der) > MAX_KEY_OCTETS:
        raise DecodeError(what, "pki.too_long")
    with asn1.guarded(what, "pki.malformed"):
        info = _KeyInfo.load(der, strict=True)
        algorithm = asn1.read_algorithm(info["algorithm"].dump(), what)
        octets = bytes(info["key"])
    if algorithm.oid in {RSA_ENCRYPTION, RSA_PSS}:
        return _rsa(octets, what)
    if algorithm.oid == EC_PUBLIC_KEY:
        curve = read_curve(algorithm.parameters, what)
        try:
            point = curve.decode_point(octets)
        except DecodeError as error:
            raise DecodeError(what, error.code) from None
        return EcKey(curve, int(point.x()), int(point.y()))
    raise DecodeError(what, "pki.key_unsupported")


def _rsa(octets: bytes, what: str) -> RsaKey:
    with asn1.guarded(what, "pki.malformed"):
        numbers = _RsaNumbers.load(octets, strict=True)
        n, e = numbers["n"].native, numbers["e"].native
    # A modulus written without its leading zero reads as a negative number: some states did that.
    if n < 0:
        n += 1 << 8 * len(numbers["n"].contents)
    if not (MIN_RSA_BITS <= n.bit_length() <= MAX_RSA_BITS and n & 1):
        raise DecodeError(what, "pki.bad_rsa_key")
    if not (3 <= e < 1 << MAX_EXPONENT_BITS and e & 1):
        raise DecodeError(what, "pki.bad_rsa_key")
    return RsaKey(n, e)


def read_curve(parameters: bytes | None, what: str = "certificate") -> Curve:
    """The curve that EcpkParameters (RFC 5480 §2.1.1, X9.62) name or spell out. Raises as `parse_public_key`."""
    if not parameters:
        raise DecodeError(what, "pki.unknown_curve")  # implicitly the issuer's: nothing that could be checked
    with asn1.guarded(what, "pki.malformed"):
        if parameters[0] == 0x06:
            curve = curves.by_oid(core.ObjectIdentifier.load(parameters, strict=True).dotted)
            if curve is None:
                raise DecodeError(what, "pki.unknown_curve")
            return curve
        return _explicit(_Parameters.load(parameters, strict=True), what)


def _explicit(given: _Parameters, what: str) -> Curve:
    field = given["field"]
    if field["type"].dotted != _PRIME_FIELD:
        raise DecodeError(what, "pki.unknown_curve")
    p = core.Integer.load(field["parameters"].dump(), strict=True).native
    equation, n, cofactor = given["curve"], given["order"].native, given["cofactor"].native
    found = curves.by_parameters(
        p=p,
        a=int.from_bytes(equation["a"].native, "big"),
        b=int.from_bytes(equation["b"].native, "big"),
        generator=given["base"].native,
        n=n,
        h=cofactor,
    )
    if found is not None:
        return found
    if any(p == known.p for known in curves.curves().values()):
        raise DecodeError(what, "pki.forged_curve")
    raise DecodeError(what, "pki.unknown_curve")

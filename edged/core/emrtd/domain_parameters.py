"""Domain parameters as keys and EF.CardAccess spell them: standardised, named or explicit (Doc 9303-11 §9.5).

An explicit curve counts only when every parameter is that of a known one (`curves.by_parameters`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from edged.core.emrtd import curves, der
from edged.core.emrtd.domains import DhDomain, Domain, EcDomain, dh_domain, standard_domain
from edged.errors import DecodeError
from edged.identity import withheld

if TYPE_CHECKING:
    from edged.core.emrtd.tlv import DataObject

STANDARDISED: Final = "0.4.0.127.0.7.1.2"
EC_PUBLIC_KEY: Final = "1.2.840.10045.2.1"
ECDH_KEY: Final = "1.3.132.1.12"
PRIME_FIELD: Final = "1.2.840.10045.1.1"
PKCS3_DH: Final = "1.2.840.113549.1.3.1"
X942_DH: Final = "1.2.840.10046.2.1"
"""Algorithms of keys: BSI TR-03110-3 A.2.1.1, RFC 5480 §2.1, PKCS #3, RFC 3279 §2.3.3."""


@withheld
class AgreementKey(NamedTuple):
    """A static public key, checked: its group and the key as it travels. It names one document, so it is withheld."""

    domain: Domain
    public: bytes


def domain_of_algorithm(algorithm: bytes, what: str = "chip") -> Domain:
    """The group that an AlgorithmIdentifier (DER) tells.

    Raises `DecodeError` (`what`, "domain.not_supported" for one that isn't ours, others for what is malformed).
    """
    return _domain(der.root(algorithm, what), what)


def decode_key(spki: bytes, what: str = "chip") -> AgreementKey:
    """The key in a SubjectPublicKeyInfo (DER), ECDH or DH, checked against its group.

    Raises `DecodeError` (`what`, "domain.not_supported" for a group that isn't ours, others for what is malformed).
    """
    algorithm, key = _exactly(der.members(der.root(spki, what), der.SEQUENCE, what, 2), 2, what)
    domain, octets = _domain(algorithm, what), der.bits(key, what)
    if isinstance(domain, DhDomain):
        number = der.unsigned(der.root(octets, what), what)
        if number.bit_length() > domain.p.bit_length():
            raise DecodeError(what, "dh.bad_public")
        octets = number.to_bytes(domain.octets, "big")
    elif octets[:1] in {b"\x02", b"\x03"}:
        octets = _decompressed(domain, octets, what)
    return AgreementKey(domain, domain.check(octets))


def _exactly(parts: list[DataObject], count: int, what: str) -> list[DataObject]:
    if len(parts) != count:
        raise DecodeError(what, "domain.malformed")
    return parts


def _domain(found: DataObject, what: str) -> Domain:
    kind, parameters = _exactly(der.members(found, der.SEQUENCE, what, 2), 2, what)
    name = der.oid(kind, what)
    if name == STANDARDISED:
        known = standard_domain(der.unsigned(parameters, what))
        if known is None:
            raise DecodeError(what, "domain.not_supported")
        return known
    if name in {EC_PUBLIC_KEY, ECDH_KEY}:
        return EcDomain(_curve(parameters, what))
    if name in {PKCS3_DH, X942_DH}:
        return _dh(parameters, what, pkcs3=name == PKCS3_DH)
    raise DecodeError(what, "domain.not_supported")


def _curve(parameters: DataObject, what: str) -> curves.Curve:
    if parameters.tag == der.OBJECT_IDENTIFIER:
        named = curves.by_oid(der.oid(parameters, what))
        if named is None:
            raise DecodeError(what, "domain.not_supported")
        return named
    _, field, equation, generator, order, *cofactor = der.members(parameters, der.SEQUENCE, what, 5)
    kind, prime = _exactly(der.members(field, der.SEQUENCE, what, 2), 2, what)
    if der.oid(kind, what) != PRIME_FIELD:
        raise DecodeError(what, "domain.not_supported")
    a, b, *_ = der.members(equation, der.SEQUENCE, what, 2)
    h = next((part for part in cofactor if part.tag == der.INTEGER), None)
    known = curves.by_parameters(
        p=der.unsigned(prime, what),
        a=int.from_bytes(der.contents(a, der.OCTET_STRING, what), "big"),
        b=int.from_bytes(der.contents(b, der.OCTET_STRING, what), "big"),
        generator=bytes(der.contents(generator, der.OCTET_STRING, what)),
        n=der.unsigned(order, what),
        h=None if h is None else der.unsigned(h, what),
    )
    if known is None:
        raise DecodeError(what, "domain.not_supported")
    return known


def _dh(parameters: DataObject, what: str, *, pkcs3: bool) -> DhDomain:
    """PKCS #3: p, g and perhaps the length of private keys. X9.42: p, g, q, more that isn't needed."""
    numbers = der.members(parameters, der.SEQUENCE, what, 2 if pkcs3 else 3)
    p, g = der.unsigned(numbers[0], what), der.unsigned(numbers[1], what)
    third = der.unsigned(numbers[2], what) if len(numbers) > 2 else None
    return dh_domain(p, g, None, third) if pkcs3 else dh_domain(p, g, third)


def _decompressed(domain: EcDomain, octets: bytes, what: str) -> bytes:
    """The uncompressed form of a compressed point (BSI TR-03111 §3.2.2)."""
    from ecdsa.numbertheory import Error, square_root_mod_prime

    curve = domain.curve
    x = int.from_bytes(octets[1:], "big")
    if len(octets) != 1 + curve.octets or x >= curve.p:
        raise DecodeError(what, "ec.bad_point")
    try:
        y = int(square_root_mod_prime(((x * x + curve.a) * x + curve.b) % curve.p, curve.p))
    except Error:
        raise DecodeError(what, "ec.not_on_curve") from None
    if y & 1 != octets[0] & 1:
        y = curve.p - y
    return b"\x04" + octets[1:] + y.to_bytes(curve.octets, "big")

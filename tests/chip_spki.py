"""SubjectPublicKeyInfo of key agreement, written for the tests of what reads it."""

from __future__ import annotations

from edged.core.emrtd import der, tlv
from edged.core.emrtd.domain_parameters import EC_PUBLIC_KEY, PKCS3_DH, X942_DH
from edged.core.emrtd.domains import Domain, EcDomain


def encode_key(domain: Domain, public: bytes) -> bytes:
    """DER with a named curve, or with X9.42's parameters for a group whose order is known."""
    if isinstance(domain, EcDomain):
        algorithm, parameters, key = EC_PUBLIC_KEY, _oid(domain.curve.oid), public
    else:
        algorithm, key = X942_DH if domain.q else PKCS3_DH, _integer(int.from_bytes(public, "big"))
        last = domain.q or domain.length
        numbers = [domain.p, domain.g, *([last] if last else [])]
        parameters = tlv.encode(der.SEQUENCE, b"".join(_integer(number) for number in numbers))
    head = tlv.encode(der.SEQUENCE, _oid(algorithm) + parameters)
    return tlv.encode(der.SEQUENCE, head + tlv.encode(der.BIT_STRING, b"\x00" + key))


def _oid(dotted: str) -> bytes:
    return tlv.encode(der.OBJECT_IDENTIFIER, der.encode_oid(dotted))


def _integer(number: int) -> bytes:
    return tlv.encode(der.INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))

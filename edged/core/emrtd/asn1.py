"""What certificates, CMS and CRLs share in ASN.1: a guard around asn1crypto, algorithm identifiers, small schemas.

asn1crypto parses lazily and answers bad bytes with many kinds of exceptions, whose texts quote the bytes. Everything
read through it here stands inside `guarded`, which leaves one kind and no quotation. Schemas take as raw (`Any`) what
states fill in ways the library's own schemas refuse.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from asn1crypto import core

from edged.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

ESCAPES: Final = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    NotImplementedError,
)
"""What asn1crypto was seen to raise on bytes that break their format."""


@contextmanager
def guarded(what: str, code: str) -> Iterator[None]:
    """Turn whatever bad bytes provoke in asn1crypto into `DecodeError(what, code)`."""
    try:
        yield
    except DecodeError:
        raise
    except ESCAPES:
        raise DecodeError(what, code) from None


def whole_octets(bits: core.OctetBitString) -> bytes:
    """The octets of a signature's BIT STRING. Raises `ValueError` when its last octet isn't whole.

    Bits left unused (X.690 §8.6.2.2) could be declared by whoever passes a signed object on, wherever they happen to be
    zero: one signature would have two spellings.
    """
    octets = bytes(bits)
    if bits.unused_bits:
        raise ValueError("unused bits in a signature")
    return octets


class AlgorithmIdentifierType(core.Sequence):  # type: ignore[misc]
    """AlgorithmIdentifier with parameters left raw (RFC 5280 §4.1.1.2)."""

    _fields = [("algorithm", core.ObjectIdentifier), ("parameters", core.Any, {"optional": True})]  # noqa: RUF012


class Algorithm(NamedTuple):
    """An AlgorithmIdentifier.

    Attributes:
        oid: dotted.
        parameters: DER; None when absent or NULL.
    """

    oid: str
    parameters: bytes | None


_NULL: Final = b"\x05\x00"


def read_algorithm(der: bytes, what: str = "certificate") -> Algorithm:
    """An AlgorithmIdentifier. Raises `DecodeError` (`what`, "pki.malformed")."""
    with guarded(what, "pki.malformed"):
        return algorithm_of(AlgorithmIdentifierType.load(der, strict=True))


def algorithm_of(parsed: AlgorithmIdentifierType) -> Algorithm:
    """An AlgorithmIdentifier inside something larger; to be called inside `guarded`."""
    given = parsed["parameters"]
    parameters = None if isinstance(given, core.Void) else given.dump()
    return Algorithm(parsed["algorithm"].dotted, None if parameters in {None, b"", _NULL} else parameters)

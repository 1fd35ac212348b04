"""DER of the small structures in which chips describe their protocols: integers, object identifiers, sequences.

Certificates and signatures go through asn1crypto; here whatever is wrong must be one `DecodeError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core.emrtd import tlv
from edged.errors import DecodeError

if TYPE_CHECKING:
    from edged.core.emrtd.tlv import DataObject

INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
OBJECT_IDENTIFIER: Final = 0x06
SEQUENCE: Final = 0x30
SET: Final = 0x31

MAX_INTEGER_OCTETS: Final = 1025
"""8192 bits and a sign: no key of a travel document has half of that."""
MAX_OID_OCTETS: Final = 64
"""Real ones have about a dozen."""


def root(data: bytes | memoryview, what: str) -> DataObject:
    """The one object that `data` is. Raises `DecodeError` for anything after it."""
    found = tlv.read_one(data, what)
    if found.size != len(data):
        raise DecodeError(what, "tlv.unexpected")
    return found


def contents(found: DataObject, tag: int, what: str) -> memoryview:
    """The contents of an object that must have this tag. Raises `DecodeError`."""
    if found.tag != tag:
        raise DecodeError(what, "tlv.unexpected")
    return found.value


def members(found: DataObject, tag: int, what: str, least: int = 0) -> list[DataObject]:
    """What a constructed object with this tag is made of, `least` members or more. Raises `DecodeError`."""
    parts = list(tlv.iterate(contents(found, tag, what), what))
    if len(parts) < least:
        raise DecodeError(what, "tlv.cut")
    return parts


def again(found: DataObject) -> bytes:
    """The object with its tag and length."""
    return tlv.encode(found.tag, found.value)


def unsigned(found: DataObject, what: str) -> int:
    """A number of at least 0. Raises `DecodeError` for a negative, a huge one or none."""
    octets = contents(found, INTEGER, what)
    if not 1 <= len(octets) <= MAX_INTEGER_OCTETS or octets[0] & 0x80:
        raise DecodeError(what, "der.bad_integer")
    return int.from_bytes(octets, "big")


def oid(found: DataObject, what: str) -> str:
    """An object identifier, dotted. Raises `DecodeError`."""
    octets = contents(found, OBJECT_IDENTIFIER, what)
    if not 1 <= len(octets) <= MAX_OID_OCTETS or octets[-1] & 0x80:
        raise DecodeError(what, "der.bad_oid")
    arcs: list[int] = []
    arc = 0
    for octet in octets:
        if not arc and octet == 0x80:  # a padded arc: one name would have two codings
            raise DecodeError(what, "der.bad_oid")
        arc = arc << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def bits(found: DataObject, what: str) -> bytes:
    """A bit string of whole octets. Raises `DecodeError`."""
    octets = contents(found, BIT_STRING, what)
    if len(octets) < 1 or octets[0]:
        raise DecodeError(what, "der.bad_bits")
    return bytes(octets[1:])


def encode_oid(dotted: str) -> bytes:
    """The contents of an object identifier, without tag and length."""
    first, second, *rest = map(int, dotted.split("."))
    coded = bytearray()
    for arc in (40 * first + second, *rest):
        groups = [arc & 0x7F]
        left = arc >> 7
        while left:
            groups.append(left & 0x7F | 0x80)
            left >>= 7
        coded += bytes(reversed(groups))
    return bytes(coded)

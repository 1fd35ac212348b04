"""BER-TLV as chips speak it (ISO/IEC 7816-4 §5.2.2, X.690 §8): bounded reading and writing of data objects.

For APDU templates and LDS files. ASN.1 of certificates and signatures goes through asn1crypto instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from edged.errors import DecodeError
from edged.identity import withheld

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_TAG_OCTETS: Final = 3
"""LDS tags have one or two octets, CBEFF's biometric ones too; three leave room."""
MAX_LENGTH_OCTETS: Final = 4
"""After the first: lengths below 2**32. What is longer than the data itself is refused anyway."""
MAX_OBJECTS: Final = 1024
"""In one template. DG11 and DG12 announce a dozen; more is an attack on time and memory."""


@withheld
class DataObject(NamedTuple):
    """One data object. `value` is a view of the bytes it was read from: nothing is copied.

    Attributes:
        tag: all its octets as one number (0x5F1F).
        value: the contents.
        size: octets of tag, length and value together.
    """

    tag: int
    value: memoryview
    size: int


def read_header(data: bytes | memoryview, what: str = "chip") -> tuple[int, int, int]:
    """Tag, octets of tag and length together, and the announced length of the value, which may lie beyond `data`.

    Raises `DecodeError` (`what`, "tlv.cut" | "tlv.bad_tag" | "tlv.bad_length").
    """
    if not data:
        raise DecodeError(what, "tlv.cut")
    tag = data[0]
    at = 1
    if tag & 0x1F == 0x1F:
        while True:
            if at >= MAX_TAG_OCTETS:
                raise DecodeError(what, "tlv.bad_tag")
            if at >= len(data):
                raise DecodeError(what, "tlv.cut")
            tag = tag << 8 | data[at]
            at += 1
            if not data[at - 1] & 0x80:
                break
    if at >= len(data):
        raise DecodeError(what, "tlv.cut")
    first = data[at]
    at += 1
    if first < 0x80:
        return tag, at, first
    octets = first & 0x7F
    if not 1 <= octets <= MAX_LENGTH_OCTETS:  # the indefinite form is not for chips
        raise DecodeError(what, "tlv.bad_length")
    if at + octets > len(data):
        raise DecodeError(what, "tlv.cut")
    return tag, at + octets, int.from_bytes(data[at : at + octets], "big")


def read_one(data: bytes | memoryview, what: str = "chip") -> DataObject:
    """The data object at the beginning of `data`; what follows it is left alone. Raises `DecodeError`."""
    view = memoryview(data)
    tag, head, length = read_header(view, what)
    if head + length > len(view):
        raise DecodeError(what, "tlv.cut")
    return DataObject(tag, view[head : head + length], head + length)


def iterate(data: bytes | memoryview, what: str = "chip") -> Iterator[DataObject]:
    """The data objects that `data` is made of, in order, `MAX_OBJECTS` at most. Raises `DecodeError`."""
    view = memoryview(data)
    count = 0
    while view:
        count += 1
        if count > MAX_OBJECTS:
            raise DecodeError(what, "tlv.too_many")
        found = read_one(view, what)
        yield found
        view = view[found.size :]


def only(data: bytes | memoryview, tag: int, what: str = "chip") -> memoryview:
    """The value of the one data object `data` is. Raises `DecodeError` for another tag or anything after it."""
    found = read_one(data, what)
    if found.tag != tag or found.size != len(data):
        raise DecodeError(what, "tlv.unexpected")
    return found.value


def find(data: bytes | memoryview, tag: int, what: str = "chip") -> memoryview | None:
    """The value of the first data object with this tag in a template, None without one. Raises `DecodeError`."""
    return next((found.value for found in iterate(data, what) if found.tag == tag), None)


def encode(tag: int, value: bytes | memoryview) -> bytes:
    """The data object `tag` with `value`, in the shortest form (DER)."""
    octets = tag.to_bytes((tag.bit_length() + 7) // 8 or 1, "big")
    length = len(value)
    if length < 0x80:
        return octets + bytes((length,)) + bytes(value)
    size = (length.bit_length() + 7) // 8
    return octets + bytes((0x80 | size,)) + length.to_bytes(size, "big") + bytes(value)

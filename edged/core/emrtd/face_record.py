"""The image in a facial record: ISO/IEC 19794-5:2005 (binary) and ISO/IEC 39794-5:2019 (ASN.1).

Of a record only what leads to its image is looked at. What it says about face and picture is often wrong.
"""

from __future__ import annotations

import struct
from typing import Final

from edged.core.emrtd import tlv
from edged.errors import DecodeError

_MAGIC: Final = b"FAC\x00"
_RECORD_HEADER: Final = struct.Struct(">4s4sIH")
"""Format, version, length of the record, number of facial images (ISO/IEC 19794-5 §5.4)."""
_FACE_HEADER: Final = struct.Struct(">IH14x")
"""Length of this face's data, number of feature points, what the face looks like (§5.5)."""
_FEATURE_POINT: Final = 8
_IMAGE_HEADER: Final = 12
"""Kind of picture, coding, width, height, and how it was taken (§5.7)."""

_JPEG: Final = b"\xff\xd8\xff"
_JP2: Final = b"\x00\x00\x00\x0cjP  "
_J2K: Final = b"\xff\x4f\xff\x51"
_SEARCHED: Final = 4096
"""Octets after the headers in which an image may begin that isn't where they say: feature points miscounted."""

_FACE_BLOCK: Final = 0x65
_WRAPPED: Final = 0xA1
_PATH: Final = (0xA1, 0x30, 0xA1, 0xA0, 0xA0, 0x80)
"""From ISO/IEC 39794-5's FaceImageDataBlock to the image: representationBlocks, the first of them, imageRepresentation,
base, imageRepresentation2DBlock, representationData2D. Tags are automatic, those of choices explicit."""


def is_image(data: memoryview) -> bool:
    """Whether `data` starts like JPEG, JP2 or a JPEG 2000 codestream, the codings Doc 9303-10 allows."""
    return bytes(data[:8]).startswith((_JPEG, _JP2, _J2K))


def face_image(record: memoryview, what: str) -> memoryview:
    """The octets of the (first) image of a facial record.

    Raises `DecodeError` (`what`, "tlv.…" | "face.malformed" | "face.no_image" | "face.unknown_record").
    """
    if bytes(record[:4]) == _MAGIC:
        return _binary(record, what)
    if record and record[0] in (_FACE_BLOCK, _WRAPPED):
        return _tagged(record, what)
    raise DecodeError(what, "face.unknown_record")


def _binary(record: memoryview, what: str) -> memoryview:
    """The record's own length is not believed: some issuers count it without its header."""
    start = _RECORD_HEADER.size
    if len(record) < start + _FACE_HEADER.size + _IMAGE_HEADER:
        raise DecodeError(what, "face.malformed")
    _, _, _, faces = _RECORD_HEADER.unpack_from(record)
    length, points = _FACE_HEADER.unpack_from(record, start)
    if not faces:
        raise DecodeError(what, "face.no_image")
    head = _FACE_HEADER.size + points * _FEATURE_POINT + _IMAGE_HEADER
    # One image goes on to the end, whatever lengths say; of several, each has its own.
    end = len(record) if faces == 1 else min(start + length, len(record))
    image = record[start + head : end]
    if is_image(image):
        return image
    near = bytes(record[start : min(start + _SEARCHED, end)])
    found = min((at for magic in (_JPEG, _JP2, _J2K) if (at := near.find(magic)) >= 0), default=-1)
    if found < 0:
        raise DecodeError(what, "face.no_image")
    return record[start + found : end]


def _tagged(record: memoryview, what: str) -> memoryview:
    block = tlv.read_one(record, what)
    if block.tag == _WRAPPED:
        block = tlv.read_one(block.value, what)
    if block.tag != _FACE_BLOCK:
        raise DecodeError(what, "face.unknown_record")
    value = block.value
    for tag in _PATH:
        found = tlv.find(value, tag, what)
        if found is None:  # a 3-D shape, or an extension
            raise DecodeError(what, "face.no_image")
        value = found
    if not is_image(value):
        raise DecodeError(what, "face.no_image")
    return value

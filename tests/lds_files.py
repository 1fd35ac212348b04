"""Files of a chip, built for tests of what reads them: the right ones, and any odd one a test asks for.

Real files lie outside the project (`CHIP`): tests that want them skip where they are absent.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import pytest

from edged.core.emrtd.tlv import encode
from tests.image_fuzz import encoded, picture

CHIP = Path(os.environ.get("EDGED_CHIP_DATA") or Path(__file__).parents[2] / "shared" / "chip")

needs_chip_data = pytest.mark.skipif(
    not CHIP.is_dir(), reason="no files of real chips here; EDGED_CHIP_DATA names their folder"
)

BSI = CHIP / "bsi-2008"

OIDS = {
    "sha1": "2B0E03021A",
    "sha224": "608648016503040204",
    "sha256": "608648016503040201",
    "sha384": "608648016503040202",
    "sha512": "608648016503040203",
    "sha3_256": "608648016503040208",
}
LDS_SECURITY_OBJECT = "67810801 0101"
SIGNED_DATA = "2A864886F70D010702"


def sequence(*parts: bytes) -> bytes:
    return encode(0x30, b"".join(parts))


def integer(value: int) -> bytes:
    return encode(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(octets: str) -> bytes:
    return encode(0x06, bytes.fromhex(octets))


def algorithm(name: str, null: bool = True) -> bytes:
    return sequence(oid(OIDS[name]), b"\x05\x00" if null else b"")


def hashes_of(files: Mapping[int, bytes], name: str) -> dict[int, bytes]:
    return {number: hashlib.new(name, octets).digest() for number, octets in files.items()}


def security_object(
    hashes: Mapping[int, bytes] | Iterable[tuple[int, bytes]],
    name: str = "sha256",
    *,
    null: bool = True,
    version: int = 0,
    versions: tuple[str, str] | None = None,
    more: bytes = b"",
) -> bytes:
    pairs = hashes.items() if isinstance(hashes, Mapping) else hashes
    listed = sequence(*(sequence(integer(number), encode(0x04, digest)) for number, digest in pairs))
    info = sequence(*(encode(0x13, text.encode()) for text in versions)) if versions else b""
    return sequence(integer(version), algorithm(name, null), listed, info, more)


def ef_sod(content: bytes, kind: str = LDS_SECURITY_OBJECT, *, inner: bytes | None = None) -> bytes:
    """Nobody signed it: for what digs the content out."""
    inside = encode(0x04, content) if inner is None else inner
    signed = sequence(
        integer(3),
        encode(0x31, algorithm("sha256")),
        sequence(oid(kind), encode(0xA0, inside)),
        encode(0x31, b""),
    )
    return encode(0x77, sequence(oid(SIGNED_DATA), encode(0xA0, signed)))


def ef_com(tags: bytes, lds: str = "0107", unicode: str = "040000") -> bytes:
    return encode(0x60, encode(0x5F01, lds.encode()) + encode(0x5F36, unicode.encode()) + encode(0x5C, tags))


def dg1(text: str) -> bytes:
    return encode(0x61, encode(0x5F1F, text.encode()))


def face_19794(
    *images: bytes, points: int = 0, kind: int = 1, record_length: int | None = None, faces: int | None = None
) -> bytes:
    """A facial record of ISO/IEC 19794-5:2005."""
    blocks = []
    for image in images:
        length = 20 + 8 * points + 12 + len(image)
        blocks.append(
            struct.pack(">IH14x", length, points)
            + bytes(range(8)) * points
            + struct.pack(">BBHHBBHH", 1, kind, 60, 40, 1, 2, 0, 0)
            + image
        )
    body = b"".join(blocks)
    length = 14 + len(body) if record_length is None else record_length
    return struct.pack(">4s4sIH", b"FAC", b"010", length, len(images) if faces is None else faces) + body


def face_39794(image: bytes, *, wrapped: bool = True) -> bytes:
    """A face image data block of ISO/IEC 39794-5:2019 with what is mandatory."""
    version = encode(0xA0, encode(0x80, b"\x03") + encode(0x81, b"\x07\xe3"))
    information = encode(0xA1, encode(0xA0, encode(0x80, b"\x02")))
    flat = encode(0xA0, encode(0x80, image) + information)
    block = encode(0x30, encode(0x80, b"\x00") + encode(0xA1, encode(0xA0, flat)))
    record = encode(0x65, version + encode(0xA1, block))
    return encode(0xA1, record) if wrapped else record


def template(record: bytes, tag: int = 0x5F2E) -> bytes:
    header = encode(0xA1, bytes.fromhex("810102 820100 87020101 88020008"))
    return encode(0x7F60, header + encode(tag, record))


def dg2(*templates: bytes, count: int | None = None) -> bytes:
    number = encode(0x02, bytes((len(templates) if count is None else count,)))
    return encode(0x75, encode(0x7F61, number + b"".join(templates)))


def tagged_file(tag: int, fields: Iterable[tuple[int, bytes]]) -> bytes:
    """DG11, DG12: a list of tags, then the data objects."""
    found = list(fields)
    tags = b"".join(field.to_bytes(2 if field > 0xFF else 1, "big") for field, _ in found)
    return encode(tag, encode(0x5C, tags) + b"".join(encode(field, value) for field, value in found))


def dg11(*fields: tuple[int, bytes]) -> bytes:
    return tagged_file(0x6B, fields)


def dg12(*fields: tuple[int, bytes]) -> bytes:
    return tagged_file(0x6C, fields)


def dg7(*images: bytes) -> bytes:
    return encode(
        0x67, encode(0x02, bytes((len(images),))) + b"".join(encode(0x5F43, image) for image in images)
    )


def several(tag: int, values: Iterable[bytes]) -> bytes:
    """The contents of A0: a count, and so many data objects."""
    found = list(values)
    return encode(0x02, bytes((len(found),))) + b"".join(encode(tag, value) for value in found)


@cache
def images() -> dict[str, bytes]:
    """One small picture in each coding that a chip may keep."""
    jp2 = encoded(".jp2", picture())
    return {
        "jpeg": encoded(".jpg", picture()),
        "jp2": jp2,
        "j2k": jp2[jp2.index(b"\xff\x4f\xff\x51") :],
    }

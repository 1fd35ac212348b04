"""Data groups as a state writes them (Doc 9303-10 §4.6, §4.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core.emrtd import tlv
from edged.core.emrtd.files import ElementaryFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

JP2: Final = b"\x00\x00\x00\x0cjP  "
CODESTREAM: Final = b"\xff\x4f\xff\x51"

_LDS_VERSION: Final = b"0107"
_UNICODE_VERSION: Final = b"040000"


def _file(file: ElementaryFile, *parts: bytes) -> bytes:
    assert file.tag is not None
    return tlv.encode(file.tag, b"".join(parts))


def com(groups: Iterable[ElementaryFile]) -> bytes:
    """EF.COM: versions and the list of the data groups there are."""
    tags = bytes(one.tag or 0 for one in groups)
    return _file(
        ElementaryFile.COM,
        tlv.encode(0x5F01, _LDS_VERSION),
        tlv.encode(0x5F36, _UNICODE_VERSION),
        tlv.encode(0x5C, tags),
    )


def dg1(text: str) -> bytes:
    """The MRZ, its lines joined."""
    return _file(ElementaryFile.DG1, tlv.encode(0x5F1F, text.encode("ascii")))


def dg2(picture: bytes, size: tuple[int, int]) -> bytes:
    """One face: CBEFF around an ISO/IEC 19794-5 record around a JPEG or JPEG 2000 picture of width × height."""
    jpeg_2000 = picture.startswith((JP2, CODESTREAM))
    record = _face_record(picture, size, jpeg_2000=jpeg_2000)
    header = b"".join(
        (
            tlv.encode(0x80, b"\x01\x01"),
            tlv.encode(0x81, b"\x02"),  # facial features
            tlv.encode(0x87, b"\x01\x01"),  # owner ISO/IEC JTC 1/SC 37
            tlv.encode(0x88, b"\x00\x08"),  # type: face image record
        )
    )
    template = tlv.encode(0x7F60, tlv.encode(0xA1, header) + tlv.encode(0x5F2E, record))
    return _file(ElementaryFile.DG2, tlv.encode(0x7F61, tlv.encode(0x02, b"\x01") + template))


def _face_record(picture: bytes, size: tuple[int, int], *, jpeg_2000: bool) -> bytes:
    """ISO/IEC 19794-5:2005 §5: facial record header, facial information, image information, picture."""
    image = b"".join(
        (
            b"\x01",  # full frontal
            b"\x01" if jpeg_2000 else b"\x00",
            size[0].to_bytes(2, "big"),
            size[1].to_bytes(2, "big"),
            b"\x01",  # 24-bit RGB
            b"\x00",  # source unspecified
            b"\x00\x00",  # device unspecified
            b"\x00\x00",  # quality unspecified
        )
    )
    information = bytes(2 + 1 + 1 + 1 + 3 + 2 + 3 + 3)  # no feature points, everything unspecified
    block = (
        (4 + len(information) + len(image) + len(picture)).to_bytes(4, "big") + information + image + picture
    )
    return b"FAC\x00010\x00" + (14 + len(block)).to_bytes(4, "big") + b"\x00\x01" + block


def dg3() -> bytes:
    """Fingerprints: one record with nothing in it; no terminal without certificates gets to see it."""
    record = tlv.encode(0x7F60, tlv.encode(0xA1, tlv.encode(0x81, b"\x08")) + tlv.encode(0x5F2E, bytes(64)))
    return _file(ElementaryFile.DG3, tlv.encode(0x7F61, tlv.encode(0x02, b"\x01") + record))


def details(file: ElementaryFile, fields: Mapping[int, str | bytes]) -> bytes:
    """DG11 (about the person) or DG12 (about the document): a list of tags, then each of them."""
    octets = {tag: value.encode() if isinstance(value, str) else value for tag, value in fields.items()}
    tags = b"".join(tag.to_bytes((tag.bit_length() + 7) // 8, "big") for tag in octets)
    return _file(file, tlv.encode(0x5C, tags), *(tlv.encode(tag, value) for tag, value in octets.items()))


def wrapped(file: ElementaryFile, der: bytes) -> bytes:
    """DG14 (security infos), DG15 (a public key): DER under the file's tag."""
    return _file(file, der)

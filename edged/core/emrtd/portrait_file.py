"""DG2: the holder's portrait (Doc 9303-10 §4.7.2), found and measured without being decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core.emrtd.biometric import biometric_records
from edged.core.emrtd.face_record import face_image
from edged.core.emrtd.files import ElementaryFile
from edged.core.imageheader import sniff
from edged.errors import DecodeError
from edged.identity import Identity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_FILE_BYTES: Final = 1024 * 1024
"""Portraits have 10 to 30 kB, and a file has one or two; nothing that a chip could send within seconds is longer."""
MAX_PIXELS: Final = 4_000_000
"""35 by 45 mm in 600 dpi are 0.9 million; real ones have 0.2."""
MAX_BOOKS: Final = 64 * 1024 * 1024
"""Octets that a decoder may keep beside a portrait's pixels. Usual coding of `MAX_PIXELS` takes 3 million."""
_KINDS: Final = frozenset(("jpeg", "jpeg2000"))
_WHAT: Final = "portrait"


class ChipPortrait(Identity):
    """The portrait as the chip keeps it.

    Attributes:
        kind: "jpeg" or "jpeg2000".
        width, height: in pixels, as the image itself says.
        octets: the image file (JPEG, JP2 or a bare JPEG 2000 codestream).
        instances: how many biometric templates the file has; this is the first whose image can be told.
    """

    __slots__ = ("height", "instances", "kind", "octets", "width")

    def __init__(self, kind: str, width: int, height: int, octets: bytes, instances: int = 1) -> None:
        self.kind = kind
        self.width = width
        self.height = height
        self.octets = octets
        self.instances = instances


def find_portrait(dg2: bytes | memoryview) -> ChipPortrait:
    """The first portrait in DG2. Nothing is decoded.

    Raises `DecodeError` ("portrait", …) and nothing else: what the first template says when no template has an image
    that can be told, "image.too_large" for one of more than `MAX_PIXELS`, "image.truncated" for one without its end.
    """
    if len(dg2) > MAX_FILE_BYTES:
        raise DecodeError(_WHAT, "image.too_large")
    assert ElementaryFile.DG2.tag is not None
    records = biometric_records(dg2, ElementaryFile.DG2.tag, _WHAT)
    first: DecodeError | None = None
    for record in records:
        try:
            return _measured(bytes(face_image(record, _WHAT)), len(records))
        except DecodeError as error:
            first = first or error
    assert first is not None, "there is a record"
    raise first


def decode_portrait(portrait: ChipPortrait) -> NDArray[np.uint8]:
    """The portrait as (H, W, 3) BGR. Raises `DecodeError` ("image", …) as `decode_image` does."""
    from edged.core.image import decode_image

    return decode_image(portrait.octets)


def _measured(octets: bytes, instances: int) -> ChipPortrait:
    header = sniff(octets)
    if header is None or header.kind not in _KINDS:
        raise DecodeError(_WHAT, "face.no_image")
    if header.truncated:
        raise DecodeError(_WHAT, "image.truncated")
    if header.width < 1 or header.height < 1:
        raise DecodeError(_WHAT, "face.no_image")
    if header.width * header.height > MAX_PIXELS or header.buffered > MAX_BOOKS:
        raise DecodeError(_WHAT, "image.too_large")
    return ChipPortrait(header.kind, header.width, header.height, octets, instances)

"""Barcodes on a page: which symbologies, where, and what they say, behind the identity fence.

Decoded by zxing-cpp. What a barcode says isn't believed: nobody signed it. It tells a driving licence from a travel
document, and serves whoever asks for it in memory.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from edged.core.vision import grey_of, reduced
from edged.identity import Identity, Sensitive
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

SYMBOLOGIES: Final = ("PDF417", "QRCode", "DataMatrix", "Aztec", "Code128", "Code39")
"""What documents carry, and nothing else: each one more takes its time on every page."""
MAX_BARCODES: Final = 8
"""Barcodes kept of a page: no document has more."""
MAX_CONTENT: Final = 8192
"""Bytes kept of one: more than the largest symbol of any of these holds (QR version 40: 2 953; Aztec: 1 914)."""
_LONG_SIDE: Final = 2000
"""Pixels to which larger pictures are reduced, which bounds the time: a PDF417's module is still 2 pixels wide then."""
_AAMVA: Final = re.compile(rb"@[\x00-\x20]{1,4}(?:ANSI |AAMVA)[0-9]{6}[0-9]{2,4}[0-9]{2}(DL|ID|EN)")
"""Header of a card by AAMVA's Card Design Standard (2020, Annex D): file type, issuer, versions, number of subfiles;
then the first subfile's type, DL for a licence and ID for an identity card. Version 1 had no jurisdiction's version."""


class Barcode(Identity):
    """One decoded barcode.

    Attributes:
        symbology: one of `SYMBOLOGIES`.
        corners: (4, 2) pixels of the page: top left, top right, bottom right, bottom left as the symbol is read.
        content: its bytes, as coded.
        driving_licence: whether it is a driving licence's by AAMVA's standard.
    """

    __slots__ = ("content", "corners", "driving_licence", "symbology")

    def __init__(self, symbology: str, corners: NDArray[np.float64], content: bytes) -> None:
        self.symbology = symbology
        self.corners = corners
        self.content: Sensitive[bytes] = Sensitive(content)
        self.driving_licence: bool = symbology == "PDF417" and is_driving_licence(content)


def find_barcodes(image: NDArray[np.uint8]) -> tuple[Barcode, ...]:
    """Every barcode that can be decoded on a page, (H, W, 3) BGR or (H, W) grey, 8 bits; at most `MAX_BARCODES`.

    Takes some tens of milliseconds; lets other threads run meanwhile. Its own error correction decides what is
    read: nothing that is damaged beyond it comes out.
    """
    import zxingcpp  # loaded only where a page is searched

    grey = grey_of(image)
    if min(grey.shape) < 2:
        return ()
    small, scale = reduced(grey, _LONG_SIDE)
    formats = zxingcpp.barcode_formats_from_str(",".join(SYMBOLOGIES))
    found = []
    for code in zxingcpp.read_barcodes(small, formats=formats, try_invert=False)[:MAX_BARCODES]:
        symbology = str(code.format).replace(" ", "")
        if len(code.bytes) > MAX_CONTENT or symbology not in SYMBOLOGIES:
            continue
        place = code.position
        points = (place.top_left, place.top_right, place.bottom_right, place.bottom_left)
        corners = (np.array([(point.x, point.y) for point in points], float) + 0.5) / scale - 0.5
        found.append(Barcode(symbology, corners, code.bytes))
    return tuple(found)


def is_driving_licence(content: bytes) -> bool:
    """Whether a PDF417's bytes are a driving licence's by AAMVA's Card Design Standard, not an identity card's."""
    header = _AAMVA.match(content)
    return header is not None and header.group(1) == b"DL"


def refusal(barcodes: Iterable[Barcode]) -> Reason | None:
    """Why a page without an MRZ isn't a travel document, where its barcodes say so."""
    licence = any(barcode.driving_licence for barcode in barcodes)
    return Reason("mrz.driving_licence") if licence else None

"""The slip's QR code in a picture: its text, and where it lies. A picture that gives none is tried again, prepared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from edged.core.vision import cv2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MOST_CODES: Final = 8
"""Codes looked at in one picture: beside a slip's there may be others."""
_ENLARGED: Final = 3_000_000
"""Pixels up to which a picture is also tried at twice its size: a module has two pixels then where it had one."""


class Found(NamedTuple):
    """One QR code.

    Attributes:
        text: what it says.
        corners: (4, 2) x and y of the symbol's corners, upper left first, clockwise as the symbol stands.
    """

    text: str
    corners: NDArray[np.float32]


def find(grey: NDArray[np.uint8]) -> list[Found]:
    """The QR codes of a picture, (height, width) grey; of the first way of looking that finds any."""
    for prepared, scale in _prepared(grey):
        if found := _read(prepared, scale):
            return found
    return []


def _prepared(grey: NDArray[np.uint8]) -> Iterator[tuple[NDArray[np.uint8], float]]:
    yield grey, 1.0
    soft = cv2.GaussianBlur(grey, (0, 0), 1.2)
    yield np.asarray(soft, np.uint8), 1.0
    yield np.asarray(cv2.addWeighted(soft, 2.5, cv2.GaussianBlur(grey, (0, 0), 4.0), -1.5, 0), np.uint8), 1.0
    if grey.size <= _ENLARGED:
        large = cv2.resize(grey, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        yield np.asarray(large, np.uint8), 2.0
        wide = cv2.GaussianBlur(large, (0, 0), 5.0)
        yield (
            np.asarray(cv2.addWeighted(cv2.GaussianBlur(large, (0, 0), 1.5), 2.5, wide, -1.5, 0), np.uint8),
            2.0,
        )


def _read(picture: NDArray[np.uint8], scale: float) -> list[Found]:
    import zxingcpp

    reader: Any = zxingcpp
    codes = reader.read_barcodes(picture, formats=reader.BarcodeFormat.QRCode)
    found = []
    for code in codes[:MOST_CODES]:
        at = code.position
        corners = [(one.x, one.y) for one in (at.top_left, at.top_right, at.bottom_right, at.bottom_left)]
        found.append(Found(code.text, np.asarray(corners, np.float32) / scale))
    return found

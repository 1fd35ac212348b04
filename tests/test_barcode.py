"""Barcodes on pages: every symbology, where it stands, and the licence that gives itself away."""

from __future__ import annotations

import numpy as np
import pytest
import zxingcpp

from edged.core.barcode import SYMBOLOGIES, find_barcodes, is_driving_licence, refusal
from edged.core.vision import cv2
from edged.messages import known

LICENCE = b"@\n\x1e\rANSI 636000090002DL00410278ZV03190008DLDAQT64235789\nDCSSAMPLE\nDBB06061986\n"


def page(symbology: str, content: str | bytes, turn: float = 0.0) -> np.ndarray:
    """A page, (900, 1200) grey, with one symbol in its middle, turned by `turn` degrees."""
    kind = zxingcpp.barcode_format_from_str(symbology)
    symbol = np.array(zxingcpp.create_barcode(content, kind).to_image(scale=4), np.uint8)
    symbol = cv2.copyMakeBorder(symbol, 30, 30, 30, 30, cv2.BORDER_CONSTANT, value=255)
    height, width = symbol.shape
    turned = cv2.getRotationMatrix2D((width / 2, height / 2), turn, 1.0)
    turned[:, 2] += (600 - width / 2, 450 - height / 2)
    sheet = np.full((900, 1200), 200, np.uint8)
    cv2.warpAffine(symbol, turned, (1200, 900), dst=sheet, borderMode=cv2.BORDER_TRANSPARENT)
    return cv2.GaussianBlur(sheet, (0, 0), 0.6)


@pytest.mark.parametrize("symbology", SYMBOLOGIES)
@pytest.mark.parametrize("turn", [0.0, 90.0, 181.0])
def test_every_symbology_is_read(symbology: str, turn: float) -> None:
    (code,) = find_barcodes(page(symbology, "SPECIMEN", turn))
    assert code.symbology == symbology
    assert code.content.reveal() == b"SPECIMEN"
    assert np.allclose(code.corners.mean(axis=0), (600, 450), atol=12)
    assert not code.driving_licence
    assert refusal([code]) is None


def test_a_colour_page_larger_than_what_is_searched() -> None:
    grey = cv2.resize(page("QRCode", "SPECIMEN"), (3600, 2700))
    (code,) = find_barcodes(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
    assert np.allclose(code.corners.mean(axis=0), (1800, 1350), atol=40)


def test_a_north_american_licence_is_refused_politely() -> None:
    (code,) = find_barcodes(page("PDF417", LICENCE))
    assert code.driving_licence
    reason = refusal([code])
    assert reason is not None
    assert reason.code == "mrz.driving_licence"
    assert known(reason.code)


@pytest.mark.parametrize(
    ("content", "licence"),
    [
        (LICENCE, True),
        (LICENCE.replace(b"ANSI ", b"AAMVA"), True),
        (b"@\n\x1e\rANSI 6360000102DL00390187ZV02260031DLDAQ", True),  # version 1: no jurisdiction's version
        (LICENCE.replace(b"DL", b"ID"), False),  # an identity card
        (LICENCE.replace(b"DL", b"EN"), False),
        (LICENCE[1:], False),
        (b"", False),
        (b"@", False),
        (b"\xff" * 2000, False),
    ],
)
def test_what_the_header_says(content: bytes, licence: bool) -> None:
    assert is_driving_licence(content) is licence


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 4000), (600, 800)])
def test_pages_without_a_symbol(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(5).integers(0, 256, shape, np.uint8)
    assert find_barcodes(noise) == ()


def test_what_a_barcode_says_is_identity() -> None:
    (code,) = find_barcodes(page("QRCode", "SPECIMEN"))
    assert repr(code) == "<Barcode: identity withheld>"
    assert "SPECIMEN" not in repr(code.content)

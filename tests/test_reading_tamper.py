"""Altered documents: a digit replaced by another of the same page is never covered up by reading something else."""

from __future__ import annotations

import datetime
import functools
from pathlib import Path

import cv2
import numpy as np
import pytest

from edged.core.block import Reading, read_block
from edged.core.image import decode_image
from edged.core.mrz import parse_mrz
from edged.core.page import Row, locate
from edged.core.reading import read_page
from edged.verdict import Result

TODAY = datetime.date(2026, 11, 21)
SPECIMENS = Path(__file__).parents[1] / "edged" / "specimens"


@functools.cache
def specimen(name: str) -> tuple[np.ndarray, tuple[Row, ...], tuple[str, ...]]:
    """The picture in grey, where its lines stand, and what they say."""
    image = decode_image((SPECIMENS / f"{name}.jpg").read_bytes())
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    found = (read_block(grey, block) for block in locate(grey))
    rows = next(reading.rows for reading in found if isinstance(reading, Reading))
    reading = read_page(grey, today=TODAY)
    assert reading.valid
    return grey, rows, tuple(reading.mrz.lines.reveal())


def around(row: Row, place: int, width: int) -> tuple[np.ndarray, tuple[int, int]]:
    """From a patch around one character to the page, and the patch's size."""
    pitch = row.length / width
    middle = row.moved(-row.length / 2 + pitch * (place + 0.5), 0.0)
    w, h = round(pitch), int(row.cap * 1.5)
    return np.array(
        [
            [row.dx, -row.dy, middle.x - row.dx * (w - 1) / 2 + row.dy * (h - 1) / 2],
            [row.dy, row.dx, middle.y - row.dy * (w - 1) / 2 - row.dx * (h - 1) / 2],
        ]
    ), (w, h)


def pasted(name: str, line: int, place: int, digit: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """The specimen with one character replaced by a picture of `digit` from the same MRZ, and what it says now."""
    grey, rows, lines = specimen(name)
    width = len(lines[0])
    source = next((i, text.index(digit)) for i, text in enumerate(lines) if digit in text)
    take, size = around(rows[source[0]], source[1], width)
    put, _ = around(rows[line], place, width)
    glyph = cv2.warpAffine(grey, take, size, flags=cv2.WARP_INVERSE_MAP | cv2.INTER_CUBIC)
    page = grey.shape[::-1]
    layer = cv2.warpAffine(glyph, put, page, flags=cv2.INTER_CUBIC)
    mask = cv2.warpAffine(np.full_like(glyph, 255), put, page, flags=cv2.INTER_NEAREST)
    says = [*lines]
    says[line] = says[line][:place] + digit + says[line][place + 1 :]
    return np.where(mask > 128, layer, grey), tuple(says)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(
    ("name", "line", "changes"),
    [
        ("passport", 1, {1: "04", 2: "56", 4: "17", 8: "95", 9: "8", 32: "0"}),
        ("identity-card", 0, {6: "4", 7: "9", 8: "9", 12: "1"}),
        ("long-number", 0, {8: "9", 10: "1", 15: "9", 16: "9", 17: "0"}),
        ("visa-b", 1, {1: "0", 2: "6", 4: "0", 9: "3"}),
        ("residence-card", 1, {3: "5", 5: "4", 6: "0", 7: "8", 8: "1"}),
    ],
)
def test_a_replaced_digit_never_makes_a_valid_reading(name, line, changes, soft):
    for place, digits in changes.items():
        for digit in digits:
            image, says = pasted(name, line, place, digit)
            assert not parse_mrz(says, today=TODAY).check_digits_ok
            if soft:
                image = cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
                image = cv2.GaussianBlur(image, (0, 0), 0.9)
            reading = read_page(image, today=TODAY)
            assert not reading.valid, (place, digit)
            found = {check.name: check.result for check in reading.checks}
            assert found["mrz_check_digits"] is not Result.SUCCESSFUL


def test_a_clear_replaced_digit_fails_as_printed():
    image, says = pasted("passport", 1, 2, "7")
    reading = read_page(image, today=TODAY)
    assert tuple(reading.mrz.lines.reveal()) == says
    found = {check.name: check.result for check in reading.checks}
    assert (found["mrz_read"], found["mrz_check_digits"]) == (Result.SUCCESSFUL, Result.FAILED)

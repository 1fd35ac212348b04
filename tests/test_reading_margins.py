"""The first 36 characters of a larger visa's 44 are never a smaller visa, whatever hides the rest."""

from __future__ import annotations

import datetime
import functools
from pathlib import Path

import cv2
import numpy as np
import pytest

from edged.core.block import Reading, read_block
from edged.core.image import decode_image
from edged.core.layouts import MrzFormat
from edged.core.page import Row, locate
from edged.core.reading import PageReading, read_page

TODAY = datetime.date(2026, 11, 21)
SPECIMENS = Path(__file__).parents[1] / "edged" / "specimens"


@functools.cache
def specimen(name: str) -> tuple[np.ndarray, tuple[Row, ...]]:
    """The picture in grey and where its lines stand."""
    grey = cv2.cvtColor(decode_image((SPECIMENS / f"{name}.jpg").read_bytes()), cv2.COLOR_BGR2GRAY)
    found = (read_block(grey, block) for block in locate(grey))
    return grey, next(reading.rows for reading in found if isinstance(reading, Reading))


def hidden(name: str, characters: int, tone: int | None, beyond: float = 1.5) -> np.ndarray:
    """The last characters of each line painted over, in the paper's own tone when none is given."""
    grey, rows = specimen(name)
    image = grey.copy()
    for row in rows:
        pitch = row.length / 44
        mask = np.zeros_like(grey)
        ends = [row.moved(row.length / 2 - pitch * (characters + 0.05), 0.0)]
        ends.append(row.moved(row.length / 2 + pitch * beyond, 0.0))
        corners = [end.moved(0.0, 0.75 * row.cap * side) for end in ends for side in (-1, 1)]
        outline = cv2.convexHull(np.array([(c.x, c.y) for c in corners]).round().astype(np.int32))
        cv2.fillConvexPoly(mask, outline, 1)
        image[mask > 0] = np.percentile(grey[mask > 0], 90) if tone is None else tone
    return image


def codes(reading: PageReading) -> set[str]:
    return {reason.code for reason in reading.reasons}


@pytest.mark.parametrize("tone", [None, 255, 235, 128, 20])
@pytest.mark.parametrize("beyond", [1.5, 8.0])
def test_a_visa_whose_end_is_hidden_is_no_smaller_visa(tone, beyond):
    reading = read_page(hidden("visa-a", 8, tone, beyond), today=TODAY)
    assert not reading.valid
    assert not reading.sure, "what is legible is said, and that it may not be all"
    assert codes(reading) & {"reading.may_be_longer", "reading.mrz_cut"}


def test_not_even_half_outside_the_window():
    image = hidden("visa-a", 8, None)
    row = specimen("visa-a")[1][0]
    pitch = row.length / 44
    for places in (2, 5, 7):
        edge = int(row.moved(row.length / 2 - (8 - places) * pitch, 0.0).x)
        assert not read_page(np.ascontiguousarray(image[:, :edge]), today=TODAY).valid


def test_a_small_visa_is_valid_where_its_paper_ends():
    grey, rows = specimen("visa-b")
    assert read_page(grey, today=TODAY).mrz.format is MrzFormat.MRVB
    assert read_page(grey, today=TODAY).valid
    pitch = rows[0].length / 36
    left = int(rows[0].moved(-rows[0].length / 2 - 4 * pitch, 0.0).x)
    right = int(rows[0].moved(rows[0].length / 2 + 4 * pitch, 0.0).x)
    assert read_page(np.ascontiguousarray(grey[:, left:right]), today=TODAY).valid, "cut to its document"


def test_a_small_visa_on_an_endless_sheet_is_doubted():
    grey, rows = specimen("visa-b")
    row = rows[0]
    edge = int(row.moved(row.length / 2 + 5 * row.length / 36, 0.0).x)
    wide = np.hstack([grey[:, :edge], np.repeat(grey[:, edge - 1 : edge], 400, axis=1)])
    reading = read_page(wide, today=TODAY)
    assert reading.mrz.format is MrzFormat.MRVB
    assert not reading.sure
    assert codes(reading) >= {"reading.may_be_longer"}

"""The locator: rows of print, whatever the picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edged.core.page import MAX_CANDIDATES, locate


def page(lines: int = 2, characters: int = 44, angle: float = 0.0) -> np.ndarray:
    """A white page with rows of strokes at a fixed pitch, turned about its middle."""
    image = np.full((700, 1000), 235, np.uint8)
    for line in range(lines):
        for i in range(characters):
            x, y = 60 + i * 880 // characters, 560 + line * 44
            cv2.rectangle(image, (x, y), (x + 3, y + 18), 30, -1)
            cv2.line(image, (x, y + 9), (x + 11, y + (i * 7) % 18), 30, 3)
    turn = cv2.getRotationMatrix2D((500, 350), angle, 0.9)
    return cv2.warpAffine(image, turn, (1000, 700), borderValue=235)


@pytest.mark.parametrize("quarter", range(4))
@pytest.mark.parametrize("angle", [0.0, -3.0, 6.5])
def test_two_rows_are_found_at_any_right_angle_and_tilt(quarter, angle):
    blocks = locate(np.ascontiguousarray(np.rot90(page(angle=angle), quarter)))
    rows = blocks[0].rows
    assert len(rows) == 2
    found = np.degrees(np.arctan2(rows[0].dy, rows[0].dx))
    assert abs((found + angle + 45) % 90 - 45) < 1.0
    assert all(700 < row.length < 900 and 12 < row.cap < 26 for row in rows)


def test_an_empty_page_has_no_candidates():
    assert locate(np.full((600, 900), 128, np.uint8)) == []
    assert locate(np.zeros((40, 40), np.uint8)) == []


def test_a_page_full_of_print_gives_a_bounded_answer():
    image = np.full((1400, 1000), 240, np.uint8)
    for y in range(10, 1390, 20):
        for x in range(10, 990, 11):
            cv2.line(image, (x, y), (x + 5, y + 9), 20, 2)
    assert len(locate(image)) <= MAX_CANDIDATES


@settings(max_examples=25, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 90), st.integers(1, 90))))
def test_any_small_picture_is_survived(image):
    assert isinstance(locate(image), list)

"""Lines that cross the print: which characters stand in one, and what is none."""

from __future__ import annotations

import datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from edged.core.fold import crossed
from edged.core.image import decode_image
from edged.core.reading import read_page

TODAY = datetime.date(2026, 11, 21)
SPECIMENS = Path(__file__).parents[1] / "edged" / "specimens"
PRINT = slice(6, 26)
PITCH = 18.0
CENTRES = 20.0 + PITCH * np.arange(20)


def strip(seed: int = 0, noise: float = 3.0) -> np.ndarray:
    """Bars for characters on noisy paper."""
    rng = np.random.default_rng(seed)
    paper = np.full((32, 400), 190.0)
    for centre in CENTRES:
        paper[7:25, int(centre) - 4 : int(centre) + 4] = 60
    return np.clip(paper + rng.normal(0, noise, paper.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("brightness", [-60, -30, 40])
def test_a_line_from_edge_to_edge_is_in_the_way_of_what_it_crosses(brightness):
    picture = strip().astype(int)
    picture[:, 127:130] += brightness
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    assert np.flatnonzero(crossed(picture, CENTRES, PITCH, PRINT)).tolist() == [6]


def test_what_stays_on_one_side_or_goes_slowly_is_no_line():
    above = strip().astype(int)
    above[:4, 127:130] -= 60
    shadow = strip() * np.linspace(1.0, 0.5, 400)
    for picture in (strip(), above, shadow, strip(noise=12.0)):
        assert not crossed(np.asarray(picture).astype(np.uint8), CENTRES, PITCH, PRINT).any()


def test_strips_of_any_size_are_looked_at():
    assert crossed(strip(), np.zeros(0), PITCH, PRINT).shape == (0,)
    for width in (1, 3, 24):
        assert not crossed(strip()[:, :width].copy(), np.array([0.0]), PITCH, PRINT).any()
    outside = np.array([-50.0, 380.0, 900.0])
    assert crossed(strip(), outside, PITCH, PRINT).shape == (3,)


def test_a_name_with_a_fold_through_a_letter_is_read_and_not_sure():
    page = decode_image((SPECIMENS / "passport.jpg").read_bytes()).copy()
    reading = read_page(page, today=TODAY)
    assert reading.valid
    row = reading.rows[0]
    letter = row.moved(row.length * (7.5 / 44 - 0.5), 0.0)  # in the surname
    x, y = round(letter.x), round(letter.y)
    cv2.line(page, (x + 3, y - 200), (x + 3, min(page.shape[0] - 1, y + 200)), (120, 120, 120), 3)
    folded = read_page(page, today=TODAY)
    assert folded.mrz is not None
    assert not folded.valid

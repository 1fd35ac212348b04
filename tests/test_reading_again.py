"""The second look: it averages what one picture says, settles doubts, and makes no evidence of its own."""

from __future__ import annotations

import datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from edged.core import reading as pages
from edged.core.again import look_again
from edged.core.image import decode_image
from edged.core.laps import Laps
from edged.core.ocr import ALPHABET
from edged.core.reading import read_page
from edged.core.sight import closer, look
from edged.core.vision import grey_of

TODAY = datetime.date(2026, 11, 21)
SPECIMENS = Path(__file__).parents[1] / "edged" / "specimens"


def seen(name: str = "passport.jpg"):
    grey = grey_of(decode_image((SPECIMENS / name).read_bytes()))
    return look(grey, Laps())


def said(reading) -> str:
    return "".join(ALPHABET[i] for cells in reading.cells for i in cells.argmax(axis=1))


@pytest.mark.parametrize("name", ["passport.jpg", "upside-down.jpg", "sideways.jpg"])
def test_a_clear_page_says_the_same_again(name):
    sight = seen(name)
    again = look_again(sight.grey, sight.reading)
    assert said(again) == said(sight.reading)
    assert again.legibility > 0.98
    assert closer(sight, again).decision.lines == sight.decision.lines


def test_a_first_look_that_erred_is_outvoted_by_the_picture():
    sight = seen()
    cells = [line.copy() for line in sight.reading.cells]
    right = said(sight.reading)[5]
    wrong = "F" if right != "F" else "E"
    cells[0][5] = 1e-4
    cells[0][5, ALPHABET.index(wrong)] = 0.6
    cells[0][5, ALPHABET.index(right)] = 0.4
    again = look_again(sight.grey, sight.reading._replace(cells=tuple(cells)))
    assert said(again)[5] == right


def test_looks_are_averaged_so_that_a_doubt_all_of_them_share_stays():
    """Blurred until characters can't be told apart: a second look must not make them sure."""
    grey = cv2.GaussianBlur(seen().grey, (0, 0), 5.2)
    sight = look(grey, Laps())
    assert sight.reading is not None
    first = np.concatenate(sight.reading.cells).max(axis=1)
    again = np.concatenate(look_again(grey, sight.reading).cells).max(axis=1)
    assert first.min() < 0.9
    assert again.min() < 0.9
    assert not read_page(grey, today=TODAY).valid


def test_rows_that_lie_elsewhere_change_nothing():
    sight = seen()
    height = sight.grey.shape[0]
    astray = tuple(row._replace(y=height - row.y) for row in sight.reading.rows)
    reading = sight.reading._replace(rows=astray)
    again = look_again(sight.grey, reading)
    assert said(again) == said(reading)


def test_a_sure_page_is_looked_at_once(monkeypatch):
    monkeypatch.setattr(pages, "look_again", lambda *_: pytest.fail("it was sure"))
    assert read_page(decode_image((SPECIMENS / "passport.jpg").read_bytes()), today=TODAY).valid

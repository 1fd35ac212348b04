"""O and 0 by a page's own print: only where its face has them the other way round, and never without examples."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest

from edged.core import own_print
from edged.core import reading as pages
from edged.core.image import decode_image
from edged.core.laps import Laps
from edged.core.lattice import decide
from edged.core.ocr import ALPHABET
from edged.core.reading import read_page
from edged.core.sight import closer, look
from edged.core.vision import grey_of
from tests.test_render_pages import drawing

TODAY = datetime.date(2026, 11, 21)
SPECIMENS = Path(__file__).parents[1] / "edged" / "specimens"
O, ZERO = ALPHABET.index("O"), ALPHABET.index("0")  # noqa: E741


def seen(name: str = "passport.jpg"):
    return look(grey_of(decode_image((SPECIMENS / name).read_bytes())), Laps())


def other_way_round(sight):
    """The sight of a reader that takes this page's O for 0 and its 0 for O, as it does in a face it doesn't know."""
    cells = [line.copy() for line in sight.reading.cells]
    for line in cells:
        line[:, [O, ZERO]] = line[:, [ZERO, O]]
    return closer(sight, sight.reading._replace(cells=tuple(cells)))


def text(sight) -> str:
    return "".join(sight.decision.lines)


def test_a_page_is_known_by_the_places_with_room_for_one_of_them():
    sight = seen()
    assert {"O", "0"} <= set(text(sight))
    assert not own_print.swapped(sight.reading.cells, sight.decision)
    odd = other_way_round(sight)
    assert own_print.swapped(odd.reading.cells, odd.decision)


def test_its_own_print_tells_what_the_line_reader_cannot():
    right, wrong = seen(), other_way_round(seen())
    number = slice(44, 53)
    assert text(right)[number] != text(wrong)[number], "the specimen's number has a 0 or an O"
    settled = closer(wrong, own_print.settled(wrong.grey, wrong.reading, wrong.decision))
    assert text(settled) == text(right)


def test_where_the_print_shows_nothing_neither_is_likelier():
    wrong = other_way_round(seen())
    blank = np.full_like(wrong.grey, 200)
    cells = np.concatenate(own_print.settled(blank, wrong.reading, wrong.decision).cells)
    at = [i for i in range(44, 53) if text(wrong)[i] in "O0"]
    assert at
    np.testing.assert_allclose(cells[at, O], cells[at, ZERO], rtol=1e-5)


def test_nothing_else_is_touched():
    wrong = other_way_round(seen())
    before = np.concatenate(wrong.reading.cells)
    after = np.concatenate(own_print.settled(wrong.grey, wrong.reading, wrong.decision).cells)
    rest = [i for i in range(len(ALPHABET)) if i not in (O, ZERO)]
    np.testing.assert_array_equal(before[:, rest], after[:, rest])
    np.testing.assert_allclose(before.sum(axis=1), after.sum(axis=1), rtol=1e-5)
    assert [len(line) for line in wrong.reading.cells] == [44, 44]


def test_an_ordinary_page_is_not_compared(monkeypatch):
    monkeypatch.setattr(pages.own_print, "settled", lambda *_: pytest.fail("its face is as it should be"))
    for name in ("passport.jpg", "wrong-check-digit.jpg", "long-number.jpg"):
        read_page(decode_image((SPECIMENS / name).read_bytes()), today=TODAY)


def test_a_swapped_page_that_holds_by_luck_is_compared_all_the_same(monkeypatch):
    """Optional data has no check digit: what the line reader is sure of there is nothing on such a page."""
    asked = []
    monkeypatch.setattr(pages.own_print, "swapped", lambda *_: True)
    monkeypatch.setattr(pages.own_print, "settled", lambda _, reading, __: asked.append(1) or reading)
    assert read_page(decode_image((SPECIMENS / "passport.jpg").read_bytes()), today=TODAY).valid
    assert asked


@pytest.mark.parametrize("set_name", ["reader-window", "counter-camera"])
def test_pages_in_a_face_that_has_them_the_other_way_round(set_name, monkeypatch):
    drawing()
    from tools.render_pages import ink, sets

    monkeypatch.setattr(ink, "MRZ_FACES", (("lm-mono", 1), ("lm-mono", 1)))
    exact = 0
    for index in range(6):
        page = sets.page(set_name, 13, index)
        reading = read_page(page.image, today=TODAY)
        lines = None if reading.mrz is None else reading.mrz.lines.reveal()
        exact += lines == page.lines
        assert lines == page.lines or not reading.valid
    assert exact >= 5


def test_the_lattice_decides_the_same_with_the_shares_together():
    sight = other_way_round(seen())
    again = decide(sight.reading.cells)
    assert again is not None
    names = "".join(again.lines)[:44]
    assert names == text(seen())[:44]
    assert again.confidence[:44].min() > 0.98

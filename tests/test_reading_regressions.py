"""Drawn pages that once weren't read, and why: each stands for a kind of page."""

from __future__ import annotations

import datetime

import pytest

from edged.core.reading import read_page
from tests.test_render_pages import drawing

TODAY = datetime.date(2026, 11, 21)


@pytest.mark.parametrize(
    ("set_name", "seed", "index"),
    [
        pytest.param(
            "counter-camera", 2, 129, id="a table's grain beside a card's lines read as more of them"
        ),
        pytest.param("counter-camera", 2, 223, id="grain beside lines that lie askew"),
        pytest.param("counter-camera", 3, 179, id="grain beside lines upside down"),
        pytest.param("counter-camera", 3, 258, id="grain beside a card in the shadow"),
        pytest.param("counter-camera", 2, 216, id="a small document covered with fine print"),
        pytest.param("counter-camera", 3, 133, id="a shadow's slope taken for other paper beside the lines"),
    ],
)
def test_pages_that_were_missed_once(set_name, seed, index):
    drawing()
    from tools.render_pages import sets

    page = sets.page(set_name, seed, index)
    reading = read_page(page.image, today=TODAY)
    assert reading.mrz is not None
    assert reading.mrz.lines.reveal() == page.lines


def test_typewriter_letters_that_make_some_sense_upside_down(monkeypatch):
    drawing()
    from tools.render_pages import ink, sets

    monkeypatch.setattr(ink, "MRZ_FACES", (("courier", 1),))
    page = sets.page("reader-window", 7, 18)
    reading = read_page(page.image, today=TODAY)
    assert reading.mrz is not None
    assert reading.mrz.lines.reveal() == page.lines

"""A few drawn pages of every set: floors of reading that must not fall. The real measurement is `benchmarks/`."""

from __future__ import annotations

import pytest

from benchmarks.accuracy.examine import examine
from benchmarks.accuracy.scoring import summary
from benchmarks.accuracy.sources import drawn
from tests.test_render_pages import drawing

SEED = 11


@pytest.mark.parametrize(
    ("set_name", "pages", "floor"),
    [("reader-window", 8, 0.85), ("counter-camera", 7, 0.7), ("harsh", 9, 0.4)],
)
def test_most_drawn_pages_read_exactly_and_none_wrongly_as_valid(set_name, pages, floor):
    drawing()
    found = summary(examine(drawn(set_name, SEED, pages)))
    assert found["wrong_as_valid"] == 0
    assert found["exact"] >= floor * found["positives"] > 0


def test_nothing_valid_comes_of_what_is_no_whole_document():
    drawing()
    found = summary(examine(drawn("negatives", SEED, 8)))
    assert found["negatives"] == 8
    assert found["valid"] == 0

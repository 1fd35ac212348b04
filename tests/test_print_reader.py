"""The reader of ordinary print: what it makes of drawn rows, and what it costs at most."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

from edged.core.page import Row
from edged.core.print_reader import OTHER, joined, read_rows, to_line
from edged.core.print_rows import print_rows, turn_level
from edged.core.vision import cv2
from edged.errors import IdentityLeakError
from tests.printed import CAP, line

MODELS = 2_000_000
"""Bytes of all shipped models together."""


def drawn(text: str, height: int = 200) -> np.ndarray:
    page = np.full((height, 900), 215, np.uint8)
    cv2.putText(page, text, (40, 110), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (30, 30, 30), 2, cv2.LINE_AA)
    return cv2.GaussianBlur(page, (0, 0), 0.7)


def read(page: np.ndarray, direction: tuple[float, float] = (1.0, 0.0)) -> list[str]:
    rows = print_rows(turn_level(page, direction, 2.0))
    return [one.spaced.reveal() for one in read_rows(page, rows, most=4096)]


@pytest.mark.parametrize("text", ["12.08.1974", "12 AUG 1974", "L898902C3", "22/11/2011", "1974-11-01"])
def test_a_drawn_row_is_found_and_read(text: str) -> None:
    assert read(drawn(text)) == [text]


def test_small_letters_are_read_as_capitals() -> None:
    assert read(drawn("12 Aug 1974")) == ["12 AUG 1974"]


@pytest.mark.parametrize(("turns", "direction"), [(1, (0.0, -1.0)), (2, (-1.0, 0.0)), (3, (0.0, 1.0))])
def test_print_is_read_in_the_direction_it_has(turns: int, direction: tuple[float, float]) -> None:
    page = np.ascontiguousarray(np.rot90(drawn("12.08.1974"), turns))
    assert read(page, direction) == ["12.08.1974"]


def test_two_lines_of_different_size_are_kept_apart() -> None:
    page = drawn("L898902C3")
    cv2.putText(page, "PASSPORT", (40, 70), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (30, 30, 30), 1, cv2.LINE_AA)
    rows = print_rows(turn_level(page, (1.0, 0.0), 1.5))
    assert len(rows) == 2
    assert rows[0].cap < 0.7 * rows[1].cap
    assert rows[0].y < rows[1].y


def test_an_empty_page_has_no_rows() -> None:
    assert print_rows(turn_level(np.full((300, 400), 200, np.uint8), (1.0, 0.0), 2.0)) == []
    assert read_rows(np.full((300, 400), 200, np.uint8), [], most=4096) == []


def test_what_is_read_is_bounded() -> None:
    page = drawn("12.08.1974")
    row = Row(230.0, 98.0, 1.0, 0.0, 400.0, 24.0)
    few = read_rows(page, [row] * 400, most=2048)
    assert len(few) == 8  # 253 pixels each
    noise = np.random.default_rng(2).integers(0, 256, (1500, 1500), np.uint8)
    assert len(print_rows(turn_level(noise, (1.0, 0.0), 1.5))) <= 240


def test_columns_become_characters() -> None:
    columns = np.zeros((20, OTHER + 2), np.float32)
    columns[:, OTHER + 1] = 1.0
    for first, end, kind in ((2, 5, 1), (6, 9, 1), (12, 18, 2)):  # 1, 1, and a wide 2
        columns[first:end] = 0.0
        columns[first:end, kind] = 1.0
    columns[14] = 0.0
    columns[14, [2, 3]] = 0.6, 0.4  # a column at odds with its neighbours
    found = to_line(columns, Row(0.0, 0.0, 1.0, 0.0, 40.0, 14.0))
    assert found.text.reveal() == "112"
    assert found.sureness.min() > 0.8


def test_two_equal_figures_that_touch_are_two() -> None:
    columns = np.zeros((12, OTHER + 2), np.float32)
    columns[:, OTHER + 1] = 1.0
    ink = [1.0, 1.0, 1.0, 0.58, 1.0, 1.0, 1.0]
    for place, share in enumerate(ink, 2):
        columns[place, [1, OTHER + 1]] = share, 1 - share
    assert to_line(columns, Row(0.0, 0.0, 1.0, 0.0, 24.0, 14.0)).text.reveal() == "11"


def test_lines_are_joined_with_their_distance() -> None:
    first = line("12 AUG")
    both = joined(first, line("74", x=first.row.length + 2 * CAP))
    assert both.spaced.reveal() == "12 AUG 74"
    assert both.row.length == pytest.approx(first.row.length + 2 * CAP + 1.6 * CAP)


def test_a_line_is_identity() -> None:
    one = line("12 AUG 1974")
    assert repr(one) == "<PrintLine: identity withheld>"
    with pytest.raises(IdentityLeakError):
        f"{one}"


def test_the_models_are_small() -> None:
    sizes = [file.read_bytes() for file in files("edged.core").joinpath("models").iterdir()]
    assert sum(map(len, sizes)) <= MODELS
    own = files("edged.core").joinpath("models", "print_lines.net").read_bytes()
    assert len(own) <= 700_000

"""Numbers printed on cards without an MRZ, read from drawn cards any way up."""

from __future__ import annotations

import numpy as np
import pytest

from edged.core.card_numbers import CardKind
from edged.core.printed_number import numbers_on, read_card_number
from edged.messages import known
from edged.verdict import Result
from tests.printed import card, line

# Samples of published guides and specimens, check digits verified.
NEW, OLD = "911124198108030024", "CAN110081080310"
PERMIT, CITIZEN = "810000199408230021", "11010519491231002X"


@pytest.mark.parametrize(
    ("number", "turn", "kind"),
    [
        (NEW, 0.0, CardKind.PERMANENT_RESIDENT_2023),
        (NEW, 180.0, CardKind.PERMANENT_RESIDENT_2023),
        (NEW, 90.0, CardKind.PERMANENT_RESIDENT_2023),
        (PERMIT, 4.0, CardKind.RESIDENCE_PERMIT),
        (CITIZEN, 0.0, CardKind.CITIZEN),
    ],
)
def test_a_number_is_read_whichever_way_the_card_lies(number: str, turn: float, kind: CardKind) -> None:
    reading = read_card_number(card(number, turn=turn))
    assert reading.check.result is Result.SUCCESSFUL
    assert reading.number is not None
    assert reading.number.number.reveal() == number
    assert reading.number.kind is kind
    assert len(reading.confidence) == len(number)
    assert min(reading.confidence) >= 0.9
    assert reading.row is not None
    assert reading.row.dx == pytest.approx(np.cos(np.radians(turn)), abs=0.03)


@pytest.mark.parametrize(
    ("number", "code"),
    [(NEW[:-1] + "5", "card.number_unsure"), (NEW[:-1], "card.no_number"), ("", "card.no_number")],
)
def test_a_wrong_or_missing_number_decides_nothing(number: str, code: str) -> None:
    reading = read_card_number(card(number))
    assert reading.number is None
    assert reading.confidence == ()
    assert reading.check.result is Result.UNDETERMINED
    assert [reason.code for reason in reading.check.reasons] == [code]
    assert known(code)


def test_a_blurred_number_is_not_guessed() -> None:
    from edged.core.vision import cv2

    blurred = cv2.GaussianBlur(card(NEW), (0, 0), 9.0)
    assert read_card_number(blurred).number is None


@pytest.mark.parametrize("shape", [(1, 1), (30, 30), (40, 3000), (64, 64, 3)])
def test_pages_of_any_shape_are_answered(shape: tuple[int, ...]) -> None:
    assert read_card_number(np.full(shape, 128, np.uint8)).check.result is Result.UNDETERMINED


def test_a_page_full_of_noise_is_answered() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (900, 1200), np.uint8)
    assert read_card_number(noise).number is None


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (OLD, 1),
        (f"NO {OLD}", 1),
        (f"号码{NEW}", 1),
        ("9111 2419 8108 0300 24", 1),
        (f"1{NEW}", 0),  # part of a longer one
        (f"{OLD}7", 0),
        ("C4N110081080310", 0),
        ("911124198108030OZ4", 1),  # a face in which figures look like letters
    ],
)
def test_where_a_number_stands_on_a_line(text: str, numbers: int) -> None:
    assert len(numbers_on(line(text))) == numbers


def test_a_reading_is_identity() -> None:
    reading = read_card_number(card(NEW))
    assert repr(reading) == "<CardReading: identity withheld>"
    assert NEW not in repr(reading.number)

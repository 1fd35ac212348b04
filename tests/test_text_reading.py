"""Lines from a reader of text become the page that a photograph of them would have become, but for the pictures."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.core.text_reading import MAX_CHARACTERS, part_lines, read_text
from edged.evidence import gather
from edged.side import ReadSide
from edged.verdict import CHECKS, Result

TODAY = datetime.date(2026, 6, 15)
PASSPORT = ("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10")
CARD = ("I<UTOD231458907<<<<<<<<<<<<<<<", "7408122F1204159UTO<<<<<<<<<<<6", "ERIKSSON<<ANNA<MARIA<<<<<<<<<<")


def results(*lines: str) -> dict[str, Result]:
    return {check.name: check.result for check in read_text(lines, TODAY).checks}


def codes(*lines: str) -> list[str]:
    return [reason.code for reason in read_text(lines, TODAY).reasons]


@pytest.mark.parametrize("lines", [PASSPORT, CARD], ids=["td3", "td1"])
def test_whole_lines_are_a_sure_reading_without_a_picture(lines: tuple[str, ...]) -> None:
    reading = read_text(lines, TODAY)
    assert reading.valid
    assert reading.sure
    assert reading.frames == 0
    assert reading.mrz is not None
    assert reading.mrz.lines.reveal() == lines
    found = results(*lines)
    assert found.pop("image_quality") is Result.NOT_SUPPORTED
    assert set(found.values()) == {Result.SUCCESSFUL}
    assert set(found) == {"document_detected", "mrz_read", "mrz_check_digits", "mrz_fields"}


@pytest.mark.parametrize("lines", [PASSPORT, CARD], ids=["88", "90"])
def test_merged_lines_are_parted(lines: tuple[str, ...]) -> None:
    assert read_text(["".join(lines)], TODAY).valid


def test_two_of_three_lines_merged_are_parted() -> None:
    assert read_text([CARD[0] + CARD[1], CARD[2]], TODAY).valid
    assert part_lines(["A" * 72]) == ["A" * 36] * 2


def test_spaces_around_and_small_letters_are_the_readers_ways() -> None:
    assert read_text([" " + PASSPORT[0].lower() + "\t", "", PASSPORT[1]], TODAY).valid


@pytest.mark.parametrize("unknown", ["?", "*", "_", "~", "\x1a", "é", "ß", " "])
def test_a_character_in_a_name_that_was_not_made_out_is_never_sure(unknown: str) -> None:
    line = PASSPORT[0][:7] + unknown + PASSPORT[0][8:]
    reading = read_text([line, PASSPORT[1]], TODAY)
    assert reading.mrz is not None
    assert not reading.sure
    assert not reading.valid
    assert results(line, PASSPORT[1])["mrz_read"] is Result.UNDETERMINED
    assert codes(line, PASSPORT[1])[:2] == ["reading.uncertain", "swipe.again"]


@pytest.mark.parametrize("place", range(44))
def test_elsewhere_nothing_is_told_of_a_line_with_an_unknown_character(place: int) -> None:
    line = PASSPORT[1][:place] + "?" + PASSPORT[1][place + 1 :]
    reading = read_text([PASSPORT[0], line], TODAY)
    assert reading.mrz is None
    assert Result.FAILED not in results(PASSPORT[0], line).values()


def test_a_wrong_check_digit_fails() -> None:
    assert results(PASSPORT[0], PASSPORT[1][:9] + "7" + PASSPORT[1][10:])["mrz_check_digits"] is Result.FAILED


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ((), "mrz.unknown_format"),
        (("", " "), "mrz.unknown_format"),
        ((PASSPORT[0],), "mrz.unknown_format"),
        ((PASSPORT[0][:-1], PASSPORT[1]), "mrz.unknown_format"),
        ((CARD[0] + CARD[1],), "mrz.unknown_format"),
        (("?" * 44, PASSPORT[1]), "swipe.illegible"),
        (("P" * (MAX_CHARACTERS + 1),), "mrz.unknown_format"),
        (("P",) * 9, "mrz.unknown_format"),
    ],
)
def test_what_is_no_mrz_says_why_and_to_swipe_again(lines: tuple[str, ...], code: str) -> None:
    assert codes(*lines) == [code, "swipe.again"]
    assert results(*lines)["document_detected"] is Result.SUCCESSFUL
    assert results(*lines)["mrz_read"] is Result.UNDETERMINED


def test_everything_that_needs_a_picture_is_not_supported() -> None:
    reading = read_text(PASSPORT, TODAY)
    found = {c.name: c.result for c in gather([ReadSide(reading, {}, None)], reading, today=TODAY).checks}
    assert found == dict.fromkeys(
        ("viz_birth_date", "viz_expiry_date", "viz_document_number", "optical_security"), Result.NOT_SUPPORTED
    )


def test_a_reading_shows_nothing_of_what_it_holds() -> None:
    assert "ERIKSSON" not in repr(read_text(PASSPORT, TODAY))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=100), max_size=10))
def test_any_text_is_a_reading(lines: list[str]) -> None:
    reading = read_text(lines, TODAY)
    assert {check.name for check in reading.checks} <= set(CHECKS)
    assert reading.valid is False or reading.mrz is not None

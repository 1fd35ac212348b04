"""What makes a reading sure: the lines' surroundings and how odd they are, with the line reader's answer given."""

from __future__ import annotations

import datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from edged.core import sight as pages
from edged.core.block import Budget
from edged.core.image import decode_image
from edged.core.ocr import ALPHABET
from edged.core.reading import PageReading, read_page
from edged.verdict import Result
from tests.reading_evidence import TD1, TD3, evidence

TODAY = datetime.date(2026, 11, 21)


def page() -> np.ndarray:
    """A sheet with some print, so that something lies in the window."""
    image = np.full((600, 1200), 225, np.uint8)
    image[100:300:20, 100:1000] = 40
    return image


def judged(monkeypatch, lines, doubts=(), *, runs_on=False, crossed=()) -> PageReading:
    """`read_page` where the line reader saw `lines`, but for doubts: (line, place, {character: share})."""
    found = evidence(doubts, lines, 0.95, runs_on=runs_on)
    found.crossed[list(crossed)] = True
    monkeypatch.setattr(pages, "_read_blocks", lambda *_, **__: ([pages._decided(found)], ""))
    return read_page(page(), today=TODAY)


def results(reading: PageReading) -> dict[str, Result]:
    return {check.name: check.result for check in reading.checks}


def test_a_wrong_check_digit_beside_more_print_may_be_our_misplaced_reading(monkeypatch):
    wrong = (TD3[0], TD3[1][:9] + "7" + TD3[1][10:])
    alone = results(judged(monkeypatch, wrong))
    assert (alone["mrz_read"], alone["mrz_check_digits"]) == (Result.SUCCESSFUL, Result.FAILED)
    beside = results(judged(monkeypatch, wrong, runs_on=True))
    assert (beside["mrz_read"], beside["mrz_check_digits"]) == (Result.UNDETERMINED, Result.UNDETERMINED)
    assert judged(monkeypatch, TD3, runs_on=True).valid, "nothing wrong, nothing misplaced"


@pytest.mark.parametrize(
    ("share", "valid", "valid_odd"), [(0.95, False, False), (0.98, True, False), (0.999, True, True)]
)
def test_where_something_is_odd_each_character_must_be_surer(monkeypatch, share, valid, valid_odd):
    doubt = [(0, 5, {"E": share, "F": 1 - share})]
    odd = ("P<XQZ" + TD3[0][5:], TD3[1])
    assert judged(monkeypatch, TD3, doubt).valid is valid
    reading = judged(monkeypatch, odd, doubt)
    assert any(check.reason is not None for check in reading.mrz.field_checks)
    assert (results(reading)["mrz_read"] is Result.SUCCESSFUL) is valid_odd


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ((TD3[0][:15] + "<" + TD3[0][16:], TD3[1]), "mrz.name_gap"),
        (("T<UTOD231458907<<<<<<<<<<<<<<<", *TD1[1:]), "mrz.unusual_document_code"),
    ],
)
def test_what_a_fold_or_worn_print_makes_of_a_letter_is_told_and_never_sure(monkeypatch, lines, code):
    """No check digit speaks there, and the picture may be clear: K in a fold is a filler, I without its foot a T."""
    reading = judged(monkeypatch, lines)
    assert tuple(reading.mrz.lines.reveal()) == lines
    assert code in {check.reason.code for check in reading.mrz.field_checks if check.reason}
    assert not reading.valid
    assert not reading.sure


def test_a_letter_in_a_fold_is_not_sure_but_where_fillers_or_a_check_digit_speak_for_it_it_is(monkeypatch):
    assert not judged(monkeypatch, TD3, crossed=[7]).sure
    assert not judged(monkeypatch, TD3, crossed=[14]).sure, "the filler beside a name may be its last letter"
    assert judged(monkeypatch, TD3, crossed=[38, 44 + 3]).valid


def test_check_digits_that_chose_what_was_read_prove_nothing(monkeypatch):
    reading = judged(monkeypatch, TD3, [(1, 0, {"I": 0.7, "L": 0.3})])
    assert tuple(reading.mrz.lines.reveal()) == TD3
    assert not reading.valid
    assert results(reading)["mrz_check_digits"] is Result.UNDETERMINED


def test_a_page_that_takes_too_much_work_is_not_read(monkeypatch):
    """Nor is what was found until then: a second document may lie where nobody looked."""
    specimen = Path(__file__).parents[1] / "edged" / "specimens" / "passport.jpg"
    image = decode_image(specimen.read_bytes())
    assert read_page(image, today=TODAY).valid
    monkeypatch.setattr(pages, "Budget", lambda: Budget(2))
    reading = read_page(image, today=TODAY)
    assert reading.mrz is None
    assert [reason.code for reason in reading.reasons][0] == "reading.illegible"


def test_large_tilted_pages_full_of_print_take_bounded_work(monkeypatch):
    rng = np.random.default_rng(1)
    side = 4000
    image = np.full((side, side), 255, np.uint8)
    for y in range(150, side - 100, 120):
        text = "".join(rng.choice([*ALPHABET], 56))
        cv2.putText(image, text, (150, y), cv2.FONT_HERSHEY_PLAIN, 5.5, 0, 8)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), 40, 0.8)
    image = cv2.warpAffine(image, turn, (side, side), borderValue=255)
    blurred = []
    blur = cv2.GaussianBlur
    monkeypatch.setattr(
        cv2, "GaussianBlur", lambda part, *rest: blurred.append(part.size) or blur(part, *rest)
    )
    assert not read_page(image, today=TODAY).valid
    assert max(blurred) < 2_000_000, "a strip is softened, not the page around it"


def test_each_character_tells_how_sure_it_is_and_what_else_it_may_be(monkeypatch):
    reading = judged(monkeypatch, TD3, [(0, 5, {"E": 0.9, "F": 0.08, "B": 0.02})])
    characters = reading.characters.reveal()
    assert "".join(one.text for one in characters) == "".join(TD3)
    assert [char for char, _ in characters[5].alternatives] == ["F", "B"]
    assert characters[5].confidence < 0.95 < characters[6].confidence
    assert characters[6].alternatives == ()
    assert "E" not in repr(reading.characters).replace("Sensitive", "")


def test_without_lines_there_are_no_characters():
    assert read_page(page(), today=TODAY).characters.reveal() == ()

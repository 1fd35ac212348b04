"""Reading whole pages: the shipped specimens, what is refused, and what is never claimed."""

from __future__ import annotations

import datetime
import functools
import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edged import messages
from edged.core import ocr
from edged.core.block import MAX_STRIPS, Reading, read_block
from edged.core.image import decode_image
from edged.core.layouts import MrzFormat
from edged.core.page import locate
from edged.core.reading import PageReading, read_page
from edged.core.strip import MAX_STRIP
from edged.errors import IdentityLeakError
from edged.verdict import CHECKS, Result

TODAY = datetime.date(2026, 11, 21)
SPECIMENS = Path(__file__).parents[1] / "edged" / "specimens"
PASSPORT = "passport.jpg"


@functools.cache
def specimen(name: str) -> np.ndarray:
    return decode_image((SPECIMENS / name).read_bytes())


def lines(reading: PageReading) -> list[str] | None:
    return None if reading.mrz is None else list(reading.mrz.lines.reveal())


def codes(reading: PageReading) -> set[str]:
    return {reason.code for reason in reading.reasons}


@pytest.mark.parametrize("path", sorted(SPECIMENS.glob("*.json")), ids=lambda path: path.stem)
def test_every_specimen_reads_as_its_expected_file_says(path):
    description = json.loads(path.read_text())
    expected = description["expected"]
    readings = [read_page(specimen(side), today=TODAY) for side in description["sides"]]
    reading = next((r for r in readings if r.mrz is not None), readings[0])
    assert lines(reading) == expected["lines"]
    found = {check.name: str(check.result) for check in reading.checks}
    assert found.items() >= {k: v for k, v in expected["checks"].items() if k in found}.items()
    assert reading.document_present is (expected["outcome"] == "committed")
    assert reading.valid is all(
        found[name] == "successful" for name in ("mrz_read", "mrz_check_digits", "mrz_fields")
    )
    for reason in reading.reasons:
        assert messages.known(reason.code)


@pytest.mark.parametrize("quarter", range(4))
def test_any_right_angle_reads_alike_and_the_rotation_says_how(quarter):
    turned = np.ascontiguousarray(np.rot90(specimen(PASSPORT), quarter))  # counter-clockwise
    reading = read_page(turned, today=TODAY)
    assert reading.valid
    assert lines(reading) == lines(read_page(specimen(PASSPORT), today=TODAY))
    assert reading.rotation == 90 * quarter


@pytest.mark.parametrize("angle", [-45, -22, -9, 3, 14, 33])
def test_tilted_pages_read(angle):
    image = specimen(PASSPORT)
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 0.6)
    reading = read_page(cv2.warpAffine(image, turn, (width, height)), today=TODAY)
    assert reading.valid


def test_grey_pictures_read_like_colour():
    reading = read_page(cv2.cvtColor(specimen(PASSPORT), cv2.COLOR_BGR2GRAY), today=TODAY)
    assert reading.valid


def test_two_documents_are_refused_not_picked():
    reading = read_page(specimen("two-documents.jpg"), today=TODAY)
    assert reading.mrz is None
    assert codes(reading) >= {"reading.two_documents"}


def test_an_mrz_that_leaves_the_picture_is_cut_not_misread():
    image = specimen(PASSPORT)
    for share in (0.35, 0.45, 0.6, 0.7):
        reading = read_page(np.ascontiguousarray(image[:, : int(image.shape[1] * share)]), today=TODAY)
        assert not reading.valid
        assert lines(reading) is None
    assert "reading.mrz_cut" in codes(reading)


@pytest.mark.parametrize("name", ["visa-a.jpg", PASSPORT])
@pytest.mark.parametrize("hidden", [7, 8, 9])
def test_the_first_characters_of_a_longer_mrz_are_not_a_shorter_one(name, hidden):
    """36 of a visa's 44 characters look like an MRV-B, with every check digit right: a dark cover must not make one."""
    image = specimen(name).copy()
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    found = (read_block(grey, block) for block in locate(grey))
    row = next(reading.rows[0] for reading in found if isinstance(reading, Reading))
    edge = int(row.moved(row.length * (0.5 - hidden / 44), 0.0).x)
    image[:, edge + 2 :] = 10
    reading = read_page(image, today=TODAY)
    assert not reading.valid
    assert "failed" not in {check.result for check in reading.checks}, "our misreading is nobody's forgery"
    assert not read_page(np.ascontiguousarray(image[:, : edge + 2]), today=TODAY).valid


def test_an_empty_window_holds_no_document():
    reading = read_page(specimen("nothing.jpg"), today=TODAY)
    assert not reading.document_present
    assert codes(reading) == {"reading.no_document"}


@pytest.mark.parametrize("text", ["<" * 44, "A" * 44, "P<UTO" + "<" * 39, "HELLO<WORLD" * 4])
def test_pages_that_imitate_an_mrz_are_not_valid(text):
    image = np.full((600, 1200, 3), 240, np.uint8)
    for y in (400, 450):
        for i, char in enumerate(text):
            cv2.putText(image, char, (60 + i * 24, y), cv2.FONT_HERSHEY_PLAIN, 2, (20, 20, 20), 2)
    cv2.circle(image, (200, 150), 80, (90, 60, 200), -1)
    assert not read_page(image, today=TODAY).valid


def test_a_wiped_character_is_doubted():
    image = specimen(PASSPORT).copy()
    reading = read_page(image, today=TODAY)
    assert reading.valid
    # Wipe a piece of the name line: it must not come out as a valid MRZ with another name.
    rows = np.flatnonzero((cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[900:1180] < 90).mean(axis=1) > 0.05) + 900
    image[rows.min() : rows.min() + 30, 480:520] = image[rows.min() - 12, 500]
    wiped = read_page(image, today=TODAY)
    assert not wiped.valid or lines(wiped) == lines(reading)


def test_dirt_on_a_character_makes_no_other_character():
    """The upper half of a 0 covered looks like a U, which no check digit tells from 0."""
    image = specimen("permit-one-line.jpg")
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    found = (read_block(grey, block) for block in locate(grey))
    row = next(reading.rows[0] for reading in found if isinstance(reading, Reading))
    expected = lines(read_page(image, today=TODAY))
    pitch = row.length / 30
    for place in range(3, 11):
        spot = row.moved((place - 14.5) * pitch, 0.0)
        dirty = image.copy()
        half = int(pitch * 0.55)
        x, y = int(spot.x), int(spot.y)
        dirty[y - 2 * half : y - int(row.cap * 0.1), x - half : x + half] = 18
        reading = read_page(dirty, today=TODAY)
        assert not reading.valid or lines(reading) == expected


def test_what_a_reading_shows_holds_no_identity():
    reading = read_page(specimen(PASSPORT), today=TODAY)
    assert "ERIKSSON" not in repr(reading)
    with pytest.raises(IdentityLeakError):
        pickle.dumps(reading)
    with pytest.raises(IdentityLeakError):
        str(reading)
    for check in reading.checks:
        assert "ERIKSSON" not in repr(check)
    assert {check.name for check in reading.checks} <= set(CHECKS)
    assert set(reading.timings_ms) == {"quality", "locate", "read", "decide", "total"}


def test_a_misprint_read_with_confidence_fails_and_is_kept():
    reading = read_page(specimen("wrong-check-digit.jpg"), today=TODAY)
    by_name = {check.name: check.result for check in reading.checks}
    assert by_name["mrz_read"] is Result.SUCCESSFUL
    assert by_name["mrz_check_digits"] is Result.FAILED
    assert not reading.valid
    assert lines(reading) is not None


@pytest.mark.parametrize("shape", [(1, 1), (24, 24), (25, 700), (30, 3000), (3000, 30), (700, 26)])
def test_odd_shapes_are_survived(shape):
    noise = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    stripes = np.tile(np.where(np.arange(shape[1]) % 9 < 4, 20, 240).astype(np.uint8), (shape[0], 1))
    for image in (noise, stripes):
        assert not read_page(image, today=TODAY).valid


@settings(max_examples=12, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 120), st.integers(1, 120), st.just(3))))
def test_any_pixels_are_survived(image):
    assert not read_page(image, today=TODAY).valid


def test_a_page_full_of_print_takes_bounded_work(monkeypatch):
    """Strips are what time goes into; how long one takes here is what `benchmarks/` say."""
    rng = np.random.default_rng(1)
    image = np.full((1600, 2400, 3), 235, np.uint8)
    for y in range(20, 1590, 26):
        for x in range(10, 2390, 16):
            cv2.putText(
                image, chr(rng.integers(60, 91)), (x, y), cv2.FONT_HERSHEY_PLAIN, 1.2, (20, 20, 20), 1
            )
    widths = []
    read = ocr.read_strip
    monkeypatch.setattr(ocr, "read_strip", lambda strip: widths.append(strip.shape[1]) or read(strip))
    assert not read_page(image, today=TODAY).valid
    assert 0 < sum(widths) <= MAX_STRIPS * MAX_STRIP


@pytest.mark.parametrize("name", sorted(path.name for path in SPECIMENS.glob("*.jpg")))
@pytest.mark.parametrize("likely", [MrzFormat.PRC_PERMIT, MrzFormat.TD1])
def test_a_likely_format_right_or_wrong_changes_no_answer(name, likely):
    without, with_it = (read_page(specimen(name), today=TODAY, likely=guess) for guess in (None, likely))
    assert lines(with_it) == lines(without)
    assert with_it.valid == without.valid


def test_a_permit_that_is_expected_needs_less_reading(monkeypatch):
    """Other lines above and below a permit's only one are not looked for."""
    strips = []
    read_strip = ocr.read_strip
    monkeypatch.setattr(ocr, "read_strip", lambda strip: strips.append(1) or read_strip(strip))
    used = []
    for likely in (None, MrzFormat.PRC_PERMIT):
        strips.clear()
        assert read_page(specimen("permit-one-line.jpg"), today=TODAY, likely=likely).valid
        used.append(len(strips))
    assert used[1] < used[0]

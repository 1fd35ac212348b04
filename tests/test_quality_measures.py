"""Each measure of a picture follows what was done to the picture, and good pictures are left alone."""

from __future__ import annotations

import datetime
import functools
import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edged import messages
from edged.core import quality
from edged.core.image import decode_image
from edged.core.reading import PageReading, read_page
from edged.verdict import Reason
from tests.corpus import CORPUS, needs_corpus

TODAY = datetime.date(2026, 11, 21)
SPECIMENS = Path(__file__).parents[1] / "edged" / "specimens"


@functools.cache
def grey(name: str = "passport.jpg") -> np.ndarray:
    return cv2.cvtColor(decode_image((SPECIMENS / name).read_bytes()), cv2.COLOR_BGR2GRAY)


@functools.cache
def reading(name: str = "passport.jpg") -> PageReading:
    return read_page(grey(name), today=TODAY)


def rises(values: list[float]) -> bool:
    return all(a < b for a, b in itertools.pairwise(values))


def lamp(image: np.ndarray, x: int, y: int, radius: float) -> np.ndarray:
    """The picture with a lamp reflected in it: the light falls off as a bell does."""
    rows, columns = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
    light = 900 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * radius**2))
    return np.clip(image + light, 0, 255).astype(np.uint8)


def codes(measured: quality.Quality) -> set[str]:
    return {reason.code for reason in measured.reasons}


def test_sharpness_falls_with_every_step_of_blur():
    rows = reading().rows
    blurred = [cv2.GaussianBlur(grey(), (0, 0), sigma) for sigma in (0.5, 1.5, 2.5, 3.5, 5.0, 7.0)]
    measured = [quality.examine(picture, rows) for picture in blurred]
    assert rises([-m.print.sharpness for m in measured if m.print is not None])
    assert "reading.blurred" not in codes(measured[0])
    assert "reading.blurred" in codes(measured[-1])
    focus = [quality.examine(picture).focus for picture in blurred]
    assert rises([-value for value in focus if value is not None])
    assert "reading.blurred" in codes(quality.examine(blurred[-1]))


def test_glare_grows_with_the_lamp():
    shares = []
    for radius in (30, 45, 60, 75):
        measured = quality.measure(lamp(grey(), 900, 640, radius))
        assert codes(measured) == {"reading.glare"}
        assert measured.exposure is not None
        shares.append(measured.exposure.glare)
    assert rises(shares)
    assert quality.measure(grey()).exposure.glare == 0.0


@pytest.mark.parametrize("white", [250, 255])
def test_white_paper_and_white_panels_are_no_lamps(white):
    page = np.full((900, 1300), 236, np.uint8)
    cv2.rectangle(page, (300, 200), (900, 420), white, -1)
    for y in range(480, 860, 40):
        cv2.putText(page, "WHITE PAPER, BLACK PRINT", (80, y), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 20, 2)
    assert quality.measure(page).reasons == ()
    assert quality.measure(np.where(page == 236, 255, page).astype(np.uint8)).reasons == ()


def test_brightness_follows_the_lamp_and_its_ends_are_named():
    gains = (0.1, 0.45, 0.7, 1.0)
    measured = [quality.measure((grey() * gain).astype(np.uint8)) for gain in gains]
    assert rises([m.brightness for m in measured])
    assert [codes(m) for m in measured] == [{"reading.too_dark"}, set(), set(), set()]
    full = grey("passport.jpg")[300:1100, 300:1300]  # nothing but page
    washed = [
        quality.measure(np.clip(full.astype(float) * gain + add, 0, 255).astype(np.uint8))
        for gain, add in ((1.0, 0), (1.2, 40), (0.3, 205))
    ]
    assert rises([m.exposure.burnt for m in washed])
    assert [codes(m) for m in washed] == [set(), set(), {"reading.too_bright"}]


def test_an_mrz_that_the_light_has_eaten_is_called_too_bright():
    pale = np.clip(grey().astype(float) * 0.3 + 195, 0, 255).astype(np.uint8)
    assert "reading.too_bright" in codes(quality.examine(pale, reading().rows))


def test_resolution_is_measured_in_capitals_and_dots_per_inch():
    whole = quality.examine(grey(), reading().rows).print
    assert whole is not None
    for factor in (0.5, 0.25):
        small = cv2.resize(grey(), None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        rows = tuple(
            r._replace(x=r.x * factor, y=r.y * factor, length=r.length * factor, cap=r.cap * factor)
            for r in reading().rows
        )
        stands = quality.examine(small, rows).print
        assert stands is not None
        assert stands.dpi == pytest.approx(whole.dpi * factor)
        assert ("reading.too_small" in codes(quality.examine(small, rows))) is (factor < 0.3)
    assert whole.dpi == pytest.approx(280, rel=0.03), "the specimens are drawn at 280 dots per inch"


@pytest.mark.parametrize("degrees", [-30, -12, 12, 30])
def test_tilt_is_measured_in_degrees(degrees):
    height, width = grey().shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 0.6)
    turned = cv2.warpAffine(grey(), turn, (width, height))
    found = read_page(turned, today=TODAY)
    measured = quality.examine(turned, found.rows)
    assert measured.print is not None
    assert measured.print.tilt == pytest.approx(abs(degrees), abs=1.5)
    assert ("reading.tilted" in codes(measured)) is (abs(degrees) > 20)


def test_lines_that_converge_are_a_page_that_does_not_lie_flat():
    first, last = reading().rows[0], reading().rows[-1]
    turned = last._replace(dx=float(np.cos(0.07)), dy=float(np.sin(0.07)))
    measured = quality.examine(grey(), (first, turned))
    assert measured.print is not None
    assert 3.0 < measured.print.converging < 5.0
    assert "reading.not_flat" in codes(measured)


def test_the_side_at_which_an_mrz_leaves_is_named():
    row = reading().rows[0]
    cases = {
        "left": grey()[:, int(row.x - row.length / 2) + 3 :],
        "right": grey()[:, : int(row.x + row.length / 2)],
    }
    for side, picture in cases.items():
        dropped = grey().shape[1] - picture.shape[1] if side == "left" else 0
        rows = tuple(r._replace(x=r.x - dropped) for r in reading().rows)
        measured = quality.examine(np.ascontiguousarray(picture), rows)
        assert measured.print is not None
        assert measured.print.sides == (side,)
        assert Reason("reading.leaves_window", {"side": side}) in measured.reasons
    assert quality.examine(grey("half-out.jpg")).exposure.sides[0] == "left"


def test_the_one_advice_is_the_most_useful_and_each_has_a_sentence():
    dark_and_blurred = cv2.GaussianBlur((grey() * 0.12).astype(np.uint8), (0, 0), 8)
    measured = quality.examine(dark_and_blurred)
    assert codes(measured) == {"reading.too_dark", "reading.blurred"}
    assert quality.advice(measured) == Reason("reading.too_dark")
    assert quality.advice(quality.examine(grey(), reading().rows)) is None
    assert quality.advice(quality.examine(grey("nothing.jpg"))) == Reason("reading.no_document")
    for code in quality.ADVICE:
        for lang in messages.LANGUAGES:
            assert "…" not in messages.text(code, lang, side="left")


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (3, 5), (24, 24)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_any_size_of_picture_is_measured(shape, value):
    measured = quality.examine(np.full(shape, value, np.uint8))
    assert not measured.document_present


@needs_corpus
def test_good_real_pictures_are_left_alone():
    """Pictures that read as valid need no better frame: resolution apart, which some of them have just enough of."""
    nagged, small, good = set(), set(), 0
    for item in json.loads((CORPUS / "corpus.json").read_text()):
        picture = cv2.cvtColor(decode_image((CORPUS / item["file"]).read_bytes()), cv2.COLOR_BGR2GRAY)
        found = read_page(picture, today=TODAY)
        if not found.valid:
            continue
        good += 1
        wanted = codes(quality.examine(picture, found.rows))
        small |= {item["file"]} & ({item["file"]} if "reading.too_small" in wanted else set())
        if wanted - {"reading.too_small"}:
            nagged.add(item["file"])
    assert good > 30
    assert len(nagged) <= 0.03 * good, sorted(nagged)
    assert len(small) <= 0.15 * good, sorted(small)

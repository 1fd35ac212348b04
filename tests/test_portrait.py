"""The portrait on a page: found where it is, not claimed where it isn't, and kept to itself."""

from __future__ import annotations

import datetime
import functools
import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from edged import messages
from edged.core.image import decode_image
from edged.core.layouts import MrzFormat
from edged.core.portrait import Portrait, check, find_portrait, look_for_portrait
from edged.core.reading import PageReading, read_page
from edged.core.ruler import Box, ruler, view
from edged.errors import IdentityLeakError
from edged.verdict import Reason, Result
from tests.corpus import CORPUS, needs_corpus

TODAY = datetime.date(2026, 11, 21)
SPECIMENS = Path(__file__).parents[1] / "edged" / "specimens"
YUNET = Path(__file__).parents[2] / "shared" / "models" / "face_detection_yunet_2023mar.onnx"
WITH_PORTRAIT = (
    "passport.jpg", "upside-down.jpg", "dull-glass.jpg", "expired.jpg", "residence-card.jpg", "visa-a.jpg",
    "visa-b.jpg", "permit-one-line.jpg", "sideways.jpg", "identity-card.jpg",
)  # fmt: skip
WITHOUT = ("permit-taiwan.jpg", "permit-two-sides-2.jpg")

needs_yunet = pytest.mark.skipif(not YUNET.exists(), reason="no face detector here to judge by")


@functools.cache
def page(path: Path) -> tuple[np.ndarray, PageReading]:
    image = decode_image(path.read_bytes())
    return image, read_page(image, today=TODAY)


def searched(path: Path) -> Portrait | Reason:
    image, reading = page(path)
    return look_for_portrait(image, reading.rows, None if reading.mrz is None else reading.mrz.format)


@functools.cache
def detector():
    return cv2.FaceDetectorYN.create(str(YUNET), "", (320, 320), 0.7)


def faces(image: np.ndarray, quarters: int = 0) -> list[tuple[float, float, float, float]]:
    """What YuNet finds: (left, top, right, bottom) in the picture turned counter-clockwise by `quarters`."""
    turned = np.ascontiguousarray(np.rot90(image, quarters))
    scale = min(1.0, 640 / max(turned.shape[:2]))
    small = cv2.resize(turned, None, fx=scale, fy=scale)
    detector().setInputSize((small.shape[1], small.shape[0]))
    _, found = detector().detect(small)
    return (
        []
        if found is None
        else [tuple(np.array([x, y, x + w, y + h]) / scale) for x, y, w, h in found[:, :4]]
    )


def inside(face: tuple[float, float, float, float], box: tuple[int, int, int, int]) -> float:
    """Share of a face that lies in a box."""
    left, top, wide, high = box
    across = min(face[2], left + wide) - max(face[0], left)
    down = min(face[3], top + high) - max(face[1], top)
    return max(0.0, across) * max(0.0, down) / ((face[2] - face[0]) * (face[3] - face[1]))


@pytest.mark.parametrize("name", WITH_PORTRAIT)
def test_specimens_portraits_are_found_upright(name):
    found = searched(SPECIMENS / name)
    assert isinstance(found, Portrait)
    image = found.image()
    assert image.ndim == 3
    assert 1.1 < image.shape[0] / image.shape[1] < 1.2
    # Upright and framed: hair and clothes are in the middle, paper at both sides.
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(float)
    columns = np.array_split(grey.mean(axis=0), 5)
    assert min(columns[1].mean(), columns[2].mean(), columns[3].mean()) < min(
        columns[0].mean(), columns[4].mean()
    )


@pytest.mark.parametrize("name", WITHOUT)
def test_a_side_without_a_portrait_has_none(name):
    assert searched(SPECIMENS / name) == Reason("portrait.not_found")


def test_the_portrait_side_of_a_card_is_found_by_the_cards_shape_either_way_up():
    image, reading = page(SPECIMENS / "permit-two-sides-1.jpg")
    assert reading.rows == ()
    upright = find_portrait(image, (), None)
    turned = find_portrait(np.ascontiguousarray(image[::-1, ::-1]), (), None)
    assert upright is not None
    assert turned is not None
    left, top, wide, high = upright.box
    height, width = image.shape[:2]
    assert turned.box == pytest.approx((width - left - wide, height - top - high, wide, high), abs=6)
    difference = np.abs(
        upright.image().astype(int) - turned.image()[: upright.image().shape[0], : upright.image().shape[1]]
    )
    assert np.median(difference) < 12, "both are upright"


def test_what_has_no_scale_says_so():
    for name in ("nothing.jpg", "two-documents.jpg"):
        assert look_for_portrait(page(SPECIMENS / name)[0], (), None) == Reason("portrait.no_scale")


def test_a_portrait_covered_by_paper_is_not_found():
    image, reading = page(SPECIMENS / "passport.jpg")
    found = searched(SPECIMENS / "passport.jpg")
    assert isinstance(found, Portrait)
    left, top, wide, high = found.box
    covered = image.copy()
    paper = np.median(image[top - 40 : top, left : left + wide], axis=(0, 1))
    covered[top - 20 : top + high + 20, left - 20 : left + wide + 20] = paper
    assert look_for_portrait(covered, reading.rows, MrzFormat.TD3) == Reason("portrait.not_found")


@pytest.mark.parametrize("name", ["passport.jpg", "visa-b.jpg", "residence-card.jpg", "identity-card.jpg"])
def test_print_where_a_portrait_should_be_is_none(name):
    image, reading = page(SPECIMENS / name)
    found = searched(SPECIMENS / name)
    assert isinstance(found, Portrait)
    assert reading.mrz is not None
    left, top, wide, high = found.box
    printed = image.copy()
    paper = np.median(image[top - 30 : top, left : left + wide], axis=(0, 1))
    printed[top - 20 : top + high + 20, left - 20 : left + wide + 20] = paper
    unit = ruler(reading.rows, reading.mrz.format).unit
    for y in range(top, top + high, int(5 * unit)):
        cv2.putText(
            printed,
            "SURNAME 12",
            (left, y),
            cv2.FONT_HERSHEY_SIMPLEX,
            unit / 10,
            (40, 40, 40),
            max(1, int(unit / 3)),
        )
    assert look_for_portrait(printed, reading.rows, reading.mrz.format) == Reason("portrait.not_found")


def test_a_face_too_small_to_compare_is_refused():
    image, reading = page(SPECIMENS / "passport.jpg")
    small = cv2.resize(image, None, fx=0.13, fy=0.13, interpolation=cv2.INTER_AREA)
    rows = tuple(
        row._replace(x=row.x * 0.13, y=row.y * 0.13, length=row.length * 0.13, cap=row.cap * 0.13)
        for row in reading.rows
    )
    assert look_for_portrait(small, rows, MrzFormat.TD3) == Reason("portrait.too_small")


def test_grey_and_colour_pages_agree():
    image, reading = page(SPECIMENS / "passport.jpg")
    grey = find_portrait(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), reading.rows, MrzFormat.TD3)
    colour = find_portrait(image, reading.rows, MrzFormat.TD3)
    assert grey is not None
    assert colour is not None
    assert grey.image().ndim == 2
    assert grey.box == pytest.approx(colour.box, abs=12)


def test_a_portrait_is_identity_and_its_check_is_not():
    found = searched(SPECIMENS / "passport.jpg")
    assert isinstance(found, Portrait)
    assert repr(found) == "<Portrait: identity withheld>"
    with pytest.raises(IdentityLeakError):
        pickle.dumps(found)
    with pytest.raises(IdentityLeakError):
        f"{found}"
    assert check(found).result is Result.SUCCESSFUL
    missing = check(Reason("portrait.not_found"))
    assert missing.result is Result.UNDETERMINED
    for code in ("portrait.not_found", "portrait.no_scale", "portrait.too_small"):
        assert all(messages.known(code) and messages.text(code, lang) for lang in messages.LANGUAGES)


@pytest.mark.parametrize("shape", [(1, 1), (2, 900), (40, 40, 3), (700, 5, 3)])
def test_any_page_and_any_rows_are_bounded(shape):
    rows = page(SPECIMENS / "passport.jpg")[1].rows
    for value in (0, 200, 255):
        for wanted in (rows, (), tuple(row._replace(length=1e6) for row in rows)):
            found = look_for_portrait(
                np.full(shape, value, np.uint8), wanted, MrzFormat.TD3 if wanted else None
            )
            assert isinstance(found, Reason)


def test_the_rulers_view_shows_the_document_in_millimetres():
    image, reading = page(SPECIMENS / "upside-down.jpg")
    on = ruler(reading.rows, MrzFormat.TD3)
    assert on.unit * 25.4 == pytest.approx(280, rel=0.02), "the specimens are drawn at 280 dots per inch"
    line = view(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), on, Box(0, -2.5, 44 * 2.54, 2.5), 8.0)
    assert line.shape == (40, 894)
    ink = line < 110
    assert ink[12:28].mean() > 0.15
    assert ink[:6].mean() < 0.01, "nothing but paper between the lines"


@needs_corpus
@needs_yunet
def test_real_portraits_are_found_as_a_face_detector_sees_them():
    """On nine pages of ten on which YuNet sees a face our crop has all of it, and none is claimed where no face is."""
    seen, contained, claimed_wrongly = 0, 0, []
    for item in json.loads((CORPUS / "corpus.json").read_text()):
        image, reading = page(CORPUS / item["file"])
        if reading.mrz is None or item["kind"] == "reader-IR":
            continue
        there = faces(image)
        found = searched(CORPUS / item["file"])
        if not there:
            claimed_wrongly += [item["file"]] if isinstance(found, Portrait) else []
            continue
        seen += 1
        contained += isinstance(found, Portrait) and max(inside(face, found.box) for face in there) > 0.95
    assert seen > 35
    assert contained >= 0.9 * seen
    assert claimed_wrongly == []


@needs_corpus
def test_a_portrait_whose_dyes_fade_is_found_in_infrared_too():
    name = "WintonetekOCR-20240409182151"
    visible, infrared = searched(CORPUS / f"{name}.jpg"), searched(CORPUS / f"{name}IR.jpg")
    assert isinstance(visible, Portrait)
    assert isinstance(infrared, Portrait)
    assert infrared.box == pytest.approx(visible.box, abs=160), "within the head, at 500 dots per inch"

"""The test card: found, measured, and kept only when nothing lies on it."""

from __future__ import annotations

import struct
from datetime import date

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edged import messages
from edged.specimens import shipped
from edged.technician import card

TODAY = date(2026, 6, 15)
PICTURE = NDArray[np.uint8]


def photographed(light: float = 0.85, offset: float = 8) -> PICTURE:
    """The card on a dark plate, by a camera with some noise."""
    page = np.clip(cv2.cvtColor(card.draw(), cv2.COLOR_GRAY2BGR) * light + offset, 0, 255)
    lying = cv2.copyMakeBorder(page, 60, 80, 50, 90, cv2.BORDER_CONSTANT, value=(24, 24, 24))
    noise = np.random.default_rng(0).normal(0, 3, lying.shape)
    return np.clip(lying + noise, 0, 255).astype(np.uint8)


def seen(picture: PICTURE) -> card.Seen:
    plan = card.locate(picture)
    assert plan is not None
    return card.measure(picture, plan)


def kept(picture: PICTURE) -> PICTURE | None:
    plan = card.locate(picture)
    return None if plan is None else card.alone(picture, plan)


def turned(picture: PICTURE, degrees: float) -> PICTURE:
    height, width = picture.shape[:2]
    plan = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 0.85)
    return np.asarray(cv2.warpAffine(picture, plan, (width, height)), np.uint8)


@pytest.mark.parametrize("scale", [1.0, 0.55])
@pytest.mark.parametrize("degrees", [0, 7, 180])
def test_it_is_measured_wherever_it_lies(scale: float, degrees: float) -> None:
    picture = cv2.resize(photographed(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    found = seen(turned(np.asarray(picture, np.uint8), degrees))
    assert found.dpi == pytest.approx(card.DOTS_PER_MM * 25.4 * scale * 0.85, rel=0.03)
    assert found.white == pytest.approx(0.88, abs=0.03)
    assert found.black < 0.1
    assert card.complaint(found, card.LIMITS._replace(dpi=100)) is None


def test_the_focus_falls_with_the_blur() -> None:
    sharp = [
        seen(np.asarray(cv2.GaussianBlur(photographed(), (size, size), 0), np.uint8)).sharpness
        for size in (1, 5, 9, 15)
    ]
    assert sharp == sorted(sharp, reverse=True)


@pytest.mark.parametrize(
    ("picture", "code"),
    [
        (photographed(0.3), "acceptance.too_dark"),
        (photographed(1.3, 20), "acceptance.too_bright"),
        (photographed(0.25, 130), "acceptance.no_contrast"),
        (np.asarray(cv2.GaussianBlur(photographed(), (15, 15), 0), np.uint8), "acceptance.out_of_focus"),
        (
            np.asarray(
                cv2.resize(photographed(), None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA), np.uint8
            ),
            "acceptance.too_small",
        ),
        (
            (photographed() * np.linspace(0.5, 1, photographed().shape[1])[None, :, None]).astype(np.uint8),
            "acceptance.uneven",
        ),
        (photographed(), None),
    ],
    ids=["dark", "bright", "flat", "blurred", "small", "uneven", "good"],
)
def test_what_is_wrong_is_said_as_what_to_turn(picture: PICTURE, code: str | None) -> None:
    assert card.complaint(seen(picture)) == code
    assert code is None or messages.known(code)


@pytest.mark.parametrize("blur", [1, 9])
def test_what_is_kept_is_the_card_and_nothing_around_it(blur: int) -> None:
    picture = np.asarray(cv2.GaussianBlur(photographed(), (blur, blur), 0), np.uint8)
    picture[:30] = 200  # something lies beside it
    found = kept(turned(picture, 4))
    assert found is not None
    assert found.shape == (card.HEIGHT_MM * 4, card.WIDTH_MM * 4, 3)
    drawn = cv2.resize(card.draw(), found.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.corrcoef(drawn.ravel(), found[:, :, 0].ravel())[0, 1] > 0.95


@pytest.mark.parametrize("light", ["ramp", "hollow"])
def test_uneven_light_is_no_object(light: str) -> None:
    picture = photographed()
    y, x = np.mgrid[-1 : 1 : picture.shape[0] * 1j, -1 : 1 : picture.shape[1] * 1j]
    shade = {"ramp": 0.8 + 0.2 * x, "hollow": 1 - 0.15 * (x * x + y * y)}[light]
    assert kept((picture * shade[:, :, None]).astype(np.uint8)) is not None


@pytest.mark.parametrize("width", [300, 800])
@pytest.mark.parametrize("specimen", range(2))
def test_a_document_on_it_is_never_kept(width: int, specimen: int) -> None:
    picture = photographed()
    page = cv2.imread(str(shipped()[specimen].sides[0]))
    page = cv2.resize(page, (width, int(width * page.shape[0] / page.shape[1])), interpolation=cv2.INTER_AREA)
    for top, left in ((330, 320), (430, 500)):
        covered = picture.copy()
        part = page[: covered.shape[0] - top, : covered.shape[1] - left]
        covered[top : top + part.shape[0], left : left + part.shape[1]] = part
        assert kept(covered) is None


@pytest.mark.parametrize(("size", "thick"), [(0.7, 2), (1.1, 3), (2.0, 5)])
def test_a_line_of_text_on_it_is_never_kept(size: float, thick: int) -> None:
    picture = photographed()
    cv2.putText(picture, "ERIKSSON ANNA MARIA", (380, 960), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), thick)
    assert kept(picture) is None


def test_a_document_is_seen_to_be_one() -> None:
    for specimen in shipped()[:3]:
        picture = np.asarray(cv2.imread(str(specimen.sides[0])), np.uint8)
        assert card.locate(picture) is None
    assert card.shows_a_document(np.asarray(cv2.imread(str(shipped()[0].sides[0])), np.uint8), today=TODAY)
    assert not card.shows_a_document(photographed(), today=TODAY)


def test_noise_is_no_card() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (500, 700, 3)).astype(np.uint8)
    assert card.locate(noise) is None
    assert card.locate(np.zeros((20, 20, 3), np.uint8)) is None


def test_the_file_knows_how_large_it_is_printed() -> None:
    raw = card.png()
    at = raw.index(b"pHYs")
    assert struct.unpack(">IIB", raw[at + 4 : at + 13]) == (12_000, 12_000, 1)
    read = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(read, card.draw())

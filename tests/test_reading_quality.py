"""What is wrong with a picture, in reasons a clerk can act on."""

from __future__ import annotations

import datetime
from pathlib import Path

import cv2
import numpy as np

from edged.core import quality
from edged.core.image import decode_image
from edged.core.reading import read_page

TODAY = datetime.date(2026, 11, 21)
SPECIMENS = Path(__file__).parents[1] / "edged" / "specimens"


def specimen(name: str) -> np.ndarray:
    return decode_image((SPECIMENS / name).read_bytes())


def advice(image: np.ndarray) -> set[str]:
    reading = read_page(image, today=TODAY)
    image_quality = next(check for check in reading.checks if check.name == "image_quality")
    return {reason.code for reason in image_quality.reasons}


def test_a_sharp_specimen_needs_no_advice():
    assert advice(specimen("passport.jpg")) == set()


def test_a_blurred_page_is_called_blurred():
    assert "reading.blurred" in advice(cv2.GaussianBlur(specimen("passport.jpg"), (0, 0), 7))


def test_a_dark_page_is_called_dark():
    dark = (cv2.cvtColor(specimen("identity-card.jpg"), cv2.COLOR_BGR2GRAY) * 0.12).astype(np.uint8)
    assert "reading.too_dark" in {reason.code for reason in quality.measure(dark).reasons}


def test_small_print_is_called_small():
    small = cv2.resize(specimen("passport.jpg"), (480, 360), interpolation=cv2.INTER_AREA)
    reading = read_page(small, today=TODAY)
    assert reading.valid or "reading.too_small" in {reason.code for reason in reading.reasons}


def test_a_lamp_in_the_mrz_is_called_glare():
    image = specimen("passport.jpg").astype(np.float32)
    y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
    image += (np.exp(-((x - 700) ** 2 + (y - 1040) ** 2) / (2 * 50**2)) * 900)[..., None]
    image = np.clip(image, 0, 255).astype(np.uint8)
    assert not read_page(image, today=TODAY).valid
    assert "reading.glare" in advice(image)


def test_noise_and_dust_are_no_document():
    rng = np.random.default_rng(3)
    glass = np.clip(rng.normal(20, 4, (900, 1200)), 0, 255).astype(np.uint8)
    for x, y in rng.integers(20, 880, (6, 2)):
        cv2.circle(glass, (int(x), int(y)), 2, 60, -1)
    assert not quality.measure(glass).document_present
    cv2.rectangle(glass, (200, 200), (700, 500), 190, -1)
    assert quality.measure(glass).document_present

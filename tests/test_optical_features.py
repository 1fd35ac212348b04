"""What is measured under infrared and ultraviolet light follows what was done to the document."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from edged.core.image import decode_image
from edged.core.layouts import MrzFormat
from edged.core.optical import Features, measure
from edged.core.optical_align import align
from edged.core.portrait import find_portrait
from edged.core.reading import read_page
from edged.core.ruler import Box
from edged.events import Light
from tests import lamps
from tests.corpus import CORPUS, needs_corpus


def measured(**frames: np.ndarray) -> Features:
    lights = {Light(name): frame for name, frame in frames.items()} | {Light.WHITE: lamps.white()}
    portrait = find_portrait(lamps.white(), lamps.reading().rows, MrzFormat.TD3)
    return measure(lights, lamps.reading().rows, MrzFormat.TD3, portrait=portrait)


@pytest.fixture(scope="module")
def genuine() -> Features:
    return measured(ir=lamps.infrared(), uv=lamps.ultraviolet())


def test_a_genuine_documents_ink_stays_and_its_colours_vanish(genuine):
    assert genuine.mrz_white > 0.5
    assert genuine.mrz_ir > 0.6
    assert genuine.mrz_ir_least > 0.5
    assert genuine.viz_ir < 0.15
    assert genuine.agreement > 0.8
    assert genuine.uv_paper < 0.05
    assert genuine.uv_blue < 0.02
    assert genuine.uv_print > 0.4


def test_an_mrz_in_dye_vanishes_in_infrared():
    fake = measured(ir=lamps.faded(lamps.infrared(), Box(-2, -4, 116, 11)))
    assert fake.mrz_ir < 0.1
    assert fake.agreement == 0.0


def test_one_replaced_part_of_a_line_shows_in_the_least(genuine):
    part = measured(ir=lamps.faded(lamps.infrared(), Box(40, -2.5, 57, 2.5)))
    assert part.mrz_ir == pytest.approx(genuine.mrz_ir, abs=0.05)
    assert part.mrz_ir_least < 0.1


def test_a_copy_in_black_toner_keeps_its_colours_in_infrared(genuine):
    copy = measured(ir=cv2.cvtColor(lamps.white(), cv2.COLOR_BGR2GRAY))
    assert copy.viz_ir > 0.9
    assert copy.portrait_ir == pytest.approx(1.0, abs=0.05)
    assert abs(copy.portrait_ir - genuine.portrait_ir) > 0.1


def test_paper_with_brighteners_shines_blue_by_degrees():
    levels = [
        measured(uv=lamps.ultraviolet(paper=(blue, blue // 2, blue // 3))) for blue in (9, 60, 150, 240)
    ]
    papers, blues = [f.uv_paper for f in levels], [f.uv_blue for f in levels]
    assert papers == sorted(papers)
    assert blues == sorted(blues)
    assert papers[-1] > 0.9
    assert blues[-1] > 0.4


@pytest.mark.parametrize(("x", "y", "degrees"), [(25, -18, 0.0), (-30, 12, 0.6), (0, 0, -1.0)])
def test_a_document_that_moved_between_two_flashes_is_found_again(genuine, x, y, degrees):
    again = measured(ir=lamps.moved(lamps.infrared(), x, y, degrees))
    assert again.agreement > 0.5
    assert again.mrz_ir == pytest.approx(genuine.mrz_ir, abs=0.06)
    assert again.mrz_ir_least > 0.45
    assert again.viz_ir == pytest.approx(genuine.viz_ir, abs=0.06)


def test_a_document_that_is_not_there_any_more_is_not_found():
    grey = cv2.cvtColor(lamps.white(), cv2.COLOR_BGR2GRAY)
    noise = np.random.default_rng(3).integers(0, 255, grey.shape).astype(np.uint8)
    found = align(grey, noise, lamps.scale(), MrzFormat.TD3)
    assert found.agreement == 0.0
    assert found.ruler == lamps.scale()


def test_another_size_of_frame_is_the_same_document(genuine):
    half = cv2.resize(lamps.infrared(), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert measured(ir=half).mrz_ir == pytest.approx(genuine.mrz_ir, abs=0.12)


def test_lamps_that_are_off_are_no_evidence():
    dark = measured(ir=np.full(lamps.white().shape[:2], 3, np.uint8), uv=np.zeros_like(lamps.white()))
    assert dark.mrz_ir is None
    assert dark.viz_ir is None
    assert dark.portrait_ir is None
    assert dark.uv_paper is None
    assert dark.uv_blue is None
    only_white = measured()
    assert only_white.mrz_ir is None
    assert only_white.uv_paper is None


def test_grey_frames_measure_what_grey_can_say():
    grey = {
        Light.WHITE: cv2.cvtColor(lamps.white(), cv2.COLOR_BGR2GRAY),
        Light.IR: lamps.infrared(),
        Light.UV: lamps.ultraviolet().max(axis=2),
    }
    found = measure(grey, lamps.reading().rows, MrzFormat.TD3)
    assert found.mrz_ir > 0.6
    assert found.uv_paper < 0.05
    assert found.viz_ir is None
    assert found.uv_blue is None
    assert found.portrait_ir is None


@pytest.mark.parametrize("shape", [(1, 1), (2, 900, 3), (60, 60)])
def test_frames_of_any_size_are_measured(shape):
    frames = {light: np.full(shape, 128, np.uint8) for light in Light}
    found = measure(frames, lamps.reading().rows, MrzFormat.TD3)
    assert found.mrz_ir is None


@needs_corpus
def test_a_real_readers_three_lights():
    """A page reader's captures of one passport: carbon MRZ, vanishing background, dull paper, shining pattern."""
    name = "WintonetekOCR-20240409182151"
    frames = {
        light: decode_image((CORPUS / f"{name}{end}.jpg").read_bytes())
        for light, end in ((Light.WHITE, ""), (Light.IR, "IR"), (Light.UV, "UV"))
    }
    page = read_page(frames[Light.WHITE], today=lamps.TODAY)
    portrait = find_portrait(frames[Light.WHITE], page.rows, MrzFormat.TD3)
    found = measure(frames, page.rows, MrzFormat.TD3, portrait=portrait)
    assert found.agreement > 0.9
    assert found.mrz_ir > 0.6
    assert found.mrz_ir_least > 0.55
    assert found.viz_ir < 0.6
    assert 0.4 < found.portrait_ir < 0.9, "its dyes fade in infrared"
    assert found.uv_paper < 0.1
    assert found.uv_print > 0.3
    assert any(item["file"] == f"{name}UV.jpg" for item in json.loads((CORPUS / "corpus.json").read_text()))

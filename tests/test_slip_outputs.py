"""A slip on thermal paper, in a PDF and in a picture: readable by others' programs, and after a phone's lens."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pypdfium2
import pytest
from PIL import Image

from edged.commands._slip_pdf_text import text_of
from edged.errors import DecodeError
from edged.privacy.leakscan import LeakScanner
from edged.slip import content, finding, pdf, picture, url
from edged.slip.comparing import compare, normal
from edged.slip.faces import installed
from edged.slip.layout import QUIET
from edged.slip.paper import without_watermark
from tests.broker import Town
from tests.photographs import careful, photograph, usual
from tests.slip_paper import facts, longest, needs_fonts, page, printed, signed

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from edged.slip.facts import SlipFacts

pytestmark = needs_fonts

try:
    from pyzbar import pyzbar
except ImportError:  # the library is there, libzbar0 isn't
    pyzbar = None

needs_zbar = pytest.mark.skipif(pyzbar is None, reason="libzbar0 is not installed")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


def by_zbar(grey: NDArray[np.uint8]) -> list[str]:
    found = pyzbar.decode(grey, symbols=[pyzbar.ZBarSymbol.QRCODE])
    return [one.data.decode() for one in found]


@needs_zbar
@pytest.mark.parametrize("width", [58, 80])
@pytest.mark.parametrize("said", [facts(), longest()], ids=["ordinary", "longest"])
def test_a_printed_slip_is_read_by_an_independent_reader(place: Town, width: int, said: SlipFacts) -> None:
    slip = signed(place, said)
    dots = printed(slip, width)
    assert by_zbar(np.where(np.pad(dots, 16), 0, 255).astype(np.uint8)) == [slip.url]
    found = page(slip, str(width), installed())
    assert np.array_equal(dots[: len(picture.dots(found, installed()))], picture.dots(found, installed()))


@needs_zbar
@pytest.mark.parametrize("width", [58, 80])
def test_it_survives_paper_and_lens(place: Town, width: int) -> None:
    slip = signed(place, longest() if width == 80 else facts())
    dots = printed(slip, width)
    rng = np.random.default_rng(width)
    for shot in (careful(rng), careful(rng), usual(rng), usual(rng)):
        photo = photograph(dots, shot, rng)
        assert by_zbar(photo) == [slip.url], shot
        assert [one.text for one in finding.find(photo)] == [slip.url], shot


def test_where_the_code_was_found_is_where_it_is(place: Town) -> None:
    slip = signed(place, facts())
    found = page(slip, "80", installed())
    grey = np.where(np.pad(picture.dots(found, installed()), 16), 0, 255).astype(np.uint8)
    corners = finding.find(grey)[0].corners
    left, top, side = (round(8 * one) for one in (found.code.x, found.code.y, found.code.side))
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * side + (left + 16, top + 16)
    assert np.abs(corners - square).max() < 3


def test_the_watermark_keeps_off_the_code_and_the_text(place: Town) -> None:
    slip = signed(place, facts())
    found = page(slip, "58", installed())
    dots, text = picture.dots(found, installed()), picture.text_ink(found, installed(), 8)
    module = round(found.code.module * 8)
    left, top = round(found.code.x * 8), round(found.code.y * 8)
    margin = dots[
        top - QUIET * module : top, max(0, left - QUIET * module) : left + len(found.code.dark) * module
    ]
    assert not margin.any()
    marks = dots.copy()
    marks[top - QUIET * module :] = False
    marks &= ~text
    assert 0.005 < marks.mean() < 0.08
    near = cv2.dilate(text.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert not (marks & near).any()


def test_a_pdf_has_real_text_in_reading_order(place: Town, tmp_path: Path) -> None:
    slip = signed(place, longest())
    found = page(slip, "a6", installed())
    data = pdf.pdf(found, installed())
    assert data == pdf.pdf(found, installed()), "the same slip is the same bytes"
    words = without_watermark(text_of(data)[0], content.watermark(slip.facts))
    compared = compare(words, content.lines(slip.facts))
    assert {one.outcome for one in compared} == {"same"}
    marks = [line for line in text_of(data)[0] if line not in words]
    assert marks
    assert all(normal(content.watermark(slip.facts)) in normal(line) for line in marks)
    document = pypdfium2.PdfDocument(data)
    assert len(document) == 1
    drawn = document[0].render(scale=4).to_numpy()
    assert [one.text for one in finding.find(cv2.cvtColor(drawn, cv2.COLOR_BGR2GRAY))] == [slip.url]
    assert b"/FontFile2" in data, "fonts are embedded"
    assert b"Helvetica" not in data, "and no other is named"


def test_a_png_says_nothing_but_the_slip(place: Town) -> None:
    slip = signed(place, facts())
    data = picture.png(page(slip, "a6", installed()), installed())
    image = Image.open(io.BytesIO(data))
    assert set(image.info) == {"dpi"}
    grey = np.asarray(image.convert("L"))
    assert [one.text for one in finding.find(grey)] == [slip.url]
    assert {0, 255} < set(np.unique(grey).tolist())


def test_no_output_holds_what_the_document_said(place: Town) -> None:
    """The masked name and number are all there is; the raw ones are in no byte of any form."""
    slip = signed(place, facts(name="E*******", document_number="L8*****C3"))
    found = page(slip, "a6", installed())
    data = pdf.pdf(found, installed())
    outputs = [slip.url.encode(), url.parse(slip.url), "\n".join(text_of(data)[0]).encode()]
    scanner = LeakScanner([("name", "ERIKSSON"), ("given", "ANNA MARIA"), ("number", "L898902C3")])
    for output in outputs:
        assert scanner.scan(output) == []
    leaky = signed(place, facts(name="ERIKSSON"))
    text = text_of(pdf.pdf(page(leaky, "a6", installed()), installed()))[0]
    assert scanner.scan("\n".join(text).encode()), "the scanner would see it"


def test_a_stranger_s_pdf_is_an_answer_not_a_crash() -> None:
    for data in (b"%PDF-1.4", b"", b"%PDF-1.7\n" + bytes(2000)):
        with pytest.raises(DecodeError, match=r"pdf\.broken"):
            text_of(data)

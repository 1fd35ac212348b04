"""Where things stand on a slip: nothing is cut off or covered, and the same slip is the same layout everywhere."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import OutputError
from edged.slip import content, wrapping
from edged.slip.content import SlipLine
from edged.slip.faces import FontFiles, installed
from edged.slip.layout import LEAST_MODULE_DOTS, MAX_LINES, MEDIA, QUIET, lay_out
from tests.slip_paper import MadeUpFaces, longest, needs_fonts, page, signed
from tests.test_slip_outputs import place  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from edged.slip.layout import Page
    from tests.broker import Town

FACES = MadeUpFaces()
URL = "HTTPS://VERIFY.EXAMPLE.CN/S#" + "6BF*O0UY6.T83-" * 30
GOLDEN = {
    "58": "73b80c83643ddca2bda8d895c5fb721d7b3ef2554ae98bf49f5a3c0abfc5b8e1",
    "80": "0993987e5e75c3bd46270ebac1716b59d45d92bbae27e8e5cc2f2dee4cf32a29",
    "a6": "fb1287c9222e656eea001577ea40760c545ce44bf891623c22e40fd0209e35b2",
}
"""SHA-256 of every position: a slip drawn anew years later must look as it was printed."""

TEXT = st.text(st.sampled_from("ab W.,()*护照，。（）《》号码1234567890"), max_size=90)


def placed(found: Page) -> str:
    things = (found.width, found.height, found.texts, found.strips, found.marks, found.rules)
    code = (found.code.x, found.code.y, found.code.module, found.code.dark.shape)
    return hashlib.sha256(
        repr([*map(tuple, filter(None, things[2:])), things[:2], code]).encode()
    ).hexdigest()


def golden() -> list[SlipLine]:
    """Lines that change with nobody's words."""
    row = SlipLine("row", ("证件类型", "Document class"), ("外国护照", "Foreign passport or other document"))
    return [
        SlipLine("title", ("", ""), ("反馈单", "Slip"), "title"),
        SlipLine("kind", ("", ""), ("测试", "TEST"), "banner"),
        row,
        SlipLine("number", ("编号", "Number"), ("7K3M 9QXA 04TZ",) * 2),
        SlipLine(
            "purpose", ("", ""), ("仅供银行开户使用。" * 4, "For bank account opening only. " * 4), "small"
        ),
    ]


@pytest.mark.parametrize("media", MEDIA)
def test_a_layout_is_the_same_everywhere(media: str) -> None:
    found = lay_out(golden(), URL, "滨江支行 2026-11-27 10:04 7K3M 9QXA 04TZ", MEDIA[media], FACES)
    assert placed(found) == GOLDEN[media]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(TEXT, TEXT, TEXT, st.sampled_from(["title", "banner", "result", "row", "small"]))),
    st.data(),
)
def test_nothing_is_cut_off_and_nothing_lost(
    lines: list[tuple[str, str, str, str]], data: st.DataObject
) -> None:
    media = MEDIA[data.draw(st.sampled_from(list(MEDIA)))]
    made = [
        SlipLine(str(number), (one[0] if one[3] == "row" else "", ""), (one[1], one[2]), one[3])  # type: ignore[arg-type]
        for number, one in enumerate(lines[:MAX_LINES])
    ]
    found = lay_out(made, "HTTPS://A/B#C", "号 1", media, FACES)
    for text in (*found.texts, *found.marks):
        assert text.x >= media.margin - 0.01
        assert text.x + FACES.width(text.text) * text.size <= media.width - media.margin + 0.01
        assert text.baseline - text.size * 0.76 >= 0
        assert text.baseline + 0.25 * text.size <= found.height
    for line in made:
        said = "".join(text.text for text in found.texts if text.key == line.key)
        assert sorted(said.replace(" ", "")) == sorted(
            "".join((*line.caption, *dedup(line.value))).replace(" ", "")
        )
    for above, below in zip(found.strips, found.strips[1:], strict=False):
        assert above.bottom <= below.top


def dedup(value: tuple[str, str]) -> tuple[str, ...]:
    return value[:1] if value[0] == value[1] else value


@given(TEXT, st.floats(1, 30))
def test_wrapping_loses_nothing(text: str, width: float) -> None:
    lines = wrapping.wrapped(text, width, FACES.width)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(FACES.width(line) <= width or len(line) == 1 for line in lines)
    assert "".join(wrapping.pieces(text)) == text


def test_words_stay_whole_and_no_line_begins_with_a_comma() -> None:
    assert wrapping.wrapped("foreign passport", 5.0, FACES.width) == ["foreign", "passport"]
    assert wrapping.wrapped("证件号码，有效", 4.0, FACES.width) == ["证件号", "码，有效"]


@pytest.mark.parametrize("media", MEDIA)
def test_nothing_touches_the_code_or_its_margin(media: str) -> None:
    found = lay_out(golden(), URL, "滨江支行 2026-11-27 10:04", MEDIA[media], FACES)
    code, quiet = found.code, QUIET * found.code.module
    assert found.marks
    for text in (*found.texts, *found.marks):
        beside = (
            text.x + FACES.width(text.text) * text.size <= code.x - quiet
            or text.x >= code.x + code.side + quiet
        )
        apart = (
            text.baseline + 0.25 * text.size <= code.y - quiet
            or text.baseline - text.size >= code.y + code.side
        )
        assert beside or apart
    assert code.x >= quiet - 0.01
    assert found.height >= code.y + code.side + quiet
    assert math.isclose(code.module * 8 % 1, 0)


@pytest.mark.parametrize("media", MEDIA)
def test_the_longest_slip_fits_every_paper(place: Town, media: str) -> None:  # noqa: F811
    slip = signed(place, longest())
    found = page(slip, media, FACES)
    assert len(found.code.dark) <= 69, "version 13"
    assert found.code.module * 8 >= LEAST_MODULE_DOTS
    assert {text.key for text in found.texts} == {line.key for line in content.lines(slip.facts)}


def test_a_code_that_is_too_large_for_the_paper_is_refused() -> None:
    with pytest.raises(OutputError, match=r"slip\.qr_too_long"):
        lay_out([], "HTTPS://A/B#" + "A" * 3000, "", MEDIA["58"], FACES)
    with pytest.raises(OutputError, match=r"slip\.qr_too_long"):
        lay_out([], "HTTPS://A/B#" + "A" * 9000, "", MEDIA["58"], FACES)
    with pytest.raises(OutputError, match=r"slip\.too_long"):
        lay_out(golden() * MAX_LINES, URL, "", MEDIA["58"], FACES)


@needs_fonts
@pytest.mark.parametrize("character", ["\U0010fffd", "\u0007", "\ue000"])
def test_a_character_that_no_font_has_is_never_a_box(character: str) -> None:
    with pytest.raises(OutputError, match=r"slip\.no_glyph") as raised:
        installed().runs(f"张{character}")
    assert "张" not in str(raised.value)
    with pytest.raises(OutputError, match=r"slip\.no_font"):
        FontFiles([])


@needs_fonts
def test_each_character_comes_from_the_first_font_that_has_it() -> None:
    runs = installed().runs("姓名 Name*")
    assert [run.text for run in runs] == ["姓名", " Name*"]
    assert installed().files[runs[0].face].name == "DroidSansFallbackFull.ttf"
    assert installed().width("姓名") == 2.0

"""The printed lines of a slip, bilingual, made of its facts alone: what every output draws and every verifier shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from edged.slip.facts import SlipFacts

Style = Literal["title", "banner", "result", "row", "small"]
"""`title`: the slip's name · `banner`: across the paper (TEST) · `result`: large · `row`: caption and value · `small`:
the notice and the limit of use."""


@dataclass(frozen=True)
class SlipLine:
    """One line, or a paragraph that may be broken where it is too long for the paper.

    Attributes:
        key: stable name of the line, for verifiers that show lines side by side.
        caption: (zh-CN, en); empty for a line without one.
        value: (zh-CN, en); the same twice where it needs no translation.
        style: how it is set.
    """

    key: str
    caption: tuple[str, str]
    value: tuple[str, str]
    style: Style = "row"


def lines(facts: SlipFacts) -> tuple[SlipLine, ...]:
    """Every line of the slip, top first, but the QR code and the watermark."""
    raise NotImplementedError


def watermark(facts: SlipFacts) -> str:
    """The micro-text that is tiled behind the slip: site, time and number."""
    raise NotImplementedError

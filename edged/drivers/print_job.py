"""What is printed, before any printer's language: lines, pictures, QR codes. What a printer says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from edged.identity import Identity, withheld

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Align(StrEnum):
    """Where on the paper's width."""

    LEFT = "left"
    CENTRE = "centre"
    RIGHT = "right"


@withheld
@dataclass(frozen=True)
class Line:
    """One line of text; what the printer can't print as characters (Chinese, on many) it prints as a picture."""

    text: str
    bold: bool = False
    large: bool = False
    align: Align = Align.LEFT


@withheld
@dataclass(frozen=True)
class Qr:
    """A QR code, level M; `module_dots` is the side of one module, 0: the largest that fits."""

    data: str
    module_dots: int = 0


@withheld
@dataclass(frozen=True, eq=False)
class Picture:
    """`dots`: (height, width) bool, True is black; not wider than the printer's head."""

    dots: NDArray[np.bool_]


@dataclass(frozen=True)
class Feed:
    """So many blank lines."""

    lines: int = 1


@dataclass(frozen=True)
class Cut:
    """Cut the paper, where there is a cutter; feed past the tear bar where there is none."""


Element = Line | Qr | Picture | Feed | Cut


class PrintJob(Identity):
    """What is to be printed, top first. It may hold a masked name: it can't be logged or stored."""

    __slots__ = ("_elements",)

    def __init__(self, elements: tuple[Element, ...]) -> None:
        self._elements = elements

    def elements(self) -> tuple[Element, ...]:
        """For the driver, in memory."""
        return self._elements


@dataclass(frozen=True)
class PrinterStatus:
    """What the printer says; None where it can't say.

    Attributes:
        answers: whether it is there.
        paper: whether it has paper.
        paper_low: whether the roll is about to end.
        cover_closed: whether it can print.
        model: as it calls itself.
    """

    answers: bool
    paper: bool | None = None
    paper_low: bool | None = None
    cover_closed: bool | None = None
    model: str | None = None

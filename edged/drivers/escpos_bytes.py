"""From what is printed to ESC/POS, with python-escpos' encoders. Pure: nothing is sent here.

Text: ASCII goes out as it is. What GBK has goes out in it, after `FS &` (many printers need it first), where the
printer has a Chinese font; everything else is drawn with a font of the box and goes out as a picture (`GS v 0`), which
every printer prints.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.drivers.escpos_drawing import draw_line, draw_qr
from edged.drivers.print_job import Align, Cut, Feed, Line, Picture, Qr
from edged.errors import DeviceError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from edged.drivers.print_job import Element

DOTS: Final = {58: 384, 80: 576}
"""Width of the head by the paper's, in dots: 48 and 72 mm at 203 dpi."""
CHARACTER_DOTS: Final = 12
"""Width of font A; a Chinese character is two of them."""
MAX_HEIGHT: Final = 8000
"""Dots of one picture: a metre of paper."""
MAX_BYTES: Final = 4 * 1024 * 1024
"""Of one job. A metre of 80 mm paper in dots is 576 000."""
_FEED_TO_BAR: Final = 4

_CHINESE_ON: Final = b"\x1c&"
_CHINESE_OFF: Final = b"\x1c."


class Paper(NamedTuple):
    """What a printer can do."""

    width_mm: int = 58
    chinese: str = "gb18030"
    font: Path | None = None
    native_qr: bool = False
    cutter: bool = True

    @property
    def dots(self) -> int:
        """Width of its head."""
        return DOTS[self.width_mm]

    @property
    def columns(self) -> int:
        """Characters of font A a line."""
        return self.dots // CHARACTER_DOTS


def encode(elements: tuple[Element, ...], paper: Paper) -> bytearray:
    """The bytes of a job; whoever has sent them overwrites them.

    Raises `DeviceError`: "printer.no_library", "printer.no_font", "printer.too_wide", "printer.too_long".
    """
    encoder = _Encoder(paper)
    for element in elements:
        encoder.add(element)
    return encoder.finish()


class _Encoder:
    def __init__(self, paper: Paper) -> None:
        self._paper = paper
        self._escpos = _dummy(paper)
        self._escpos.hw("INIT")

    def add(self, element: Element) -> None:
        match element:
            case Line():
                self._line(element)
            case Qr():
                self._qr(element)
            case Picture():
                self._picture(element.dots)
            case Feed():
                self._escpos.print_and_feed(min(max(element.lines, 0), 255))
            case Cut():
                if self._paper.cutter:
                    self._escpos.cut(mode="PART")
                else:
                    self._escpos.print_and_feed(_FEED_TO_BAR)

    def finish(self) -> bytearray:
        written = bytearray(self._escpos.output)
        self._escpos.clear()
        if len(written) > MAX_BYTES:
            raise DeviceError("printer", "printer.too_long")
        return written

    def _line(self, line: Line) -> None:
        text = "".join(one if one.isprintable() else " " for one in line.text)
        columns = self._paper.columns // (2 if line.large else 1)
        for part in wrapped(text, columns):
            self._part(part, line)

    def _part(self, text: str, line: Line) -> None:
        in_gbk = None if self._paper.chinese != "gb18030" else _gbk(text)
        if not text.isascii() and in_gbk is None:
            picture = draw_line(text, line.bold, line.large, self._paper.font, self._paper.dots)
            self._picture(aligned(picture, self._paper.dots, line.align))
            return
        align = "center" if line.align is Align.CENTRE else line.align.value
        self._escpos.set(
            align=align,
            bold=line.bold,
            font="a",
            normal_textsize=not line.large,
            double_width=line.large,
            double_height=line.large,
        )
        if text.isascii():
            self._escpos.text(text + "\n")
        else:
            assert in_gbk is not None
            self._escpos._raw(_CHINESE_ON + in_gbk + _CHINESE_OFF + b"\n")
        self._escpos.set(align="left", bold=False, normal_textsize=True)

    def _qr(self, code: Qr) -> None:
        picture, size = draw_qr(code.data, code.module_dots, self._paper.dots)
        if not self._paper.native_qr:
            self._picture(aligned(picture, self._paper.dots, Align.CENTRE))
            return
        from escpos.constants import QR_ECLEVEL_M

        self._escpos.set(align="center")
        self._escpos.qr(code.data, ec=QR_ECLEVEL_M, size=size, native=True)
        self._escpos.set(align="left")

    def _picture(self, dots: NDArray[np.bool_]) -> None:
        from PIL import Image

        if dots.shape[1] > self._paper.dots:
            raise DeviceError("printer", "printer.too_wide")
        if dots.shape[0] > MAX_HEIGHT:
            raise DeviceError("printer", "printer.too_long")
        if dots.size:
            self._escpos.image(Image.fromarray(~dots).convert("L"))


def wrapped(text: str, columns: int) -> list[str]:
    """A line as it fits, broken at spaces where there are some; an empty one is one."""
    lines, line, width = [], "", 0
    for character in text:
        wide = 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
        if width + wide > columns:
            kept, space, rest = line.rpartition(" ")
            if not space or character == " ":
                kept, rest = line, ""
            lines.append(kept)
            line, width = (
                rest,
                sum(2 if unicodedata.east_asian_width(one) in {"W", "F"} else 1 for one in rest),
            )
            if character == " " and not line:
                continue
        line, width = line + character, width + wide
    return [*lines, line]


def aligned(picture: NDArray[np.bool_], dots: int, align: Align) -> NDArray[np.bool_]:
    """A picture with as much white before it as puts it in its place."""
    import numpy as np

    room = max(0, dots - picture.shape[1])
    before = {Align.LEFT: 0, Align.CENTRE: room // 2, Align.RIGHT: room}[align]
    return np.pad(picture, ((0, 0), (before, 0)))


def _gbk(text: str) -> bytes | None:
    try:
        return text.encode("gbk")
    except UnicodeEncodeError:
        return None


def _dummy(paper: Paper):  # type: ignore[no-untyped-def]
    try:
        from escpos.capabilities import get_profile_class
        from escpos.printer import Dummy
    except ImportError as error:
        raise DeviceError("printer", "printer.no_library") from error
    kind = get_profile_class("default")
    media = {"dpi": 203, "width": {"mm": paper.width_mm, "pixels": paper.dots}}
    # Without a width python-escpos prints a line to standard output with every picture.
    profile = type("Paper", (kind,), {"profile_data": {**kind.profile_data, "media": media}})
    printer = Dummy()
    printer.profile = profile()
    return printer

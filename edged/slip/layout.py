"""Where everything of a slip stands, in millimetres: what the picture, the PDF and the receipt are all drawn from.

Pure, and the same everywhere: positions follow from the lines, the code and the fonts' widths, never from who draws.
A dot of a thermal printer is an eighth of a millimetre (203 dpi), and a QR code's module a whole number of dots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.errors import OutputError
from edged.slip.wrapping import wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edged.slip.content import SlipLine
    from edged.slip.faces import Faces

DOTS_PER_MM: Final = 8
"""203 dpi, as printers count it."""

QUIET: Final = 4
"""Modules of margin that a reader needs (ISO/IEC 18004 §9.1)."""

LEAST_MODULE_DOTS: Final = 3
"""A module of fewer dots is lost to a thermal head's bleeding and a phone's lens."""

MAX_LINES: Final = 80
"""Lines of a slip: its facts allow fifty (32 checks, four recipients)."""

_COLONS: Final = ("\N{FULLWIDTH COLON}", ": ")
"""Between caption and value on one line, (zh-CN, en): "Real document failed" could be a real one that failed."""
_GAP: Final = 2.0  # between caption and value
_INDENT: Final = 2.0  # of a value below its caption
_LEADING: Final = 1.28  # height of a line in sizes
_BASELINE: Final = 0.98  # from a line's top to its baseline, in sizes: capitals with accents stay inside
_SEVERAL: Final = 1.0  # millimetres around the code, the title and the result


@dataclass(frozen=True)
class Media:
    """What is printed on.

    Attributes:
        name: as the commands call it.
        width: mm that can be printed on.
        least_height: mm; a slip that needs more gets it.
        margin: mm on all sides.
        sizes: of text by style, mm; `caption` for captions of rows, `mark` for the watermark.
        module_dots: side of a QR code's module at most, in eighths of a millimetre.
    """

    name: str
    width: float
    least_height: float
    margin: float
    sizes: dict[str, float]
    module_dots: int


_SIZES: Final = {
    "title": 4.5, "banner": 4.0, "result": 4.0, "row": 2.75, "small": 2.25, "caption": 2.25, "mark": 1.75,
}  # fmt: skip

PAPER_58: Final = Media("58", 48.0, 0.0, 0.0, _SIZES, 5)
PAPER_80: Final = Media("80", 72.0, 0.0, 0.0, _SIZES, 5)
A6: Final = Media("a6", 105.0, 148.0, 6.0, {**_SIZES, "title": 5.0, "mark": 1.6}, 4)
MEDIA: Final = {media.name: media for media in (PAPER_58, PAPER_80, A6)}


class Text(NamedTuple):
    """Characters of one font on one baseline. Everything in mm from the page's upper left corner."""

    key: str
    """Of the line it belongs to (`SlipLine.key`)."""
    x: float
    baseline: float
    size: float
    face: int
    text: str
    bold: bool
    starts: bool
    """Whether it begins a printed line of its own, or goes on with the text before it."""


class Strip(NamedTuple):
    """Where one of the slip's lines stands on the page, all its printed lines together."""

    key: str
    top: float
    bottom: float


class Mark(NamedTuple):
    """One piece of the watermark."""

    x: float
    baseline: float
    size: float
    face: int
    text: str


class Rule(NamedTuple):
    """A line across the page."""

    x: float
    y: float
    width: float


@dataclass(frozen=True, eq=False)
class Code:
    """The QR code without its margin, which nothing else touches: `QUIET` modules on all sides."""

    x: float
    y: float
    module: float
    dark: NDArray[np.bool_]

    @property
    def side(self) -> float:
        """Of the symbol, mm."""
        return self.module * len(self.dark)


@dataclass(frozen=True, eq=False)
class Page:
    """A slip on one piece of paper; `texts` in reading order."""

    media: Media
    width: float
    height: float
    texts: tuple[Text, ...]
    strips: tuple[Strip, ...]
    marks: tuple[Mark, ...]
    rules: tuple[Rule, ...]
    code: Code


def lay_out(lines: Sequence[SlipLine], url: str, watermark: str, media: Media, faces: Faces) -> Page:
    """A slip's page. Nothing is ever cut off: what doesn't fit on a line goes on in the next.

    Raises `OutputError`: "slip.qr_too_long" (no code that this paper is wide enough for), "slip.no_glyph",
    "slip.too_long".
    """
    if len(lines) > MAX_LINES:
        raise OutputError("slip.too_long")
    setter = _Setter(media, faces)
    for line in lines:
        setter.line(line)
    code = setter.code(url)
    height = max(media.least_height, setter.y + media.margin)
    return Page(
        media,
        media.width,
        _mm(height),
        tuple(setter.texts),
        tuple(setter.strips),
        _marks(watermark, media, faces, height, code),
        tuple(setter.rules),
        code,
    )


class _Setter:
    """Puts one thing below the other."""

    def __init__(self, media: Media, faces: Faces) -> None:
        self._media, self._faces = media, faces
        self.y = media.margin
        self._width = media.width - 2 * media.margin
        self.texts: list[Text] = []
        self.strips: list[Strip] = []
        self.rules: list[Rule] = []

    def line(self, line: SlipLine) -> None:
        """One line of the slip with all its printed lines."""
        top = self.y
        if line.style == "banner":
            self._rule()
        if line.style in {"title", "banner", "result"}:
            self.y += _SEVERAL / 2
            self._centred(line)
            self.y += _SEVERAL / 2
        elif line.style == "row":
            self._row(line)
        else:
            parts = (" ".join(_apart(words)) for words in (line.caption, line.value))
            self._paragraph(line.key, ": ".join(filter(None, parts)), "small", 0.0)
        if line.style == "banner":
            self._rule()
        self.strips.append(Strip(line.key, _mm(top), _mm(self.y)))

    def code(self, url: str) -> Code:
        """The QR code below everything else."""
        dark = symbol(url)
        across = len(dark) + 2 * QUIET
        dots = min(self._media.module_dots, int(self._width * DOTS_PER_MM) // across)
        if dots < LEAST_MODULE_DOTS:
            raise OutputError("slip.qr_too_long")
        module = dots / DOTS_PER_MM
        left = round((self._media.width - len(dark) * module) / 2 * DOTS_PER_MM) / DOTS_PER_MM
        top = _up(self.y + _SEVERAL) + QUIET * module
        self.y = top + (len(dark) + QUIET) * module + _SEVERAL
        return Code(_mm(left), _mm(top), module, dark)

    def _row(self, line: SlipLine) -> None:
        small, size = self._media.sizes["caption"], self._media.sizes["row"]
        caption, value = " ".join(_apart(line.caption)), " ".join(_apart(line.value))
        caption_width = self._faces.width(caption) * small
        value_width = self._faces.width(value) * size
        between = _GAP if caption and value else 0.0
        if caption_width + between + value_width <= self._width:
            if caption:
                self._place(line.key, self._media.margin, caption, small, False, size)
            if value:
                right = self._media.width - self._media.margin - value_width
                self._place(line.key, right, value, size, False, size)
            self.y += size * _LEADING
            return
        if caption:
            self._paragraph(line.key, caption, "caption", 0.0)
        self._paragraph(line.key, value, "row", _INDENT if caption else 0.0)

    def _paragraph(self, key: str, text: str, style: str, indent: float) -> None:
        size = self._media.sizes[style]
        for part in wrapped(text, self._width - indent, lambda one: self._faces.width(one) * size):
            self._place(key, self._media.margin + indent, part, size, False, size)
            self.y += size * _LEADING

    def _centred(self, line: SlipLine) -> None:
        """Each language by itself, caption and value together; both on one line where there is room."""
        size = self._media.sizes[line.style]
        both = [
            colon.join(filter(None, words))
            for colon, *words in zip(_COLONS, line.caption, line.value, strict=True)
        ]
        apart = _apart((both[0], both[1]))
        together = "  ".join(apart)
        for words in [together] if self._faces.width(together) * size <= self._width else apart:
            for part in wrapped(words, self._width, lambda one: self._faces.width(one) * size):
                x = (self._media.width - self._faces.width(part) * size) / 2
                self._place(line.key, x, part, size, True, size)
                self.y += size * _LEADING

    def _place(self, key: str, x: float, text: str, size: float, bold: bool, tallest: float) -> None:
        starts = True
        for run in self._faces.runs(text):
            baseline = _mm(self.y + tallest * _BASELINE)
            self.texts.append(Text(key, _mm(x), baseline, size, run.face, run.text, bold, starts))
            x += self._faces.width(run.text) * size
            starts = False

    def _rule(self) -> None:
        self.rules.append(Rule(self._media.margin, _mm(self.y + 0.25), self._width))
        self.y += 0.5


def symbol(url: str) -> NDArray[np.bool_]:
    """The QR code's modules without a margin, true where dark; level M. Raises `OutputError` ("slip.qr_too_long")."""
    import numpy as np
    import zxingcpp

    writer = zxingcpp
    try:
        made = writer.create_barcode(url, writer.BarcodeFormat.QRCode, ec_level="M")
    except ValueError as error:
        raise OutputError("slip.qr_too_long") from error
    drawn = np.asarray(made.to_image(scale=1, add_quiet_zones=False))
    return np.asarray(drawn < 128, np.bool_)


def _marks(watermark: str, media: Media, faces: Faces, height: float, code: Code) -> tuple[Mark, ...]:
    """The watermark: whole pieces in rows that are shifted against one another, none on the code or its margin."""
    size, width = media.sizes["mark"], media.width - 2 * media.margin
    parts = wrapped(watermark, width, lambda one: faces.width(one) * size)
    if not watermark.strip():
        return ()
    quiet = QUIET * code.module
    left, right = code.x - quiet, code.x + code.side + quiet
    top, bottom = code.y - quiet, code.y + code.side + quiet
    marks: list[Mark] = []
    step = 3.0 * size
    for row in range(int((height - 2 * media.margin) / step)):
        text = parts[row % len(parts)]
        wide = faces.width(text) * size
        pitch = wide + 4.0 * size
        count = int((width - wide) / pitch) + 1
        room = width - (count * pitch - 4.0 * size)
        baseline = media.margin + (row + 0.7) * step
        beside = baseline + 0.3 * size < top or baseline - size > bottom
        for number in range(count):
            x = media.margin + number * pitch + room * (row % 3) / 2
            if beside or x + wide < left or x > right:
                marks += _mark(x, baseline, size, text, faces)
    return tuple(marks)


def _mark(x: float, baseline: float, size: float, text: str, faces: Faces) -> list[Mark]:
    marks = []
    for run in faces.runs(text):
        marks.append(Mark(_mm(x), _mm(baseline), size, run.face, run.text))
        x += faces.width(run.text) * size
    return marks


def _apart(both: tuple[str, str]) -> list[str]:
    """The languages of a text that says something different in each; nothing for an empty one."""
    chinese, english = both
    return [one for one in ([chinese] if chinese == english else [chinese, english]) if one.strip()]


def _mm(value: float) -> float:
    return round(value, 3)


def _up(value: float) -> float:
    """The next whole dot."""
    return -(-value * DOTS_PER_MM // 1) / DOTS_PER_MM

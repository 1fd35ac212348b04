"""The layouts at work: which one a text has, what may stand where, and the kernels compiled from the tables.

Everything about a single layout is in `edged.core.layout_tables`.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, assert_never

from edged.core._fastmrz import Kernel
from edged.core.layout_tables import LAYOUTS, CheckDigit, CheckRule, Field, Layout, MrzFormat
from edged.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "FORMATS",
    "KERNEL",
    "LAYOUTS",
    "SHAPES",
    "CheckDigit",
    "CheckRule",
    "DocumentClass",
    "Field",
    "Layout",
    "MrzFormat",
    "alphabet",
    "classify",
    "document_class",
    "encode",
    "join_lines",
    "unknown_format",
]


class DocumentClass(StrEnum):
    """What kind of document an MRZ belongs to, as far as its layout and code tell."""

    PASSPORT = "passport"
    IDENTITY_CARD = "identity_card"
    VISA = "visa"
    PERMIT = "permit"
    UNKNOWN = "unknown"


SHAPES: Final[Mapping[MrzFormat, tuple[int, int]]] = MappingProxyType(
    {format_: (layout.lines, layout.width) for format_, layout in LAYOUTS.items()}
)
"""(number of lines, characters a line) of each layout."""

MAX_INPUT: Final = 3 * 30 + 2 * 3 + 2
"""Longest text that may hold an MRZ: the longest one with its line ends; a longer one is refused unread."""


def _compile() -> Kernel:
    alphabets = sorted(
        {chars for layout in LAYOUTS.values() for field in layout.fields for chars in field.alphabets}
    )
    rows = []
    for layout in LAYOUTS.values():
        positions = [
            (alphabets.index(chars), index)
            for index, field in enumerate(layout.fields)
            for chars in field.alphabets
        ]
        more = layout.spans.get("optional_data", (0, 0))
        checks = [(check.position, int(check.rule), check.spans, more) for check in layout.checks]
        rows.append((positions, checks))
    return Kernel(alphabets, rows)


KERNEL: Final = _compile()
"""The layouts, compiled for `edged.core._fastmrz`."""

FORMATS: Final = tuple(MrzFormat)
"""Formats by the kernel's code less one."""


def alphabet(format: MrzFormat) -> tuple[tuple[str, ...], ...]:  # noqa: A002
    """The characters that may stand at each [line][position] of a layout: what a reader of images may expect.

    Wide enough for documents that are misprinted but legible: a filler may stand for any digit.
    """
    layout = LAYOUTS[format]
    flat = [chars for field in layout.fields for chars in field.alphabets]
    return tuple(tuple(flat[start : start + layout.width]) for start in range(0, len(flat), layout.width))


def join_lines(lines: Sequence[str] | str) -> str:
    """The lines of an MRZ one after another, once their number and lengths are a layout's.

    Text may separate them by LF, CR or CR LF. Raises `DecodeError`: "mrz.unknown_format",
    "mrz.driving_licence".
    """
    if isinstance(lines, str):
        if len(lines) > MAX_INPUT:
            raise DecodeError("mrz", "mrz.unknown_format")
        lines = lines.replace("\r\n", "\n").replace("\r", "\n").strip("\n").split("\n")
    widths = tuple(len(line) for line in lines[:4])
    if widths not in _WIDTHS:
        if widths == _SWISS_LICENCE and lines[1].startswith("FACHE"):
            raise DecodeError("mrz", "mrz.driving_licence")
        raise DecodeError("mrz", "mrz.unknown_format")
    return "".join(lines)


_WIDTHS: Final = frozenset(lines * (width,) for lines, width in SHAPES.values())
_SWISS_LICENCE: Final = (9, 30, 30)


def encode(text: str) -> bytes:
    """Joined text as the kernels want it; `DecodeError` ("mrz.bad_character") when it isn't ASCII."""
    if not text.isascii():
        raise DecodeError("mrz", "mrz.bad_character")
    return text.encode("ascii")


def unknown_format(text: str) -> DecodeError:
    """Why joined text of a good shape is no layout's: a French driving licence, or any other line."""
    return DecodeError("mrz", "mrz.driving_licence" if text.startswith("D1FRA") else "mrz.unknown_format")


def classify(lines: Sequence[str]) -> MrzFormat:
    """The layout of these lines, by their shape and first characters alone.

    Raises `DecodeError`: "mrz.unknown_format", "mrz.driving_licence" (French and Swiss ones are recognised
    to be refused politely), "mrz.bad_character" (something outside ASCII; other characters aren't looked at).
    """
    text = join_lines(lines)
    code = KERNEL.classify(encode(text))
    if not code:
        raise unknown_format(text)
    return FORMATS[code - 1]


@lru_cache(maxsize=1024)  # codes are few, and garbage's are bounded
def document_class(format: MrzFormat, code: str) -> DocumentClass:  # noqa: A002
    """What kind of document this is; `code` is the document code without fillers.

    A code alone never makes a document wrong (Estonia prints `RP`, Georgia `TR`): a code that says nothing is
    `UNKNOWN`.
    """
    match format:
        case MrzFormat.MRVA | MrzFormat.MRVB:
            return DocumentClass.VISA
        case MrzFormat.PRC_PERMIT | MrzFormat.PRC_CARD | MrzFormat.PRC_HOME_RETURN:
            return DocumentClass.PERMIT
        case MrzFormat.FRA_ID:
            return DocumentClass.IDENTITY_CARD
        case MrzFormat.TD3:
            return DocumentClass.PASSPORT if code.startswith("P") else DocumentClass.UNKNOWN
        case MrzFormat.TD1 | MrzFormat.TD2:
            # RP and TR as above; IR and AR are printed on the European Union's residence permits.
            if code in {"RP", "TR", "IR", "AR"}:
                return DocumentClass.PERMIT
            if code.startswith("P"):
                return DocumentClass.PASSPORT
            return DocumentClass.IDENTITY_CARD if code[:1] in {"A", "C", "I"} else DocumentClass.UNKNOWN
        case _:
            assert_never(format)

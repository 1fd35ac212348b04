"""Lines of text become a page, judged: `read_text`, for readers of MRZ text (swipe readers, keyboard wedges).

The reader has looked at the document and we haven't: the checks that need a picture are `not_supported`, everything
else is judged as on a photographed page. What the reader could not make out is told by a character that no MRZ has
(documents.md §13); such a character is never guessed, and a reading with one is never sure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core.layouts import LAYOUTS
from edged.core.mrz import parse_mrz
from edged.core.quality import Quality
from edged.core.reading import UNLIKELY, Page, PageReading
from edged.errors import DecodeError
from edged.verdict import Reason

if TYPE_CHECKING:
    import datetime
    from collections.abc import Sequence

MAX_LINES: Final = 8
MAX_CHARACTERS: Final = 256
"""Of all lines together. The longest MRZ has three lines, or 90 characters; more is no MRZ and isn't looked at."""

_ALPHABET: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789<")
_MERGED: Final = {60: 30, 90: 30, 72: 36, 88: 44}
"""A line of so many characters is several without their line ends, each this wide."""
_MOST_UNKNOWN: Final = 0.2
"""Share of characters the reader did not make out above which its lines are no reading, as on a photographed page."""
_NAMES: Final = ("name", "surname", "given_names")
"""Fields in which a character may be missing and the rest still be told: no check digit and no code stands there."""
_PICTURELESS: Final = Quality(document_present=True, brightness=0.0, contrast=0.0, reasons=())
"""A reader that read something had a document in it; nothing is known of light and focus."""


def read_text(lines: Sequence[str], today: datetime.date) -> PageReading:
    """The lines of one MRZ, as a reader of text delivered them, as a page that was read.

    Spaces around a line and empty lines don't count; small letters are read as capitals; lines that came merged (60,
    72, 88, 90 characters) are parted. The answer's `frames` is 0: no picture stands behind it, `image_quality` is
    `not_supported`, and judging says the same of every other check that needs one. `today` decides which century
    two-digit years mean.

    Never raises on the content of the lines: what is no MRZ is a reading without one, with its reasons.
    """
    parted = part_lines(lines)
    text = "".join(parted)
    unknown = [place for place, character in enumerate(text) if character not in _ALPHABET]
    if len(unknown) > _MOST_UNKNOWN * len(text):
        return _refused("swipe.illegible")
    # A filler stands for what was not made out: of all characters it claims least.
    known = ["".join(one if one in _ALPHABET else "<" for one in line) for line in parted]
    try:
        mrz = parse_mrz(known, today=today)
    except DecodeError as error:
        return _refused(error.code)
    odd = UNLIKELY.intersection(check.reason.code for check in mrz.field_checks if check.reason is not None)
    doubt = Reason("reading.uncertain", {"count": str(max(1, len(unknown)))})
    if not _all_in(unknown, [LAYOUTS[mrz.format].spans.get(name, (0, 0)) for name in _NAMES]):
        return _refused(doubt)
    if unknown or odd:
        return _page(Page(_PICTURELESS, mrz, why=(doubt, Reason("swipe.again"))))
    return _page(Page(_PICTURELESS, mrz, sure=True, confidence=1.0, name_confidence=1.0))


def part_lines(lines: Sequence[str]) -> list[str]:
    """The lines without what is around them, merged ones parted; none when there is too much of them."""
    if len(lines) > MAX_LINES or sum(map(len, lines)) > MAX_CHARACTERS:
        return []
    found = [_capitals(line.strip()) for line in lines]
    return [
        line[at : at + width]
        for line in found
        if line
        for width in (_MERGED.get(len(line), len(line)),)
        for at in range(0, len(line), width)
    ]


def _capitals(line: str) -> str:
    """Letters of ASCII alone: others would become characters that nobody printed, or several."""
    return "".join(one.upper() if one.isascii() else one for one in line)


def _all_in(places: Sequence[int], spans: Sequence[tuple[int, int]]) -> bool:
    return all(any(start <= place < stop for start, stop in spans) for place in places)


def _refused(why: str | Reason) -> PageReading:
    """A reading without an MRZ."""
    reason = Reason(why) if isinstance(why, str) else why
    return _page(Page(_PICTURELESS, why=(reason, Reason("swipe.again"))))


def _page(page: Page) -> PageReading:
    return PageReading(page._replace(frames=0), {})

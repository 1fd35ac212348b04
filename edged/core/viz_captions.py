"""Captions of a visual zone: which printed value is called date of birth, date of expiry, number.

Only a caption makes a differing value a contradiction, so these rules are strict: the caption stands just above its
value, or before it on the same line, and nothing else could have been meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core.print_text import Places

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edged.core.page import Row
    from edged.core.print_reader import PrintLine
    from edged.core.viz_dates import PrintedDate

BIRTH: Final = tuple(
    """BIRTH NAISSANCE GEBURTSDATUM GEBURTSTAG NACIMIENTO NASCITA NASCIMENTO GEBOORTE GEBOORTEDATUM FODSELSDATO
    FODELSEDATUM SYNTYMAAIKA URODZENIA NAROZENI NARODENIA ROJSTVA RODENJA NASTERII DOGUM GIMIMO DZIMSANAS""".split()  # noqa: SIM905 (quotes help nobody)
)
EXPIRY: Final = tuple(
    """EXPIRY EXPIRATION EXPIRES ABLAUFDATUM CADUCIDAD VENCIMIENTO SCADENZA VALIDADE VALIDEZ VERVALDATUM
    UTLOPSDATO""".split()  # noqa: SIM905
)
_ELSEWHERE: Final = ("PLACE", "LIEU", "LUGAR", "LUOGO", "LOCAL", "ISSUE")
"""Words of captions that speak of something else, even where `BIRTH` is one of theirs."""
_SURE: Final = 0.5
_ABOVE: Final = 3.2
"""Farthest middle of a caption above its value, in capitals of the value."""
_BESIDE: Final = 4.0
_ALIGNED: Final = 2.5


def says(line: PrintLine, words: Iterable[str], start: int = 0, end: int | None = None) -> bool:
    """Whether one of the words stands on the line, each of its letters likelier than not, between two places."""
    places = Places(line)
    stop = len(places) if end is None else end
    return any(places.word(at, word) >= _SURE for word in words for at in range(start, stop - len(word) + 1))


def is_called(date: PrintedDate, words: Sequence[str], lines: Sequence[PrintLine]) -> bool:
    """Whether a date's caption is certainly one of `words`."""
    line = date.line
    if date.start > 0:  # the caption before it on its own line, and behind any other value
        first = _after_figures(line, date.start)
        return says(line, words, first, date.start) and not says(line, _ELSEWHERE, first, date.start)
    others = [other for other in lines if other is not line]
    caption = _before(line.row, others) or _above(line.row, others)
    if caption is None or _after_figures(caption, len(caption)) > 0:
        return False
    return says(caption, words) and not says(caption, _ELSEWHERE)


def _after_figures(line: PrintLine, end: int) -> int:
    """The place behind the last figure before `end`; 0 where there is none."""
    figures = Places(line).figure_alone[:end]
    return max((place + 1 for place, share in enumerate(figures) if share >= _SURE), default=0)


def _before(row: Row, lines: Sequence[PrintLine]) -> PrintLine | None:
    """The row that ends just before this one, level with it."""
    for line in lines:
        along, across = row.offset(line.row)
        gap = -along - (line.row.length + row.length) / 2
        if abs(across) < 0.5 * row.cap and -row.cap < gap < _BESIDE * row.cap:
            return line
    return None


def _above(row: Row, lines: Sequence[PrintLine]) -> PrintLine | None:
    """The row just above, unless it stands nearer to something above itself: then it may be that one's caption."""
    over = []
    for line in lines:
        along, across = row.offset(line.row)
        overlap = (line.row.length + row.length) / 2 - abs(along)
        if across < -0.5 * row.cap and overlap > 1.5 * row.cap:
            over.append((-across, line))
    over.sort(key=lambda one: one[0])
    if not over or over[0][0] > _ABOVE * row.cap:
        return None
    if len(over) > 1 and over[1][0] - over[0][0] < 1.3 * over[0][0]:
        return None
    # Of captions in a row of several only the first is certain, and that of the value it starts with.
    caption = over[0][1].row
    along, _ = row.offset(caption)
    started = along - (caption.length - row.length) / 2
    return over[0][1] if abs(started) < _ALIGNED * row.cap else None

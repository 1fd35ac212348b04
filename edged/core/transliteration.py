"""Whether a name in an MRZ may stand for a printed one: Latin letters that an MRZ can't show (ICAO Doc 9303-3 §6).

Issuers choose among several spellings, so all of them count. Cyrillic of the Russian internal passport is in
`edged.core.mrz_russian`.
"""

from __future__ import annotations

import string
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SPELLINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "Ä": ("AE", "A"),
    "Å": ("AA", "A"),
    "Æ": ("AE",),
    "Ð": ("D",),
    "Đ": ("D",),
    "Ĳ": ("IJ",),
    "Ñ": ("N", "NXX"),
    "Ö": ("OE", "O"),
    "Ø": ("OE",),
    "Œ": ("OE",),
    "ẞ": ("SS",),
    "ß": ("SS",),
    "Þ": ("TH",),
    "Ü": ("UE", "UXX", "U"),
    "Ł": ("L",),
    "ı": ("I",),
    "İ": ("I",),
}
"""Letters that are more than a base letter with a mark; any other accented letter stands for its base letter."""

_DROPPED: Final = frozenset("'’.")
_GAPS: Final = frozenset(" -‐‑,/")


def may_stand_for(mrz_name: str, printed: str, *, truncated: bool = False) -> bool:
    """Whether `mrz_name` (components parted by spaces, as `Mrz.surname`) may be how an MRZ spells `printed`.

    `truncated`: the MRZ's name may end early (`Mrz.name_may_be_truncated`). A letter that no table knows agrees with
    nothing: the answer is then no.
    """
    ends = {0}
    wanted = mrz_name.replace(" ", "<")
    if not wanted:
        return not "".join(_letters(printed)).strip("<")
    for spellings in _spellings(printed):
        reached = {
            end + len(spelling) for end in ends for spelling in spellings if wanted.startswith(spelling, end)
        }
        if truncated and any(
            len(spelling) >= len(wanted) - end and spelling.startswith(wanted[end:])
            for end in ends
            for spelling in spellings
        ):
            return True
        if not reached:
            return False
        ends = reached
    return len(wanted) in ends


def _spellings(printed: str) -> Iterator[tuple[str, ...]]:
    """For each letter or gap of a printed name how it may be spelt."""
    for letter in _letters(printed):
        if letter in SPELLINGS:
            yield SPELLINGS[letter]
        elif letter == "<" or letter in string.ascii_uppercase:
            yield (letter,)
        else:
            base = unicodedata.normalize("NFD", letter)[0]
            yield (base,) if base in string.ascii_uppercase else ()


def _letters(printed: str) -> Iterator[str]:
    """Upper-case letters, a filler for each gap between components, nothing for what an MRZ drops."""
    gap = started = False
    for letter in unicodedata.normalize("NFC", printed):
        if letter in _GAPS:
            gap = started
        elif letter not in _DROPPED:
            if gap:
                yield "<"
            gap, started = False, True
            yield letter if letter in SPELLINGS else letter.upper()

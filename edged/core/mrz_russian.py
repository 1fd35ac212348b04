"""What the Russian internal passport's MRZ says (`PNRUS`): Cyrillic names, series and number, day and place of issue.

Source: the issuer's rules for this MRZ (docs.cntd.ru 902288198): "modernised KLER", one character for each Cyrillic
letter, digits for those that Latin has no letter left for. The layout is TD3's, without a date of expiry; the personal
number holds the series' last digit, the day of issue (YYMMDD) and the issuing department (six digits).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from edged.core.layouts import LAYOUTS, MrzFormat
from edged.core.mrz_dates import MrzDate, birth_date
from edged.identity import Identity, Sensitive

if TYPE_CHECKING:
    import datetime

DIGITS: Final = frozenset("2346789")
"""The digits that stand for letters in a name."""

_LATIN: Final = "ABVGDE2JZIQKLMNOPRSTUFHC34WXY9678"
_CYRILLIC: Final = "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ"
_TO_CYRILLIC: Final = str.maketrans(_LATIN, _CYRILLIC)
_TO_LATIN: Final = str.maketrans(_CYRILLIC, _LATIN)
_ISSUE: Final = re.compile(r"([0-9])([0-9]{6})([0-9]{6})<")
_SPANS: Final = LAYOUTS[MrzFormat.TD3].spans


class RussianPassport(Identity):
    """The parts of one internal passport. What the lines don't say in the usual way is empty or None.

    Attributes:
        surname: in Cyrillic.
        given_names: given name and patronymic in Cyrillic.
        number: ten digits, the series of four first.
        issue_date: the day of issue.
        department: the issuing department's code, as people write it (`123-456`).
    """

    __slots__ = ("department", "given_names", "issue_date", "number", "surname")

    def __init__(self, surname: str, given_names: str, text: str, today: datetime.date) -> None:
        self.surname: Sensitive[str] = Sensitive(to_cyrillic(surname))
        self.given_names: Sensitive[str] = Sensitive(to_cyrillic(given_names))
        number = text[slice(*_SPANS["document_number"])]
        issue = _ISSUE.fullmatch(text[slice(*_SPANS["optional_data"])])
        last, day, department = issue.groups() if issue else ("", "", "")
        self.number: Sensitive[str] = Sensitive(
            f"{number[:3]}{last}{number[3:]}" if issue and number.isdecimal() else ""
        )
        self.issue_date: MrzDate | None = birth_date(day, today) if issue else None
        self.department: Sensitive[str] = Sensitive(f"{department[:3]}-{department[3:]}" if issue else "")


def is_internal_passport(text: str) -> bool:
    """Whether joined text that has TD3's layout is an internal passport's."""
    return text.startswith("PNRUS")


def to_cyrillic(name: str) -> str:
    """A name as the MRZ prints it, in Cyrillic letters; characters that code none stay."""
    return name.translate(_TO_CYRILLIC)


def to_latin(name: str) -> str:
    """A Cyrillic name as the MRZ prints it; characters without a code stay."""
    return name.upper().translate(_TO_LATIN)

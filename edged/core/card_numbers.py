"""Numbers of Chinese cards without a travel MRZ: permanent-resident cards, residence permits, identity cards.

Sources: the National Immigration Administration's adaptation guide of 2023 for the permanent-resident card (18
digits; the 15 characters of the cards before it), GB 11643-1999 for the citizen numbers that the residence permits
of Hong Kong, Macao and Taiwan residents share. Check digits: ISO 7064 MOD 11-2, and ICAO Doc 9303-3 §4.9.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from edged.core import _fastmrz
from edged.core.countries import COUNTRIES
from edged.core.mrz_checks import FieldCheck, failure, no_date, warning
from edged.core.mrz_dates import MrzDate, birth_date
from edged.errors import DecodeError
from edged.identity import Identity, Sensitive
from edged.verdict import Result

if TYPE_CHECKING:
    import datetime

MAX_TEXT: Final = 4096
"""Longest text that is searched for a number: more than a card says; a longer one is refused unread."""


class CardKind(StrEnum):
    """What kind of card a number belongs to."""

    PERMANENT_RESIDENT_2023 = "permanent_resident_2023"
    """外国人永久居留身份证 since December 2023: 18 digits that start with 9."""
    PERMANENT_RESIDENT_2017 = "permanent_resident_2017"
    """外国人永久居留身份证 of 2017 and its forerunner of 2004: a country code and 12 digits."""
    RESIDENCE_PERMIT = "residence_permit"
    """港澳台居民居住证: a citizen number whose address is Hong Kong, Macao or Taiwan."""
    CITIZEN = "citizen"
    """居民身份证."""


class CardNumber(Identity):
    """One card number, told apart; made by `find_card_number`. Parts that a number doesn't tell are empty.

    Attributes:
        kind: which card.
        check: the outcome of the check digit, named `document_number`.
        division: province (two digits), province and city (four) or address (six), as coded.
        nationality: alpha-3; empty when the number's numeric code is none of ISO 3166-1's.
        origin: HKG, MAC or TWN on a residence permit.
        sequence: what tells apart those born on one day in one place.
        sex: `M` or `F`, by the sequence's parity (GB 11643); empty on cards before 2023.
    """

    __slots__ = ("check", "division", "kind", "nationality", "number", "origin", "sequence", "sex")

    def __init__(self, kind: CardKind, number: str) -> None:
        self.kind: CardKind = kind
        self.number: Sensitive[str] = Sensitive(number)
        right = check_character(number[:-1]) == number[-1]
        self.check: FieldCheck = (
            FieldCheck("document_number", Result.SUCCESSFUL)
            if right
            else failure("mrz.check_digit_wrong", "document_number")
        )
        old = kind is CardKind.PERMANENT_RESIDENT_2017
        self.division: Sensitive[str] = Sensitive(number[_DIVISIONS[kind]])
        self.nationality: Sensitive[str] = Sensitive(_nationality(kind, number))
        self.origin: Sensitive[str] = Sensitive(
            _ORIGINS[number[:2]] if kind is CardKind.RESIDENCE_PERMIT else ""
        )
        self.sequence: Sensitive[str] = Sensitive(number[13] if old else number[14:17])
        self.sex: Sensitive[str] = Sensitive("" if old else "FM"[int(number[16]) % 2])

    def birth_date(self, today: datetime.date) -> MrzDate:
        """The date of birth; `today` decides the century that cards before 2023 don't print."""
        number = self.number.reveal()
        if self.kind is CardKind.PERMANENT_RESIDENT_2017:
            return birth_date(number[7:13], today)
        return birth_date(number[8:14], today, int(number[6:8]))

    def field_checks(self, today: datetime.date) -> tuple[FieldCheck, ...]:
        """One `FieldCheck` each for nationality, division and birth date; an unknown code only warns."""
        birth = self.birth_date(today)
        return (
            FieldCheck("nationality", Result.SUCCESSFUL)
            if self.nationality.reveal() in COUNTRIES
            else warning("mrz.unknown_country", "nationality"),
            FieldCheck("division", Result.SUCCESSFUL)
            if self.division.reveal()[:2] in _PROVINCES
            else warning("card.unknown_division", "division"),
            FieldCheck("birth_date", Result.SUCCESSFUL)
            if birth.date is not None
            else no_date("birth_date", birth),
        )

    def earlier_number(self, link: str) -> CardNumber | None:
        """The holder's number on the card before 2023; None where this number doesn't lead to one.

        `link` is the chip's 关联项: two digits for the city, one for the sequence (the adaptation guide).
        """
        nationality = self.nationality.reveal()
        if self.kind is not CardKind.PERMANENT_RESIDENT_2023 or not nationality or not _LINK.fullmatch(link):
            return None
        body = nationality + self.division.reveal() + link[:2] + self.number.reveal()[8:14] + link[2]
        return CardNumber(CardKind.PERMANENT_RESIDENT_2017, body + check_character(body))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CardNumber) and self.number == other.number

    def __hash__(self) -> int:
        return hash(self.number)


def find_card_number(text: str) -> CardNumber:
    """The one card number in `text`: alone, or in a line with words around it. A wrong check digit is a finding.

    A number stands apart from other letters and digits; where no unbroken one stands, one parted by single spaces
    is looked for. Of several, the only one whose check digit holds is taken.

    Raises `DecodeError("card", code)`: "card.no_number", "card.several_numbers".
    """
    if len(text) > MAX_TEXT:
        raise DecodeError("card", "card.no_number")
    found = _numbers(text, _NUMBER) or _numbers(text, _SPACED)
    if len(found) > 1:
        found = [one for one in found if one.check.result is Result.SUCCESSFUL] or found
    if not found:
        raise DecodeError("card", "card.no_number")
    if len(found) > 1:
        raise DecodeError("card", "card.several_numbers")
    return found[0]


def check_character(body: str) -> str:
    """What a number's last place must be: MOD 11-2 over 17 digits, Doc 9303's digit over the old 14 characters.

    Raises `DecodeError` ("card.no_number") for anything else.
    """
    if _OLD_BODY.fullmatch(body):
        return str(_fastmrz.check_digit(body.encode("ascii")))
    if _NEW_BODY.fullmatch(body):
        total = 0
        for digit in body:  # ISO 7064's recursive form of GB 11643's table of weights
            total = 2 * (total + int(digit)) % 11
        return "10X98765432"[total]
    raise DecodeError("card", "card.no_number")


_OLD_BODY: Final = re.compile(r"[A-Z]{3}[0-9]{11}")
_NEW_BODY: Final = re.compile(r"[0-9]{17}")
_LINK: Final = re.compile(r"[0-9]{3}")
_NUMBER: Final = re.compile(r"(?<![0-9A-Za-z])(?:[A-Z]{3}[0-9]{12}|[1-9][0-9]{16}[0-9Xx])(?![0-9A-Za-z])")
_SPACED: Final = re.compile(
    r"(?<![0-9A-Za-z])(?=([A-Z](?: ?[A-Z]){2}(?: ?[0-9]){12}|[1-9](?: ?[0-9]){16} ?[0-9Xx])(?![0-9A-Za-z]))"
)
"""Looks ahead, so that a digit standing before the number doesn't swallow it."""
_ORIGINS: Final = {"81": "HKG", "82": "MAC", "83": "TWN"}
_PERMIT: Final = re.compile(r"8[123]0000")
_PROVINCES: Final = frozenset(
    [
        *("11", "12", "13", "14", "15", "21", "22", "23", "31", "32", "33", "34", "35", "36", "37"),
        *("41", "42", "43", "44", "45", "46", "50", "51", "52", "53", "54", "61", "62", "63", "64", "65"),
        *("71", "81", "82", "83"),
    ]
)
"""Province codes of GB/T 2260, and 83, which the residence permit prints for Taiwan."""
_DIVISIONS: Final = {
    CardKind.PERMANENT_RESIDENT_2023: slice(1, 3),
    CardKind.PERMANENT_RESIDENT_2017: slice(3, 7),
    CardKind.RESIDENCE_PERMIT: slice(6),
    CardKind.CITIZEN: slice(6),
}
_ALPHA_3: Final = {country.numeric: country.code for country in COUNTRIES.values() if country.numeric}


def _numbers(text: str, pattern: re.Pattern[str]) -> list[CardNumber]:
    """Every different number that the pattern finds, in order."""
    found = dict.fromkeys(match.replace(" ", "").upper() for match in pattern.findall(text))
    return [CardNumber(_kind(number), number) for number in found]


def _kind(number: str) -> CardKind:
    if len(number) == 15:
        return CardKind.PERMANENT_RESIDENT_2017
    if number[0] == "9":
        return CardKind.PERMANENT_RESIDENT_2023
    return CardKind.RESIDENCE_PERMIT if _PERMIT.match(number) else CardKind.CITIZEN


def _nationality(kind: CardKind, number: str) -> str:
    if kind is CardKind.PERMANENT_RESIDENT_2023:
        return _ALPHA_3.get(number[3:6], "")
    return number[:3] if kind is CardKind.PERMANENT_RESIDENT_2017 else "CHN"

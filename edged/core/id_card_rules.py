"""What is judged about an ID card's text, field by field, and about what its number says a second time.

As in `edged.core.mrz_checks`: `FAILED` is evidence against the card, `UNDETERMINED` with a reason is a warning. The
SAM module has already had the card prove itself, so a contradiction inside the text says more than it would in print;
where only hearsay has a rule, breaking it is a doubt and no failure.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.core.card_numbers import CardKind, find_card_number
from edged.core.countries import COUNTRIES
from edged.core.id_card_nations import NATIONS
from edged.core.id_card_text import LAYOUTS, IdCardKind
from edged.core.mrz_checks import FieldCheck, failure, no_date, warning
from edged.core.mrz_dates import MrzDate, birth_date, expiry_date
from edged.errors import DecodeError
from edged.identity import withheld
from edged.verdict import Reason, Result

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator, Mapping

    from edged.core.card_numbers import CardNumber

FOREVER: Final = "长期"
"""Stands for the day of expiry on the card of a citizen who was 46 or older at its issue (Resident ID Card Law §5)."""

SEXES: Final[Mapping[str, str]] = {"1": "M", "2": "F", "0": "X", "9": "X"}
"""GB/T 2261.1: male, female, unknown, not stated."""

DOUBTS: Final = frozenset({"idcard.number_differs"})
"""Reasons that leave the number undetermined: not against the card, and not for it."""

_DATE: Final = re.compile(r"[0-9]{8}")
_NO_DATE: Final = "??????"
"""What `mrz_dates` is given for characters that are no date: they may be any, and it knows the MRZ's alone."""

_KIND_OF_NUMBER: Final = {
    IdCardKind.CITIZEN: CardKind.CITIZEN,
    IdCardKind.RESIDENCE_PERMIT: CardKind.RESIDENCE_PERMIT,
    IdCardKind.PERMANENT_RESIDENT_2017: CardKind.PERMANENT_RESIDENT_2017,
    IdCardKind.PERMANENT_RESIDENT_2023: CardKind.PERMANENT_RESIDENT_2023,
}
_MAY_BE_EMPTY: Final = {
    IdCardKind.CITIZEN: frozenset({"nation"}),
    IdCardKind.RESIDENCE_PERMIT: frozenset({"permit_number", "issue_count"}),
    IdCardKind.PERMANENT_RESIDENT_2017: frozenset({"chinese_name", "card_version", "authority"}),
    IdCardKind.PERMANENT_RESIDENT_2023: frozenset({"chinese_name", "issue_count", "link"}),
}
_PERMIT_NUMBERS: Final = {
    "HKG": re.compile(r"H[0-9]{8}"),
    "MAC": re.compile(r"M[0-9]{8}"),
    "TWN": re.compile(r"[0-9]{8}"),
}
"""Numbers of the travel permit that the residence permit names (GA/T 704.14), by the region of the holder."""

_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cn", "Cs", "Zl", "Zp"})
"""Categories of characters that stand in no field. Private use is allowed: rare characters of names are coded there."""


@withheld
class CardDates(NamedTuple):
    """The dates of one card; None where the field is empty, `expires` also where it says "for ever"."""

    birth: MrzDate | None
    issued: MrzDate | None
    expires: MrzDate | None


def never_expires(kind: IdCardKind, fields: Mapping[str, str]) -> bool:
    """Whether the card says that it is valid for ever. Others run for years: there it is no day."""
    return kind is IdCardKind.CITIZEN and fields["expiry_date"] == FOREVER


def dates_of(kind: IdCardKind, fields: Mapping[str, str], today: datetime.date) -> CardDates:
    """The dates that `fields` print with four digits of the year; `today` tells whether a birth is still to come."""
    birth, issued, expires = (fields[name] for name in ("birth_date", "issue_date", "expiry_date"))
    return CardDates(
        _date(birth, today, of_birth=True),
        _date(issued, today),
        None if never_expires(kind, fields) else _date(expires, today),
    )


def _date(text: str, today: datetime.date, *, of_birth: bool = False) -> MrzDate | None:
    if not text:
        return None
    read = birth_date if of_birth else expiry_date
    if not _DATE.fullmatch(text):
        return read(_NO_DATE, today)
    return read(text[2:], today, int(text[:2]))


def number_of(text: str) -> CardNumber | None:
    """The number, when `text` is one and nothing else."""
    try:
        found = find_card_number(text)
    except DecodeError:
        return None
    return found if found.number.reveal() == text else None


# --- fields -----------------------------------------------------------------------------------------------------


def field_checks(kind: IdCardKind, fields: Mapping[str, str], dates: CardDates) -> tuple[FieldCheck, ...]:
    """One `FieldCheck` for each field, the worst that was found."""
    found: dict[str, FieldCheck] = {
        name: FieldCheck(name, Result.SUCCESSFUL) for name in ("name", *fields) if name != "english_name"
    }
    for problem in _problems(kind, fields, dates):
        if found[problem.name].result is not Result.FAILED:
            found[problem.name] = problem
    return tuple(found.values())


def _problems(kind: IdCardKind, fields: Mapping[str, str], dates: CardDates) -> Iterator[FieldCheck]:
    for field, text in fields.items():
        for name in _judged_names(kind, field):
            if not text and field not in _MAY_BE_EMPTY[kind]:
                yield failure("idcard.field_empty", name)
            elif any(_misplaced(character) for character in text):
                yield failure("mrz.field_characters", name)
            elif name == "name" and _octets(text) >= _room(kind, field):
                yield warning("idcard.name_may_go_on", name)
    if fields["sex"] and fields["sex"] not in SEXES:
        yield failure("idcard.unknown_sex", "sex")
    if "nation" in fields and fields["nation"] not in NATIONS:
        yield warning("idcard.unknown_nation", "nation")
    if fields.get("nationality", "CHN") not in COUNTRIES:
        yield warning("mrz.unknown_country", "nationality")
    if fields.get("link") and not re.fullmatch(r"[0-9]{3}", fields["link"]):
        yield warning("idcard.link_unusable", "link")
    yield from _dates_problems(dates)


def _judged_names(kind: IdCardKind, field: str) -> tuple[str, ...]:
    """Under which names a field is judged: where there is but one name, it is the Chinese one as well."""
    if field == "english_name":
        return ("name",)
    if field == "chinese_name" and "english_name" not in LAYOUTS[kind]:
        return ("chinese_name", "name")
    return (field,)


def _octets(text: str) -> int:
    """In the chip: a rare character takes the place of two."""
    return len(text.encode("utf-16-le", "replace"))


def _room(kind: IdCardKind, field: str) -> int:
    layout = LAYOUTS[kind]
    rest = layout.get("english_name_rest") if field == "english_name" else None
    return layout[field].octets + (rest.octets if rest else 0)


def _misplaced(character: str) -> bool:
    return character == "\N{REPLACEMENT CHARACTER}" or unicodedata.category(character) in _UNPRINTABLE


def _dates_problems(dates: CardDates) -> Iterator[FieldCheck]:
    named = {"birth_date": dates.birth, "issue_date": dates.issued, "expiry_date": dates.expires}
    for name, date in named.items():
        if date is not None and date.date is None:
            yield no_date(name, date)
    days = [(name, date.date) for name, date in named.items() if date is not None and date.date is not None]
    for (_, earlier), (name, later) in pairwise(days):
        if later < earlier:
            yield failure("idcard.dates_out_of_order", name)


# --- what the number says ---------------------------------------------------------------------------------------


def digit_check(kind: IdCardKind, number: CardNumber | None) -> FieldCheck:
    """The number's check digit; also failed when it is no number, or none of this kind of card."""
    if number is None:
        return failure("idcard.number_malformed", "document_number")
    if number.kind is not _KIND_OF_NUMBER[kind]:
        return failure("idcard.number_of_another_card", "document_number")
    return number.check


def number_checks(
    kind: IdCardKind, fields: Mapping[str, str], number: CardNumber | None, today: datetime.date
) -> tuple[FieldCheck, ...]:
    """What the number repeats, against the fields: birth date, sex, nationality, region; its division."""
    if number is None or number.kind is not _KIND_OF_NUMBER[kind]:
        return ()
    return tuple(_contradictions(kind, fields, number, today))


def _contradictions(
    kind: IdCardKind, fields: Mapping[str, str], number: CardNumber, today: datetime.date
) -> Iterator[FieldCheck]:
    text = number.number.reveal()
    old = kind is IdCardKind.PERMANENT_RESIDENT_2017
    if _DATE.fullmatch(fields["birth_date"]) and fields["birth_date"][2 if old else 0 :] != (
        text[7:13] if old else text[6:14]
    ):
        yield failure("idcard.number_contradicts", "birth_date")
    sex, said = SEXES.get(fields["sex"], ""), number.sex.reveal()
    if sex in {"M", "F"} and said and sex != said:
        # That the parity means the sex on a card of 2023, too, is not in its published description.
        described = kind is not IdCardKind.PERMANENT_RESIDENT_2023
        yield failure("idcard.number_contradicts", "sex") if described else doubt("sex")
    if "nationality" in fields and number.nationality.reveal() in COUNTRIES:
        # The number is for life; whether it stays when its holder becomes another country's citizen isn't published.
        if _iso(fields["nationality"]) != _iso(number.nationality.reveal()):
            yield doubt("nationality")
    elif "nationality" in fields:
        yield warning("mrz.unknown_country", "nationality")
    permit = fields.get("permit_number")
    if permit and not _PERMIT_NUMBERS[number.origin.reveal()].fullmatch(permit):
        yield warning("idcard.unusual_permit_number", "permit_number")
    yield from (
        one for one in number.field_checks(today) if one.name == "division" and one.reason is not None
    )


def doubt(field: str) -> FieldCheck:
    """The number and a field say different things, and that may be so."""
    return FieldCheck(field, Result.UNDETERMINED, Reason("idcard.number_differs", {"field": field}))


def _iso(code: str) -> str:
    return "DEU" if code == "D" else code

"""What is judged about an MRZ, check digit by check digit and field by field.

Each gets a `FieldCheck`. `FAILED` is evidence against the document or the reading; `UNDETERMINED` with a reason is
a warning: unusual, yet seen on genuine documents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from edged.core.countries import COUNTRIES
from edged.core.layout_tables import DIGIT, FILLER
from edged.core.layouts import LAYOUTS, CheckRule, Layout, MrzFormat
from edged.core.mrz_names import has_gap
from edged.core.mrz_russian import DIGITS, is_internal_passport
from edged.verdict import Reason, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.core.mrz_dates import MrzDate


class FieldCheck(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome for one field or check digit. Holds no identity: `name` is the field's name."""

    name: str
    result: Result
    reason: Reason | None = None


_PRINTED_CODES: Final = frozenset(code.ljust(3, "<") for code in COUNTRIES)

_ICAO_LETTERS: Final = {MrzFormat.TD1: "ACI", MrzFormat.TD2: "ACI", MrzFormat.TD3: "P"}
"""First letters of document codes (Doc 9303-4 to -6). Residence permits with others are about (RP, TR)."""

_DIGITS: Final = 8 * (DIGIT,)
PRC_NUMBERS: Final = {
    "CS": ("C", DIGIT + "ABCDEFGHJKLMNPQRSTUVWXYZ", *_DIGITS[1:]),
    "CD": ("L", *_DIGITS),
    "CR": ("HM", *_DIGITS),
    "CT": (*_DIGITS, FILLER),
    "CF": ("HM", "A", *_DIGITS[1:]),
}
"""The characters of each position in the numbers of the PRC's card permits, by document code, as far as they are
known: another number is a warning."""

_IMPLIED_STATES: Final = {MrzFormat.PRC_PERMIT: "CHN", MrzFormat.PRC_CARD: "CHN"}
"""Issuing states of layouts that don't print one."""

_IMPLIED_NATIONALITIES: Final = {
    MrzFormat.FRA_ID: "FRA",
    MrzFormat.PRC_PERMIT: "CHN",
    MrzFormat.PRC_CARD: "CHN",
    MrzFormat.PRC_HOME_RETURN: "CHN",
}
"""Nationalities of layouts that don't print one: these documents are for nationals only (not `CF` cards)."""


class Judge:
    """The rules of one layout; immutable, its places and usual outcomes worked out once."""

    __slots__ = (
        "_codes",
        "_name",
        "_name_field",
        "_number",
        "_prc_numbers",
        "_sex",
        "fatal",
        "fine",
        "first_letters",
        "implied_nationality",
        "implied_state",
        "layout",
        "long_numbers",
        "outcomes",
    )

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        spans = {name: slice(*span) for name, span in layout.spans.items()}
        self._codes = [(field, spans[field]) for field in ("issuing_state", "nationality") if field in spans]
        self._name_field = "surname" if layout.format is MrzFormat.FRA_ID else "name"
        self._name = spans.get(self._name_field)
        self._number = spans["document_number"]
        self._sex = layout.spans["sex"][0] if "sex" in spans else None
        self._prc_numbers = layout.format in {MrzFormat.PRC_PERMIT, MrzFormat.PRC_CARD}
        self.first_letters: str = _ICAO_LETTERS.get(layout.format, "")
        """First letters of usual document codes; empty where any will do."""
        self.implied_state: str = _IMPLIED_STATES.get(layout.format, "")
        self.implied_nationality: str = _IMPLIED_NATIONALITIES.get(layout.format, "")
        self.long_numbers: bool = any(check.rule is CheckRule.NUMBER_MAY_CONTINUE for check in layout.checks)
        self.outcomes: list[tuple[FieldCheck, ...]] = [
            _check_digits(layout, failing) for failing in range(1 << len(layout.checks))
        ]
        """One `FieldCheck` for each printed check digit, by the kernel's bit set of failing ones."""
        self.fatal: int = sum(
            1 << index
            for index in range(len(layout.checks))
            if self.outcomes[1 << index][index].result is Result.FAILED
        )
        """Bit set of the check digits whose mismatch is a failure."""
        self.fine: tuple[FieldCheck, ...] = tuple(
            FieldCheck(name, Result.SUCCESSFUL)
            for name in dict.fromkeys(_judged_name(field.name) for field in layout.fields)
            if not name.endswith("_check")
        )
        """The outcome of a document without any oddity."""

    def fields(
        self, text: str, misplaced: int, birth: MrzDate, expiry: MrzDate | None, unreadable: bool
    ) -> tuple[FieldCheck, ...]:
        """One `FieldCheck` for each field; `misplaced` is the kernel's bit set of fields.

        `unreadable`: the document has a coded Chinese name that codes nothing.
        """
        problems: dict[str, FieldCheck] = {}
        for problem in self._problems(text, misplaced, birth, expiry, unreadable):
            known = problems.get(problem.name)
            if known is None or known.result is not Result.FAILED:
                problems[problem.name] = problem
        return tuple(problems.get(check.name, check) for check in self.fine) if problems else self.fine

    def _problems(
        self, text: str, misplaced: int, birth: MrzDate, expiry: MrzDate | None, unreadable: bool
    ) -> Iterator[FieldCheck]:
        if misplaced:
            yield from self._misplaced_characters(text, misplaced)
        for field, place in self._codes:
            if text[place] not in _PRINTED_CODES:
                yield warning("mrz.unknown_country", field)
        if self._name is not None:
            name = text[self._name]
            if not name.strip("<"):
                yield failure("mrz.field_empty", self._name_field)
            elif has_gap(name):
                yield warning("mrz.name_gap", self._name_field)
        number = text[self._number]
        if not number.strip("<"):
            yield failure("mrz.field_empty", "document_number")
        if birth.date is None:
            yield no_date("birth_date", birth)
        if expiry is not None and expiry.date is None:
            yield no_date("expiry_date", expiry)
        if self._sex is not None and text[self._sex] == "X":
            yield warning("mrz.sex_letter_x", "sex")
        if self.first_letters and (text[0] not in self.first_letters or text[1] == "V"):
            yield warning("mrz.unusual_document_code", "document_code")
        if self._prc_numbers and not all(map(str.__contains__, PRC_NUMBERS[text[:2]], number)):
            yield warning("mrz.unusual_number", "document_number")
        if unreadable:
            yield warning("mrz.chinese_name_unreadable", "chinese_name")

    def _misplaced_characters(self, text: str, misplaced: int) -> Iterator[FieldCheck]:
        for index, field in enumerate(self.layout.fields):
            if misplaced >> index & 1 and not field.name.endswith("_check"):
                if field.name == "name" and self._may_hold_digits(text, field.start, field.stop):
                    continue
                yield failure("mrz.field_characters", _judged_name(field.name))

    def _may_hold_digits(self, text: str, start: int, stop: int) -> bool:
        """Whether the digits in a name are letters of the Russian internal passport."""
        return (
            self.layout.format is MrzFormat.TD3
            and is_internal_passport(text)
            and all(character in DIGITS for character in text[start:stop] if character.isdecimal())
        )


def _check_digits(layout: Layout, failing: int) -> tuple[FieldCheck, ...]:
    """The overall digit of the PRC's one-line permits is known from few specimens: a mismatch only warns."""
    found = []
    for index, check in enumerate(layout.checks):
        if not failing >> index & 1:
            found.append(FieldCheck(check.name, Result.SUCCESSFUL))
        elif layout.format is MrzFormat.PRC_PERMIT and check.name == "composite":
            found.append(FieldCheck(check.name, Result.UNDETERMINED, Reason("mrz.composite_unproven")))
        else:
            found.append(failure("mrz.check_digit_wrong", check.name))
    return tuple(found)


def _judged_name(field: str) -> str:
    """Fields are judged under their own names, but for the single fillers between them."""
    return "filler" if field.startswith("filler_") else field


def failure(code: str, field: str) -> FieldCheck:
    """A field that counts against the document or its reading."""
    return FieldCheck(field, Result.FAILED, Reason(code, {"field": field}))


def warning(code: str, field: str) -> FieldCheck:
    """A field that is unusual and fails nothing."""
    return FieldCheck(field, Result.UNDETERMINED, Reason(code, {"field": field}))


def no_date(field: str, date: MrzDate) -> FieldCheck:
    """What is wrong with a date that is no day: a failure, or a warning where the issuer left parts open."""
    return warning("mrz.date_incomplete", field) if date.problem is None else failure(date.problem, field)


JUDGES: Final = tuple(Judge(layout) for layout in LAYOUTS.values())
"""A judge for each layout, in the order of `MrzFormat`."""

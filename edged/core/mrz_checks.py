"""What is judged about an MRZ, character by character and field by field.

Each printed check digit and each field gets a `FieldCheck`. `FAILED` is evidence against the document or the
reading; `UNDETERMINED` with a reason is a warning: unusual, seen on genuine documents.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

import msgspec

from edged.core.countries import COUNTRIES
from edged.core.layouts import LAYOUTS, Layout, MrzFormat
from edged.core.mrz_names import has_gap
from edged.verdict import Reason, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.core.mrz_dates import MrzDate


class FieldCheck(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome for one field or check digit. Holds no identity: `name` is the field's name."""

    name: str
    result: Result
    reason: Reason | None = None


_ICAO_CODES: Final = {MrzFormat.TD1: "ACI", MrzFormat.TD2: "ACI", MrzFormat.TD3: "P"}
"""First letters of document codes (Doc 9303-4 to -6). Residence permits with others are about (RP, TR)."""

_PRC_NUMBERS: Final = {
    "CS": re.compile(r"C[0-9A-HJ-NP-Z][0-9]{7}"),
    "CD": re.compile(r"L[0-9]{8}"),
    "CR": re.compile(r"[HM][0-9]{8}"),
    "CT": re.compile(r"[0-9]{8}<"),
    "CF": re.compile(r"[HM]A[0-9]{7}"),
}
"""Numbers of the PRC's card permits by document code, as far as they are known: another one is a warning."""


@cache  # at most 9 layouts x 64 bit sets
def check_digit_results(format: MrzFormat, failing: int) -> tuple[FieldCheck, ...]:  # noqa: A002
    """One `FieldCheck` for each printed check digit; `failing` is the kernel's bit set.

    The overall digit of the PRC's one-line permits is known from few specimens: a mismatch is a warning.
    """
    found = []
    for index, check in enumerate(LAYOUTS[format].checks):
        if not failing >> index & 1:
            found.append(FieldCheck(check.name, Result.SUCCESSFUL))
        elif format is MrzFormat.PRC_PERMIT and check.name == "composite":
            found.append(FieldCheck(check.name, Result.UNDETERMINED, Reason("mrz.composite_unproven")))
        else:
            reason = Reason("mrz.check_digit_wrong", {"field": check.name})
            found.append(FieldCheck(check.name, Result.FAILED, reason))
    return tuple(found)


@cache
def _all_well(format: MrzFormat) -> tuple[FieldCheck, ...]:  # noqa: A002
    fields = LAYOUTS[format].fields
    printed = (field.name for field in fields if not field.name.endswith("_check"))
    names = dict.fromkeys(_judged_name(name) for name in printed)
    return tuple(FieldCheck(name, Result.SUCCESSFUL) for name in names)


def _judged_name(field: str) -> str:
    """Fields are judged under their own names, but for the single fillers between them."""
    return "filler" if field.startswith("filler_") else field


def field_results(
    layout: Layout,
    text: str,
    misplaced: int,
    *,
    birth: MrzDate | None,
    expiry: MrzDate | None,
    chinese_name_read: bool,
) -> tuple[FieldCheck, ...]:
    """One `FieldCheck` for each field of the layout; `misplaced` is the kernel's bit set of fields.

    `chinese_name_read` is False when the layout has a coded Chinese name that codes nothing.
    """
    problems: dict[str, FieldCheck] = {}
    for problem in _problems(layout, text, misplaced, birth, expiry, chinese_name_read):
        known = problems.get(problem.name)
        if known is None or (known.result, problem.result) == (Result.UNDETERMINED, Result.FAILED):
            problems[problem.name] = problem
    fine = _all_well(layout.format)
    return tuple(problems.get(check.name, check) for check in fine) if problems else fine


def _failed(code: str, field: str) -> FieldCheck:
    return FieldCheck(field, Result.FAILED, Reason(code, {"field": field}))


def _warning(code: str, field: str) -> FieldCheck:
    return FieldCheck(field, Result.UNDETERMINED, Reason(code, {"field": field}))


def _problems(
    layout: Layout,
    text: str,
    misplaced: int,
    birth: MrzDate | None,
    expiry: MrzDate | None,
    chinese_name_read: bool,
) -> Iterator[FieldCheck]:
    spans = layout.spans
    if misplaced:
        yield from _misplaced_characters(layout, text, misplaced)
    for field in ("issuing_state", "nationality"):
        if field in spans and text[slice(*spans[field])].rstrip("<") not in COUNTRIES:
            yield _warning("mrz.unknown_country", field)
    for field in ("name", "surname"):
        if field in spans:
            name = text[slice(*spans[field])]
            if not name.strip("<"):
                yield _failed("mrz.field_empty", field)
            elif has_gap(name):
                yield _warning("mrz.name_gap", field)
    number = text[slice(*spans["document_number"])]
    if not number.strip("<"):
        yield _failed("mrz.field_empty", "document_number")
    for field, date in (("birth_date", birth), ("expiry_date", expiry)):
        if date is not None:
            if date.problem is not None:
                yield _failed(date.problem, field)
            elif date.date is None:
                yield _warning("mrz.date_incomplete", field)
    if "sex" in spans and text[spans["sex"][0]] == "X":
        yield _warning("mrz.sex_letter_x", "sex")
    yield from _unusual_code(layout, text, number)
    if not chinese_name_read:
        yield _warning("mrz.chinese_name_unreadable", "chinese_name")


def _misplaced_characters(layout: Layout, text: str, misplaced: int) -> Iterator[FieldCheck]:
    # The Russian internal passport writes Cyrillic letters in the name as Latin ones and digits.
    russian_internal = layout.format is MrzFormat.TD3 and text.startswith("PNRUS")
    for index, field in enumerate(layout.fields):
        if misplaced >> index & 1 and not field.name.endswith("_check"):
            if field.name == "name" and russian_internal:
                continue
            yield _failed("mrz.field_characters", _judged_name(field.name))


def _unusual_code(layout: Layout, text: str, number: str) -> Iterator[FieldCheck]:
    first_letters = _ICAO_CODES.get(layout.format)
    if first_letters is not None and (text[0] not in first_letters or text[1] == "V"):
        yield _warning("mrz.unusual_document_code", "document_code")
    pattern = _PRC_NUMBERS.get(text[:2]) if layout.format in _PRC_NUMBERED else None
    if pattern is not None and pattern.fullmatch(number) is None:
        yield _warning("mrz.unusual_number", "document_number")


_PRC_NUMBERED: Final = frozenset({MrzFormat.PRC_PERMIT, MrzFormat.PRC_CARD})

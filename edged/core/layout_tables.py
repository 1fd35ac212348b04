"""Every MRZ layout edged knows, written down once: its fields, their alphabets, its check digits.

Sources: ICAO Doc 9303-4 (TD3), -5 (TD1), -6 (TD2), -7 (MRV-A, MRV-B); GA/T 704.14-2015 for the PRC's card
permits; specimens for the French identity card of 1988–2021. Positions count from 0 in the *joined* text: an
MRZ's lines one after another, without separators. `edged.core.layouts` puts these tables to use.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class MrzFormat(StrEnum):
    """The layouts. The order is the kernels': a format's code is its place here, from 1."""

    TD1 = "TD1"
    TD2 = "TD2"
    TD3 = "TD3"
    MRVA = "MRVA"
    MRVB = "MRVB"
    FRA_ID = "FRA_ID"
    """French identity card of 1988–2021, `IDFRA`: the shape of TD2, not its layout."""
    PRC_PERMIT = "PRC_PERMIT"
    """往来港澳通行证 (`CS`) and 往来台湾通行证 (`CD`): one printed line."""
    PRC_CARD = "PRC_CARD"
    """来往内地通行证 (`CR`; `CF` for holders of other nationalities), 台湾居民来往大陆通行证 (`CT`)."""
    PRC_HOME_RETURN = "PRC_HOME_RETURN"
    """回乡证 of 1999, `C<CHN`."""


class CheckRule(IntEnum):
    """How a check digit may be printed; the values are the kernels'."""

    PLAIN = 0
    EMPTY_MAY_BE_FILLER = 1
    """`<` may stand for the digit of an empty field (Doc 9303-4 §4.2.2.2 note j)."""
    NUMBER_MAY_CONTINUE = 2
    """`<` may say that a long document number goes on in the optional data (Doc 9303-5 §4.2.2.1 note j)."""


class Field(NamedTuple):
    """One field: its name, its place in the joined text, the characters each of its positions may hold."""

    name: str
    start: int
    stop: int
    alphabets: tuple[str, ...]


class CheckDigit(NamedTuple):
    """One check digit: its name, its place, the spans it covers, and its rule, all in the joined text."""

    name: str
    position: int
    spans: tuple[tuple[int, int], ...]
    rule: CheckRule


class Layout(NamedTuple):
    """One layout: `lines` lines of `width` characters, made of `fields` without gaps."""

    format: MrzFormat
    lines: int
    width: int
    fields: tuple[Field, ...]
    checks: tuple[CheckDigit, ...]
    spans: Mapping[str, tuple[int, int]]
    """(start, stop) of each field, by name."""


DIGIT: Final = "0123456789"
LETTER: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FILLER: Final = "<"
ANY: Final = DIGIT + LETTER + FILLER
NAME: Final = LETTER + FILLER
NUMERIC: Final = DIGIT + FILLER
"""Dates and check digits too: unknown parts of a date are fillers, and so are some check digits."""
SEX: Final = "MFX<"
GA: Final = "ABCDEFGHIJKLMNOP<"
"""A Chinese name in GA code (GA/T 704.14): one letter, A to P, for each nibble of its GBK bytes."""

_Part = tuple[str, tuple[str, ...]]


def _part(name: str, width: int, alphabet: str) -> _Part:
    return name, width * (alphabet,)


def _number(width: int = 9) -> tuple[_Part, _Part]:
    return _part("document_number", width, ANY), _part("document_number_check", 1, NUMERIC)


_CODE: Final = ("document_code", (LETTER, ANY))
_VISA_CODE: Final = ("document_code", ("V", ANY))
_STATE: Final = _part("issuing_state", 3, NAME)
_NATIONALITY: Final = _part("nationality", 3, NAME)
_SEX: Final = _part("sex", 1, SEX)
_BIRTH: Final = (_part("birth_date", 6, NUMERIC), _part("birth_date_check", 1, NUMERIC))
_EXPIRY: Final = (_part("expiry_date", 6, NUMERIC), _part("expiry_date_check", 1, NUMERIC))
_COMPOSITE: Final = _part("composite_check", 1, NUMERIC)
_PERSON: Final = (*_number(), _NATIONALITY, *_BIRTH, _SEX, *_EXPIRY)
"""What the second line of every two-line ICAO layout begins with."""


class _Cover(NamedTuple):
    """A check digit by the names of the fields it covers; its own place is the field `<name>_check`."""

    name: str
    fields: tuple[str, ...]
    rule: CheckRule = CheckRule.PLAIN


def _own(name: str, rule: CheckRule = CheckRule.PLAIN) -> _Cover:
    return _Cover(name, (name,), rule)


def _dated(*names: str) -> tuple[str, ...]:
    """Each field followed by its check digit."""
    return tuple(part for name in names for part in (name, f"{name}_check"))


_LONG_NUMBER: Final = _own("document_number", CheckRule.NUMBER_MAY_CONTINUE)
_BIRTH_CHECK: Final = _own("birth_date")
_EXPIRY_CHECK: Final = _own("expiry_date", CheckRule.EMPTY_MAY_BE_FILLER)


def _layout(format_: MrzFormat, lines: Sequence[Sequence[_Part]], covers: Sequence[_Cover]) -> Layout:
    """Lay the parts end to end and turn the covered names into spans, neighbours joined."""
    fields: list[Field] = []
    at = 0
    for line in lines:
        for name, alphabets in line:
            fields.append(Field(name, at, at + len(alphabets), alphabets))
            at += len(alphabets)
    spans = {field.name: (field.start, field.stop) for field in fields}
    assert len(spans) == len(fields), "field names are unique in a layout"
    assert at % len(lines) == 0
    checks = []
    for cover in covers:
        joined: list[tuple[int, int]] = []
        for start, stop in (spans[name] for name in cover.fields):
            if joined and joined[-1][1] == start:
                joined[-1] = (joined[-1][0], stop)
            else:
                joined.append((start, stop))
        checks.append(CheckDigit(cover.name, spans[f"{cover.name}_check"][0], tuple(joined), cover.rule))
    return Layout(
        format_, len(lines), at // len(lines), tuple(fields), tuple(checks), MappingProxyType(spans)
    )


def _visa(format_: MrzFormat, name_width: int, optional_width: int) -> Layout:
    """Doc 9303-7: no composite, and no check digit on the optional data."""
    return _layout(
        format_,
        (
            (_VISA_CODE, _STATE, _part("name", name_width, NAME)),
            (*_PERSON, _part("optional_data", optional_width, ANY)),
        ),
        (_own("document_number"), _BIRTH_CHECK, _EXPIRY_CHECK),
    )


_TD1 = _layout(
    MrzFormat.TD1,
    (
        (_CODE, _STATE, *_number(), _part("optional_data", 15, ANY)),
        (*_BIRTH, _SEX, *_EXPIRY, _NATIONALITY, _part("optional_data_2", 11, ANY), _COMPOSITE),
        (_part("name", 30, NAME),),
    ),
    (
        _LONG_NUMBER,
        _BIRTH_CHECK,
        _EXPIRY_CHECK,
        _Cover(
            "composite",
            (
                *_dated("document_number"),
                "optional_data",
                *_dated("birth_date", "expiry_date"),
                "optional_data_2",
            ),
        ),
    ),
)

_TD2 = _layout(
    MrzFormat.TD2,
    (
        (_CODE, _STATE, _part("name", 31, NAME)),
        (*_PERSON, _part("optional_data", 7, ANY), _COMPOSITE),
    ),
    (
        _LONG_NUMBER,
        _BIRTH_CHECK,
        _EXPIRY_CHECK,
        _Cover("composite", (*_dated("document_number", "birth_date", "expiry_date"), "optional_data")),
    ),
)

_TD3 = _layout(
    MrzFormat.TD3,
    (
        (_CODE, _STATE, _part("name", 39, NAME)),
        (*_PERSON, _part("optional_data", 14, ANY), _part("optional_data_check", 1, NUMERIC), _COMPOSITE),
    ),
    (
        _own("document_number"),
        _BIRTH_CHECK,
        _EXPIRY_CHECK,
        _own("optional_data", CheckRule.EMPTY_MAY_BE_FILLER),
        _Cover("composite", _dated("document_number", "birth_date", "expiry_date", "optional_data")),
    ),
)

# The number of this card is its date of issue (YYMM), a department and a sequence, under one check digit.
_FRA_ID = _layout(
    MrzFormat.FRA_ID,
    (
        (
            ("document_code", ("I", "D")),
            ("issuing_state", ("F", "R", "A")),
            _part("surname", 25, NAME),
            _part("administrative_code", 6, ANY),
        ),
        (
            ("document_number", (*4 * (NUMERIC,), *3 * (ANY,), *5 * (NUMERIC,))),
            _part("document_number_check", 1, NUMERIC),
            _part("given_names", 14, NAME),
            *_BIRTH,
            _SEX,
            _COMPOSITE,
        ),
    ),
    (
        _own("document_number"),
        _BIRTH_CHECK,
        _Cover(
            "composite",
            (
                *("document_code", "issuing_state", "surname", "administrative_code"),
                *_dated("document_number"),
                "given_names",
                *_dated("birth_date"),
                "sex",
            ),
        ),
    ),
)

_PRC_NUMBER_CHECKS: Final = (_own("document_number"), _own("expiry_date"), _BIRTH_CHECK)

_PRC_PERMIT = _layout(
    MrzFormat.PRC_PERMIT,
    (
        (
            ("document_code", ("C", "SD")),
            *_number(),
            _part("filler_1", 1, FILLER),
            *_EXPIRY,  # before the birth date, unlike ICAO's layouts
            _part("filler_2", 1, FILLER),
            *_BIRTH,
            _part("filler_3", 1, FILLER),
            _COMPOSITE,
        ),
    ),
    (*_PRC_NUMBER_CHECKS, _Cover("composite", _dated("document_number", "expiry_date", "birth_date"))),
)

_PRC_CARD = _layout(
    MrzFormat.PRC_CARD,
    (
        (
            ("document_code", ("C", "RTF")),
            *_number(),
            _part("renewals", 2, NUMERIC),
            _part("renewals_check", 1, NUMERIC),
            *_EXPIRY,
            _SEX,
            *_BIRTH,
        ),
        (
            # CR and CT: four characters in 16 letters, then the two counts. CF: three characters in 12
            # letters, then the nationality in the last three of these six, where letters beyond P may stand.
            ("chinese_name", (*12 * (GA,), *4 * (NAME,))),
            _part("omitted_characters", 1, NAME),
            _part("omitted_letters", 1, NAME),
            _part("birth_century", 1, GA),
            _part("optional_data", 10, ANY),
            _COMPOSITE,
        ),
        (_part("name", 26, NAME), _part("authority", 4, NUMERIC)),
    ),
    (
        *_PRC_NUMBER_CHECKS,
        _own("renewals"),
        # Found by recomputing specimens; the renewals take no part.
        _Cover("composite", (*_dated("document_number", "expiry_date", "birth_date"), "optional_data")),
    ),
)

_PRC_HOME_RETURN = _layout(
    MrzFormat.PRC_HOME_RETURN,
    (
        (
            ("document_code", ("C", FILLER)),
            ("issuing_state", ("C", "H", "N")),
            _part("chinese_name", 20, NUMERIC),
            _part("omitted_characters", 1, NUMERIC),
            _part("chinese_name_check", 1, NUMERIC),
            _part("filler_1", 2, FILLER),
            _part("line_1_check", 1, NUMERIC),
        ),
        (
            *_BIRTH,
            _SEX,
            *_EXPIRY,
            _part("document_number", 9, ANY),
            _part("renewals", 2, NUMERIC),
            _part("document_number_check", 1, NUMERIC),
            _part("birth_century", 1, NUMERIC),
            _part("expiry_century", 1, NUMERIC),
            _part("line_2_check", 1, NUMERIC),
        ),
        (_part("name", 30, NAME),),
    ),
    (
        _Cover("document_number", ("document_number", "renewals")),
        _BIRTH_CHECK,
        _own("expiry_date"),
        _own("chinese_name"),
        _Cover(
            "line_1",
            (
                *("document_code", "issuing_state", "chinese_name", "omitted_characters"),
                *("chinese_name_check", "filler_1"),
            ),
        ),
        _Cover(
            "line_2",
            (
                *_dated("birth_date"),
                "sex",
                *_dated("expiry_date"),
                *("document_number", "renewals", "document_number_check", "birth_century", "expiry_century"),
            ),
        ),
    ),
)

LAYOUTS: Final[Mapping[MrzFormat, Layout]] = MappingProxyType(
    {
        layout.format: layout
        for layout in (
            *(_TD1, _TD2, _TD3),
            _visa(MrzFormat.MRVA, 39, 16),
            _visa(MrzFormat.MRVB, 31, 8),
            *(_FRA_ID, _PRC_PERMIT, _PRC_CARD, _PRC_HOME_RETURN),
        )
    }
)
"""Every layout, in the order of `MrzFormat`."""

"""The form's entry rules, one function a kind of field: what somebody typed or a document says, as it is entered.

Every function returns the value as it goes into the record, and is idempotent; or raises `EntryError`, which names the
rule and never the value. Sources: `docs/lodging.md`.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import TYPE_CHECKING, Final

from edged.core.countries import known
from edged.lodging.form import CHINESE_WIDTH, DOCUMENT_KINDS, NAME_WIDTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.lodging.form import Field, Kind

MAX_TYPED: Final = 200
"""Characters of anything typed: longer than every field, short enough to be looked at as often as one likes."""

CUT: Final = "?"
"""Last letter of a name that is longer than its columns."""

FILLER: Final = "<"

_BRACKETS: Final[dict[int, str | None]] = {
    ord(one): None for one in "()[]{}>〈〉《》「」『』【】〔〕（）［］｛｝"
}
_LIKE_APOSTROPHE: Final[dict[int, str | None]] = {ord(one): "'" for one in "\u2018\u2019\u02bc\u02bb`\u00b4"}
_LIKE_HYPHEN: Final[dict[int, str | None]] = {ord(one): "-" for one in "\u2010\u2011\u2012\u2013\u2014\u2212"}
_TRANSLITERATED: Final = {
    ord(letter): text
    for letter, text in {
        "Ä": "AE",
        "Ö": "OE",
        "Ü": "UE",
        "Å": "AA",
        "Ñ": "N",
        "Ø": "OE",
        "Æ": "AE",
        "Œ": "OE",
        "Þ": "TH",
        "Ð": "D",
        "Đ": "D",
        "ẞ": "SS",
        "Ł": "L",
        "Ħ": "H",
        "Ŧ": "T",
        "Ŋ": "N",
        "Ĳ": "IJ",
    }.items()
}
"""ICAO Doc 9303-3 §6, the first of several allowed results; other diacritics are left out."""

_NAME: Final = re.compile(r"[A-Z](?:[A-Z ]|['.,-])*")
_NUMBER: Final = re.compile(r"[A-Z0-9][A-Z0-9/-]*")
_COUNTRY: Final = {"D": "DEU"}
"""MRZs print Germany as one letter; the form has three."""
_SEXES: Final = {
    "M": "M",
    "MALE": "M",
    "男": "M",
    "F": "F",
    "FEMALE": "F",
    "女": "F",
    "X": "X",
    "UNSPECIFIED": "X",
    "未说明": "X",
}
_DAY: Final = re.compile(r"([0-9]{4})[-/.]?([0-9]{2})[-/.]?([0-9]{2})")
_PART: Final = re.compile(r"([0-9]{4})(?:-([0-9]{2}))?")
_HAN: Final = (
    r"\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufa6d\ufa70-\ufad9\U00020000-\U0002a6df\U0002a700-\U0002b739"
    r"\U0002b740-\U0002b81d\U0002b820-\U0002cea1\U0002ceb0-\U0002ebe0\U0002ebf0-\U0002ee5d\U0002f800-\U0002fa1d"
    r"\U00030000-\U0003134a\U00031350-\U000323af"
)
"""The ideographs of Unicode 15.1, whatever Python knows: extension I was made for names. Between them is nothing."""
_CHINESE: Final = re.compile(f"[{_HAN}][\u00b7{_HAN}]*")
_DOTS: Final[dict[int, str | None]] = {ord(one): "\u00b7" for one in "\u2022\u30fb\u2027\uff0e.\u22c5"}


class EntryError(Exception):
    """A value breaks a rule: `code` is a sentence of the catalogue, `params` fill it. Holds nothing of the value."""

    def __init__(self, code: str, **params: str) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


def entered(field: Field, text: str) -> str:
    """`text` as it goes into the record's `field`. Raises `EntryError`."""
    if len(text) > MAX_TYPED:
        raise EntryError("lodging.too_long", most=str(field.width))
    value = _RULES[field.kind](text)
    if field.kind != "name" and len(value) > field.width:  # names are fitted together: `fitted_names`
        raise EntryError("lodging.too_long", most=str(field.width))
    return value


def latin_name(text: str) -> str:
    """An English name: capital letters, transliterated, punctuation kept, brackets and fillers removed."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", text).upper())
    folded = folded.replace(FILLER, " ").translate(_BRACKETS | _LIKE_APOSTROPHE | _LIKE_HYPHEN)
    plain = unicodedata.normalize("NFD", folded.translate(_TRANSLITERATED))
    name = " ".join("".join(one for one in plain if not unicodedata.combining(one)).split())
    whole = name.removesuffix(CUT) if len(name) == NAME_WIDTH else name
    if _NAME.fullmatch(whole) is None:
        raise EntryError("lodging.not_latin")
    return name


def fitted_names(surname: str, given: str) -> tuple[str, str]:
    """Both names in their columns: one name alone is the surname; what is too long runs on, and ends in `?`.

    A surname that is too long fills 英文姓 and goes on in 英文名, before the given names.
    """
    if not surname:
        surname, given = given, ""
    if len(surname) > NAME_WIDTH:
        given = f"{surname[NAME_WIDTH:].strip()} {given}".strip()
        surname = surname[:NAME_WIDTH].strip()
    if len(given) > NAME_WIDTH:
        given = given[: NAME_WIDTH - len(CUT)] + CUT
    return surname, given


def chinese_name(text: str) -> str:
    """Chinese characters and the dot between parts of a name; nothing else."""
    name = "".join(text.replace(FILLER, "").translate(_BRACKETS | _DOTS).split())
    name = unicodedata.normalize("NFC", name)
    if len(name) > CHINESE_WIDTH:
        raise EntryError("lodging.too_long", most=str(CHINESE_WIDTH))
    if _CHINESE.fullmatch(name) is None or name.endswith("\u00b7"):
        raise EntryError("lodging.not_chinese")
    return name


def sex(text: str) -> str:
    """`M`, `F` or `X`."""
    found = _SEXES.get(_capitals(text))
    if found is None:
        raise EntryError("lodging.not_a_sex")
    return found


def country(text: str) -> str:
    """A three-letter code that is known."""
    code = _capitals(text.replace(FILLER, ""))
    code = _COUNTRY.get(code, code)
    if len(code) != 3 or not known(code):
        raise EntryError("lodging.not_a_country")
    return code


def document_kind(text: str) -> str:
    """One of `edged.lodging.form.DOCUMENT_KINDS`."""
    kind = text.strip().lower().replace("-", "_")
    if kind not in DOCUMENT_KINDS:
        raise EntryError("lodging.not_a_document_kind", known=", ".join(DOCUMENT_KINDS))
    return kind


def number(text: str) -> str:
    """Of a document or a visa: capital letters and figures, without fillers, spaces and brackets."""
    value = "".join(_capitals(text).replace(FILLER, "").translate(_BRACKETS | _LIKE_HYPHEN).split())
    if _NUMBER.fullmatch(value) is None:
        raise EntryError("lodging.not_a_number")
    return value


def day(text: str) -> str:
    """A day that exists, as 2026-08-01."""
    match = _DAY.fullmatch(_capitals(text))
    if match is None:
        raise EntryError("lodging.not_a_date")
    return _existing(*map(int, match.groups()))


def birth_day(text: str) -> str:
    """A day; or a year, or a year and month, where the document itself says no more."""
    match = _PART.fullmatch(_capitals(text))
    if match is None:
        return day(text)
    _existing(int(match[1]), int(match[2] or 1), 1)
    return match[0]


def free_text(text: str) -> str:
    """One line in capital letters, brackets and fillers removed, with a letter or figure in it."""
    value = " ".join(_capitals(text).replace(FILLER, " ").translate(_BRACKETS).split())
    if not value.isprintable() or not any(one.isalnum() for one in value):
        raise EntryError("lodging.not_text")
    return value


def _capitals(text: str) -> str:
    """Compatibility forms (full-width figures) folded, upper case."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).upper()).strip()


def _existing(year: int, month: int, of_month: int) -> str:
    try:
        return date(year, month, of_month).isoformat()
    except ValueError:
        raise EntryError("lodging.no_such_day") from None


_RULES: Final[dict[Kind, Callable[[str], str]]] = {
    "name": latin_name,
    "chinese_name": chinese_name,
    "sex": sex,
    "date": day,
    "birth_date": birth_day,
    "country": country,
    "document_kind": document_kind,
    "number": number,
    "text": free_text,
}

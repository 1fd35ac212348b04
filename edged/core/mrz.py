"""One MRZ, judged: typed fields behind the identity fence, and a check for each of them.

Sources: ICAO Doc 9303-3 to -7; for the PRC's documents GA/T 704.14-2015. Layouts: `edged.core.layouts`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core import _fastmrz
from edged.core.countries import COUNTRIES
from edged.core.layouts import (
    KERNEL,
    DocumentClass,
    MrzFormat,
    document_class,
    encode,
    join_lines,
    unknown_format,
)
from edged.core.mrz_checks import JUDGES, FieldCheck, Judge
from edged.core.mrz_dates import MrzDate, birth_date, expiry_date
from edged.core.mrz_format import format_mrz
from edged.core.mrz_names import split_name, words
from edged.core.mrz_prc import CF_NATIONALITY, Region, prc_parts, region
from edged.errors import DecodeError
from edged.identity import Identity, Sensitive
from edged.verdict import Reason, Result

if TYPE_CHECKING:
    import datetime
    from collections.abc import Sequence

__all__ = ["FieldCheck", "Mrz", "MrzDate", "Region", "check_digit", "format_mrz", "parse_mrz"]

_IMPLIED_STATE: Final = {MrzFormat.PRC_PERMIT: "CHN", MrzFormat.PRC_CARD: "CHN"}
"""Issuing states of layouts that don't print one."""

_IMPLIED_NATIONALITIES: Final = {
    MrzFormat.FRA_ID: "FRA",
    MrzFormat.PRC_PERMIT: "CHN",
    MrzFormat.PRC_CARD: "CHN",
    MrzFormat.PRC_HOME_RETURN: "CHN",
}
"""Nationalities of layouts that don't print one: these documents are for nationals only (not `CF` cards)."""


class Mrz(Identity):
    """A parsed MRZ of any layout; made by `parse_mrz`.

    Every field is text without trailing fillers, behind `Sensitive`; a field that the layout doesn't have is
    empty. What says only which kind of document this is (format, class, code, issuing state) is plain.

    Attributes:
        format: the layout.
        document_class: passport, identity card, visa, permit or unknown.
        document_code: as printed, without fillers ("P", "PO", "ID", "CS").
        issuing_state: code without fillers ("D" for Germany); CHN for permits that print none.
        birth_date, expiry_date: None when the layout has none (visas: valid until; `FRA_ID` has no expiry).
        check_digits: one check for each printed check digit, in the layout's order.
        field_checks: one check for each field: characters, dates that exist, known codes. A warning is
            `undetermined` with a reason and fails nothing.
        check_digits_ok, fields_ok: whether none of them failed; warnings don't count.
    """

    __slots__ = (
        "_layout",
        "_prc",
        "_text",
        "_today",
        "birth_date",
        "check_digits",
        "check_digits_ok",
        "document_class",
        "document_code",
        "expiry_date",
        "field_checks",
        "fields_ok",
        "format",
        "issuing_state",
    )

    def __init__(self, judge: Judge, text: str, failing: int, misplaced: int, today: datetime.date) -> None:
        layout = judge.layout
        self._layout = layout
        self._text = text
        self._today = today
        self._prc = prc_parts(layout, text)
        self.format: MrzFormat = layout.format
        self.document_code: str = text[:2].rstrip("<")
        self.document_class: DocumentClass = document_class(layout.format, self.document_code)
        self.issuing_state: str = self._field("issuing_state") or _IMPLIED_STATE.get(layout.format, "")
        birth = birth_date(self._raw("birth_date"), today, self._prc.birth_century)
        expiry = self._raw("expiry_date")
        self.birth_date: MrzDate | None = birth
        self.expiry_date: MrzDate | None = (
            expiry_date(expiry, today, self._prc.expiry_century) if expiry else None
        )
        self.check_digits: tuple[FieldCheck, ...] = judge.check_digits(failing)
        self.field_checks: tuple[FieldCheck, ...] = judge.fields(
            text, misplaced, birth, self.expiry_date, self._prc.unreadable
        )
        self.check_digits_ok: bool = not failing & judge.fatal
        self.fields_ok: bool = self.field_checks is judge.fine or not any(
            check.result is Result.FAILED for check in self.field_checks
        )

    @property
    def lines(self) -> Sensitive[tuple[str, ...]]:
        """The lines as printed."""
        width = self._layout.width
        return Sensitive(tuple(self._text[at : at + width] for at in range(0, len(self._text), width)))

    def raw(self, field: str) -> Sensitive[str]:
        """A field by its name in the layout (`layouts.LAYOUTS`), with fillers; KeyError when absent."""
        start, stop = self._layout.spans[field]
        return Sensitive(self._text[start:stop])

    def fields(self) -> Sensitive[dict[str, str]]:
        """What `format_mrz` makes these lines of again: every field by its name in the layout."""
        found = {
            field.name: self._field(field.name)
            for field in self._layout.fields
            if not field.name.startswith("filler") and not field.name.endswith("_check")
        }
        if found.pop("name", None) is not None or self.format is MrzFormat.FRA_ID:
            found["surname"], found["given_names"] = self._names()
        if "sex" in found:
            found["sex"] = self.sex.reveal()
        found["document_number"] = self.document_number.reveal()
        if "optional_data" in found:
            found["optional_data"] = self.optional_data.reveal()
        if "chinese_name" in found and self._prc.chinese_name is not None and self.document_code != "CF":
            found["chinese_name"] = self._prc.chinese_name
        return Sensitive(found)

    @property
    def surname(self) -> Sensitive[str]:
        """The primary identifier, its components parted by spaces; the whole name where there is one only."""
        return Sensitive(self._names()[0])

    @property
    def given_names(self) -> Sensitive[str]:
        """The secondary identifier, its components parted by spaces."""
        return Sensitive(self._names()[1])

    @property
    def name_may_be_truncated(self) -> bool:
        """Whether a name fills its field to the last character: it may go on, or just fit."""
        if self._prc.omitted_letters:
            return True
        return any(self._raw(field)[-1:] not in {"", "<"} for field in ("name", "surname", "given_names"))

    @property
    def chinese_name(self) -> Sensitive[str] | None:
        """The name in Chinese characters that PRC documents code, as far as it is printed."""
        name = self._prc.chinese_name
        return None if name is None else Sensitive(name)

    @property
    def chinese_characters_omitted(self) -> int | None:
        """How many characters the printed Chinese name lacks at its end; None when that isn't said."""
        return self._prc.omitted

    @property
    def document_number(self) -> Sensitive[str]:
        """The document number, a long one of TD1 and TD2 put together (Doc 9303-5 §4.2.2.1 note j)."""
        return Sensitive(self._field("document_number") + self._continuation()[0])

    @property
    def nationality(self) -> Sensitive[str]:
        """Code without fillers; where the layout prints none, what the document implies (FRA, CHN)."""
        if self.format is MrzFormat.PRC_CARD and self.document_code == "CF":
            return Sensitive(self._text[CF_NATIONALITY].rstrip("<"))
        return Sensitive(_IMPLIED_NATIONALITIES.get(self.format) or self._field("nationality"))

    @property
    def sex(self) -> Sensitive[str]:
        """`M`, `F`, or `X` for unspecified; empty when the layout has none."""
        return Sensitive(self._raw("sex").replace("<", "X"))

    @property
    def optional_data(self) -> Sensitive[str]:
        """Optional data, the first of two in TD1, without what belongs to a long document number.

        On the PRC's card permits: the holder's Hong Kong, Macao or Taiwan identity number.
        """
        return Sensitive(self._field("optional_data")[self._continuation()[1] :])

    @property
    def optional_data_2(self) -> Sensitive[str]:
        """The second optional data of TD1."""
        return Sensitive(self._field("optional_data_2"))

    @property
    def issue_date(self) -> MrzDate | None:
        """Year and month of issue, which only the French identity card's number tells."""
        if self.format is not MrzFormat.FRA_ID:
            return None
        return birth_date(self._raw("document_number")[:4], self._today)

    @property
    def region(self) -> Region | None:
        """Which of the authorities that issue passports as CHN this one comes from; None where untold."""
        return region(self._layout, self._text)

    @property
    def specimen(self) -> bool:
        """Whether the issuing state exists on specimens only (UTO)."""
        country = COUNTRIES.get(self.issuing_state)
        return country is not None and country.specimen

    @property
    def valid(self) -> bool:
        """Whether nothing failed. A misread name can be valid all the same: no check digit covers it."""
        return self.check_digits_ok and self.fields_ok

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Every failure and warning: check digits first, then fields."""
        checks = (*self.check_digits, *self.field_checks)
        return tuple(check.reason for check in checks if check.reason is not None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mrz) and (self._text, self._today) == (other._text, other._today)

    def __hash__(self) -> int:
        return hash(self._text)

    def _raw(self, field: str) -> str:
        """A field as printed; empty when the layout has none."""
        start, stop = self._layout.spans.get(field, (0, 0))
        return self._text[start:stop]

    def _field(self, field: str) -> str:
        return self._raw(field).rstrip("<")

    def _names(self) -> tuple[str, str]:
        if self.format is MrzFormat.FRA_ID:
            return words(self._raw("surname")), words(self._raw("given_names"))
        return split_name(self._raw("name"))

    def _continuation(self) -> tuple[str, int]:
        """(rest of a long document number, how much of the optional data belongs to it)."""
        if self.format not in _LONG_NUMBERS or self._raw("document_number_check") != "<":
            return "", 0
        rest = self._raw("optional_data").partition("<")[0]
        if len(rest) < 2 or self._raw("document_number").endswith("<"):
            return "", 0
        return rest[:-1], len(rest) + 1


_LONG_NUMBERS: Final = frozenset({MrzFormat.TD1, MrzFormat.TD2})


def parse_mrz(lines: Sequence[str] | str, *, today: datetime.date) -> Mrz:
    """Parse and judge the lines of one MRZ, given one by one or as text with line ends.

    `today` decides which century two-digit years mean.

    Raises `DecodeError("mrz", code)`, and nothing else, for text that isn't an MRZ: "mrz.unknown_format",
    "mrz.driving_licence", "mrz.bad_character" (anything but `A`–`Z`, `0`–`9` and `<`). Wrong check digits and
    impossible dates are findings, not errors.
    """
    text = join_lines(lines)
    code, failing, misplaced = KERNEL.check(encode(text))
    if code < 0:
        raise DecodeError("mrz", "mrz.bad_character")
    if code == 0:
        raise unknown_format(text)
    return Mrz(JUDGES[code - 1], text, failing, misplaced, today)


def check_digit(text: str | bytes) -> int:
    """The check digit of `text`: weights 7, 3, 1 over digits, A to Z as 10 to 35, `<` as 0 (Doc 9303-3 §4.9).

    Raises `DecodeError` ("mrz.bad_character") for anything else.
    """
    found = _fastmrz.check_digit(encode(text) if isinstance(text, str) else text)
    if found < 0:
        raise DecodeError("mrz", "mrz.bad_character")
    return found

"""One MRZ, judged: typed fields behind the identity fence, and a check for each of them.

Sources: ICAO Doc 9303-3 to -7; for the PRC's documents GA/T 704.14-2015. Layouts: `edged.core.layouts`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core import _fastmrz
from edged.core._mrzfields import Parsed
from edged.core._mrzparse import Parser
from edged.core.countries import COUNTRIES
from edged.core.layouts import (
    FORMATS,
    KERNEL,
    SHAPES,
    MrzFormat,
    document_class,
    encode,
    join_lines,
    unknown_format,
)
from edged.core.mrz_checks import JUDGES, PRC_NUMBERS, FieldCheck
from edged.core.mrz_dates import MrzDate, birth_date
from edged.core.mrz_format import format_mrz
from edged.core.mrz_prc import CF_NAME, CF_NATIONALITY, Region, region
from edged.core.mrz_russian import RussianPassport, is_internal_passport
from edged.errors import DecodeError
from edged.identity import Sensitive

if TYPE_CHECKING:
    import datetime
    from collections.abc import Sequence

__all__ = [
    "FieldCheck",
    "Mrz",
    "MrzDate",
    "Region",
    "RussianPassport",
    "check_digit",
    "format_mrz",
    "parse_mrz",
]


class Mrz(Parsed):
    """A parsed MRZ of any layout; made by `parse_mrz`.

    Every field is text without trailing fillers, behind `Sensitive`; a field that the layout doesn't have is
    empty. What says only which kind of document this is (format, class, code, issuing state) is plain.

    Attributes:
        format: the layout.
        document_class: passport, identity card, visa, permit or unknown.
        document_code: as printed, without fillers ("P", "PO", "ID", "CS").
        issuing_state: code without fillers ("D" for Germany); CHN for permits that print none.
        lines: the lines as printed.
        surname: the primary identifier, its components parted by spaces; the whole name where there is one only.
        given_names: the secondary identifier, its components parted by spaces.
        document_number: a long one of TD1 and TD2 put together (Doc 9303-5 §4.2.2.1 note j).
        nationality: code without fillers; where the layout prints none, what the document implies (FRA, CHN).
        sex: `M`, `F`, or `X` for unspecified; empty when the layout has none.
        optional_data: the first of two in TD1, without what belongs to a long document number. On the PRC's card
            permits: the holder's Hong Kong, Macao or Taiwan identity number.
        birth_date, expiry_date: None when the layout has none (visas: valid until; `FRA_ID` has no expiry).
        check_digits: one check for each printed check digit, in the layout's order.
        field_checks: one check for each field: characters, dates that exist, known codes. A warning is
            `undetermined` with a reason and fails nothing.
        check_digits_ok, fields_ok: whether none of them failed; warnings don't count.
        valid: both. A misread name can be valid all the same: no check digit covers it.
        reasons: every failure and warning: check digits first, then fields.
    """

    __slots__ = ()

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
            found["surname"], found["given_names"] = self.surname.reveal(), self.given_names.reveal()
        if "sex" in found:
            found["sex"] = self.sex.reveal()
        found["document_number"] = self.document_number.reveal()
        if "optional_data" in found:
            found["optional_data"] = self.optional_data.reveal()
        if "chinese_name" in found and self._chinese_name is not None and self.document_code != "CF":
            found["chinese_name"] = self._chinese_name
        return Sensitive(found)

    @property
    def name_may_be_truncated(self) -> bool:
        """Whether a name fills its field to the last character: it may go on, or just fit."""
        if self._omitted_letters:
            return True
        return any(self._raw(field)[-1:] not in {"", "<"} for field in ("name", "surname", "given_names"))

    @property
    def never_expires(self) -> bool:
        """No MRZ can say so."""
        return False

    @property
    def chinese_name(self) -> Sensitive[str] | None:
        """The name in Chinese characters that PRC documents code, as far as it is printed."""
        return None if self._chinese_name is None else Sensitive(self._chinese_name)

    @property
    def chinese_characters_omitted(self) -> int | None:
        """How many characters the printed Chinese name lacks at its end; None when that isn't said."""
        return self._omitted

    @property
    def optional_data_2(self) -> Sensitive[str]:
        """The second optional data of TD1."""
        return Sensitive(self._field("optional_data_2"))

    @property
    def issue_date(self) -> MrzDate | None:
        """When it was issued: the French identity card tells year and month, the Russian internal passport the day."""
        russian = self.russian_passport
        if russian is not None:
            return russian.issue_date
        if self.format is not MrzFormat.FRA_ID:
            return None
        return birth_date(self._raw("document_number")[:4], self._today)

    @property
    def russian_passport(self) -> RussianPassport | None:
        """What only a Russian internal passport says; None for other documents."""
        if self.format is not MrzFormat.TD3 or not is_internal_passport(self._text):
            return None
        return RussianPassport(self.surname.reveal(), self.given_names.reveal(), self._text, self._today)

    @property
    def region(self) -> Region | None:
        """Which of the authorities that issue passports as CHN this one comes from; None where untold."""
        return region(self._layout, self._text)

    @property
    def specimen(self) -> bool:
        """Whether the issuing state exists on specimens only (UTO)."""
        country = COUNTRIES.get(self.issuing_state)
        return country is not None and country.specimen

    def _raw(self, field: str) -> str:
        """A field as printed; empty when the layout has none."""
        start, stop = self._layout.spans.get(field, (0, 0))
        return self._text[start:stop]

    def _field(self, field: str) -> str:
        return self._raw(field).rstrip("<")


_PARSER: Final = Parser(
    KERNEL, Mrz, JUDGES, tuple(COUNTRIES), PRC_NUMBERS, document_class, CF_NAME, CF_NATIONALITY
)


def parse_mrz(lines: Sequence[str] | str, *, today: datetime.date) -> Mrz:
    """Parse and judge the lines of one MRZ, given one by one or as text with line ends.

    `today` decides which century two-digit years mean.

    Raises `DecodeError("mrz", code)`, and nothing else, for text that isn't an MRZ: "mrz.unknown_format",
    "mrz.driving_licence", "mrz.bad_character" (anything but `A`–`Z`, `0`–`9` and `<`). Wrong check digits and
    impossible dates are findings, not errors.
    """
    found = _PARSER.parse(lines, today)
    return _parse_any(lines, today) if found is None else found


def _parse_any(lines: Sequence[str] | str, today: datetime.date) -> Mrz:
    """The long way: what isn't a list of plain lines, or no MRZ and must be told why."""
    text = join_lines(lines)
    code, _, _ = KERNEL.check(encode(text))
    if code < 0:
        raise DecodeError("mrz", "mrz.bad_character")
    if code == 0:
        raise unknown_format(text)
    width = SHAPES[FORMATS[code - 1]][1]
    found = _PARSER.parse([text[at : at + width] for at in range(0, len(text), width)], today)
    assert found is not None, "lines of a known layout"
    return found


def check_digit(text: str | bytes) -> int:
    """The check digit of `text`: weights 7, 3, 1 over digits, A to Z as 10 to 35, `<` as 0 (Doc 9303-3 §4.9).

    Raises `DecodeError` ("mrz.bad_character") for anything else.
    """
    found = _fastmrz.check_digit(encode(text) if isinstance(text, str) else text)
    if found < 0:
        raise DecodeError("mrz", "mrz.bad_character")
    return found

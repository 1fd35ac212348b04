"""Codes of issuing states and nationalities, with their names in English and Chinese.

One frozen table (`edged.core.country_table`), so that nothing depends on a names library at run time. A code
that isn't in it warns and never fails a document: codes are added faster than boxes are updated.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.core.country_table import ISO, SPECIAL

if TYPE_CHECKING:
    from collections.abc import Mapping


class Country(NamedTuple):
    """One code as an MRZ prints it, without fillers.

    `numeric` is ISO 3166-1's number, three digits, None where ISO has none; `specimen` marks a state that
    exists only on specimens.
    """

    code: str
    numeric: str | None
    english: str
    chinese: str
    specimen: bool = False


SPECIMEN_CODES: Final = frozenset({"UTO"})
"""Doc 9303's Utopia: a genuine document never carries it."""

COUNTRIES: Final[Mapping[str, Country]] = MappingProxyType(
    {
        **{code: Country(code, numeric, english, chinese) for code, numeric, english, chinese in ISO},
        **{
            code: Country(code, None, english, chinese, code in SPECIMEN_CODES)
            for code, english, chinese in SPECIAL
        },
    }
)
"""Every known code. Germany is there twice: `D`, as MRZs print it, and ISO's `DEU`."""


def known(code: str) -> bool:
    """Whether `code` (without fillers) is a state, organisation or status in the table."""
    return code in COUNTRIES


def name(code: str, lang: str) -> str:
    """The name for people: Chinese for `zh-CN`, English otherwise; an unknown code stands for itself."""
    country = COUNTRIES.get(code)
    if country is None:
        return code
    return country.chinese if lang == "zh-CN" else country.english

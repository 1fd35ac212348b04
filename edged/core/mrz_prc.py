"""What only the PRC's documents say: coded Chinese names, centuries of dates, mainland, Hong Kong or Macao.

Sources: GA/T 704.14-2015; the centuries on card permits agree with specimens.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from edged.core.layouts import LAYOUTS, Layout, MrzFormat
from edged.core.mrz_names import count_letter, decode_ga, decode_quwei
from edged.identity import Identity

if TYPE_CHECKING:
    from collections.abc import Mapping


class Region(StrEnum):
    """Which authority under the issuer `CHN` a passport comes from, as far as its number and data tell."""

    MAINLAND = "mainland"
    HONG_KONG = "hong_kong"
    MACAO = "macao"


class PrcParts(Identity):
    """The decoded parts of one MRZ; all None on documents of other issuers.

    Attributes:
        chinese_name: as far as it is printed; `omitted` counts the characters left out at its end.
        omitted_letters: how many letters the name in Latin letters lacks.
        birth_century, expiry_century: 19 or 20 where printed.
        unreadable: the document has a coded name that codes nothing.
    """

    __slots__ = (
        "birth_century",
        "chinese_name",
        "expiry_century",
        "omitted",
        "omitted_letters",
        "unreadable",
    )

    def __init__(
        self,
        chinese_name: str | None = None,
        omitted: int | None = None,
        *,
        omitted_letters: int | None = None,
        birth_century: int | None = None,
        expiry_century: int | None = None,
        unreadable: bool = False,
    ) -> None:
        self.chinese_name = chinese_name
        self.omitted = omitted
        self.omitted_letters = omitted_letters
        self.birth_century = birth_century
        self.expiry_century = expiry_century
        self.unreadable = unreadable


CF_NATIONALITY: Final = slice(45, 48)
"""Where a `CF` card has its holder's nationality: the second line, 15 to 18 (one source)."""
CF_NAME_WIDTH: Final = 12

_TD3_OPTIONAL_DATA: Final = slice(*LAYOUTS[MrzFormat.TD3].spans["optional_data"])
_NONE: Final = PrcParts()
_PASSPORT_DATA: Final = re.compile(r"((?:[A-P]{4}){1,3}<{0,8})([A-P])([0-9])")
_PASSPORT_CENTURY: Final = {"9": 19, "0": 20}
_CARD_CENTURY: Final = {"B": 19, "C": 20}
_HOME_RETURN_CENTURY: Final = {"1": 19, "2": 20}
_HKID: Final = re.compile(r"[A-Z]{1,2}[0-9]{7}<*")


def prc_parts(layout: Layout, text: str) -> PrcParts:
    """Decode the Chinese name and the centuries of an MRZ's joined text."""
    if layout.format is MrzFormat.TD3:
        return _passport(text[_TD3_OPTIONAL_DATA]) if text.startswith("CHN", 2) else _NONE
    if layout.format is MrzFormat.PRC_CARD:
        return _card(layout.spans, text)
    if layout.format is MrzFormat.PRC_HOME_RETURN:
        return _home_return(layout.spans, text)
    return _NONE


def _passport(optional_data: str) -> PrcParts:
    """Three characters, how many more there are, the last digit of the birth's century (19xx: 9)."""
    match = _PASSPORT_DATA.fullmatch(optional_data)
    name = decode_ga(match[1]) if match else None
    if match is None or name is None:  # Hong Kong and Macao print an identity number there
        return _NONE
    return PrcParts(name, count_letter(match[2]), birth_century=_PASSPORT_CENTURY.get(match[3]))


def _card(spans: Mapping[str, tuple[int, int]], text: str) -> PrcParts:
    raw = text[slice(*spans["chinese_name"])]
    century = _CARD_CENTURY.get(text[spans["birth_century"][0]])
    if text.startswith("CF"):  # where it counts omitted characters isn't known
        raw = raw[:CF_NAME_WIDTH]
        name = decode_ga(raw)
        return PrcParts(name, birth_century=century, unreadable=name is None and raw.strip("<") != "")
    name = decode_ga(raw)
    return PrcParts(
        name,
        count_letter(text[spans["omitted_characters"][0]]),
        omitted_letters=count_letter(text[spans["omitted_letters"][0]]),
        birth_century=century,
        unreadable=name is None,
    )


def _home_return(spans: Mapping[str, tuple[int, int]], text: str) -> PrcParts:
    name = decode_quwei(text[slice(*spans["chinese_name"])])
    omitted = text[spans["omitted_characters"][0]]
    return PrcParts(
        name,
        int(omitted) if omitted.isdecimal() else None,
        birth_century=_HOME_RETURN_CENTURY.get(text[spans["birth_century"][0]]),
        expiry_century=_HOME_RETURN_CENTURY.get(text[spans["expiry_century"][0]]),
        unreadable=name is None,
    )


def region(layout: Layout, text: str) -> Region | None:
    """Mainland, Hong Kong or Macao, all of which issue passports as `CHN`; None where it can't be told.

    A rule of thumb: mainland passports print a coded Chinese name, Hong Kong's an identity number beside a
    number that starts with K or H, Macao's a number that starts with M.
    """
    if layout.format is not MrzFormat.TD3 or not text.startswith("CHN", 2):
        return None
    optional_data = text[_TD3_OPTIONAL_DATA]
    if _PASSPORT_DATA.fullmatch(optional_data):
        return Region.MAINLAND
    first = text[layout.spans["document_number"][0]]
    if first in "KH" and _HKID.fullmatch(optional_data):
        return Region.HONG_KONG
    return Region.MACAO if first == "M" else None

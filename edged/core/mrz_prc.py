"""What only the PRC's documents say: mainland, Hong Kong or Macao, and where `CF` cards differ from their layout.

Coded Chinese names and printed centuries are read in `edged.core._mrzparse`. Sources: GA/T 704.14-2015; the centuries
on card permits agree with specimens.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from edged.core.layouts import LAYOUTS, Layout, MrzFormat


class Region(StrEnum):
    """Which authority under the issuer `CHN` a passport comes from, as far as its number and data tell."""

    MAINLAND = "mainland"
    HONG_KONG = "hong_kong"
    MACAO = "macao"


CF_NAME: Final = (30, 42)
"""Where a `CF` card has its holder's Chinese name: three characters on the second line."""
CF_NATIONALITY: Final = (45, 48)
"""Where a `CF` card has its holder's nationality: the second line, 15 to 18 (one source)."""

_TD3_OPTIONAL_DATA: Final = slice(*LAYOUTS[MrzFormat.TD3].spans["optional_data"])
_PASSPORT_DATA: Final = re.compile(r"((?:[A-P]{4}){1,3}<{0,8})([A-P])([0-9])")
_HKID: Final = re.compile(r"[A-Z]{1,2}[0-9]{7}<*")


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

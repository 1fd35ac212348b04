"""The files of an eMRTD: names, identifiers, tags (Doc 9303-10 §3, §4.6, §4.7)."""

from __future__ import annotations

from enum import Enum
from typing import Final, Self

APPLICATION: Final = bytes.fromhex("A0000002471001")
"""AID of the eMRTD application (Doc 9303-10 §3.6)."""


class ElementaryFile(Enum):
    """One EF. The value is its name in reports.

    Attributes:
        fid: file identifier.
        sfi: short file identifier.
        tag: of the data object that the file is; None for files made of several or of bare ASN.1.
    """

    fid: int
    sfi: int
    tag: int | None

    def __new__(cls, name: str, fid: int, sfi: int, tag: int | None) -> Self:
        """A member whose value is the name alone."""
        member = object.__new__(cls)
        member._value_ = name
        member.fid, member.sfi, member.tag = fid, sfi, tag
        return member

    CARD_ACCESS = "EF.CardAccess", 0x011C, 0x1C, None  # under the master file
    CARD_SECURITY = "EF.CardSecurity", 0x011D, 0x1D, None  # under the master file
    COM = "EF.COM", 0x011E, 0x1E, 0x60
    SOD = "EF.SOD", 0x011D, 0x1D, 0x77
    DG1 = "DG1", 0x0101, 0x01, 0x61
    DG2 = "DG2", 0x0102, 0x02, 0x75
    DG3 = "DG3", 0x0103, 0x03, 0x63
    DG4 = "DG4", 0x0104, 0x04, 0x76
    DG5 = "DG5", 0x0105, 0x05, 0x65
    DG6 = "DG6", 0x0106, 0x06, 0x66
    DG7 = "DG7", 0x0107, 0x07, 0x67
    DG8 = "DG8", 0x0108, 0x08, 0x68
    DG9 = "DG9", 0x0109, 0x09, 0x69
    DG10 = "DG10", 0x010A, 0x0A, 0x6A
    DG11 = "DG11", 0x010B, 0x0B, 0x6B
    DG12 = "DG12", 0x010C, 0x0C, 0x6C
    DG13 = "DG13", 0x010D, 0x0D, 0x6D
    DG14 = "DG14", 0x010E, 0x0E, 0x6E
    DG15 = "DG15", 0x010F, 0x0F, 0x6F
    DG16 = "DG16", 0x0110, 0x10, 0x70

    @property
    def number(self) -> int | None:
        """The data group's number, None for other files."""
        return int(self.value[2:]) if self.value.startswith("DG") else None


_BY_NUMBER: Final = {file.number: file for file in ElementaryFile if file.number is not None}


def data_group(number: int) -> ElementaryFile | None:
    """The data group with this number, 1 to 16; None for any other number."""
    return _BY_NUMBER.get(number)


GUARDED: Final = frozenset((ElementaryFile.DG3, ElementaryFile.DG4))
"""Fingerprints and irises: opened by terminal authentication alone, which edged doesn't do. They are left alone."""

DATA_GROUP_OF_TAG: Final = {file.tag: file for file in ElementaryFile if file.number is not None}
"""By the tag that EF.COM lists (Doc 9303-10 Table 36)."""

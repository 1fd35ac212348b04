"""What opens a chip: three fields of the MRZ, or the card access number printed on a card (Doc 9303-11 §4.2, §9.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.core.mrz import check_digit
from edged.errors import DecodeError
from edged.identity import Identity

if TYPE_CHECKING:
    from edged.core.mrz import Mrz

MAX_CAN_DIGITS = 16
"""Doc 9303 prints six; other schemes print more, and a chip takes any."""


class AccessKey(Identity):
    """A password for PACE and, when it comes from an MRZ, for BAC.

    Attributes:
        reference: password reference of PACE's MSE:Set AT: 1 MRZ, 2 CAN (Doc 9303-11 §4.4.4.1).
    """

    __slots__ = ("_octets", "reference")

    def __init__(self, octets: bytes, reference: int) -> None:
        self._octets = octets
        self.reference = reference

    @property
    def opens_bac(self) -> bool:
        """Whether BAC can be done with it: never with a CAN."""
        return self.reference == MRZ_PASSWORD

    def octets(self) -> bytes:
        """The MRZ information (number, birth date, expiry date, each with its check digit), or the CAN's digits."""
        return self._octets


MRZ_PASSWORD = 1
CAN_PASSWORD = 2


def mrz_key(document_number: str, birth_date: str, expiry_date: str) -> AccessKey:
    """The key from the three fields as printed, fillers included, dates as YYMMDD (Doc 9303-11 §4.3.2, App. D.2).

    A number of less than nine characters is filled up; a longer one (TD1's long number) is taken whole.
    Raises `DecodeError` ("mrz", …) for characters that no MRZ has.
    """
    fields = (document_number.ljust(9, "<"), birth_date, expiry_date)
    return AccessKey("".join(f"{field}{check_digit(field)}" for field in fields).encode(), MRZ_PASSWORD)


def key_of_mrz(mrz: Mrz) -> AccessKey | None:
    """The key that a parsed MRZ gives, None when the layout lacks a birth date or an expiry date."""
    birth, expiry = mrz.birth_date, mrz.expiry_date
    if birth is None or expiry is None:
        return None
    return mrz_key(mrz.document_number.reveal(), birth.raw, expiry.raw)


def can_key(digits: str) -> AccessKey:
    """The key from a card access number. Raises `DecodeError` ("can", "chip.bad_can") for anything but digits."""
    if not (digits.isascii() and digits.isdigit() and len(digits) <= MAX_CAN_DIGITS):
        raise DecodeError("can", "chip.bad_can")
    return AccessKey(digits.encode(), CAN_PASSWORD)

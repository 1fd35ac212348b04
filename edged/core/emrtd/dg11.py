"""DG11: additional personal details (Doc 9303-10 §4.7.11). The PRC's cards keep the Chinese name here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.core.emrtd.details import Details, day_of
from edged.core.emrtd.files import ElementaryFile

if TYPE_CHECKING:
    import datetime


class HolderDetails(Details):
    """What a chip says about its holder beyond the MRZ. Everything may be absent: None, or empty.

    Attributes:
        full_name: in the holder's own script, as stored: `<<` between the two identifiers where there are two.
        other_names: likewise.
        personal_number: as stored.
        birth_digits: the full date of birth, YYYYMMDD; unknown parts are zeros.
        birth_place, address: parts, the most particular first or last as the issuer likes.
        telephone, profession, title, summary, custody: free texts.
        citizenship_proof: an image file.
        other_documents: numbers of other valid travel documents.
    """

    __slots__ = (
        "address",
        "birth_digits",
        "birth_place",
        "citizenship_proof",
        "custody",
        "full_name",
        "other_documents",
        "other_names",
        "personal_number",
        "profession",
        "summary",
        "telephone",
        "title",
    )

    def __init__(self, dg11: bytes | memoryview) -> None:
        assert ElementaryFile.DG11.tag is not None
        super().__init__(dg11, ElementaryFile.DG11.tag, "dg11")
        self.full_name = self._text(0x5F0E, "full_name")
        self.other_names = self._texts(0x5F0F, "other_names")
        self.personal_number = self._text(0x5F10, "personal_number")
        self.birth_digits = self._digits(0x5F2B, "birth_date", 8)
        self.birth_place = self._parts(0x5F11, "birth_place")
        self.address = self._parts(0x5F42, "address")
        self.telephone = self._text(0x5F12, "telephone")
        self.profession = self._text(0x5F13, "profession")
        self.title = self._text(0x5F14, "title")
        self.summary = self._text(0x5F15, "summary")
        self.citizenship_proof = self._octets(0x5F16)
        self.other_documents = self._parts(0x5F17, "other_documents")
        self.custody = self._text(0x5F18, "custody")

    @property
    def birth_date(self) -> datetime.date | None:
        """The full date of birth; None when it isn't given or a part of it is unknown. Raw identity: don't keep it."""
        return None if self.birth_digits is None else day_of(self.birth_digits.reveal())


def parse_dg11(dg11: bytes | memoryview) -> HolderDetails:
    """Raises `DecodeError` ("dg11", "tlv.…" | "details.…"). A field that can't be read is named in `unreadable`."""
    return HolderDetails(dg11)

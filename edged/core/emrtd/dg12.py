"""DG12: additional document details (Doc 9303-10 §4.7.12)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.core.emrtd.details import Details, day_of
from edged.core.emrtd.files import ElementaryFile

if TYPE_CHECKING:
    import datetime


class DocumentDetails(Details):
    """What a chip says about its document beyond the MRZ. Everything may be absent: None, or empty.

    Attributes:
        authority: who issued it.
        issue_digits: when, YYYYMMDD.
        other_persons: names as in DG11.
        endorsements, exit_requirements: free texts.
        front, rear: image files of the document.
        personalised_digits: when the chip was written, YYYYMMDDhhmmss.
        system: serial number of what wrote it.
    """

    __slots__ = (
        "authority",
        "endorsements",
        "exit_requirements",
        "front",
        "issue_digits",
        "other_persons",
        "personalised_digits",
        "rear",
        "system",
    )

    def __init__(self, dg12: bytes | memoryview) -> None:
        assert ElementaryFile.DG12.tag is not None
        super().__init__(dg12, ElementaryFile.DG12.tag, "dg12")
        self.authority = self._text(0x5F19, "authority")
        self.issue_digits = self._digits(0x5F26, "issue_date", 8)
        self.other_persons = self._texts(0x5F1A, "other_persons")
        self.endorsements = self._text(0x5F1B, "endorsements")
        self.exit_requirements = self._text(0x5F1C, "exit_requirements")
        self.front = self._octets(0x5F1D)
        self.rear = self._octets(0x5F1E)
        self.personalised_digits = self._digits(0x5F55, "personalised", 14)
        self.system = self._text(0x5F56, "system")

    @property
    def issue_date(self) -> datetime.date | None:
        """When the document was issued; None when that isn't given or is no day. Raw identity: don't keep it."""
        return None if self.issue_digits is None else day_of(self.issue_digits.reveal())


def parse_dg12(dg12: bytes | memoryview) -> DocumentDetails:
    """Raises `DecodeError` ("dg12", "tlv.…" | "details.…"). A field that can't be read is named in `unreadable`."""
    return DocumentDetails(dg12)

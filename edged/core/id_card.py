"""A Chinese ID card as its SAM module delivers it: typed fields behind the identity fence, and a check for each."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from edged.identity import Identity

if TYPE_CHECKING:
    from edged.core.document import DocumentData
    from edged.verdict import Check


class IdCardKind(StrEnum):
    """Which of the four text layouts (GA/T 467, type flag at octet 248)."""

    CITIZEN = "citizen_id_card"
    PERMANENT_RESIDENT_2017 = "permanent_resident_card_2017"
    PERMANENT_RESIDENT_2023 = "permanent_resident_card_2023"
    RESIDENCE_PERMIT = "residence_permit"


class IdCardReading(Identity):
    """What one card says.

    Attributes:
        kind: which card it is.
        data: its fields, for judging and disclosure.
        checks: id_card_read, id_card_number, id_card_fields.
    """

    __slots__ = ("checks", "data", "kind")

    def __init__(self, kind: IdCardKind, data: DocumentData, checks: tuple[Check, ...]) -> None:
        self.kind = kind
        self.data = data
        self.checks = checks

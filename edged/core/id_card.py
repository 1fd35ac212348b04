"""A Chinese ID card as its SAM module delivers it: typed fields behind the identity fence, and a check for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core.id_card_nations import NATIONS
from edged.core.id_card_rules import (
    DOUBTS,
    SEXES,
    dates_of,
    digit_check,
    field_checks,
    never_expires,
    number_checks,
    number_of,
)
from edged.core.id_card_text import PADDING, IdCardKind, fields_of, kind_of
from edged.core.layouts import DocumentClass
from edged.identity import Identity, Sensitive
from edged.verdict import Check, Reason, Result

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable, Mapping

    from edged.core.mrz_checks import FieldCheck

__all__ = [
    "IdCardData",
    "IdCardKind",
    "IdCardPhoto",
    "IdCardReading",
    "parse_id_card",
    "speaks_against",
    "unread_check",
]

MAX_ADDRESS: Final = 4096
"""Octets of an additional address that are looked at: a card holds four of 35 characters each."""

_NOT_GENUINE: Final = frozenset({"idcard.card_not_genuine", "idcard.data_not_genuine"})
"""Why a card was not read that speak against the card itself."""


class IdCardPhoto(Identity):
    """The portrait as the chip has it: octets in a closed format (WLT) that a licensed decoder alone can open.

    They are overwritten by `forget`, and at the latest when nobody refers to them any more.
    """

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes | bytearray | memoryview) -> None:
        self._octets = bytearray(octets)

    def __len__(self) -> int:
        return len(self._octets)

    def reveal(self) -> memoryview:
        """The octets, for a decoder, in memory; all zero once they are forgotten."""
        return memoryview(self._octets)

    def forget(self) -> None:
        """Overwrite the octets."""
        self._octets[:] = bytes(len(self._octets))

    def __del__(self) -> None:
        self.forget()


class IdCardData(Identity):
    """The fields of one card, `edged.core.document.DocumentData`; made by `parse_id_card`.

    What a layout doesn't have is empty. No claim of `edged.privacy.policy` names what the interface doesn't have:
    address, nation and photo can't be disclosed.

    Attributes:
        kind: which layout.
        document_class: identity card for citizens, permit for the others.
        document_code, issuing_state: `I`, `CHN`.
        surname, given_names: of the English name, parted at its comma; without one, and on cards that have the Chinese
            name alone, the whole name is the surname.
        chinese_name: None where a permanent resident has none.
        nationality: alpha-3; CHN where the layout has none.
        sex: `M`, `F`, or `X` for unknown and not stated; empty when it is no known code.
        birth_date, issue_date, expiry_date: with the century that the card names. `expiry_date` is None when the card
            never expires.
        never_expires: whether the card says 长期 instead of a day: it is valid for ever.
        nation: the name of the citizen's nationality (汉, …), empty when the code isn't known.
        address, authority: as written; `authority` is a code of four figures on the card of 2017.
        additional_address: what was written to the card after a move; only when it was asked for.
        permit_number: of the travel permit that a residence permit goes with.
        card_version: of the card of 2017, two figures.
        issue_count: how often the card was issued or renewed, two figures.
        earlier_number: a permanent resident's number on the card before 2023; None where the card doesn't tell.
        photo: the portrait.
        check_digits: one, for `document_number`.
        field_checks: one for each field, then one for each contradiction between the number and a field.
    """

    def __init__(
        self, kind: IdCardKind, fields: Mapping[str, str], photo: IdCardPhoto, today: datetime.date
    ) -> None:
        number = number_of(fields["document_number"])
        dates = dates_of(kind, fields, today)
        at_home = kind is IdCardKind.CITIZEN
        surname, given_names = _names(fields)
        self.kind = kind
        self.document_class = DocumentClass.IDENTITY_CARD if at_home else DocumentClass.PERMIT
        self.document_code = "I"
        self.issuing_state = "CHN"
        self.surname = Sensitive(surname)
        self.given_names = Sensitive(given_names)
        self.chinese_name = Sensitive(fields["chinese_name"]) if fields["chinese_name"] else None
        self.document_number = Sensitive(fields["document_number"])
        self.nationality = Sensitive(fields.get("nationality", "CHN"))
        self.sex = Sensitive(SEXES.get(fields["sex"], ""))
        self.birth_date = dates.birth
        self.issue_date = dates.issued
        self.expiry_date = dates.expires
        self.never_expires = never_expires(kind, fields)
        self.nation = Sensitive(NATIONS.get(fields.get("nation", ""), ""))
        self.address = Sensitive(fields.get("address", ""))
        self.authority = Sensitive(fields.get("authority", ""))
        self.additional_address = Sensitive(fields.get("additional_address", ""))
        self.permit_number = Sensitive(fields.get("permit_number", ""))
        self.card_version = Sensitive(fields.get("card_version", ""))
        self.issue_count = Sensitive(fields.get("issue_count", ""))
        earlier = number.earlier_number(fields.get("link", "")) if number is not None else None
        self.earlier_number = None if earlier is None else earlier.number
        self.photo = photo
        self.check_digits = (digit_check(kind, number),)
        self._of_fields = field_checks(kind, fields, dates)
        self._of_number = number_checks(kind, fields, number, today)

    @property
    def field_checks(self) -> tuple[FieldCheck, ...]:
        """Of the fields, then of what the number repeats."""
        return self._of_fields + self._of_number

    def checks(self) -> tuple[Check, Check, Check]:
        """id_card_read, id_card_number, id_card_fields."""
        return (
            Check("id_card_read", Result.SUCCESSFUL),
            _summed("id_card_number", (*self.check_digits, *self._of_number)),
            _summed("id_card_fields", self._of_fields),
        )


class IdCardReading(Identity):
    """What one card says.

    Attributes:
        kind: which card it is.
        data: its fields, for judging and disclosure.
        checks: id_card_read, id_card_number, id_card_fields.
    """

    __slots__ = ("checks", "data", "kind")

    def __init__(self, kind: IdCardKind, data: IdCardData, checks: tuple[Check, ...]) -> None:
        self.kind = kind
        self.data = data
        self.checks = checks

    def forget(self) -> None:
        """Overwrite the photo, which is the one thing here that can be."""
        self.data.photo.forget()


def parse_id_card(
    text: bytes | bytearray | memoryview,
    photo: bytes | bytearray | memoryview,
    *,
    today: datetime.date,
    additional_address: bytes | bytearray | memoryview = b"",
) -> IdCardReading:
    """Parse and judge what a SAM module delivered: 256 octets of text, the photo, and more of the address.

    `today` only decides whether a birth lies in the future. The caller overwrites its own buffers.

    Raises `DecodeError("id_card", code)`, and nothing else, for what is no card's text: "idcard.text_length",
    "idcard.unknown_kind". Wrong check digits and impossible dates are findings, not errors.
    """
    kind = kind_of(text)
    fields = fields_of(text).reveal()
    if additional_address:
        more = memoryview(additional_address)[: min(len(additional_address), MAX_ADDRESS) // 2 * 2]
        if written := str(more, "utf-16-le", "replace").strip(PADDING):
            fields["additional_address"] = written
    data = IdCardData(kind, fields, IdCardPhoto(photo), today)
    return IdCardReading(kind, data, data.checks())


def unread_check(reason: Reason) -> Check:
    """`id_card_read` of a card that was not read: failed where the module says that it isn't genuine."""
    return Check(
        "id_card_read", Result.FAILED if reason.code in _NOT_GENUINE else Result.UNDETERMINED, (reason,)
    )


def speaks_against(reason: Reason) -> bool:
    """Whether a card that was not read for this reason is judged all the same: it isn't genuine."""
    return reason.code in _NOT_GENUINE


def _names(fields: Mapping[str, str]) -> tuple[str, str]:
    """Surname and given names of the one name that a card has, or of the English one of two."""
    if "english_name" not in fields:
        return fields["chinese_name"], ""
    surname, _, given = fields["english_name"].partition(",")
    return " ".join(surname.split()), " ".join(given.split())


def _summed(name: str, checks: Iterable[FieldCheck]) -> Check:
    """One check of many: failed when one of them is, undetermined when there is a doubt; warnings don't count."""
    found = tuple(checks)
    told: list[Reason] = []
    for one in found:
        if one.reason is not None and one.reason not in told:
            told.append(one.reason)
    if any(one.result is Result.FAILED for one in found):
        return Check(name, Result.FAILED, tuple(told))
    doubted = any(reason.code in DOUBTS for reason in told)
    return Check(name, Result.UNDETERMINED if doubted else Result.SUCCESSFUL, tuple(told))

"""One lodging record: what the document says and what the clerk typed, by the form's rules, sealed when it is complete.

Raw identity goes in, and comes out sealed to one recipient or not at all. Values live in buffers that are overwritten
(`HeldFields`); a fault names a field and a rule, never a value.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from edged.identity import Identity
from edged.lodging.form import BY_NAME, FIELDS, needed
from edged.lodging.rules import EntryError, entered, fitted_names
from edged.sealing import Sealed, seal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from edged.privacy.held import HeldFields

FORM: Final = "lodging/1"
"""Which form the plaintext has (`docs/schemas/lodging-record.schema.json`)."""

OLDEST: Final = timedelta(days=130 * 366)
"""Nobody who lodges is older."""

MOST_LATE: Final = timedelta(days=366)
"""An arrival longer ago is a typing error: registration is due within a day."""

LONGEST_STAY: Final = timedelta(days=5 * 366)
"""From arrival to planned departure: as long as residence permits hold."""

LAST_YEAR: Final = 2200
"""No visa holds longer."""

NAME_FIELDS_OF_MRZS: Final = (30, 31, 39)
"""Characters of the name fields of machine-readable lines (Doc 9303-4 to -7): a name that fills one may be cut."""

HONG_KONG, MACAU, TAIWAN = "HKG", "MAC", "TWN"
_RESIDENCE: Final = {"81": HONG_KONG, "82": MACAU, "83": TAIWAN}
"""First figures of the number of a residence permit (GB/T 2260 address codes 810000, 820000, 830000)."""

_SCRATCH: Final = 2048
"""Bytes the plaintext's buffer begins with: a full record has less, so it isn't moved, leaving a copy."""


@dataclass(frozen=True)
class Fault:
    """Why a field can't go into the record as it is. `code` is a sentence that says what to type."""

    field: str
    code: str
    params: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Entry(Identity):
    """A record as far as it has come.

    Attributes:
        faults: in the order of the form, at most one a field.
        missing: names of fields that must be filled in and aren't.
        review: names of fields that were read and that the clerk should compare with the document.
        typed: names of fields that the clerk gave.
        arrival: day of arrival, once there is a good one.
    """

    __slots__ = ("_values", "arrival", "faults", "missing", "review", "typed")

    def __init__(
        self,
        values: dict[str, str],
        faults: tuple[Fault, ...],
        typed: tuple[str, ...],
        review: tuple[str, ...],
    ) -> None:
        self._values = values
        self.faults = faults
        self.typed = typed
        self.review = review
        wrong = {fault.field for fault in faults}
        self.missing = tuple(
            name for name in needed(values.get("document_kind")) if name not in values and name not in wrong
        )
        arrival = values.get("arrival_date")
        self.arrival = None if arrival is None or "arrival_date" in wrong else date.fromisoformat(arrival)

    @property
    def complete(self) -> bool:
        """Whether it may be sealed."""
        return not self.faults and not self.missing

    @property
    def filled(self) -> tuple[str, ...]:
        """Names of fields that have a value, in the order of the form."""
        return tuple(one.name for one in FIELDS if one.name in self._values)

    def sealed(
        self,
        record_id: str,
        key: EllipticCurvePublicKey,
        context: tuple[str, ...],
        *,
        corrects: str | None = None,
    ) -> Sealed:
        """The record, sealed to the holder of `key`. Raises `ValueError` for one that isn't complete.

        `context`: fleet, device, audience, policy's hash, record id (`edged.sealing`). `corrects`: the record that this
        one replaces.
        """
        if not self.complete:
            raise ValueError("half a record never leaves")
        plaintext = bytearray(_SCRATCH)
        try:
            _ENCODER.encode_into(
                {
                    "form": FORM,
                    "record_id": record_id,
                    "corrects": corrects,
                    "fields": {one.name: self._values.get(one.name) for one in FIELDS},
                    "typed": self.typed,
                },
                plaintext,
            )
            return seal(plaintext, key, what="record", context=context)
        finally:
            plaintext[:] = bytes(len(plaintext))


_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def entry(held: HeldFields, typed: HeldFields, *, host: str, today: date | None) -> Entry:
    """What document, clerk and configuration (`host`, 接待单位) come to; what was typed counts before what was read.

    `today` is None while the clock can't be believed: then nothing is compared with it. Typed names are of `FIELDS`.
    """
    values, faults = _read(held), {}
    review = tuple(name for name in values if name.startswith("english_")) if _perhaps_cut(held) else ()
    given = {name: text for name in typed.names if (text := typed.reveal(name))}
    for name, text in {"host": host, **given}.items():
        try:
            values[name] = entered(BY_NAME[name], text)
        except EntryError as error:
            values.pop(name, None)
            faults[name] = Fault(name, error.code, error.params)
    _fit_names(values)
    if "country" not in given:
        _derive_country(values)
    for fault in _contradictions(values, today):
        faults.setdefault(fault.field, fault)
    in_order = tuple(faults[one.name] for one in FIELDS if one.name in faults)
    return Entry(values, in_order, tuple(name for name in given if name in values), review)


FROM_DOCUMENT: Final = {
    "surname": "english_surname",
    "given_names": "english_given_names",
    "chinese_name": "chinese_name",
    "sex": "sex",
    "birth_date": "birth_date",
    "nationality": "country",
    "document_number": "document_number",
}
"""Fields of a document and of the form."""


def _read(held: HeldFields) -> dict[str, str]:
    """What the document says, as far as the rules take it: what they don't is left for the clerk to type."""
    values = {}
    kind = document_kind_of(held)
    if kind is not None:
        values["document_kind"] = kind
    for name, of_form in FROM_DOCUMENT.items():
        text = held.reveal(name)
        if text:
            try:
                values[of_form] = entered(BY_NAME[of_form], text)
            except EntryError:
                continue  # a Chinese name where the card has no other, for one
    return values


def document_kind_of(held: HeldFields) -> str | None:
    """Which of `DOCUMENT_KINDS` the document is; None when the clerk has to say it.

    By document code and issuer, `docs/lodging.md` has the table. Documents of mainland residents are none of them.
    """
    code, state = held.reveal("document_code") or "", held.reveal("issuing_state") or ""
    match held.reveal("document_class"):
        case "passport" if state == "CHN":
            return "overseas_chinese_passport"
        case "passport" if state and state != TAIWAN:
            return "foreign_passport"
        case "permit" if code in ("CR", "C"):
            return "hk_macau_permit"
        case "permit" if code == "CF":
            return "hk_macau_permit_foreign"
        case "permit" if code == "CT":
            return "taiwan_permit"
        case "permit" if code == "I" and state == "CHN":
            at_home = held.reveal("nationality") == "CHN"
            return "hk_macau_taiwan_residence_permit" if at_home else "permanent_resident_card"
        case _:
            return None


def _derive_country(values: dict[str, str]) -> None:
    """国家地区 of people of Hong Kong, Macau and Taiwan: their documents say CHN, or nothing."""
    number = values.get("document_number", "")
    match values.get("document_kind"):
        case "taiwan_permit":
            values["country"] = TAIWAN
        case "hk_macau_permit" if number[:1] in ("H", "M"):
            values["country"] = HONG_KONG if number[0] == "H" else MACAU
        case "hk_macau_taiwan_residence_permit" if number[:2] in _RESIDENCE:
            values["country"] = _RESIDENCE[number[:2]]
        case "overseas_chinese_passport":
            values["country"] = "CHN"


def _fit_names(values: dict[str, str]) -> None:
    surname, given = fitted_names(values.pop("english_surname", ""), values.pop("english_given_names", ""))
    values |= {
        name: text for name, text in (("english_surname", surname), ("english_given_names", given)) if text
    }


def _perhaps_cut(held: HeldFields) -> bool:
    """Whether the name fills a machine-readable line: then the visual zone, which governs, may say more."""
    surname, given = held.reveal("surname") or "", held.reveal("given_names") or ""
    letters = len(surname) + len(given) + (2 if surname and given else 0)
    return letters in NAME_FIELDS_OF_MRZS


def _contradictions(values: Mapping[str, str], today: date | None) -> list[Fault]:
    """Days that can't be, or not in this order."""
    found = []

    def of(name: str) -> date | None:
        text = values.get(name)
        return None if text is None or len(text) != len("2026-08-01") else date.fromisoformat(text)

    def wrong(name: str, code: str, **params: str) -> None:
        found.append(Fault(name, code, params))

    born = values.get("birth_date")
    entry_day, until = of("entry_date"), of("stay_until")
    arrival, departure = of("arrival_date"), of("departure_date")
    latest = arrival or entry_day or today
    if born is not None and latest is not None:
        earliest = (latest - OLDEST).isoformat()
        if not earliest[: len(born)] <= born <= latest.isoformat()[: len(born)]:
            wrong("birth_date", "lodging.birth_impossible")
    if arrival is not None and today is not None:
        if arrival > today:
            wrong("arrival_date", "lodging.arrival_in_future")
        elif arrival < today - MOST_LATE:
            wrong("arrival_date", "lodging.arrival_too_old")
    if entry_day is not None and arrival is not None and entry_day > arrival:
        wrong("entry_date", "lodging.entry_after_arrival")
    if entry_day is not None and today is not None and entry_day > today:
        wrong("entry_date", "lodging.entry_in_future")
    if entry_day is not None and until is not None and until < entry_day:
        wrong("stay_until", "lodging.stay_ends_before_entry")
    elif until is not None and until.year > LAST_YEAR:
        wrong("stay_until", "lodging.stay_too_long")
    if departure is not None and arrival is not None:
        if departure < arrival:
            wrong("departure_date", "lodging.departure_before_arrival")
        elif departure > arrival + LONGEST_STAY:
            wrong("departure_date", "lodging.stay_too_long")
    return found

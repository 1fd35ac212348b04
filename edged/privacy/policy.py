"""What an audience may learn: policies, the ceiling over them, and the one function that applies them.

A policy names claims and an action for each; a claim it doesn't name is dropped. `CEILING` is compiled in
and bounds every policy, whoever signed it: direct identifiers never leave the box in clear.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from edged.errors import ConfigError
from edged.privacy.masks import mask_name, mask_number
from edged.verdict import Result

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from edged.core.document import DocumentData
    from edged.core.mrz_dates import MrzDate
    from edged.identity import Sensitive
    from edged.privacy.pseudonym import Pseudonymiser

ADULT: Final = 18
"""Years of age from which `age_over_18` is true."""

WITHHELD: Final = "withheld"
"""Key beside the claims: claim name to the reason why its value is null."""

ClaimValue = str | bool | None | dict[str, str]


class Action(StrEnum):
    """What becomes of a claim on its way to an audience."""

    DROP = "drop"
    KEEP = "keep"
    MASK = "mask"
    GENERALISE = "generalise"
    PSEUDONYMISE = "pseudonymise"


CEILING: Final[Mapping[str, Action | None]] = MappingProxyType(
    {
        "issuing_state": Action.KEEP,
        "document_code": Action.KEEP,
        "nationality": Action.KEEP,
        "sex": Action.KEEP,
        "age_over_18": Action.KEEP,
        "birth_date": Action.GENERALISE,
        "expiry_date": Action.GENERALISE,
        "surname": Action.MASK,
        "given_names": Action.MASK,
        "chinese_name": Action.MASK,
        "document_number": Action.MASK,
        "optional_data": None,
        "document": Action.PSEUDONYMISE,
        "holder": Action.PSEUDONYMISE,
    }
)
"""Every claim, and the one action beside `drop` that it may have; None: dropped always.

Optional data is where many states print a personal number (ICAO Doc 9303-4 §4.2.2), in forms no mask fits.
"""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of one claim, where an action alone doesn't say it."""

    action: Action
    to: str | None = None
    """Generalise: to what."""
    patterns: dict[str, str] = {}
    """Mask: pattern by document class; `default` for every other."""


class RecordPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A full record, sealed to a recipient with a statutory duty."""

    kind: Literal["lodging"]
    """Which form it has (`edged.lodging`)."""
    completion_s: float = 300.0
    """How long the clerk may take to add what the document doesn't say; then everything is forgotten."""
    deadline_h: float = 24.0
    """How soon after the arrival the recipient must have it."""


class HandoverPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Raw fields for an authenticated application on the counter: once, and soon."""

    fields: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    """Of `edged.privacy.held.FIELDS`."""
    within_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 60.0
    """How long after the commit they may be taken; then they are overwritten."""


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An audience's disclosure policy: claim to action, and how far its pseudonyms reach.

    `box`: the same person is recognised at this box alone. `organisation`: at every box with the
    organisation's key.
    """

    claims: dict[str, Action | Rule] = {}
    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$(?!\n)", max_length=63)] = "custom"
    version: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = "1"
    pseudonym_scope: Literal["box", "organisation"] = "box"
    pseudonym_period: Literal["none", "month", "quarter", "year"] = "none"
    """After such a period another key is used: who is told of two periods can't join them."""
    pseudonym_overlap_days: Annotated[int, msgspec.Meta(ge=0, le=92)] = 0
    """For so long after a period's end the pseudonyms of the one before are told as well."""
    encrypt: bool = False
    """Whether the claims are sealed to the audience, so that broker and archive can't read them."""
    record: RecordPolicy | None = None
    handover: HandoverPolicy | None = None
    consent: Literal["not_needed", "required"] = "not_needed"
    """Required: without the holder's consent, given with the scan, the audience learns no claim."""
    legal_basis: dict[str, str] = {}
    """By language (en, zh-CN)."""
    retention_days: Annotated[int, msgspec.Meta(ge=1, le=36500)] | None = None
    """How long the audience keeps what it gets; None: nobody has said."""


def check_policy(policy: Policy) -> None:
    """Raise `ConfigError`, starting with the claim's path, when a policy goes above the ceiling."""
    for claim, rule in policy.claims.items():
        action = _action(rule)
        if claim not in CEILING:
            raise ConfigError(f"claims.{claim}", "config.unknown_name", known=", ".join(CEILING))
        allowed = CEILING[claim]
        if action not in (Action.DROP, allowed):
            allow = ", ".join(["drop", *([allowed.value] if allowed else [])])
            raise ConfigError(f"claims.{claim}", "config.above_ceiling", value=action.value, allowed=allow)


def disclose(
    document: DocumentData | None,
    policy: Policy,
    *,
    pseudonyms: Pseudonymiser,
    today: date | None,
    certain: bool = True,
) -> dict[str, ClaimValue]:
    """The de-identified claims of `policy`, ready for an envelope.

    A claim whose value was not read, is contradicted by its own check digit or can't exist is null, and its
    reason code stands under `WITHHELD`. `today` is None while the clock can't be believed; `certain` is False
    when characters were read without confidence: then only what a check digit vouches for is disclosed.
    Raises `ConfigError` for a policy above the ceiling, so that no caller can forget to check.
    """
    check_policy(policy)
    claims: dict[str, ClaimValue] = {}
    withheld: dict[str, str] = {}
    for claim, rule in policy.claims.items():
        if _action(rule) is Action.DROP:
            continue
        try:
            if document is None:
                raise _WithheldError("claim.not_read")
            claims[claim] = _Disclosure(document, pseudonyms, today, certain).value(claim)
        except _WithheldError as reason:
            claims[claim] = None
            withheld[claim] = reason.code
    if withheld:
        claims[WITHHELD] = withheld
    return claims


def _action(rule: Action | Rule) -> Action:
    return rule.action if isinstance(rule, Rule) else rule


class _WithheldError(Exception):
    """Why one claim has no value; never leaves this module."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


_PRINTED_IN: Final = {"surname": "name", "given_names": "name"}
"""Fields that most layouts print, and judge, as part of another."""


class _Disclosure:
    """One document's values on their way out; a claim has one action (see `CEILING`), so one method does."""

    def __init__(
        self, document: DocumentData, pseudonyms: Pseudonymiser, today: date | None, certain: bool
    ) -> None:
        self._document = document
        self._pseudonyms = pseudonyms
        self._today = today
        self._certain = certain
        self._checked = {check.name for check in document.check_digits}

    def value(self, claim: str) -> str | bool:
        """The claim's value as the ceiling allows it."""
        match claim:
            case "issuing_state" | "document_code":
                return self._present(self._sound(claim, getattr(self._document, claim)))
            case "nationality" | "sex":
                return self._text(claim)
            case "surname" | "given_names" | "chinese_name":
                return mask_name(self._text(claim))
            case "document_number":
                return mask_number(self._text(claim))
            case "birth_date":
                return f"{self._part(self._dated(claim).year):04d}"
            case "expiry_date":
                expiry = self._dated(claim)
                return f"{self._part(expiry.year):04d}-{self._part(expiry.month):02d}"
            case "age_over_18":
                return self._is_adult(self._date("birth_date"))
            case "document":
                # The state and the code have no check digit: misread, they would make another document of it.
                number = self._text("document_number")
                state = self._present(self._sound("issuing_state", self._document.issuing_state))
                self._sound("document_code", self._document.document_code)
                return self._pseudonyms.pseudonym(claim, state, self._document.document_class.value, number)
            case "holder":
                return self._pseudonyms.pseudonym(claim, *self._holder())
            case _:
                raise AssertionError(f"{claim} has no way out")

    def _holder(self) -> tuple[str, ...]:
        """Who the holder is across documents: nationality, names and birth date, not the document's number.

        The birth date goes in as printed, because the century is a guess that changes with the years.
        """
        birth = self._date("birth_date")
        surname, given_names = (self._optional(name) for name in ("surname", "given_names"))
        self._present(surname + given_names)
        return self._text("nationality"), surname, given_names, birth.raw

    def _text(self, field: str) -> str:
        return self._present(self._optional(field))

    def _optional(self, field: str) -> str:
        held: Sensitive[str] | None = getattr(self._document, field)
        return self._sound(field, held.reveal() if held is not None else "")

    def _dated(self, field: str) -> MrzDate:
        """A date whose century the clock's own date has decided: as good as the clock."""
        if self._today is None:
            raise _WithheldError("claim.clock_not_trusted")
        return self._date(field)

    def _date(self, field: str) -> MrzDate:
        held: MrzDate | None = getattr(self._document, field)
        if held is None:
            raise _WithheldError("claim.not_on_document")
        self._sound(field, held.raw)
        return held

    def _sound(self, field: str, value: str) -> str:
        """The value, unless something contradicts it."""
        for check in self._document.check_digits:
            if check.name == field and check.result is not Result.SUCCESSFUL:
                raise _WithheldError("claim.check_digit_wrong")
        for check in self._document.field_checks:
            if check.name in (field, _PRINTED_IN.get(field)) and check.result is Result.FAILED:
                raise _WithheldError("claim.not_plausible")
        if not self._certain and field not in self._checked:
            raise _WithheldError("claim.not_certain")
        return value

    @staticmethod
    def _present(value: str) -> str:
        if not value:
            raise _WithheldError("claim.not_on_document")
        return value

    @staticmethod
    def _part(number: int | None) -> int:
        if number is None:
            raise _WithheldError("claim.date_incomplete")
        return number

    def _is_adult(self, birth: MrzDate) -> bool:
        """Whether the holder is of age on any birthday that the known parts of the date allow."""
        if self._today is None:
            raise _WithheldError("claim.clock_not_trusted")
        limit = (self._today.year - ADULT, self._today.month, self._today.day)
        year = self._part(birth.year)
        if (year, birth.month or 12, birth.day or 31) <= limit:
            return True
        if (year, birth.month or 1, birth.day or 1) > limit:
            return False
        raise _WithheldError("claim.date_incomplete")

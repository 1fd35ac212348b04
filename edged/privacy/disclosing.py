"""From a document to the claims that an audience's policy allows: the one way from raw identity to an envelope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.privacy import generalising
from edged.privacy.ceiling import NAMES, Action
from edged.privacy.masks import mask_name, mask_number, pattern_of
from edged.privacy.policy import WITHHELD, check_policy
from edged.privacy.pseudonym import periods
from edged.privacy.withholding import WithheldError
from edged.verdict import Result

if TYPE_CHECKING:
    from datetime import date

    from edged.core.document import DocumentData
    from edged.core.mrz_dates import MrzDate
    from edged.identity import Sensitive
    from edged.privacy.policy import ClaimValue, Policy, Rule
    from edged.privacy.pseudonym import Pseudonymiser

CURRENT: Final = "current"
PREVIOUS: Final = "previous"
"""Keys of a pseudonym's value while the one of the period before is told beside it."""


def disclose(
    document: DocumentData | None,
    policy: Policy,
    *,
    pseudonyms: Pseudonymiser,
    today: date | None,
    certain: bool = True,
    consent: bool = False,
) -> dict[str, ClaimValue]:
    """The de-identified claims of `policy`, ready for an envelope.

    A claim whose value was not read, is contradicted by its own check digit or can't exist is null, and its
    reason code stands under `WITHHELD`. `today` is None while the clock can't be believed; `certain` is False
    when characters were read without confidence: then only what a check digit vouches for is disclosed. `consent`:
    whether the holder gave it; where the policy needs it and there is none, every claim is null.
    Raises `ConfigError` for a policy above the ceiling, so that no caller can forget to check.
    """
    check_policy(policy)
    claims: dict[str, ClaimValue] = {}
    withheld: dict[str, str] = {}
    refused = policy.consent == "required" and not consent
    for claim in policy.claims:
        rule = policy.rule(claim)
        if rule.action is Action.DROP:
            continue
        try:
            if refused:
                raise WithheldError("claim.no_consent")
            if document is None:
                raise WithheldError("claim.not_read")
            claims[claim] = _Disclosure(document, policy, pseudonyms, today, certain).value(claim, rule)
        except WithheldError as reason:
            claims[claim] = None
            withheld[claim] = reason.code
    if withheld:
        claims[WITHHELD] = withheld
    return claims


_PRINTED_IN: Final = {"surname": "name", "given_names": "name"}
"""Fields that most layouts print, and judge, as part of another."""


class _Disclosure:
    """One document's values on their way out."""

    def __init__(
        self,
        document: DocumentData,
        policy: Policy,
        pseudonyms: Pseudonymiser,
        today: date | None,
        certain: bool,
    ) -> None:
        self._document = document
        self._policy = policy
        self._pseudonyms = pseudonyms
        self._today = today
        self._certain = certain
        self._checked = {check.name for check in document.check_digits}

    def value(self, claim: str, rule: Rule) -> str | bool | dict[str, str]:
        """The claim's value as the rule, which is under the ceiling, allows it."""
        match rule.action:
            case Action.KEEP if claim == "age_over_18":
                return generalising.is_adult(self._date("birth_date"), self._known_day())
            case Action.KEEP:
                return self._code(claim)
            case Action.MASK:
                mask = mask_name if claim in NAMES else mask_number
                return mask(self._text(claim), pattern_of(claim, rule, self._document.document_class.value))
            case Action.GENERALISE:
                assert rule.to is not None  # Policy.rule
                return self._generalised(claim, rule.to)
            case Action.PSEUDONYMISE:
                return self._pseudonym(claim)
            case _:
                raise AssertionError(f"{claim} has no way out")

    def _code(self, claim: str) -> str:
        """A claim of a few letters, as it stands on the document."""
        if claim in ("issuing_state", "document_code"):
            return self._present(self._sound(claim, getattr(self._document, claim)))
        return self._text(claim)

    def _generalised(self, claim: str, form: str) -> str:
        match claim:
            case "birth_date":
                today = self._known_day()
                return generalising.birth_date(self._date(claim), form, today)
            case "expiry_date" if form == "validity_band" and self._document.never_expires:
                return generalising.LONG_VALID
            case "expiry_date":
                today = self._known_day()
                return generalising.expiry_date(self._date(claim), form, today)
            case _:
                return generalising.region(self._code(claim))

    def _pseudonym(self, claim: str) -> str | dict[str, str]:
        """Of the period that the box's day is in; for a while after its start, of the one before it as well."""
        parts = self._document_parts() if claim == "document" else self._holder()
        if self._policy.pseudonym_period == "none":
            return self._pseudonyms.pseudonym(claim, *parts)
        overlap = self._policy.pseudonym_overlap_days
        now, before = periods(self._policy.pseudonym_period, overlap, self._known_day())
        current = self._pseudonyms.of_period(now).pseudonym(claim, *parts)
        if before is None:
            return current
        return {CURRENT: current, PREVIOUS: self._pseudonyms.of_period(before).pseudonym(claim, *parts)}

    def _document_parts(self) -> tuple[str, ...]:
        """The state and the code have no check digit: misread, they would make another document of it."""
        number = self._text("document_number")
        state = self._present(self._sound("issuing_state", self._document.issuing_state))
        self._sound("document_code", self._document.document_code)
        return state, self._document.document_class.value, number

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

    def _known_day(self) -> date:
        """Today by a clock that can be believed: it decides ages, centuries and periods."""
        if self._today is None:
            raise WithheldError("claim.clock_not_trusted")
        return self._today

    def _date(self, field: str) -> MrzDate:
        held: MrzDate | None = getattr(self._document, field)
        if held is None:
            raise WithheldError("claim.not_on_document")
        self._sound(field, held.raw)
        return held

    def _sound(self, field: str, value: str) -> str:
        """The value, unless something contradicts it."""
        for check in self._document.check_digits:
            if check.name == field and check.result is not Result.SUCCESSFUL:
                raise WithheldError("claim.check_digit_wrong")
        for check in self._document.field_checks:
            if check.name in (field, _PRINTED_IN.get(field)) and check.result is Result.FAILED:
                raise WithheldError("claim.not_plausible")
        if not self._certain and field not in self._checked:
            raise WithheldError("claim.not_certain")
        return value

    @staticmethod
    def _present(value: str) -> str:
        if not value:
            raise WithheldError("claim.not_on_document")
        return value

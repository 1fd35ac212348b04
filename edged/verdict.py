"""Check, Result, Verdict: the vocabulary of judging, in the words of BSI TR-03135-1 §3.5 and Table 5.2."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable


class Result(StrEnum):
    """Outcome of one check, and of a whole inspection (TR-03135-1 §3.5.2)."""

    SUCCESSFUL = "successful"
    FAILED = "failed"
    UNDETERMINED = "undetermined"
    NOT_SUPPORTED = "not_supported"
    ABORTED = "aborted"


class CheckClass(StrEnum):
    """How a check counts in a scene (TR-03135-2: m, o, e)."""

    MANDATORY = "mandatory"
    OPTIONAL = "optional"
    EVALUATORY = "evaluatory"


class Kind(StrEnum):
    """What an inspection was for. Only `live` verdicts reach partners unless they ask for others."""

    LIVE = "live"
    TEST = "test"
    TRAINING = "training"


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why something is as it is.

    `code` is a key of the message catalogue; `params` fill its sentence and never hold identity (field names,
    country codes, counts).
    """

    code: str
    params: dict[str, str] = {}


class Check(msgspec.Struct, frozen=True, omit_defaults=True):
    """One check's outcome, before any scene says how much it counts.

    `name` is one of `CHECKS`.
    """

    name: str
    result: Result
    reasons: tuple[Reason, ...] = ()


class JudgedCheck(msgspec.Struct, frozen=True, omit_defaults=True):
    """A check together with its class in the scene at hand: what an envelope carries."""

    name: str
    check_class: CheckClass
    result: Result
    reasons: tuple[Reason, ...] = ()


CHECKS = (
    "document_detected",  # optical: something lies in the window (TR-03135-1 §5.5.2)
    "mrz_read",  # optical: a machine-readable zone was found and every character read with confidence
    "mrz_check_digits",  # optical: MRZ ICAO compliance, check digits (Doc 9303-3 §4.9)
    "mrz_fields",  # optical: MRZ ICAO compliance, layout, alphabets, dates that exist, known codes
    "viz_birth_date",  # optical: print against MRZ, evaluatory
    "viz_expiry_date",
    "viz_document_number",
    "card_number",  # optical: the printed number of a card without an MRZ, evidence beside its chip
    "id_card_read",  # electronic: the SAM module and the card proved themselves to one another, and the text came
    "id_card_number",  # its number's check digit (GB 11643, or ICAO's on the card of 2017), and what the number repeats
    "id_card_fields",  # layout, characters, dates that exist, known codes
    "expiry",  # combined (TR-03135-1 §5.7.1)
    "image_quality",  # optical, evaluatory
    "optical_security",  # optical, spectrally selective (TR-03135-1 §5.6)
    "chip_access",  # electronic: PACE or BAC (TR-03135-1 §5.8); the names that follow are Doc 9303-11's
    "pa_signature",  # passive authentication: the security object's signature by its document signer
    "pa_certificate",  # its certificate: signed by a CSCA that is trusted, valid when it signed, not revoked
    "pa_issuer",  # its state is the state that the chip's MRZ names
    "pa_hashes",  # every data group as read is the one that was signed
    "chip_mrz",  # combined: the chip's MRZ against the printed one
    "chip_authentication",  # no copy: the chip has the private key of a signed public one (CA, PACE-CAM)
    "active_authentication",  # no copy: the same, by signing a challenge
    "terminal_authentication",  # fingerprints and irises are left alone
    "chip",  # electronic, all of these together
    "face_match",  # combined
    "registry",  # an authority's look-up
)
"""Names of the checks, in the order in which they are shown."""

CHIP_CHECKS = CHECKS[CHECKS.index("chip_access") : CHECKS.index("chip")]
"""The mechanisms that `chip` sums up."""

CONDITIONAL = ("chip", *CHIP_CHECKS)
"""What a scene can demand of a document that has a chip, and of no other."""

ON_ID_CARD = {
    "document_detected": "id_card_read",
    "mrz_read": "id_card_read",
    "mrz_check_digits": "id_card_number",
    "mrz_fields": "id_card_fields",
}
"""What takes the place of a check of a page where an ID card's chip is read instead: it counts as that one does."""

NEVER_MANDATORY = frozenset(
    ("viz_birth_date", "viz_expiry_date", "viz_document_number", "card_number", "optical_security")
)
"""Evidence that is told and never decides: print is read without certainty, and lamps and paper differ."""


class Verdict(msgspec.Struct, frozen=True):
    """What one inspection found: the overall result and every check it rests on. Holds no identity."""

    scene: str
    kind: Kind
    result: Result
    checks: tuple[JudgedCheck, ...]

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Reasons of the mandatory checks that were not successful, in order, without repeats."""
        seen: dict[tuple[str, tuple[tuple[str, str], ...]], Reason] = {}
        for check in self.checks:
            if check.check_class is CheckClass.MANDATORY and check.result is not Result.SUCCESSFUL:
                for reason in check.reasons:
                    seen.setdefault((reason.code, tuple(sorted(reason.params.items()))), reason)
        return tuple(seen.values())


def overall(checks: Iterable[JudgedCheck]) -> Result:
    """The overall result: follows from the mandatory checks alone (TR-03135-1 Table 5.2).

    The table leaves the precedence of failed against aborted open: `failed` wins here, because it stands on
    evidence that was seen, while an aborted check found nothing. Anything else that is not `successful`,
    and a verdict without any mandatory check, is `undetermined`: missing evidence is never success.
    """
    results = [check.result for check in checks if check.check_class is CheckClass.MANDATORY]
    if Result.FAILED in results:
        return Result.FAILED
    if Result.ABORTED in results:
        return Result.ABORTED
    if results and all(result is Result.SUCCESSFUL for result in results):
        return Result.SUCCESSFUL
    return Result.UNDETERMINED


def judge(scene: str, kind: Kind, classes: dict[str, CheckClass], checks: Iterable[Check]) -> Verdict:
    """Weigh `checks` by the scene's `classes`; a check the scene doesn't name is evaluatory.

    A mandatory check that was never run counts as `undetermined`.
    """
    by_name = {check.name: check for check in checks}
    judged = []
    for name in CHECKS:
        check_class = classes.get(name, CheckClass.EVALUATORY)
        check = by_name.get(name)
        if check is None:
            if check_class is CheckClass.MANDATORY:
                check = Check(name, Result.UNDETERMINED, (Reason("check.not_run"),))
            else:
                continue
        judged.append(JudgedCheck(name, check_class, check.result, check.reasons))
    return Verdict(scene, kind, overall(judged), tuple(judged))

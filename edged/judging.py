"""From the sides and the chip that were read to a verdict, and from the verdict to what each audience may know of it.

Blocking and free of I/O: the daemon runs it in a worker thread. Raw identity goes in; what comes out has
passed each audience's policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, NamedTuple

from edged.drafting import Drafting, Found
from edged.evidence import gather
from edged.identity import withheld
from edged.uplink.envelope import DocumentSummary
from edged.verdict import (
    CHECKS,
    CONDITIONAL,
    ON_ID_CARD,
    Check,
    CheckClass,
    Kind,
    Reason,
    Result,
    Verdict,
    judge,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.clock import ClockReading
    from edged.config import BoxSettings
    from edged.core.document import DocumentData
    from edged.core.emrtd.trust_anchors import TrustAnchors
    from edged.core.optical_fit import Thresholds
    from edged.core.reading import PageReading
    from edged.drafting import Outgoing, Sender
    from edged.events import ChipRead, IdCardRead, ScanRequest
    from edged.privacy.pseudonym import Pseudonymiser
    from edged.side import ReadDocument
    from edged.uplink.envelope import EnvelopeDraft, Provenance

NOON = time(12)

NOT_ON_THIS_BOX = ("optical_security", "chip", "face_match", "registry")
"""Checks that a device can't make; they are said to be missing, never left out. `edged.evidence` makes the first where
there are pictures under other lights."""


@dataclass(frozen=True)
class Judgement:
    """A verdict, and what has to be said of it."""

    verdict: Verdict
    outgoing: Outgoing
    document: DocumentSummary
    read: tuple[str, ...]
    """What was read of the document, by the words of `edged.slip.facts.SlipFacts.read`."""

    @property
    def drafts(self) -> tuple[EnvelopeDraft, ...]:
        """One for every audience that gets an envelope."""
        return self.outgoing.drafts


def kind_of(request: ScanRequest, provenance: Mapping[str, Provenance]) -> Kind:
    """Training is training; whatever a simulated device contributed to is a test; the rest is live."""
    if request.training:
        return Kind.TRAINING
    if any(device.simulated for device in provenance.values()):
        return Kind.TEST
    return Kind.LIVE


def recipients(request: ScanRequest, settings: BoxSettings, kind: Kind) -> tuple[str, ...]:
    """Names of the audiences that get an envelope of an inspection of this scene and kind."""
    return tuple(
        name
        for name, audience in settings.audiences.items()
        if request.scene in audience.scenes and kind in audience.receives
    )


def judge_inspection(
    document: ReadDocument,
    *,
    request: ScanRequest,
    settings: BoxSettings,
    clock: ClockReading,
    provenance: Mapping[str, Provenance],
    pseudonyms: Mapping[str, Pseudonymiser],
    sender: Sender,
    thresholds: Thresholds | None = None,
    anchors: TrustAnchors | None = None,
) -> Judgement:
    """Judge one document and draft its envelopes, one for every audience of the scene and kind.

    `pseudonyms` has a pseudonymiser for every audience; `sender` is this box; `thresholds` are those of
    the reader's model; `anchors` are the states that are trusted to sign chips, None for no state. What the pictures of
    the sides say beyond the MRZ comes from `edged.evidence`.
    """
    kind = kind_of(request, provenance)
    if document.card is not None:
        found = _card(document.card, clock)
    else:
        found = _page(document, kind, clock, thresholds, anchors)
    classes = settings.scene(request.scene).classes(found.present)
    if document.card is not None:
        classes = on_id_card(classes)
    made = {check.name for check in found.checks}
    missing = tuple(
        Check(name, Result.NOT_SUPPORTED, (Reason(f"{name}.not_supported"),))
        for name in NOT_ON_THIS_BOX
        if name not in made
    )
    verdict = judge(request.scene, kind, classes, (*found.checks, *missing))
    drafting = Drafting(
        verdict, request, settings, clock, provenance, recipients(request, settings, kind), pseudonyms, sender
    )
    outgoing = drafting.outgoing(Found(found.data, found.certain, found.summary))
    return Judgement(verdict, outgoing, found.summary, _read_of(document))


def _read_of(document: ReadDocument) -> tuple[str, ...]:
    sides = document.sides
    looked = {
        "picture": any(side.reading.frames for side in sides),
        "text": any(not side.reading.frames for side in sides),
        "mrz": any(side.reading.mrz is not None for side in sides),
        "chip": document.chip is not None and document.chip.reading is not None,
        "id_card": document.card is not None and document.card.reading is not None,
    }
    return tuple(name for name, found in looked.items() if found)


@withheld
class _Found(NamedTuple):
    """What one document came to, before any scene or audience.

    Attributes:
        checks: all that could be made.
        data: its fields; None when none were read.
        certain: whether every character of them was read with confidence.
        summary: what kind of document it is.
        present: the checks of `CONDITIONAL` that there was something to check of.
    """

    checks: tuple[Check, ...]
    data: DocumentData | None
    certain: bool
    summary: DocumentSummary
    present: tuple[str, ...] = ()


def _page(
    document: ReadDocument,
    kind: Kind,
    clock: ClockReading,
    thresholds: Thresholds | None,
    anchors: TrustAnchors | None,
) -> _Found:
    """A document that was photographed or swiped."""
    sides, chip = document.sides, document.chip
    readings = [side.reading for side in sides]
    reading = next((one for one in readings if one.mrz is not None), readings[-1])
    evidence = gather(sides, reading, today=clock.today, thresholds=thresholds)
    certain = _read_with_confidence(reading)
    checks = (
        *(_refused(check, evidence.refusal) for check in reading.checks),
        expiry_check(reading.mrz, clock, certain=certain),
        *evidence.checks,
        *(() if chip is None else chip_checks(chip, reading, clock, anchors)),
    )
    mrz = reading.mrz
    return _Found(
        tuple(_weigh_fields(check, reading, kind, clock) for check in checks),
        mrz,
        certain,
        DocumentSummary(
            document_class=mrz.document_class.value if mrz else "unknown",
            format=mrz.format.value if mrz else None,
        ),
        CONDITIONAL if chip is not None and chip.has_chip else (),
    )


def _card(read: IdCardRead, clock: ClockReading) -> _Found:
    """A document that the ID-card module read: its chip is the card, and there is no picture."""
    from edged.core.id_card import unread_check

    if read.reading is None:
        assert read.reason is not None  # edged.inspection
        unread = unread_check(read.reason)
        return _Found(
            (unread, expiry_check(None, clock, certain=False)), None, False, DocumentSummary("unknown", None)
        )
    data, kind = read.reading.data, read.reading.kind
    return _Found(
        (
            *(_weigh_clock(check, "id_card_fields", data, clock) for check in read.reading.checks),
            expiry_check(data, clock, certain=True),
        ),
        data,
        True,
        DocumentSummary(document_class=data.document_class.value, format=kind.value),
    )


def on_id_card(classes: Mapping[str, CheckClass]) -> dict[str, CheckClass]:
    """How much each check counts where an ID card's chip is read: what a scene demands of a page it demands of it."""
    counted: dict[str, CheckClass] = {}
    for asked, check_class in classes.items():
        name = ON_ID_CARD.get(asked, asked)
        if counted.get(name) is not CheckClass.MANDATORY:
            counted[name] = check_class
    return counted


def chip_checks(
    chip: ChipRead, reading: PageReading, clock: ClockReading, anchors: TrustAnchors | None
) -> tuple[Check, ...]:
    """Every check of the document's chip; `chip` alone, undetermined, where there is nothing to judge."""
    if chip.reading is None:
        return (Check("chip", Result.UNDETERMINED, (chip.reason or Reason("chip.not_found"),)),)
    from edged.core.emrtd.judging import judge_chip
    from edged.core.emrtd.trust_anchors import TrustAnchors

    return judge_chip(
        chip.reading,
        anchors=TrustAnchors() if anchors is None else anchors,
        at=_moment(clock) if clock.trusted else None,
        today=clock.today,
        printed=reading.mrz,
        printed_is_sure=_read_with_confidence(reading),
    )


def _moment(clock: ClockReading) -> datetime:
    """Now, on the day that documents are judged against."""
    return clock.now if clock.now.date() == clock.today else datetime.combine(clock.today, NOON, UTC)


def _refused(check: Check, refusal: Reason | None) -> Check:
    """The check with why this is no travel document, instead of that it has no MRZ."""
    if refusal is None or not any(reason.code == "reading.no_mrz" for reason in check.reasons):
        return check
    told = tuple(refusal if reason.code == "reading.no_mrz" else reason for reason in check.reasons)
    return Check(check.name, check.result, told)


def expiry_check(document: DocumentData | None, clock: ClockReading, *, certain: bool) -> Check:
    """Whether the document is still valid today (TR-03135-1 §5.7.1): unreadable dates are undetermined.

    A date that its own check digit contradicts, or that was read without confidence, decides nothing.
    """

    def undetermined(code: str) -> Check:
        return Check("expiry", Result.UNDETERMINED, (Reason(code),))

    if document is None:
        return undetermined("expiry.unreadable")
    if document.expiry_date is None:
        if document.never_expires:
            return Check("expiry", Result.SUCCESSFUL)
        return undetermined("expiry.no_expiry_date")
    expires = document.expiry_date.date
    if expires is None or not certain or not _holds(document, "expiry_date"):
        return undetermined("expiry.unreadable")
    if not clock.trusted:
        return undetermined("expiry.clock_not_trusted")
    if expires < clock.today:
        return Check("expiry", Result.FAILED, (Reason("expiry.expired"),))
    return Check("expiry", Result.SUCCESSFUL)


_CLOCK_DEPENDENT = frozenset({"mrz.birth_in_future"})
"""Reasons against a document's fields that are only as good as the box's clock."""


def _weigh_fields(check: Check, reading: PageReading, kind: Kind, clock: ClockReading) -> Check:
    """The check of the MRZ's fields, with what reading alone can't know: the clock, and that it matters.

    Utopia issues specimens alone: well-formed, and never somebody's document at a counter.
    """
    if check.name != "mrz_fields" or reading.mrz is None:
        return check
    check = _weigh_clock(check, "mrz_fields", reading.mrz, clock)
    if kind is Kind.LIVE and reading.mrz.specimen and _read_with_confidence(reading):
        check = Check(check.name, Result.FAILED, (*check.reasons, Reason("mrz.specimen_document")))
    return check


def _weigh_clock(check: Check, of_fields: str, document: DocumentData, clock: ClockReading) -> Check:
    """The check called `of_fields`: undetermined where it failed by nothing but a clock that isn't to be believed."""
    if check.name != of_fields or check.result is not Result.FAILED or clock.trusted:
        return check
    failing = [one for one in document.field_checks if one.result is Result.FAILED and one.reason]
    if all(one.reason is not None and one.reason.code in _CLOCK_DEPENDENT for one in failing):
        return Check(check.name, Result.UNDETERMINED, check.reasons)
    return check


def _read_with_confidence(reading: PageReading) -> bool:
    return any(check.name == "mrz_read" and check.result is Result.SUCCESSFUL for check in reading.checks)


def _holds(document: DocumentData, field: str) -> bool:
    """Whether nothing contradicts the field: its own check digit, and that its value can exist."""
    return all(
        check.result is Result.SUCCESSFUL
        for check in (*document.check_digits, *document.field_checks)
        if check.name == field
    )


assert set(NOT_ON_THIS_BOX) < set(CHECKS)

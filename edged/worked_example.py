"""One document's inspection worked through for one recipient: all that goes out beside the claims, field by field.

Nothing here describes: the document is judged, drafted, and made into the payload that `edged.uplink.envelope` signs,
into a handover, a lodging record and the slip's facts, as the daemon makes them; then their fields are read off, by the
names of their own types. A field that is added there shows here, and needs its sentence `explain.field_…`. Free of I/O.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edged.clock import ClockReading
from edged.drafting import Sender
from edged.events import ScanRequest
from edged.judging import NOON, judge_inspection
from edged.lodging.form import FIELDS as FORM_FIELDS
from edged.lodging.record import FORM, entry
from edged.privacy.explaining import Explained, ExplainedField, explain
from edged.privacy.held import HeldFields
from edged.privacy.pseudonym import Pseudonymiser
from edged.sealing import envelope_context, load_recipient, seal
from edged.side import ReadDocument, ReadSide
from edged.slip.making import facts_of
from edged.uplink.envelope import EnvelopePayload, Provenance, StreamPosition, payload_of
from edged.verdict import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from edged.config import AudienceSettings, BoxSettings
    from edged.core.reading import PageReading
    from edged.judging import Judgement
    from edged.uplink.envelope import EnvelopeDraft

EXAMPLE_KEY: Final = bytes(32)
"""Pseudonyms of specimens are made with it: an example needs no secret, and is the same every time."""

REQUEST: Final = ScanRequest("bank", reference="TX-1001", purpose="example", operator="clerk-7", consent=True)
"""What the application on the counter says with the scan, in this example."""

PROVENANCE: Final = {"head": Provenance(driver="simulated", identity="EXAMPLE-1", simulated=True)}
"""A specimen comes from no device: its envelopes are of kind `test`."""

SENDER: Final = Sender("example", "counter-1")
SLIP_NUMBER: Final = "0123456789AB"
_TOKEN: Final = "00" * 16

_KINDS: Final = {
    **dict.fromkeys(("iss", "fleet", "log_id", "config_version", "software_version"), "explain.kind_own"),
    **dict.fromkeys(("seq", "prev"), "explain.kind_place"),
    **dict.fromkeys(("jti", "record_id", "slip"), "explain.kind_drawn"),
    "iat": "explain.kind_time",
    **dict.fromkeys(("encrypted", "record"), "explain.kind_sealed"),
    "claims": "explain.kind_table",
}
"""Fields of an envelope that are another each time, or at each box."""

_SLIP_KINDS: Final = {
    **dict.fromkeys(("site", "device", "utc_offset_min"), "explain.kind_own"),
    **dict.fromkeys(("at", "expires"), "explain.kind_time"),
    "number": "explain.kind_drawn",
}


def work_through(
    name: str, settings: BoxSettings, readings: Sequence[PageReading], *, scene: str, today: date
) -> Explained:
    """All that the audience `name` gets of the document that was read, in `scene`, with the holder's consent.

    Raises `ConfigError` for a policy above the ceiling, or a key that is none.
    """
    audience = settings.audiences[name]
    judgement = _judged(name, settings, readings, scene, today)
    mrz = next((one.mrz for one in readings if one.mrz is not None), None)
    certain = any(
        check.name == "mrz_read" and check.result == "successful" for check in judgement.verdict.checks
    )
    try:
        made = explain(
            audience.label or name,
            audience.policy,
            mrz,
            pseudonyms=_pseudonyms(settings)[name],
            today=today,
            certain=certain,
        )
        draft = next((one for one in judgement.drafts if one.audience == name), None)
        return msgspec.structs.replace(
            made,
            scene=scene,
            envelope=() if draft is None else _envelope(envelope_of(draft, judgement, settings)),
            record=_record(name, judgement, today),
            handover=_handover(judgement, audience),
        )
    finally:
        judgement.outgoing.forget()


def envelope_of(draft: EnvelopeDraft, judgement: Judgement, settings: BoxSettings) -> EnvelopePayload:
    """What would be signed for the draft's audience; with its record, where there is one to be completed."""
    audience = settings.audiences[draft.audience]
    if audience.slip and settings.slip is not None:
        draft = msgspec.structs.replace(draft, slip=SLIP_NUMBER)
    if any(one.draft.audience == draft.audience for one in judgement.outgoing.unfinished):
        assert draft.policy is not None  # edged.drafting
        context = envelope_context(
            fleet=SENDER.fleet,
            device=SENDER.device,
            audience=draft.audience,
            policy_sha256=draft.policy.sha256,
            record_id=_TOKEN,
        )
        key = load_recipient(audience.encryption_keys[0])
        record = seal(b"{}", key, what="record", context=context)  # its fields: `_record`
        draft = msgspec.structs.replace(draft, record_id=_TOKEN, record=record)
    return payload_of(
        draft,
        position=StreamPosition(2, "00" * 32),
        log_id=_TOKEN,
        jti=_TOKEN,
        iat=0,
        config_version=settings.version,
        device=SENDER.device,
        fleet=SENDER.fleet,
    )


def slip_of(
    settings: BoxSettings, readings: Sequence[PageReading], *, scene: str, today: date
) -> tuple[ExplainedField, ...]:
    """Every field of the holder's slip; none where the box makes none."""
    if settings.slip is None:
        return ()
    judgement = _judged(None, settings, readings, scene, today)
    facts = facts_of(
        judgement,
        REQUEST,
        number=SLIP_NUMBER,
        settings=settings,
        slip=settings.slip,
        sender=SENDER,
        now=_moment(today),
        clock_trusted=True,
    )
    judgement.outgoing.forget()
    found = msgspec.to_builtins(facts)
    return tuple(
        ExplainedField(
            field,
            None if field in _SLIP_KINDS else found[field],
            _SLIP_KINDS.get(field),
            None,
            f"explain.slip_{field}",
        )
        for field in found
    )


def _judged(
    application: str | None, settings: BoxSettings, readings: Sequence[PageReading], scene: str, today: date
) -> Judgement:
    """As a live inspection would be told: whoever receives those receives this one."""
    received = {
        name: msgspec.structs.replace(one, receives=(Kind.TEST,) if Kind.LIVE in one.receives else ())
        for name, one in settings.audiences.items()
    }
    return judge_inspection(
        ReadDocument([ReadSide(reading, {}, None) for reading in readings]),
        request=ScanRequest(
            scene,
            reference=REQUEST.reference,
            purpose=REQUEST.purpose,
            operator=REQUEST.operator,
            consent=REQUEST.consent,
            application=application,
        ),
        settings=msgspec.structs.replace(settings, audiences=received),
        clock=ClockReading(_moment(today), trusted=True, today=today),
        provenance=PROVENANCE,
        pseudonyms=_pseudonyms(settings),
        sender=SENDER,
    )


def _pseudonyms(settings: BoxSettings) -> dict[str, Pseudonymiser]:
    return {
        name: Pseudonymiser(EXAMPLE_KEY, f"box:{one.label or name}")
        for name, one in settings.audiences.items()
    }


def _moment(today: date) -> datetime:
    return datetime.combine(today, NOON, UTC)


def _envelope(payload: EnvelopePayload) -> tuple[ExplainedField, ...]:
    return tuple(_envelope_field(payload, name) for name in EnvelopePayload.__struct_fields__)


_ABSENT: Final = {
    **dict.fromkeys(("reference", "purpose", "operator"), "explain.absent_reference"),
    **dict.fromkeys(("record_id", "record"), "explain.absent_record"),
    "consent": "explain.absent_consent",
    "encrypted": "explain.absent_encrypted",
    "slip": "explain.absent_slip",
}
"""Why a field that others get isn't there."""


def _envelope_field(payload: EnvelopePayload, name: str) -> ExplainedField:
    value: Any = getattr(payload, name)
    if value is None:
        return ExplainedField(name, None, None, None, _ABSENT.get(name, f"explain.absent_{name}"))
    if name == "claims" and payload.encrypted is not None:
        return ExplainedField(name, {}, None, None, "explain.absent_claims")
    kind = _KINDS.get(name)
    shown = None if kind is not None else msgspec.to_builtins(value)
    return ExplainedField(name, shown, kind, None, f"explain.field_{name}")


def _record(name: str, judgement: Judgement, today: date) -> tuple[ExplainedField, ...]:
    held = next((one.held for one in judgement.outgoing.unfinished if one.draft.audience == name), None)
    if held is None:
        return ()
    read = entry(held, HeldFields({}, {}), host="-", today=today).filled
    rows = [
        ExplainedField("form", FORM, None, None, "explain.record_form"),
        ExplainedField("record_id", None, "explain.kind_drawn", None, "explain.record_record_id"),
        ExplainedField("corrects", None, None, None, "explain.record_corrects"),
    ]
    for one in FORM_FIELDS:
        origin = "host" if one.name == "host" else "read" if one.name in read else "typed"
        rows.append(
            ExplainedField(one.name, None, f"explain.kind_{origin}", None, f"explain.record_{origin}")
        )
    rows.append(ExplainedField("typed", None, "explain.kind_names", None, "explain.record_names"))
    return tuple(rows)


def _handover(judgement: Judgement, audience: AudienceSettings) -> tuple[ExplainedField, ...]:
    held, wanted = judgement.outgoing.handover, audience.policy.handover
    if held is None or wanted is None:
        return ()
    rows = [ExplainedField("inspection", None, "explain.kind_drawn", None, "explain.handover_inspection")]
    for name in wanted.fields:
        code = held.withheld.get(name)
        kind = None if code is not None else "explain.kind_clear"
        rows.append(ExplainedField(name, None, kind, code, "explain.handover_field"))
    return tuple(rows)

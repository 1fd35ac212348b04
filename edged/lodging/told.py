"""How records are told to whoever asks at the control socket: names of fields, codes, times. Pure; no identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edged.lodging.deadline import deadline

if TYPE_CHECKING:
    from datetime import datetime

    from edged.clock import ClockReading
    from edged.journal.lodging import RecordLine
    from edged.lodging.completion import Open
    from edged.lodging.record import Entry


def open_record(
    record: Open, reading: ClockReading, steady: float, found: Entry | None = None
) -> dict[str, Any]:
    """How far an open record is: names and codes alone. `steady`: seconds, as `Open.until`."""
    today = reading.now.astimezone().date() if reading.trusted else None
    found = found or record.entry(today)
    return {
        "record_id": record.record_id,
        "audience": record.draft.audience,
        "reference": record.draft.reference,
        "state": "open",
        "scanned_at": record.scanned_at.isoformat(),
        "deadline": deadline(record.scanned_at, found.arrival, record.deadline_h).isoformat(),
        "clock_trusted": reading.trusted,
        "seconds_left": max(0, round(record.until - steady)),
        "missing": list(found.missing),
        "faults": [
            {"field": one.field, "code": one.code, "params": dict(one.params)} for one in found.faults
        ],
        "review": list(found.review),
        "typed": list(found.typed),
    }


def journalled(line: RecordLine, now: datetime) -> dict[str, Any]:
    """A record that isn't open any more, as the journal has it."""
    unanswered = line.state in ("sealing", "sealed") and line.replied is None
    return {
        "record_id": line.record_id,
        "audience": line.audience,
        "kind": line.kind,
        "reference": line.reference,
        "state": "late" if unanswered and now > line.deadline else line.state,
        "scanned_at": line.scanned.astimezone().isoformat(),
        "arrival": None if line.arrival is None else line.arrival.isoformat(),
        "deadline": line.deadline.astimezone().isoformat(),
        "clock_trusted": line.clock_trusted,
        "received_at": None if line.received is None else line.received.astimezone().isoformat(),
        "corrects": line.corrects,
        "fields": list(line.fields),
    }

"""The clerk's completion step, sans-IO: which records are open, for how long, and what is typed for them.

A record opens when its inspection was committed. Until its time is over the clerk may try as often as they like; then
everything of it is overwritten. Several may be open, since the next guest is at the counter. `steady` is seconds of a
monotonic clock, as everywhere: the wall clock may be set while a guest stands there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from edged.errors import ControlError
from edged.identity import Identity
from edged.lodging.form import BY_NAME
from edged.lodging.record import Entry, entry
from edged.privacy.held import HeldFields

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from edged.sealing import Sealed
    from edged.uplink.envelope import EnvelopeDraft

MAX_OPEN: Final = 32
"""Records open at once: a coach's passengers, as fast as they can be read within the time a completion has. The one
that has been open for longest gives way."""


class Open(Identity):
    """A record that waits for its clerk. Owns `held`, and overwrites it.

    Attributes:
        record_id: its number.
        draft: the envelope it will leave in, without it.
        key: the recipient's; context: the seal's (`edged.sealing.envelope_context`).
        host: 接待单位, from the configuration.
        scanned_at: when the inspection was committed, in local time.
        until: when it is forgotten, steady seconds.
        deadline_h: how soon after the arrival the recipient must have it.
        corrects: the record that it replaces, once the clerk has said so.
        sealing: whether it is on its way out: then nobody types any more.
    """

    __slots__ = (
        "_held",
        "_typed",
        "context",
        "corrects",
        "deadline_h",
        "draft",
        "host",
        "key",
        "record_id",
        "scanned_at",
        "sealing",
        "until",
    )

    def __init__(
        self,
        record_id: str,
        held: HeldFields,
        draft: EnvelopeDraft,
        key: EllipticCurvePublicKey,
        *,
        context: tuple[str, ...],
        host: str,
        scanned_at: datetime,
        until: float,
        deadline_h: float,
    ) -> None:
        self.record_id = record_id
        self.draft = draft
        self.key = key
        self.context = context
        self.host = host
        self.scanned_at = scanned_at
        self.until = until
        self.deadline_h = deadline_h
        self.corrects: str | None = None
        self.sealing = False
        self._held = held
        self._typed = HeldFields({}, {})

    def __del__(self) -> None:
        if hasattr(self, "_typed"):
            self.forget()

    def type(self, fields: Mapping[str, str]) -> None:
        """Keep what was typed beside what was typed before; an empty text takes it back."""
        kept = {name: text for name in self._typed.names if (text := self._typed.reveal(name)) is not None}
        before, self._typed = self._typed, HeldFields({**kept, **fields}, {})
        before.forget()

    def entry(self, today: date | None) -> Entry:
        """How far it has come."""
        return entry(self._held, self._typed, host=self.host, today=today)

    def forget(self) -> None:
        """Overwrite everything."""
        self._held.forget()
        self._typed.forget()


class SealedRecord(NamedTuple):
    """A complete record on its way: once it is stored, `Completions.done` forgets the raw one."""

    record_id: str
    sealed: Sealed
    arrival: date


class Completions:
    """The open records of one box. Every method that takes `steady` forgets first what is over.

    Whoever was forgotten is told by `expired` alone, so that the journal hears of everybody.
    """

    def __init__(self, *, most: int = MAX_OPEN) -> None:
        self._most = most
        self._open: dict[str, Open] = {}
        self._expired: list[str] = []

    def open(self, record: Open, steady: float) -> None:
        """Add a record; with `MAX_OPEN` there already, the oldest that isn't being sealed is forgotten."""
        self._tidy(steady)
        if len(self._open) >= self._most:
            waiting = [one.record_id for one in self._open.values() if not one.sealing]
            if waiting:
                self._drop(waiting[0])
        self._open[record.record_id] = record

    def records(self, steady: float) -> tuple[Open, ...]:
        """What is open, the oldest first."""
        self._tidy(steady)
        return tuple(self._open.values())

    def find(self, record_id: str | None, steady: float) -> Open:
        """The record, or the only one there is for None.

        Raises `ControlError`: `lodging.not_open`, `lodging.which_record`, `lodging.being_sealed`.
        """
        self._tidy(steady)
        if record_id is None and len(self._open) > 1:
            raise ControlError("lodging.which_record")
        wanted = next(iter(self._open), None) if record_id is None else record_id
        record = self._open.get(wanted or "")
        if record is None:
            raise ControlError("lodging.not_open")
        if record.sealing:
            raise ControlError("lodging.being_sealed")
        return record

    def complete(
        self,
        record_id: str | None,
        fields: Mapping[str, str],
        *,
        today: date | None,
        steady: float,
        corrects: str | None = None,
    ) -> tuple[Open, Entry, SealedRecord | None]:
        """Take what was typed; the record sealed when it is complete, otherwise how far it has come.

        A sealed record is on its way until `done` or `again`. Raises `ControlError`: a code of `find`,
        `control.bad_parameter` for a field that the form hasn't.
        """
        record = self.find(record_id, steady)
        if not set(fields) <= set(BY_NAME):
            raise ControlError("control.bad_parameter")
        record.type(fields)
        record.corrects = corrects or record.corrects
        found = record.entry(today)
        if not found.complete:
            return record, found, None
        assert found.arrival is not None
        sealed = found.sealed(record.record_id, record.key, record.context, corrects=record.corrects)
        record.sealing = True
        return record, found, SealedRecord(record.record_id, sealed, found.arrival)

    def done(self, record_id: str) -> None:
        """It is stored: forget the raw one."""
        record = self._open.pop(record_id, None)
        if record is not None:
            record.forget()

    def again(self, record_id: str) -> None:
        """It could not be stored: the clerk may try once more, as long as there is time."""
        record = self._open.get(record_id)
        if record is not None:
            record.sealing = False

    def next_end(self) -> float | None:
        """When the next record is forgotten, steady seconds; None while none is open."""
        return min((one.until for one in self._open.values() if not one.sealing), default=None)

    def expired(self, steady: float) -> tuple[str, ...]:
        """Records that were forgotten unsealed since the last call."""
        self._tidy(steady)
        gone, self._expired = tuple(self._expired), []
        return gone

    def forget_all(self) -> tuple[str, ...]:
        """Overwrite everything; the records that nobody will complete any more."""
        for record in tuple(self._open.values()):
            if record.sealing:
                self.done(record.record_id)
            else:
                self._drop(record.record_id)
        gone, self._expired = tuple(self._expired), []
        return gone

    def _tidy(self, steady: float) -> None:
        for record in tuple(self._open.values()):
            if steady < record.until:
                continue
            if record.sealing:
                record.forget()  # what is sealed goes on; what it was made of doesn't
            else:
                self._drop(record.record_id)

    def _drop(self, record_id: str) -> None:
        self._open.pop(record_id).forget()
        self._expired.append(record_id)

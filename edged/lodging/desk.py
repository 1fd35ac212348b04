"""The lodging desk: open records and their clerk, the journal, the recipient's answers. What the socket calls.

With `figures` the one place with a clock and I/O: the rules are in `record` and `completion`. Answers of the methods
are plain data without identity (`told`).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edged import log
from edged.errors import ControlError, EdgedError, StateError
from edged.journal import lodging as journal_of
from edged.lodging import asked
from edged.lodging.completion import Completions, Open
from edged.lodging.deadline import deadline
from edged.lodging.told import journalled, open_record
from edged.sealing import envelope_context

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from edged.clock import ClockReading
    from edged.journal.database import Journal
    from edged.journal.lodging import RecordLine
    from edged.lodging.completion import SealedRecord
    from edged.lodging.record import Entry
    from edged.privacy.held import HeldFields
    from edged.privacy.policy import RecordPolicy
    from edged.uplink.database import DatabaseThread
    from edged.uplink.envelope import EnvelopeDraft
    from edged.uplink.record_reply import RecordReply

RECORD_ID_BYTES: Final = 10
"""80 random bits: nobody guesses a record's number, which an answer has to name."""

LONGEST_WAIT_S: Final = 3600.0
"""Between two looks whether anything is over."""


class LodgingDesk:
    """One box's open and remembered records. `run` is a task; `forget_all` at the stop, whatever happened.

    `commit` stores a draft, its `record_id` and `record` set, as an envelope, and returns when it is on the disk; it
    raises `StateError`. `clock` reads the clock and raises `StateError`. `notify` gets events for the control socket.
    """

    def __init__(
        self,
        journal: DatabaseThread[Journal],
        commit: Callable[[EnvelopeDraft], Awaitable[None]],
        *,
        fleet: str,
        device: str,
        clock: Callable[[], Awaitable[ClockReading]],
        steady: Callable[[], float] = time.monotonic,
        notify: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> None:
        self._journal = journal
        self._commit = commit
        self._fleet = fleet
        self._device = device
        self._clock = clock
        self._steady = steady
        self._notify = notify
        self._open = Completions()
        self._changed = asyncio.Event()
        self._sealing: set[asyncio.Task[None]] = set()
        self._log = log.get("lodging")

    # --- from the box ---

    async def opened(
        self,
        draft: EnvelopeDraft,
        held: HeldFields,
        policy: RecordPolicy,
        key: EllipticCurvePublicKey,
        *,
        host: str,
        reading: ClockReading,
        reference: str | None = None,
    ) -> str | None:
        """An inspection was committed, and its recipient is to have a record: the clerk's time begins. Its number.

        The desk owns `held` from now on. `host` is 接待单位, the hotel's name; `reference` the scan's, by which a
        check-in is found, whether the recipient is told it or not. Raises no `StateError`: where the journal can't be
        written the record isn't opened, everything is forgotten, and the console is told.
        """
        assert draft.policy is not None, "a record is opened under a policy"
        record_id = secrets.token_hex(RECORD_ID_BYTES)
        scanned_at = reading.now.astimezone()
        record = Open(
            record_id,
            held,
            draft,
            key,
            context=envelope_context(
                fleet=self._fleet,
                device=self._device,
                audience=draft.audience,
                policy_sha256=draft.policy.sha256,
                record_id=record_id,
            ),
            host=host,
            scanned_at=scanned_at,
            until=self._steady() + policy.completion_s,
            deadline_h=policy.deadline_h,
        )
        due = deadline(scanned_at, None, policy.deadline_h)
        try:
            await self._journal.write(
                lambda journal: journal_of.begin(
                    journal,
                    record_id,
                    audience=draft.audience,
                    kind=draft.kind.value,
                    reference=reference or draft.reference,
                    scanned=scanned_at,
                    clock_trusted=reading.trusted,
                    deadline=due,
                )
            )
        except BaseException as error:
            record.forget()
            if not isinstance(error, StateError):
                raise
            self._log.error("a record can't be opened", code=error.code, audience=draft.audience)
            self._notify({"event": "lodging", "record_id": None, "state": "not_opened", "code": error.code})
            return None
        self._open.open(record, self._steady())
        self._changed.set()
        self._notify({"event": "lodging", **open_record(record, reading, self._steady())})
        await self._tell_expired()
        return record_id

    async def start(self) -> None:
        """What an earlier run left open was forgotten with it: say so in the journal. Raises `StateError`."""
        now = (await self._clock()).now

        def settle(journal: Journal) -> None:
            for record_id in journal_of.open_records(journal):
                journal_of.abandoned(journal, record_id, "lodging.stopped", now)
            journal_of.tidy(journal, now)

        await self._journal.write(settle)

    async def run(self) -> None:
        """Forget what nobody completed in time, until cancelled."""
        while True:
            self._changed.clear()
            end = self._open.next_end()
            wait = LONGEST_WAIT_S if end is None else min(max(0.0, end - self._steady()), LONGEST_WAIT_S)
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                pass
            await self._tell_expired()

    async def forget_all(self) -> None:
        """The box stops: overwrite what is open, and say so in the journal; what is being sealed is finished."""
        gone = self._open.forget_all()
        if self._sealing:
            await asyncio.wait(self._sealing)
        await self._abandon(gone, "lodging.stopped")

    async def reply(self, reply: RecordReply) -> None:
        """A recipient's verified answer. Raises `SignatureRefusedError` for one that isn't about a record of ours.

        What was heard before changes nothing. Raises `StateError`.
        """
        now = (await self._clock()).now
        if not await self._journal.write(lambda journal: journal_of.replied(journal, reply, now)):
            return
        self._notify(
            {
                "event": "lodging",
                "record_id": reply.record_id,
                "audience": reply.iss,
                "state": "accepted" if reply.verdict == "accepted" else "correction_wanted",
                "fields": sorted(reply.fields),
            }
        )

    # --- from the control socket ---

    async def list(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """`{limit?}` → open records with what is missing and the time left, the latest, check-ins without one."""
        limit = asked.limit(params)
        reading = await self._read()
        today = reading.now.astimezone().date()
        month_ago = today - timedelta(days=31)
        open_now = {record.record_id: record for record in self._records()}

        def look(journal: Journal) -> tuple[list[RecordLine], list[tuple[str, date]]]:
            return (
                journal_of.latest(journal, limit + len(open_now)),
                journal_of.unregistered(journal, month_ago, today, limit),
            )

        known, unregistered = await self._journal.run(look)
        await self._tell_expired()
        return {
            "open": [open_record(record, reading, self._steady()) for record in open_now.values()],
            "records": [journalled(line, reading.now) for line in known if line.record_id not in open_now][
                :limit
            ],
            "unregistered": [
                {"reference": reference, "day": day.isoformat()} for reference, day in unregistered
            ],
        }

    async def complete(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """`{record_id?, fields, corrects?}` → `state`: `sealed`, or `open` with faults and what is missing.

        Raises `ControlError`: `control.bad_parameter`, `lodging.not_open`, `lodging.which_record`,
        `lodging.being_sealed`, `lodging.corrects_nothing`; `StateError` when it can't be stored: it may be tried again.
        """
        wanted = asked.completion(params)
        reading = await self._read()
        self._open.find(wanted.record_id, self._steady())
        corrected = None if wanted.corrects is None else await self._corrected(wanted.corrects)
        record = self._open.find(wanted.record_id, self._steady())
        if corrected is not None and (corrected.audience, corrected.kind) != (
            record.draft.audience,
            record.draft.kind.value,
        ):
            raise ControlError("lodging.corrects_nothing")  # another's, or a training's
        record, found, sealed = self._open.complete(
            record.record_id,
            wanted.fields,
            today=reading.now.astimezone().date() if reading.trusted else None,
            steady=self._steady(),
            corrects=wanted.corrects,
        )
        if sealed is not None:
            # Whoever asked may hang up: a record that was begun to be stored is finished.
            storing = asyncio.create_task(self._store(record, found, sealed, reading))
            self._sealing.add(storing)
            storing.add_done_callback(self._stored)
            await asyncio.shield(storing)
        await self._tell_expired()
        told = open_record(record, reading, self._steady(), found)
        return told if sealed is None else told | {"state": "sealed"}

    # --- within ---

    async def _read(self) -> ClockReading:
        return await self._clock()

    def _records(self) -> tuple[Open, ...]:
        return self._open.records(self._steady())

    async def _corrected(self, record_id: str) -> RecordLine:
        line = await self._journal.run(lambda journal: journal_of.find(journal, record_id))
        if line is None or line.state != "correction_wanted":
            raise ControlError("lodging.corrects_nothing")
        return line

    async def _store(self, record: Open, found: Entry, sealed: SealedRecord, reading: ClockReading) -> None:
        """Journal, outbox, journal: a power cut between any two is told as a doubt, never as a success."""
        record_id, now = sealed.record_id, reading.now
        due = deadline(record.scanned_at, sealed.arrival, record.deadline_h)
        try:
            await self._journal.write(
                lambda journal: journal_of.sealing(
                    journal,
                    record_id,
                    arrival=sealed.arrival,
                    deadline=due,
                    corrects=record.corrects,
                    now=now,
                )
            )
            await self._commit(
                msgspec.structs.replace(record.draft, record_id=record_id, record=sealed.sealed)
            )
        except EdgedError:  # a key that can't sign now as well: nothing has left
            self._open.again(record_id)
            self._changed.set()
            await self._noted(lambda journal: journal_of.not_sealed(journal, record_id, now))
            raise
        except BaseException:  # it may have left: the journal goes on saying that nobody knows
            self._open.done(record_id)
            raise
        self._open.done(record_id)
        self._changed.set()
        await self._noted(lambda journal: journal_of.sealed(journal, record_id, typed=found.typed, now=now))
        self._notify(
            {"event": "lodging", "record_id": record_id, "state": "sealed", "deadline": due.isoformat()}
        )

    def _stored(self, storing: asyncio.Task[None]) -> None:
        self._sealing.discard(storing)
        if not storing.cancelled() and (error := storing.exception()) is not None:
            self._log.error("a record was not stored", exc_info=error)

    async def _noted(self, work: Callable[[Journal], None]) -> None:
        """Write what has happened already: a journal that can't be written doesn't undo it."""
        try:
            await self._journal.write(work)
        except StateError as error:
            self._log.error("the journal can't be written", exc_info=error)

    async def _tell_expired(self) -> None:
        gone = self._open.expired(self._steady())
        if gone:
            self._changed.set()
            await self._abandon(gone, "lodging.not_completed")

    async def _abandon(self, gone: tuple[str, ...], code: str) -> None:
        """Never raises `StateError`: everything is forgotten already, and the next start says what this can't."""
        for record_id in gone:
            self._log.warning("a record was abandoned", record_id=record_id, code=code)
            self._notify({"event": "lodging", "record_id": record_id, "state": "abandoned", "code": code})
        if not gone:
            return
        try:
            now = (await self._clock()).now
        except StateError as error:
            self._log.error("the clock can't be read", exc_info=error)
            return

        def note(journal: Journal) -> None:
            for record_id in gone:
                journal_of.abandoned(journal, record_id, code, now)

        await self._noted(note)

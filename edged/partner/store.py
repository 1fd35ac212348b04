"""A partner's own copy of its streams: what was verified, once, with a mark on what has been handed on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from edged.errors import StateError
from edged.partner import waiting
from edged.partner.answers import Answered, is_answer, open_answer
from edged.partner.waiting import REPLAYED, TOO_OLD, Waiting
from edged.uplink import database, intake, stream_holes, streams
from edged.uplink.envelope import OpenedEnvelope
from edged.uplink.gaps import OpenedGap
from edged.uplink.placing import Duplicate, Entry, RefusedAs, Stored
from edged.uplink.replay import MAX_PAGE, MAX_SPANS
from edged.uplink.streams import Alarm, Hole, KeptStream, Missing, StreamStore
from edged.uplink.vouching import Vouch
from edged.verdict import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from edged.uplink.database import StreamKey
    from edged.uplink.intake import Checked, Incoming
    from edged.uplink.placing import Outcome, Surroundings
    from edged.uplink.replay import StreamExtent
    from edged.uplink.roles import TrustAnchor
    from edged.uplink.stream_holes import Total
    from edged.uplink.streams import ReceiverLedger

__all__ = ["Alarm", "History", "Hole", "Inbox", "KeptStream", "Received", "Waiting", "ledger"]

LOOK: Final = 10 * MAX_SPANS
"""Runs that are missing and looked at at once: ten requests' worth, some milliseconds."""

FORGET_AT_ONCE: Final = 500
"""Verdicts whose contents are dropped in one transaction: some milliseconds, so that arrivals don't wait."""

MAX_KEPT_VOUCHES: Final = 2 * MAX_PAGE
"""Messages that a collector has vouched for and that may still come: two pages. Whose vouch was forgotten is refused,
and asked for again."""

_OWNER: Final = "owner"
_HISTORY: Final = "history"
_LIST_DUE: Final = "list_due"
_LISTED_AT: Final = "listed_at"

History = Literal["none", "all"] | datetime
"""What of the time before an inbox was made is wanted: nothing, everything, or what was committed since then."""


class Received(msgspec.Struct, frozen=True):
    """What became of one batch. What to hand on comes from `Inbox.waiting`."""

    stored: int
    """Envelopes and gap records that are new."""
    replayed: int
    """Those of them that came in an answer."""
    duplicates: int
    alarms: tuple[Alarm, ...]
    answers: tuple[Answered, ...]
    """Messages of answers, in order: what was refused among them is an alarm, too."""


class Inbox:
    """A partner's database. Synchronous, of one thread; every method may raise `StateError`."""

    def __init__(self, store: StreamStore, anchor: TrustAnchor, audience: str, *, tests: bool) -> None:
        self._store = store
        self._anchor = anchor
        self._audience = audience
        self._tests = tests
        self._since: datetime | None = None
        self._vouched: dict[str, int] = {}
        self._own(f"{anchor.fleet}/{audience}")
        if store.new:
            self._decide("none")
        self._read_history()

    def _own(self, owner: str) -> None:
        """Note whose inbox this is: another's streams would be asked for, and never be whole."""
        noted = self._store.note(_OWNER)
        if noted is None:
            with self._store.batch():
                self._store.take_note(_OWNER, owner)
        elif noted != owner:
            raise StateError("partner.other_inbox", noted)

    @classmethod
    def open(cls, path: Path, anchor: TrustAnchor, audience: str, *, tests: bool) -> Inbox:
        """Open or create the inbox of `audience`. With `tests`, test and training verdicts are handed on, too.

        Raises `StateError` (`partner.other_inbox` for one that was made for another audience or fleet).
        """
        store = StreamStore.open(path)
        try:
            return cls(store, anchor, audience, tests=tests)
        except BaseException:
            store.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def take(self, messages: Sequence[Incoming], now: datetime) -> Received:
        """Verify and keep a batch; on the disk when this returns."""
        anchor, audience = self._anchor, self._audience
        plain = [one for one in messages if not is_answer(one.topic, anchor.fleet, audience)]
        answers = self._open_answers(
            [one for one in messages if is_answer(one.topic, anchor.fleet, audience)], now
        )
        checked: list[Checked | Answered] = [
            *intake.check(plain, anchor=anchor, now=now, audience=audience),
            *(one for one in answers if isinstance(one.found, OpenedEnvelope | OpenedGap | None)),
        ]
        outcomes, alarms = [], []
        with self._store.batch():
            envelopes = [one.found for one in checked if isinstance(one.found, OpenedEnvelope)]
            around = self._store.surroundings([Entry.of(opened) for opened in envelopes])
            for one in checked:
                outcome = self._place(one, around, now)
                outcomes.append((one, outcome))
                if isinstance(outcome, RefusedAs):
                    alarms.append(self._alarm(one, outcome, now))
            self._store.settle({_stream(one) for one, outcome in outcomes if isinstance(outcome, Stored)})
        new = [one for one, outcome in outcomes if isinstance(outcome, Stored)]
        return Received(
            stored=len(new),
            replayed=sum(isinstance(one, Answered) for one in new),
            duplicates=sum(isinstance(outcome, Duplicate) for _, outcome in outcomes),
            alarms=tuple(alarms),
            answers=tuple(answers),
        )

    def _open_answers(self, messages: Sequence[Incoming], now: datetime) -> list[Answered]:
        """In order: a vouch comes before what it is about, and is no message of the answer itself."""
        answers = []
        for message in messages:
            answered = open_answer(
                message, anchor=self._anchor, now=now, audience=self._audience, vouched=self._vouched
            )
            if not isinstance(answered.found, Vouch):
                answers.append(answered)
                continue
            known = self._vouched | {one.sha256: one.at for one in answered.found.received}
            self._vouched = dict(list(known.items())[-MAX_KEPT_VOUCHES:])
        return answers

    def _place(self, one: Checked | Answered, around: Surroundings, now: datetime) -> Outcome:
        found, lane = one.found, "replay" if isinstance(one, Answered) else one.incoming.lane
        if isinstance(found, OpenedEnvelope):
            body = {"verdict": found.payload, "sha256": found.sha256, "lane": lane}
            old = isinstance(one, Answered) and self._is_too_old(found)
            return self._store.place(
                found,
                msgspec.json.encode(body).decode(),
                now=now,
                hand=not old and (self._tests or found.payload.kind is Kind.LIVE),
                replayed=(TOO_OLD if old else REPLAYED) if isinstance(one, Answered) else 0,
                around=around,
            )
        if isinstance(found, OpenedGap):
            body = {"gap": found.payload, "sha256": found.sha256}
            return self._store.place_gap(found, msgspec.json.encode(body).decode(), now=now)
        return RefusedAs(one.code or "topic.not_ours")

    def _alarm(self, one: Checked | Answered, refused: RefusedAs, now: datetime) -> Alarm:
        topic = one.incoming.topic
        if not isinstance(one.found, OpenedEnvelope):
            return self._store.raise_alarm(refused.code, topic, now=now, sha256=one.sha256)
        # The device has signed this: two stories of one device, side by side, are the proof.
        evidence = one.incoming.payload.decode("ascii")
        return self._store.raise_alarm(refused.code, topic, now=now, opened=one.found, evidence=evidence)

    def _is_too_old(self, opened: OpenedEnvelope) -> bool:
        return self._since is not None and opened.payload.iat < self._since.timestamp()

    # --- handing on ---

    def waiting(self, limit: int, held: Collection[StreamKey] = ()) -> list[Waiting]:
        """What is to be handed on next, but for streams that are `held`; at most `limit`.

        Verdicts in order of arrival, then gap records, then replayed verdicts, each stream's in order of number.
        """
        return waiting.waiting(self._store.connection, limit, held)

    def count_waiting(self) -> tuple[int, int]:
        """How many verdicts and gap records wait to be handed on, and how many replayed verdicts."""
        return waiting.count(self._store.connection)

    def mark_handed(self, handed: Sequence[Waiting], now: datetime) -> None:
        """Note that these were handed on; on the disk when this returns."""
        waiting.mark(self._store.connection, handed, now)

    def forget(self, before: datetime) -> int:
        """Drop the contents of some verdicts that were handed on before then; 0 when there are none left."""
        return waiting.forget(self._store.connection, before, FORGET_AT_ONCE)

    def fold(self) -> None:
        """Make what was forgotten gone from the write-ahead log as well."""
        database.fold(self._store.connection)

    # --- what there should be ---

    def holes(self) -> list[Hole]:
        """What is missing, for people."""
        return self._store.holes()

    def alarms(self) -> list[Alarm]:
        """Everything that was refused, oldest first."""
        return self._store.alarms()

    def ledger(self) -> ReceiverLedger:
        """Every stream, number by number."""
        return self._store.ledger()

    def missing(self, after: Missing | None = None) -> list[Missing]:
        """What there should be and isn't, from behind `after` on; at most `LOOK` runs."""
        return self._store.missing(LOOK, after)

    def total_missing(self) -> Total:
        """How much that is in all streams."""
        return self._store.total_missing()

    def want(self, history: History) -> None:
        """What of the time before this inbox is wanted from now on; asks for the list of streams as well."""
        self._decide(history)
        self._read_history()
        if history != "none":
            waiting.want_again(self._store.connection, self._since)

    def _decide(self, history: History) -> None:
        with self._store.batch():
            value = (
                history
                if isinstance(history, str)
                else history.astimezone(UTC).isoformat(timespec="milliseconds")
            )
            self._store.take_note(_HISTORY, value)
            self._store.take_note(_LIST_DUE, "yes")
            if history != "none":
                stream_holes.want_all(self._store.connection)

    def _read_history(self) -> None:
        noted = self._store.note(_HISTORY)
        self._since = None if noted in (None, "none", "all") else datetime.fromisoformat(str(noted))

    def list_due(self) -> bool:
        """Whether the centre is still to be asked which streams there are."""
        return self._store.note(_LIST_DUE) is not None

    def want_list(self) -> None:
        """Note that the centre is to be asked which streams there are."""
        with self._store.batch():
            self._store.take_note(_LIST_DUE, "yes")

    def listed_at(self) -> datetime | None:
        """When the last list of streams ended; None when there was none yet."""
        noted = self._store.note(_LISTED_AT)
        return None if noted is None else datetime.fromisoformat(noted)

    def take_list(self, extents: Sequence[StreamExtent], *, last: bool, now: datetime) -> None:
        """Note which streams there are, and how far they reach; `last` ends the list.

        An inbox that was made without history begins each stream of its first list where that stands by then. A
        stream that a later list has for the first time was missed: it is wanted whole.
        """
        connection = self._store.connection
        from_here = self._store.note(_HISTORY) == "none"
        with self._store.batch():
            for extent in extents:
                key = (extent.device, extent.log_id, self._audience)
                stream_holes.extend(connection, key, extent.highest)
                if from_here:
                    stream_holes.begin_after(connection, key, extent.highest)
            if last:
                self._store.drop_note(_LIST_DUE)
                self._store.take_note(_LISTED_AT, now.isoformat(timespec="milliseconds"))
                if from_here:
                    self._store.take_note(_HISTORY, "all")


def _stream(one: Checked | Answered) -> StreamKey:
    assert isinstance(one.found, OpenedEnvelope | OpenedGap)
    payload = one.found.payload
    return payload.iss, payload.log_id, payload.audience


def ledger(path: Path) -> dict[StreamKey, KeptStream]:
    """Another process's inbox by stream, read only. Raises `StateError`."""
    return streams.ledger(path).streams

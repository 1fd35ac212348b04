"""Lodging records as the journal knows them: which there are, how far each came, what the recipient said. No identity.

Check-ins stand beside them: how many foreigners came on a day, or the references of their check-ins. Functions of one
open `Journal`; those that write belong in a transaction, as `DatabaseThread.write` makes one. All raise `StateError`.
"""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, get_args

import msgspec

from edged.errors import SignatureRefusedError, StateError
from edged.uplink.database import from_ms, to_ms, translated

if TYPE_CHECKING:
    import sqlite3

    from edged.journal.database import Journal
    from edged.uplink.record_reply import RecordReply

State = Literal["open", "sealing", "sealed", "abandoned", "accepted", "correction_wanted", "corrected"]

_LEFT: Final = frozenset({"sealing", "sealed", "accepted", "correction_wanted", "corrected"})
"""States of records that an answer may be about."""

KEEP: Final = timedelta(days=800)
"""How long a record's line stays: two years of months to compare, and some weeks."""

MAX_ROWS: Final = 20_000
"""Records that one reading returns: over fifty a day for a year."""

SKEW: Final = timedelta(minutes=5)
"""Two good clocks don't differ more: an answer that has a record before it was sealed is refused."""


class RecordLine(msgspec.Struct, frozen=True, kw_only=True):
    """One record."""

    record_id: str
    audience: str
    kind: str
    reference: str | None
    scanned: datetime
    scanned_day: date
    clock_trusted: bool
    deadline: datetime
    state: State
    changed: datetime
    arrival: date | None
    sealed: datetime | None
    corrects: str | None
    replied: datetime | None
    received: datetime | None
    fields: tuple[str, ...]
    ever_corrected: bool

    @property
    def day(self) -> date:
        """The day whose rates it counts for: that of the arrival, or of the scan while nobody has said."""
        return self.arrival or self.scanned_day


class CheckIns(msgspec.Struct, frozen=True):
    """What was entered of one day: the count that was told, and how many references; of these, without a record."""

    count: int | None
    references: int
    unregistered: int = 0

    @property
    def total(self) -> int:
        """How many foreigners came: a count that references exceed was too small."""
        return max(self.count or 0, self.references)


def begin(
    journal: Journal,
    record_id: str,
    *,
    audience: str,
    kind: str,
    reference: str | None,
    scanned: datetime,
    clock_trusted: bool,
    deadline: datetime,
) -> None:
    """Note a record that waits for its clerk. `scanned` in local time: its day is the hotel's."""
    with translated():
        journal.connection.execute(
            "INSERT INTO lodging_records (record_id, audience, kind, reference, scanned, scanned_day, clock_trusted,"
            " deadline, state, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'open', ?)",
            (
                *(record_id, audience, kind, reference, to_ms(scanned), scanned.date().isoformat()),
                *(clock_trusted, to_ms(deadline), to_ms(scanned)),
            ),
        )
    journal.append("lodging.opened", record_id, {"audience": audience}, scanned)


def sealing(
    journal: Journal,
    record_id: str,
    *,
    arrival: date,
    deadline: datetime,
    corrects: str | None,
    now: datetime,
) -> None:
    """Note that a record is on its way to the outbox: before it is, so that a power cut leaves no doubt unnoticed."""
    with translated():
        journal.connection.execute(
            "UPDATE lodging_records SET state = 'sealing', arrival = ?, deadline = ?, corrects = ?, sealed = ?,"
            " changed = ? WHERE record_id = ? AND state = 'open'",
            (arrival.isoformat(), to_ms(deadline), corrects, to_ms(now), to_ms(now), record_id),
        )


def not_sealed(journal: Journal, record_id: str, now: datetime) -> None:
    """The outbox didn't take it: it is open again."""
    with translated():
        journal.connection.execute(
            "UPDATE lodging_records SET state = 'open', arrival = NULL, corrects = NULL, sealed = NULL, changed = ?"
            " WHERE record_id = ? AND state = 'sealing'",
            (to_ms(now), record_id),
        )


def sealed(journal: Journal, record_id: str, *, typed: tuple[str, ...], now: datetime) -> None:
    """It is on the disk in its envelope. `typed`: names of the fields that the clerk gave."""
    with translated():
        journal.connection.execute(
            "UPDATE lodging_records SET state = 'sealed', changed = ? WHERE record_id = ? AND state = 'sealing'",
            (to_ms(now), record_id),
        )
        _replace_corrected(journal, record_id, now)
    journal.append("lodging.sealed", record_id, {"typed": list(typed)}, now)


def _replace_corrected(journal: Journal, record_id: str, now: datetime) -> None:
    """The record that this one corrects, if any, has been replaced."""
    journal.connection.execute(
        "UPDATE lodging_records SET state = 'corrected', changed = ? WHERE state = 'correction_wanted' AND"
        " record_id = (SELECT corrects FROM lodging_records WHERE record_id = ?)",
        (to_ms(now), record_id),
    )


def abandoned(journal: Journal, record_id: str, code: str, now: datetime) -> None:
    """Nobody completed it; everything of it was forgotten. `code` says why."""
    with translated():
        changed = journal.connection.execute(
            "UPDATE lodging_records SET state = 'abandoned', changed = ? WHERE record_id = ? AND state = 'open'",
            (to_ms(now), record_id),
        ).rowcount
    if changed:
        journal.append("lodging.abandoned", record_id, {"code": code}, now)


def open_records(journal: Journal) -> tuple[str, ...]:
    """Records that wait for their clerk, by the journal: after a start, those that the stop forgot."""
    with translated():
        rows = journal.connection.execute(
            "SELECT record_id FROM lodging_records WHERE state = 'open' ORDER BY scanned"
        ).fetchall()
    return tuple(row[0] for row in rows)


def find(journal: Journal, record_id: str) -> RecordLine | None:
    """One record; None for one that isn't known."""
    with translated():
        row = journal.connection.execute(
            "SELECT * FROM lodging_records WHERE record_id = ?", (record_id,)
        ).fetchone()
    return None if row is None else _line(row)


def replied(journal: Journal, reply: RecordReply, now: datetime) -> bool:
    """Apply a recipient's verified answer; whether it changed anything: one that was heard before doesn't.

    Raises `SignatureRefusedError`: `record_reply.unknown_record`, `record_reply.other_audience`,
    `record_reply.not_sealed`, `record_reply.before_sealing`.
    """
    line = find(journal, reply.record_id)
    if line is None:
        raise SignatureRefusedError("record_reply.unknown_record")
    if line.audience != reply.iss:
        raise SignatureRefusedError("record_reply.other_audience")
    if line.state not in _LEFT or line.sealed is None:
        raise SignatureRefusedError("record_reply.not_sealed")
    if line.clock_trusted and reply.received_at < (line.sealed - SKEW).timestamp():
        raise SignatureRefusedError("record_reply.before_sealing")
    if line.replied is not None and reply.iat <= line.replied.timestamp():
        return False
    accepted = reply.verdict == "accepted"
    state = "accepted" if accepted else "correction_wanted"
    # Whoever sent it again was told in time or not the first time they had it.
    received = (
        min(reply.received_at * 1000, to_ms(line.received)) if line.received else reply.received_at * 1000
    )
    with translated():
        journal.connection.execute(
            "UPDATE lodging_records SET state = CASE state WHEN 'corrected' THEN state ELSE ? END, changed = ?,"
            " replied = ?, received = ?, fields = ?, ever_corrected = ever_corrected OR ? WHERE record_id = ?",
            (
                *(state, to_ms(now), reply.iat * 1000, received, json.dumps(sorted(reply.fields))),
                *(not accepted, reply.record_id),
            ),
        )
        if line.state == "sealing":  # a power cut hid that it left: now it is known
            _replace_corrected(journal, reply.record_id, now)
    kind = "lodging.accepted" if accepted else "lodging.correction_wanted"
    journal.append(kind, reply.record_id, {"fields": sorted(reply.fields)}, now)
    return True


def lines(journal: Journal, first: date, last: date) -> list[RecordLine]:
    """Records of these days, the latest scanned first. Raises `StateError` (`lodging.too_many`) beyond `MAX_ROWS`."""
    with translated():
        rows = journal.connection.execute(
            "SELECT * FROM lodging_records WHERE coalesce(arrival, scanned_day) BETWEEN ? AND ?"
            " ORDER BY scanned DESC, record_id LIMIT ?",
            (first.isoformat(), last.isoformat(), MAX_ROWS + 1),
        ).fetchall()
    if len(rows) > MAX_ROWS:
        raise StateError("lodging.too_many")
    return [_line(row) for row in rows]


def latest(journal: Journal, limit: int) -> list[RecordLine]:
    """The latest records, the newest first."""
    with translated():
        rows = journal.connection.execute(
            "SELECT * FROM lodging_records ORDER BY scanned DESC, record_id LIMIT ?", (limit,)
        ).fetchall()
    return [_line(row) for row in rows]


def count_check_ins(journal: Journal, day: date, count: int, now: datetime) -> None:
    """So many foreigners have checked in on `day` up to now: replaces what was told of that day before."""
    with translated():
        journal.connection.execute(
            "INSERT INTO lodging_checkins (day, count, changed) VALUES (?, ?, ?)"
            " ON CONFLICT (day) DO UPDATE SET count = excluded.count, changed = excluded.changed",
            (day.isoformat(), count, to_ms(now)),
        )
    journal.append("lodging.checkins", day.isoformat(), {"count": count}, now)


def check_in(journal: Journal, reference: str, day: date, now: datetime) -> bool:
    """A foreigner has checked in under this reference; False when that was told before."""
    with translated():
        added = journal.connection.execute(
            "INSERT OR IGNORE INTO lodging_references (reference, day, entered) VALUES (?, ?, ?)",
            (reference, day.isoformat(), to_ms(now)),
        ).rowcount
    if added:
        journal.append("lodging.checkins", day.isoformat(), {"reference": reference}, now)
    return bool(added)


def check_ins(journal: Journal, first: date, last: date, *, tests: bool = False) -> dict[date, CheckIns]:
    """By day, of the days of which anything was told. `tests`: whether a test's record registers a guest."""
    asked = (first.isoformat(), last.isoformat())
    with translated():
        counts = dict(
            tuple(row)
            for row in journal.connection.execute(
                "SELECT day, count FROM lodging_checkins WHERE day BETWEEN ? AND ?", asked
            )
        )
        references = dict(
            tuple(row)
            for row in journal.connection.execute(
                "SELECT day, count(*) FROM lodging_references WHERE day BETWEEN ? AND ? GROUP BY day", asked
            )
        )
        missing = dict(
            tuple(row)
            for row in journal.connection.execute(
                f"SELECT day, count(*) FROM lodging_references AS told WHERE day BETWEEN ? AND ? AND {_NO_RECORD}"  # noqa: S608  # our own words
                " GROUP BY day",
                (*asked, tests),
            )
        )
    return {
        date.fromisoformat(day): CheckIns(counts.get(day), references.get(day, 0), missing.get(day, 0))
        for day in sorted({*counts, *references})
    }


_NO_RECORD: Final = (
    "NOT EXISTS (SELECT 1 FROM lodging_records AS made WHERE made.reference = told.reference AND made.state IN"
    " ('sealing', 'sealed', 'accepted', 'correction_wanted', 'corrected') AND (? OR made.kind = 'live'))"
)


def unregistered(
    journal: Journal, first: date, last: date, limit: int, *, tests: bool = True
) -> list[tuple[str, date]]:
    """Check-ins by reference of which no record has left, with their days, the oldest first."""
    with translated():
        rows = journal.connection.execute(
            f"SELECT reference, day FROM lodging_references AS told WHERE day BETWEEN ? AND ? AND {_NO_RECORD}"  # noqa: S608  # our own words
            " ORDER BY day, reference LIMIT ?",
            (first.isoformat(), last.isoformat(), tests, limit),
        ).fetchall()
    return [(row[0], date.fromisoformat(row[1])) for row in rows]


def tidy(journal: Journal, now: datetime) -> None:
    """Delete what is older than `KEEP`."""
    before = now - KEEP
    with translated():
        journal.connection.execute(
            "DELETE FROM lodging_records WHERE scanned < ? AND state <> 'open'", (to_ms(before),)
        )
        for table in ("lodging_checkins", "lodging_references"):
            journal.connection.execute(
                f"DELETE FROM {table} WHERE day < ?",  # noqa: S608  # our own names
                (before.date().isoformat(),),
            )


def _line(row: sqlite3.Row) -> RecordLine:
    found = dict(row)
    try:
        for name in ("scanned", "deadline", "changed", "sealed", "replied", "received"):
            found[name] = None if found[name] is None else from_ms(found[name])
        for name in ("scanned_day", "arrival"):
            found[name] = None if found[name] is None else date.fromisoformat(found[name])
        found["fields"] = tuple(json.loads(found["fields"]))
    except ValueError:
        raise StateError("state.corrupt", "a day that never was") from None
    if found["state"] not in get_args(State):
        raise StateError("state.corrupt", "a state that never was")
    for name in ("clock_trusted", "ever_corrected"):
        found[name] = bool(found[name])
    return RecordLine(**found)

"""Storing into an archive: one transaction a batch, in the words of SQL that SQLite and PostgreSQL share.

Few statements whatever the size of the batch: what a statement is to look at goes in as one table (`_table`). A
subclass brings the transaction, the streams' rows (locked, where several write at once) and the way rows go in.
"""

# ruff: noqa: S608 - statements are put together from our own words; everything else goes in as a parameter

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec.structs import astuple

from edged import log
from edged.central.archive import ROW_REFUSED, Archived
from edged.central.archive_read import SqlReader
from edged.central.batch import (
    Known,
    KnownGap,
    Plan,
    RaisedAlarm,
    StreamState,
    Wants,
    contradiction,
    to_compare,
)
from edged.errors import StateError
from edged.uplink import streams
from edged.uplink.database import StreamKey, to_ms
from edged.uplink.placing import Span, Surroundings, accounted_to
from edged.uplink.receipts import range_sha256
from edged.uplink.streams import Alarm, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from edged.uplink.intake import Checked

T = TypeVar("T")

ENVELOPE: Final = {
    "stream": "bigint",
    "seq": "bigint",
    "audience": "bigint",
    "sha256": "bytea",
    "prev": "bytea",
    "jti": "text",
    "received_at": "bigint",
    "body": "text",
}
GAP: Final = {
    "sha256": "bytea",
    "stream": "bigint",
    "device": "text",
    "first": "bigint",
    "last": "bigint",
    "range_sha256": "bytea",
    "compared": "smallint",
    "reason": "text",
    "received_at": "bigint",
    "body": "text",
}
ALARM_KEY: Final = {
    "code": "text",
    "topic": "text",
    "device": "text",
    "log_id": "text",
    "audience": "text",
    "seq": "bigint",
}
ALARM: Final = ALARM_KEY | {
    "sha256": "bytea",
    "evidence": "text",
    "count": "bigint",
    "first_at": "bigint",
    "last_at": "bigint",
}
STREAM: Final = dict.fromkeys(("stored", "highest", "whole", "holed", "duplicates", "gaps", "id"), "bigint")
"""Columns that a batch writes, with their types at PostgreSQL."""


class SqlArchive(SqlReader):
    """What every archive does; see `edged.central.archive.Archive`."""

    fleet: str
    _log = log.get("archive")

    def _transact(self, work: Callable[[], T]) -> T:
        """All of `work` on the disk when this returns, or nothing of it. Raises `StateError`."""
        raise NotImplementedError

    def _table(self, columns: dict[str, str], rows: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
        """`rows` (no bytes in them) as a table `w` for a FROM clause, and its parameters."""
        raise NotImplementedError

    def _insert(
        self, table: str, columns: dict[str, str], rows: Sequence[Sequence[Any]], more: str = ""
    ) -> None:
        """Insert rows; `more` stands behind the statement."""
        raise NotImplementedError

    def _update_streams(self, rows: Sequence[Sequence[int]]) -> None:
        """Write rows of `STREAM`."""
        raise NotImplementedError

    def _streams(self, keys: Sequence[StreamKey]) -> dict[StreamKey, StreamState]:
        """The streams' rows, made where they are missing, nobody else's until the transaction ends."""
        raise NotImplementedError

    def _lock(self, streams: Sequence[int]) -> None:
        """Keep these streams' rows, sorted, to this transaction."""
        raise NotImplementedError

    def store(self, checked: Sequence[Checked], now: datetime) -> Archived:
        """See `edged.central.archive.Archive`."""
        return self._whole_or_halves(checked, to_ms(now))

    def _whole_or_halves(self, checked: Sequence[Checked], moment: int) -> Archived:
        """One transaction; or, where the database won't have a row of it, two, until what it won't have is alone."""
        wants = Wants(checked)
        try:
            return self._transact(lambda: self._store(checked, wants, moment))
        except StateError as error:
            if error.code != ROW_REFUSED:
                raise
            if len(checked) == 1:
                self._log.error(
                    "a row was refused", topic=printable(checked[0].incoming.topic), said=error.detail
                )
                return self._transact(lambda: self._unkept(checked[0], moment))
        half = len(checked) // 2
        first, second = (self._whole_or_halves(part, moment) for part in (checked[:half], checked[half:]))
        return Archived(*(ours + more for ours, more in zip(astuple(first), astuple(second), strict=True)))

    def _unkept(self, checked: Checked, moment: int) -> Archived:
        """The alarm for what the database won't have. One row a topic: what a device has proven is not crowded out."""
        names = (ROW_REFUSED, printable(checked.incoming.topic), "", "", "", 0)
        alarms = self._raise([RaisedAlarm(names, checked.sha256, None)], moment)
        return Archived(stored=0, duplicates=0, gaps=0, refused=1, alarms=tuple(alarms), answers=())

    def forget_evidence(self, before: datetime, limit: int) -> int:
        """See `edged.central.archive.Archive`."""
        return self._transact(lambda: self._forget_evidence(before, limit))

    def _store(self, checked: Sequence[Checked], wants: Wants, moment: int) -> Archived:
        known = self._known(wants)
        plan = Plan.of(checked, wants, known)
        self._write(plan, moment)
        alarms = self._raise([*plan.alarms, *self._settle(plan)], moment)
        states = [known.streams[key] for key in wants.streams]
        self._update_streams(
            [
                (
                    *(state.stored, state.highest, state.whole, int(state.whole < state.highest)),
                    *(state.duplicates, state.gaps, state.id),
                )
                for state in states
            ]
        )
        return Archived(
            stored=len(plan.envelopes),
            duplicates=plan.duplicates,
            gaps=len(plan.gaps),
            refused=plan.refused,
            alarms=tuple(alarms),
            answers=plan.answers.answers(),
        )

    def _known(self, wants: Wants) -> Known:
        states = self._streams(wants.streams) if wants.streams else {}
        keys = {state.id: key for key, state in states.items()}
        around = Surroundings()
        if wants.runs:
            runs = [(states[run.stream].id, run.first, run.last) for run in wants.runs]
            table, parameters = self._table({"stream": "bigint", "first": "bigint", "last": "bigint"}, runs)
            jtis = [(states[stream].id, jti) for stream, jti in wants.jtis]
            others, more = self._table({"stream": "bigint", "jti": "text"}, jtis)
            for stream, seq, sha256, prev, jti in self._query(
                f"SELECT e.stream, e.seq, e.sha256, e.prev, e.jti FROM {table} CROSS JOIN envelope e"
                " WHERE e.stream = w.stream AND e.seq BETWEEN w.first AND w.last UNION ALL"
                f" SELECT e.stream, 0, e.sha256, e.prev, e.jti FROM {others} CROSS JOIN envelope e"
                " WHERE e.stream = w.stream AND e.jti = w.jti",
                [*parameters, *more],
            ):
                around.hold_jti(keys[stream], jti)
                if seq:
                    around.hold(keys[stream], seq, sha256.hex(), prev and prev.hex())
        return Known(
            self.fleet, states, around, self._known_gaps(wants.gaps), self._gap_counts(wants.gap_devices)
        )

    def _known_gaps(self, names: Sequence[str]) -> set[str]:
        marks = ", ".join("?" * len(names))
        hashes = [bytes.fromhex(name) for name in names]
        if not names:
            return set()
        return {
            row[0].hex() for row in self._query(f"SELECT sha256 FROM gap WHERE sha256 IN ({marks})", hashes)
        }

    def _gap_counts(self, devices: Sequence[str]) -> dict[str, int]:
        return {
            device: self._all("SELECT count(*) FROM gap WHERE device = ?", (device,))[0][0]
            for device in devices
        }

    def _write(self, plan: Plan, moment: int) -> None:
        states = plan.known.streams
        rows = []
        for entry, body in plan.envelopes:
            state = states[entry.stream]
            prev = None if entry.prev is None else bytes.fromhex(entry.prev)
            sha256 = bytes.fromhex(entry.sha256)
            rows.append((state.id, entry.seq, state.audience, sha256, prev, entry.jti, moment, body))
        if rows:
            self._insert("envelope", ENVELOPE, rows)
        gaps = []
        for key, opened, body in plan.gaps:
            gap = opened.payload
            digest = None if gap.sha256 is None else bytes.fromhex(gap.sha256)
            head = (bytes.fromhex(opened.sha256), states[key].id, gap.iss, gap.first, gap.last)
            gaps.append((*head, digest, int(digest is None), gap.reason, moment, body))
        if gaps:
            self._insert("gap", GAP, gaps)

    def _settle(self, plan: Plan) -> list[RaisedAlarm]:
        """Move every touched stream's `whole` on, and compare gap records with what is stored after all."""
        alarms: list[RaisedAlarm] = []
        new = plan.numbers()
        gaps = self._gaps_of([plan.known.streams[key] for key in new])
        fresh = {gap.opened.sha256 for gap in plan.gaps}
        for key, numbers in new.items():
            state = plan.known.streams[key]
            found = gaps.get(state.id, [])
            for gap in to_compare(found, numbers, fresh, state.stored):
                alarms += self._compare(key, state.id, gap)
            spans = [gap.span for gap in found]
            before = state.whole
            state.whole = accounted_to(state.whole, state.highest, numbers, spans)
            while before < state.whole < state.highest:
                before = state.whole
                state.whole = accounted_to(self._island(state.id, before), state.highest, (), spans)
        return alarms

    def _gaps_of(self, states: Iterable[StreamState]) -> dict[int, list[KnownGap]]:
        """Gap records that may still move `whole`, or are not compared yet."""
        found: dict[int, list[KnownGap]] = defaultdict(list)
        rows = [(state.id, state.whole) for state in states if state.gaps]
        if not rows:
            return found
        table, parameters = self._table({"stream": "bigint", "whole": "bigint"}, rows)
        for stream, first, last, sha256, digest, compared in self._query(
            f"SELECT g.stream, g.first, g.last, g.sha256, g.range_sha256, g.compared FROM {table}"
            " CROSS JOIN gap g WHERE g.stream = w.stream"
            " AND (g.compared = 0 OR g.last IS NULL OR g.last > w.whole)",
            parameters,
        ):
            found[stream].append(
                KnownGap(Span(first, last), sha256.hex(), None if compared else digest.hex())
            )
        return found

    def _island(self, stream: int, whole: int) -> int:
        """The end of the run of stored numbers that goes on from `whole`."""
        ((end,),) = self._all(
            "SELECT CASE WHEN EXISTS (SELECT 1 FROM envelope WHERE stream = ? AND seq = ?) THEN"
            " (SELECT e.seq FROM envelope e WHERE e.stream = ? AND e.seq > ? AND NOT EXISTS"
            " (SELECT 1 FROM envelope n WHERE n.stream = e.stream AND n.seq = e.seq + 1)"
            " ORDER BY e.seq LIMIT 1) ELSE ? END",
            (stream, whole + 1, stream, whole, whole),
        )
        return int(end)

    def _compare(self, key: StreamKey, stream: int, gap: KnownGap) -> list[RaisedAlarm]:
        first, last = gap.span.first, gap.span.last or 0
        hashes = [
            sha256.hex()
            for (sha256,) in self._query(
                "SELECT sha256 FROM envelope WHERE stream = ? AND seq BETWEEN ? AND ? ORDER BY seq",
                (stream, first, last),
            )
        ]
        if len(hashes) <= last - first:
            return []
        name = bytes.fromhex(gap.sha256)
        ((body,),) = self._all("UPDATE gap SET compared = 1 WHERE sha256 = ? RETURNING body", (name,))
        if range_sha256(hashes) == gap.range_sha256:
            return []
        return [RaisedAlarm(contradiction(key, gap), gap.sha256, body)]

    def _raise(self, raised: Sequence[RaisedAlarm], moment: int) -> list[Alarm]:
        """Count what was refused; a row each, within the bounds."""
        if not raised:
            return []
        rows = self._alarm_rows(raised)
        counts: dict[tuple[Any, ...], int] = defaultdict(int)
        first: dict[tuple[Any, ...], RaisedAlarm] = {}
        for key, alarm in zip(rows, raised, strict=True):
            counts[key] += 1
            first.setdefault(key, alarm)
        self._insert(
            "alarm",
            ALARM,
            [
                (*key, bytes.fromhex(first[key].sha256), first[key].evidence, counts[key], moment, moment)
                for key in sorted(counts)  # in one order at every worker: no deadlock
            ],
            " ON CONFLICT (code, topic, device, log_id, audience, seq) DO UPDATE"
            " SET count = alarm.count + excluded.count, last_at = excluded.last_at",
        )
        totals = self._alarms_known(sorted(counts))
        seen: dict[tuple[Any, ...], int] = {key: totals[key] - counts[key] for key in counts}
        alarms = []
        for key, alarm in zip(rows, raised, strict=True):
            seen[key] += 1
            alarms.append(Alarm(*alarm.names, count=seen[key]))
        return alarms

    def _alarm_rows(self, raised: Sequence[RaisedAlarm]) -> list[tuple[Any, ...]]:
        """The row of each alarm: its own, or beyond the bounds the one of its code and device."""
        known = self._alarms_known(sorted({alarm.names for alarm in raised}))
        room: dict[str, int] = {}
        rows: list[tuple[Any, ...]] = []
        for alarm in raised:
            code, device = alarm.names[0], alarm.names[2]
            if device not in room:
                ((count,),) = self._all("SELECT count(*) FROM alarm WHERE device = ?", (device,))
                room[device] = (streams.MAX_PROVEN if device else streams.MAX_ALARMS) - count
            key: tuple[Any, ...] = alarm.names
            if key not in known and room[device] <= 0:
                key = (code, "", device, "", "", 0)
            elif key not in known:
                known[key] = 0
                room[device] -= 1
            rows.append(key)
        return rows

    def _alarms_known(self, keys: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], int]:
        table, parameters = self._table(ALARM_KEY, keys)
        on = " AND ".join(f"a.{column} = w.{column}" for column in ALARM_KEY)
        columns = ", ".join(f"a.{column}" for column in ALARM_KEY)
        return {
            row[:-1]: row[-1]
            for row in self._query(
                f"SELECT {columns}, a.count FROM {table} CROSS JOIN alarm a WHERE {on}",
                parameters,
            )
        }

    def _forget(self, audience: str, before: int, limit: int, moment: int) -> int:
        """See `edged.central.archive.Archive.forget`; inside a transaction."""
        chosen = self._all(
            "SELECT stream, seq FROM envelope WHERE audience = (SELECT id FROM audience WHERE name = ?)"
            " AND received_at < ? AND body IS NOT NULL ORDER BY received_at LIMIT ?",
            (audience, before, limit),
        )
        if chosen:
            self._lock(sorted({stream for stream, _ in chosen}))
            table, parameters = self._table({"stream": "bigint", "seq": "bigint"}, chosen)
            # Somebody else may have been as fast: what is without a body already isn't counted twice.
            dropped = Counter(
                stream
                for (stream,) in self._query(
                    f"UPDATE envelope SET body = NULL WHERE (stream, seq) IN (SELECT w.stream, w.seq FROM {table})"
                    " AND body IS NOT NULL RETURNING stream",
                    parameters,
                )
            )
            table, parameters = self._table({"id": "bigint", "count": "bigint"}, sorted(dropped.items()))
            self._all(
                f"UPDATE stream SET forgotten = forgotten + w.count FROM {table} WHERE stream.id = w.id"
                " RETURNING stream.id",
                parameters,
            )
        self._all(
            "UPDATE audience SET forgotten_before = ?, forgotten_at = ? WHERE name = ? RETURNING id",
            (before, moment, audience),
        )
        return sum(dropped.values()) if chosen else 0

"""Reading an archive: the questions that SQLite and PostgreSQL answer in the same words of SQL.

Times are milliseconds since 1970, hashes 32 raw bytes, `?` a parameter.
"""

# ruff: noqa: S608 - statements are put together from our own words; everything else goes in as a parameter

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edged.central.archive import AudienceCount, GapRow, Page, Row
from edged.central.paging import GapAt, cut, gaps_of_span
from edged.central.survey_sql import SqlSurvey
from edged.uplink.database import StreamKey, from_ms, to_ms
from edged.uplink.fields import MAX_SEQ
from edged.uplink.placing import Span as Numbers
from edged.uplink.placing import unaccounted
from edged.uplink.replay import Span, StreamExtent
from edged.uplink.streams import Alarm, Hole, KeptStream, ReceiverLedger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from edged.uplink.replay import Place

PORTION: Final = 500
"""Rows fetched at a time: a megabyte of envelopes."""

ALL_TIME: Final = 2**63 - 1


class _Stored(NamedTuple):
    body: str
    received_at: int
    """In the archive's milliseconds."""


def _page(found: Sequence[_Stored], more: tuple[Span, ...]) -> Page:
    return Page(tuple(one.body for one in found), more, tuple(one.received_at // 1000 for one in found))


class SqlReader(SqlSurvey):
    """What every reader of an archive can be asked; subclasses run the SQL and translate its errors."""

    def _query(self, sql: str, parameters: Sequence[Any] = ()) -> Iterable[Any]:
        """The rows of a statement; in portions where there may be many. Raises `StateError`."""
        raise NotImplementedError

    def holes(self, limit: int = 1000) -> list[Hole]:
        """See `edged.central.archive.ArchiveReader`."""
        found: list[Hole] = []
        streams = self._all(
            "SELECT id, device, log_id, audience, whole, highest, gaps FROM stream WHERE holed = 1"
            " ORDER BY device, log_id, audience LIMIT ?",
            (limit,),
        )
        for identifier, device, log_id, audience, whole, highest, gaps in streams:
            spans = self._spans(identifier, whole) if gaps else []
            for first, last in self._missing(identifier, whole, highest):
                found += [Hole(device, log_id, audience, *run) for run in unaccounted(first, last, spans)]
                if len(found) >= limit:
                    return found[:limit]
        return found

    def _missing(self, stream: int, whole: int, highest: int) -> Iterator[tuple[int, int]]:
        """Runs of numbers above `whole` that aren't stored."""
        reached = whole
        more = True
        while more:  # a broken box has as many holes as numbers
            portion = self._all(
                "SELECT before, seq FROM (SELECT seq, lag(seq, 1, CAST(? AS BIGINT)) OVER (ORDER BY seq) AS before"
                " FROM envelope WHERE stream = ? AND seq > ?) AS pairs WHERE seq > before + 1 ORDER BY seq"
                f" LIMIT {PORTION}",
                (reached, stream, reached),
            )
            for before, reached in portion:
                yield before + 1, reached - 1
            more = len(portion) == PORTION
        for (last,) in self._all("SELECT max(seq) FROM envelope WHERE stream = ?", (stream,)):
            reached = max(whole, last or 0)
        if reached < highest:
            yield reached + 1, highest

    def _spans(self, stream: int, whole: int) -> list[Numbers]:
        return [
            Numbers(first, last)
            for first, last in self._all(
                "SELECT first, last FROM gap WHERE stream = ? AND (last IS NULL OR last > ?) ORDER BY first",
                (stream, whole),
            )
        ]

    def alarms(self) -> list[Alarm]:
        """See `edged.central.archive.ArchiveReader`."""
        return [
            Alarm(*row)
            for row in self._query(
                "SELECT code, topic, device, log_id, audience, seq, count FROM alarm ORDER BY first_at, code,"
                " topic, device, log_id, audience, seq"
            )
        ]

    def ledger(self) -> ReceiverLedger:
        """See `edged.central.archive.ArchiveReader`."""
        hashes: dict[int, dict[int, str]] = defaultdict(dict)
        for stream, seq, sha256 in self._query(
            "SELECT stream, seq, sha256 FROM envelope ORDER BY stream, seq"
        ):
            hashes[stream][seq] = sha256.hex()
        streams: dict[StreamKey, KeptStream] = {}
        for identifier, device, log_id, audience, duplicates in self._query(
            "SELECT id, device, log_id, audience, duplicates FROM stream WHERE stored > 0"
            " ORDER BY device, log_id, audience"
        ):
            streams[device, log_id, audience] = KeptStream(hashes.get(identifier, {}), duplicates)
        ((alarms,),) = self._all("SELECT count(*) FROM alarm")
        return ReceiverLedger(streams, alarms)

    def page(self, audience: str, spans: Sequence[Span], limit: int) -> Page:
        """See `edged.central.archive.ArchiveReader`."""
        limit = max(limit, 2)  # an envelope and a gap record may share a number
        found: list[_Stored] = []
        for index, span in enumerate(spans):
            envelopes, gaps = self._span(audience, span, limit - len(found))
            part = cut(span, envelopes, gaps, limit - len(found))
            found += [self._gap_body(one) if isinstance(one, GapAt) else one for one in part.messages]
            if part.rest is not None:
                return _page(found, (part.rest, *spans[index + 1 :]))
        return _page(found, ())

    def _span(self, audience: str, span: Span, limit: int) -> tuple[list[tuple[int, _Stored]], list[GapAt]]:
        """The first envelopes of a span, one more than `limit`, and its gap records."""
        row = self._all(
            "SELECT id, gaps FROM stream WHERE device = ? AND log_id = ? AND audience = ?",
            (span.device, span.log_id, audience),
        )
        if not row:
            return [], []
        ((stream, gaps),) = row
        last = MAX_SEQ if span.last is None else span.last
        envelopes = self._all(
            "SELECT seq, body, received_at FROM envelope WHERE stream = ? AND seq BETWEEN ? AND ? AND body IS NOT NULL"
            " ORDER BY seq LIMIT ?",
            (stream, span.first, last, limit + 1),
        )
        overlapping = (
            self._all(
                "SELECT first, last, sha256 FROM gap WHERE stream = ? AND first <= ?"
                " AND (last IS NULL OR last >= ?)",
                (stream, last, span.first),
            )
            if gaps
            else []
        )
        stored = [(seq, _Stored(body, received_at)) for seq, body, received_at in envelopes]
        return stored, gaps_of_span(span, overlapping)

    def _gap_body(self, gap: GapAt) -> _Stored:
        ((body, received_at),) = self._all(
            "SELECT body, received_at FROM gap WHERE sha256 = ?", (gap.sha256,)
        )
        return _Stored(str(body), received_at)

    def streams(self, audience: str, after: Place | None, limit: int) -> tuple[list[StreamExtent], bool]:
        """See `edged.central.archive.ArchiveReader`."""
        place = (after.device, after.log_id) if after else ("", "")
        rows = self._all(
            "SELECT device, log_id, highest, stored FROM stream WHERE audience = ? AND (device, log_id) > (?, ?)"
            " AND highest > 0 ORDER BY device, log_id LIMIT ?",
            (audience, *place, limit + 1),
        )
        return [StreamExtent(*row) for row in rows[:limit]], len(rows) > limit

    def audiences(self) -> list[AudienceCount]:
        """See `edged.central.archive.ArchiveReader`."""
        columns = ("stored", "forgotten", "duplicates", "gaps", "holed")
        sums = ", ".join(f"CAST(sum({column}) AS BIGINT)" for column in columns)
        found = []
        for *counts, oldest in self._query(
            f"SELECT s.audience, count(*), {sums},"
            " (SELECT min(received_at) FROM envelope e WHERE e.audience = s.audience_id AND e.body IS NOT NULL)"
            " FROM stream s GROUP BY s.audience, s.audience_id ORDER BY s.audience"
        ):
            found.append(AudienceCount(*[*counts, None if oldest is None else from_ms(oldest)]))
        return found

    def rows(self, *, audience: str | None, since: datetime | None, until: datetime | None) -> Iterator[Row]:
        """See `edged.central.archive.ArchiveReader`."""
        ((newest,),) = self._all("SELECT max(received_at) FROM envelope")
        if newest is None:
            return
        end = newest + 1 if until is None else min(newest + 1, to_ms(until))
        place = (-ALL_TIME if since is None else to_ms(since), 0, 0, 0)
        chosen = "" if audience is None else " AND e.audience = (SELECT id FROM audience WHERE name = ?)"
        sql = (
            "SELECT e.received_at, e.audience, e.stream, e.seq, s.device, s.log_id, s.audience, e.sha256, e.body"
            " FROM envelope e JOIN stream s ON s.id = e.stream"
            f" WHERE (e.received_at, e.audience, e.stream, e.seq) > (?, ?, ?, ?) AND e.received_at < ?{chosen}"
            f" ORDER BY e.received_at, e.audience, e.stream, e.seq LIMIT {PORTION}"
        )
        while portion := self._all(sql, (*place, end, *([] if audience is None else [audience]))):
            for moment, _, _, seq, device, log_id, name, sha256, body in portion:
                yield Row(device, log_id, name, seq, sha256.hex(), from_ms(moment), body)
            place = portion[-1][:4]

    def gap_rows(self, *, audience: str | None) -> Iterator[GapRow]:
        """See `edged.central.archive.ArchiveReader`."""
        place: tuple[Any, ...] = (0, 0, b"")
        chosen = "" if audience is None else " AND s.audience = ?"
        sql = (
            "SELECT g.stream, g.first, g.sha256, s.device, s.log_id, s.audience, g.last, g.reason, g.received_at,"
            " g.body FROM gap g JOIN stream s ON s.id = g.stream"
            f" WHERE (g.stream, g.first, g.sha256) > (?, ?, ?){chosen}"
            f" ORDER BY g.stream, g.first, g.sha256 LIMIT {PORTION}"
        )
        while portion := self._all(sql, (*place, *([] if audience is None else [audience]))):
            for _, first, sha256, device, log_id, name, last, reason, moment, body in portion:
                yield GapRow(device, log_id, name, first, last, reason, sha256.hex(), from_ms(moment), body)
            place = portion[-1][:3]

    def _all(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        return list(self._query(sql, parameters))

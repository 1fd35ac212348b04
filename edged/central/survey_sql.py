"""What operators read of an archive, and taking evidence away, in the words of SQL that SQLite and PostgreSQL share.

Times are milliseconds since 1970, hashes 32 raw bytes, `?` a parameter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from edged.central.survey import AlarmRow, Link, StreamSummary
from edged.uplink.database import from_ms, to_ms

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from edged.central.survey import StreamName

_KEY: Final = ("code", "topic", "device", "log_id", "audience", "seq")
"""Columns that name an alarm."""

_FIRST: Final = (-1, "", "", "", "", "", -1)  # before every alarm, in the order of `alarm_rows`


class SqlSurvey:
    """See `edged.central.survey.Survey`; a subclass runs the SQL and translates its errors."""

    def _all(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a statement. Raises `StateError`."""
        raise NotImplementedError

    def summaries(self, after: StreamName | None, limit: int) -> list[StreamSummary]:
        """See `edged.central.survey.Survey`."""
        place = ("", "", "") if after is None else (after.device, after.log_id, after.audience)
        rows = self._all(
            "SELECT s.device, s.log_id, s.audience, s.highest, s.stored, s.forgotten, s.gaps, s.duplicates,"
            " (SELECT e.received_at FROM envelope e WHERE e.stream = s.id ORDER BY e.seq DESC LIMIT 1)"
            " FROM stream s WHERE (s.device, s.log_id, s.audience) > (?, ?, ?)"
            " ORDER BY s.device, s.log_id, s.audience LIMIT ?",
            (*place, limit),
        )
        return [_summary(*row) for row in rows]

    def links(self, stream: StreamName, after: int, limit: int) -> list[Link]:
        """See `edged.central.survey.Survey`."""
        rows = self._all(
            f"SELECT {_LINK} FROM envelope WHERE stream = {_STREAM} AND seq > ? ORDER BY seq LIMIT ?",  # noqa: S608 - our own words
            (stream.device, stream.log_id, stream.audience, after, limit),
        )
        return [_link(*row) for row in rows]

    def around(self, stream: StreamName, seq: int, jti: str) -> list[Link]:
        """See `edged.central.survey.Survey`."""
        rows = self._all(
            f"SELECT {_LINK} FROM envelope WHERE stream = {_STREAM}"  # noqa: S608 - our own words
            " AND (seq BETWEEN ? AND ? OR jti = ?) ORDER BY seq",
            (stream.device, stream.log_id, stream.audience, seq - 1, seq + 1, jti),
        )
        return [_link(*row) for row in rows]

    def alarm_rows(self, after: AlarmRow | None, limit: int) -> list[AlarmRow]:
        """See `edged.central.survey.Survey`."""
        place: tuple[Any, ...] = _FIRST
        if after is not None:
            place = (to_ms(after.first_at), *(getattr(after, name) for name in _KEY))
        columns = ", ".join(("first_at", *_KEY))
        rows = self._all(
            f"SELECT {columns}, count, last_at, sha256, evidence FROM alarm"  # noqa: S608 - our own words
            f" WHERE ({columns}) > (?, ?, ?, ?, ?, ?, ?) ORDER BY {columns} LIMIT ?",
            (*place, limit),
        )
        return [_alarm(*row) for row in rows]

    def forgettable(self, audience: str, before: datetime) -> int:
        """See `edged.central.survey.Survey`."""
        ((count,),) = self._all(
            "SELECT count(*) FROM envelope WHERE audience = (SELECT id FROM audience WHERE name = ?)"
            " AND received_at < ? AND body IS NOT NULL",
            (audience, to_ms(before)),
        )
        return int(count)

    def forgettable_evidence(self, before: datetime) -> int:
        """See `edged.central.survey.Survey`."""
        ((count,),) = self._all(
            "SELECT count(*) FROM alarm WHERE evidence IS NOT NULL AND last_at < ?", (to_ms(before),)
        )
        return int(count)

    def _forget_evidence(self, before: datetime, limit: int) -> int:
        """Drop evidence; belongs into a transaction. Rows in the order in which collectors write them: no deadlock."""
        columns = ", ".join(_KEY)
        keys = self._all(
            f"SELECT {columns} FROM alarm WHERE evidence IS NOT NULL AND last_at < ? LIMIT ?",  # noqa: S608 - our own words
            (to_ms(before), limit),
        )
        taken = 0
        for key in sorted(keys):
            # Raised again meanwhile, it is as young as that.
            rows = self._all(
                f"UPDATE alarm SET evidence = NULL WHERE ({columns}) = (?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own words
                " AND evidence IS NOT NULL AND last_at < ? RETURNING 1",
                (*key, to_ms(before)),
            )
            taken += len(rows)
        return taken


_STREAM: Final = "(SELECT id FROM stream WHERE device = ? AND log_id = ? AND audience = ?)"
_LINK: Final = "seq, sha256, prev, jti, received_at, body"


def _link(seq: int, sha256: bytes, prev: bytes | None, jti: str, received_at: int, body: str | None) -> Link:
    return Link(seq, sha256.hex(), None if prev is None else prev.hex(), jti, from_ms(received_at), body)


def _summary(
    device: str,
    log_id: str,
    audience: str,
    highest: int,
    stored: int,
    forgotten: int,
    gaps: int,
    duplicates: int,
    newest: int | None,
) -> StreamSummary:
    moment = None if newest is None else from_ms(newest)
    return StreamSummary(device, log_id, audience, highest, stored, forgotten, gaps, duplicates, moment)


def _alarm(
    first_at: int,
    code: str,
    topic: str,
    device: str,
    log_id: str,
    audience: str,
    seq: int,
    count: int,
    last_at: int,
    sha256: bytes | None,
    evidence: str | None,
) -> AlarmRow:
    return AlarmRow(
        code,
        topic,
        device,
        log_id,
        audience,
        seq,
        count,
        from_ms(first_at),
        from_ms(last_at),
        None if sha256 is None else sha256.hex(),
        evidence,
    )

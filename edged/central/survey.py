"""What operators read of an archive: its streams, their numbers, its alarms.

Everything comes in pages, so that an archive of any size takes little memory.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator


PAGE: Final = 500
"""Rows in one page: at 64 KiB for the longest message some 30 MB, at the usual 2 KiB one."""


class StreamName(msgspec.Struct, frozen=True, order=True):
    """Which stream; the order of the fields is the order of every list of them."""

    device: str
    log_id: str
    audience: str


class StreamSummary(msgspec.Struct, frozen=True):
    """One stream of the archive."""

    device: str
    log_id: str
    audience: str
    highest: int
    """Stored, or named by a gap record."""
    stored: int
    """Numbers the archive has, with or without a body."""
    forgotten: int
    """Of those, without a body."""
    gap_records: int
    duplicates: int
    newest: datetime | None
    """When the highest number that is there was received."""

    @property
    def missing(self) -> int:
        """Numbers below the highest that aren't there, accounted for by gap records or not."""
        return self.highest - self.stored

    @property
    def name(self) -> StreamName:
        """Which stream it is."""
        return StreamName(self.device, self.log_id, self.audience)


class Link(msgspec.Struct, frozen=True):
    """One number of a stream, as the archive's columns have it."""

    seq: int
    sha256: str
    prev: str | None
    jti: str
    received_at: datetime
    jws: str | None


class AlarmRow(msgspec.Struct, frozen=True):
    """One alarm with what it rests on."""

    code: str
    topic: str
    device: str
    log_id: str
    audience: str
    seq: int
    count: int
    first_at: datetime
    last_at: datetime
    sha256: str | None
    """Of the refused message."""
    evidence: str | None
    """The refused message, where a device has signed it and retention hasn't taken it."""


class Survey(Protocol):
    """What an archive lets operators read. Methods block; an object belongs to one thread. All raise `StateError`."""

    def summaries(self, after: StreamName | None, limit: int) -> list[StreamSummary]:
        """Streams after one of them, by device, log and audience."""

    def links(self, stream: StreamName, after: int, limit: int) -> list[Link]:
        """A stream's numbers above `after`, in order."""

    def around(self, stream: StreamName, seq: int, jti: str) -> list[Link]:
        """What the archive has at a number and beside it, and where this `jti` stands."""

    def alarm_rows(self, after: AlarmRow | None, limit: int) -> list[AlarmRow]:
        """Alarms after one of them, in order of their first time."""

    def forgettable(self, audience: str, before: datetime) -> int:
        """How many bodies `Archive.forget` would drop in all."""

    def forgettable_evidence(self, before: datetime) -> int:
        """How many alarms' evidence `forget_evidence` would drop in all."""


def streams(
    survey: Survey, *, device: str | None = None, log_id: str | None = None, audience: str | None = None
) -> Iterator[StreamSummary]:
    """All streams, or one device's, log's, audience's."""
    # No name sorts before a digit, and "" before every one: a device's streams begin after this place.
    after = StreamName(device, "", "") if device is not None else None
    while page := survey.summaries(after, PAGE):
        for one in page:
            if device not in (None, one.device):
                return
            if log_id in (None, one.log_id) and audience in (None, one.audience):
                yield one
        after = page[-1].name


def alarms(survey: Survey) -> Iterator[AlarmRow]:
    """All alarms, oldest first."""
    after = None
    while page := survey.alarm_rows(after, PAGE):
        yield from page
        after = page[-1]


def links(survey: Survey, stream: StreamName) -> Iterator[Link]:
    """A stream's numbers, in order."""
    after = 0
    while page := survey.links(stream, after, PAGE):
        yield from page
        after = page[-1].seq

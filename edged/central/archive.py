"""The archive, as everything at the centre sees it: SQLite for one machine, PostgreSQL for a fleet.

Every envelope and gap record verbatim, once. Methods block; an object belongs to one thread. All raise `StateError`;
after one the same object may be used again: a batch that failed has left nothing, and a lost connection is made anew.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from edged.central.survey import Survey
from edged.errors import StateError
from edged.uplink.receipts import ReceiptRange, Refusal
from edged.uplink.replay import Span
from edged.uplink.streams import Alarm

ROW_REFUSED: Final = "archive.row_refused"
"""The `StateError` of a database that won't have a row: a rule that somebody has added, or a defect of ours. Trying
again doesn't help."""

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edged.uplink.intake import Checked
    from edged.uplink.replay import Place, StreamExtent
    from edged.uplink.roles import TrustAnchor
    from edged.uplink.streams import Hole, ReceiverLedger


class Answer(msgspec.Struct, frozen=True):
    """What to sign for one device after a batch. Duplicates are in it again: that heals a lost receipt."""

    device: str
    ranges: tuple[ReceiptRange, ...]
    gaps: tuple[str, ...]
    """SHA-256 of gap records."""
    refused: tuple[Refusal, ...]


class Archived(msgspec.Struct, frozen=True):
    """What became of one batch."""

    stored: int
    duplicates: int
    gaps: int
    """Gap records that are new."""
    refused: int
    """Messages that were not kept, junk included."""
    alarms: tuple[Alarm, ...]
    """One for each message that was refused, and for each gap record that contradicts what is stored."""
    answers: tuple[Answer, ...]
    """One or more for each device that has anything; none has more than fits into one receipt."""


class Row(msgspec.Struct, frozen=True):
    """One envelope of the archive."""

    device: str
    log_id: str
    audience: str
    seq: int
    sha256: str
    received_at: datetime
    jws: str | None
    """None once retention has taken the body; number and hash stay."""


class GapRow(msgspec.Struct, frozen=True):
    """One gap record of the archive."""

    device: str
    log_id: str
    audience: str
    first: int
    last: int | None
    reason: str
    sha256: str
    received_at: datetime
    jws: str


class Page(msgspec.Struct, frozen=True):
    """One answer to a replay request, before it is signed."""

    messages: tuple[str, ...]
    """Envelopes and gap records, verbatim."""
    more: tuple[Span, ...]
    received: tuple[int, ...] = ()
    """When each was stored, in seconds since 1970."""


class AudienceCount(msgspec.Struct, frozen=True):
    """One audience's share of the archive; costs a look at each of its streams, not at its envelopes."""

    audience: str
    streams: int
    stored: int
    """Envelopes, those without a body included."""
    forgotten: int
    """Envelopes whose bodies retention has dropped."""
    duplicates: int
    gaps: int
    """Gap records."""
    incomplete: int
    """Streams with a number missing that no gap record accounts for."""
    oldest: datetime | None
    """When the oldest body that is still there was received."""


class ArchiveReader(Survey, Protocol):
    """What can be asked of an archive."""

    def holes(self, limit: int = 1000) -> list[Hole]:
        """What is missing below the highest number of each stream, and no gap record accounts for."""

    def alarms(self) -> list[Alarm]:
        """Everything that was refused and why, oldest first."""

    def ledger(self) -> ReceiverLedger:
        """Every stream, number by number: for proofs over archives that fit into memory."""

    def page(self, audience: str, spans: Sequence[Span], limit: int) -> Page:
        """Stored messages of `audience` in `spans`, by span, in order of number; at most `limit`, but for 1 may be 2.

        A gap record stands at the last number of it that is in the span (one for all numbers at the end), so that
        asking again for `more` continues exactly; of several at one place the one that says most is in the page.
        """

    def streams(self, audience: str, after: Place | None, limit: int) -> tuple[list[StreamExtent], bool]:
        """`audience`'s streams after a place, by (device, log_id); and whether there are more."""

    def audiences(self) -> list[AudienceCount]:
        """Counts for every audience, by name."""

    def rows(self, *, audience: str | None, since: datetime | None, until: datetime | None) -> Iterator[Row]:
        """Envelopes received in [since, until), in order of arrival, read in portions.

        They end with the newest there is when the first is asked for: whoever reads slower than collectors write comes
        to an end, too. What is being stored meanwhile may be missing from the last moments: an export that has to be
        complete ends a minute ago.
        """

    def gap_rows(self, *, audience: str | None) -> Iterator[GapRow]:
        """Gap records, by stream and number, read in portions."""

    def close(self) -> None:
        """Release the connection."""


class Archive(ArchiveReader, Protocol):
    """One connection to the archive of one fleet."""

    def store(self, checked: Sequence[Checked], now: datetime) -> Archived:
        """Place a batch that `edged.uplink.intake.check` has looked at; all on the disk when this returns.

        A message whose row the database won't have holds up no other: it is an alarm, and its box is told nothing, so
        it keeps it and sends it again.
        """

    def forget(self, audience: str, before: datetime, limit: int, now: datetime) -> int:
        """Retention: drop the bodies of at most `limit` envelopes of `audience` received before then; how many.

        Number, hashes and `jti` stay: the ledger, the chain and the alarm for a second story don't end. SQLite
        overwrites what it drops and folds its log; PostgreSQL does so when it vacuums, and its backups and
        write-ahead log keep bodies for as long as they are kept.
        """

    def forget_evidence(self, before: datetime, limit: int) -> int:
        """Retention: drop what at most `limit` alarms rest on that were last raised before then; how many.

        The alarms stay, with their counts and the hash of the first refused message.
        """


def open_archive(location: str, anchor: TrustAnchor) -> Archive:
    """Open the archive of `anchor`'s fleet; make it, or bring it up to this version, where need be.

    `location` is a path (also `sqlite:PATH`), or `postgresql://…` or libpq's `key=value …`. Raises `StateError`.
    No error names a location: it may hold a password.
    """
    if (path := sqlite_path(location)) is not None:
        from edged.central import archive_sqlite

        return archive_sqlite.SqliteArchive.open(path, anchor.fleet)
    _need_psycopg()
    from edged.central import archive_postgres

    return archive_postgres.PostgresArchive.open(location, anchor.fleet)


def open_reader(location: str) -> ArchiveReader:
    """Open an archive that is there, for reading alone, beside whoever writes into it. Raises `StateError`."""
    if (path := sqlite_path(location)) is not None:
        from edged.central import archive_sqlite

        return archive_sqlite.SqliteReader.open(path)
    _need_psycopg()
    from edged.central import archive_postgres

    return archive_postgres.PostgresReader.open(location)


def sqlite_path(location: str) -> str | None:
    """The file that `location` names; None for a PostgreSQL. Raises `StateError` for neither."""
    if not location or "\0" in location:
        raise StateError("archive.bad_location")
    if location.startswith(("postgresql://", "postgres://")):
        return None
    if location.startswith("sqlite:"):
        return location.removeprefix("sqlite:")
    first, separator, _ = location.partition("=")
    # `host=db dbname=edged`: what stands before the first sign is one of libpq's words, not a path.
    return None if separator and first.strip().isidentifier() else location


def _need_psycopg() -> None:
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise StateError("archive.no_driver") from None

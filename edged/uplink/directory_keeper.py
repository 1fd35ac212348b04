"""The signed directory as a running party keeps it: heard from the broker, in force at once, on the disk for next time.

Every method blocks (signatures, one file) and may be called from any thread.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Final

from edged import log
from edged.errors import CodedError, DecodeError, SignatureRefusedError
from edged.uplink import topics
from edged.uplink.directory_reader import MAX_STORED, DirectoryReader
from edged.uplink.keys import write_private
from edged.uplink.streams import Alarm, printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from edged.uplink.directory import Directory
    from edged.uplink.intake import Incoming
    from edged.uplink.roles import TrustAnchor

WATCH_S: Final = 30.0
"""Between two looks whether the directory is too old, or isn't whole: it ends after days."""

SETTLES_S: Final = 60.0
"""How long pages of a new directory may take, one after the other over a slow line, before it is an alarm."""


class DirectoryKeeper:
    """Applies what it hears to `anchor`, and keeps it in the file `path` (None: in memory alone).

    With `pages` False the head alone is read.
    """

    def __init__(self, anchor: TrustAnchor, path: Path | None, *, pages: bool = True) -> None:
        self._anchor = anchor
        self._path = path
        self._reader = DirectoryReader(anchor, pages=pages)
        head = topics.keys(anchor.fleet)
        self.filters: tuple[str, ...] = (f"{head}/+", head) if pages else (head,)
        """What to subscribe to, before anything that is judged by it; pages first, so that a head finds them here."""
        self._counts: Counter[tuple[str, str]] = Counter()
        self._incomplete_since: datetime | None = None
        self._lock = threading.Lock()
        self._log = log.get("directory")

    @property
    def current(self) -> Directory | None:
        """The newest whole directory."""
        return self._reader.current

    def published(self) -> tuple[str, dict[str, bytes]] | None:
        """That directory as it is published: its head, and its pages by their SHA-256."""
        with self._lock:
            return self._reader.published()

    def wants(self, topic: str) -> bool:
        """Whether a message on `topic` is of the directory."""
        try:
            topics.parse_keys(topic, self._anchor.fleet)
        except DecodeError:
            return False
        return True

    def load(self, now: datetime) -> list[Alarm]:
        """Take back what was kept last time, if anything; an alarm when it can't be."""
        if self._path is None:
            return []
        with self._lock:
            try:
                with self._path.open("rb") as file:
                    self._reader.restore(file.read(MAX_STORED + 1), at=now)
            except FileNotFoundError:
                return []
            except (OSError, CodedError) as error:
                code = error.code if isinstance(error, CodedError) else "directory.unreadable"
                self._log.error("the kept directory can't be used", code=code)
                return [self._alarm("directory.unreadable", "")]
            finally:
                self._anchor.revoke("directory", self._reader.revocations)
        return []

    def take(self, messages: Sequence[Incoming], now: datetime) -> list[Alarm]:
        """Take heads and pages: in force when this returns, and on the disk if that can be. What is refused is told."""
        alarms: list[Alarm] = []
        news = False
        with self._lock:
            for message in messages:
                try:
                    news |= self._take(message, now)
                except (DecodeError, SignatureRefusedError) as error:
                    alarms.append(self._alarm(error.code, printable(message.topic)))
            if news:
                self._anchor.revoke("directory", self._reader.revocations)
                alarms += [*self._keep(), *self._expired(now)]
        return alarms

    def due(self, now: datetime) -> list[Alarm]:
        """What is wrong with the directory by now: it is past its end, or hasn't been whole for a while."""
        with self._lock:
            if not self._reader.missing:
                self._incomplete_since = None
            elif self._incomplete_since is None:
                self._incomplete_since = now
            alarms = self._expired(now)
            since = self._incomplete_since
            if since is not None and (now - since).total_seconds() >= SETTLES_S:
                alarms.append(self._alarm("directory.incomplete", ""))
            return alarms

    def _take(self, message: Incoming, now: datetime) -> bool:
        page = topics.parse_keys(message.topic, self._anchor.fleet)
        if not message.payload:  # somebody has taken a retained message away: what we hold stays
            return False
        if page is not None:
            return self._reader.take_page(message.payload)
        news = self._reader.take_head(message.payload, at=now)
        if news and (current := self._reader.current) is not None:
            self._log.info("directory", version=current.head.version, missing=self._reader.missing)
        return news

    def _expired(self, now: datetime) -> list[Alarm]:
        current = self._reader.current
        return [self._alarm("directory.expired", "")] if current is not None and current.expired(now) else []

    def _keep(self) -> list[Alarm]:
        if self._path is None:
            return []
        try:
            write_private(self._path, self._reader.stored())
        except OSError as error:
            self._log.error("the directory can't be kept", detail=error.strerror)
            return [self._alarm("directory.not_kept", "")]
        return []

    def _alarm(self, code: str, topic: str) -> Alarm:
        self._counts[code, topic] += 1
        return Alarm(code, topic, "", "", "", 0, self._counts[code, topic])

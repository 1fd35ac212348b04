"""What a power cut is tried on: a workload that makes promises, and the check that they were kept.

`python -m tests.proof.subjects DIRECTORY MARKS SUBJECT SEED FLEET` runs a workload; each line it writes to MARKS is a
promise: something the rest of the system relies on from that moment.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from edged.central.archive import Archive, open_archive
from edged.partner.store import Inbox
from edged.uplink import topics
from edged.uplink.intake import Incoming, check
from tests.broker import FLEET, stream
from tests.proof.command_subject import Commands
from tests.proof.fleet_subject import Fleet
from tests.proof.outbox_subjects import (
    BEGIN,
    DEVICE,
    Keys,
    Migration,
    NotedRepair,
    Outbox,
    Repair,
    make_fleet,
    sound,
)

__all__ = ["SUBJECTS", "Keys", "Subject", "make_fleet"]


class Subject(Protocol):
    """Something durable."""

    def prepare(self, home: Path) -> list[dict[str, Any]]:
        """Make what is there before, durably; what was promised of it."""

    def work(self, home: Path, promise: Callable[..., None], chance: random.Random) -> None:
        """Use it, promising."""

    def check(self, home: Path, promises: list[dict[str, Any]]) -> None:
        """Open what a power cut left, as the product would, and see that every promise is kept."""


class _Received:
    """What archive and inbox have in common: batches come, overlap, repeat."""

    def __init__(self, keys: Keys, batches: int = 12) -> None:
        self._keys = keys
        self._batches = batches

    def prepare(self, home: Path) -> list[dict[str, Any]]:
        """Nothing is there before."""
        return []

    def _batch(self, made: dict[str, list[Incoming]], chance: random.Random) -> list[Incoming]:
        every = [message for messages in made.values() for message in messages]
        return [every[chance.randrange(len(every))] for _ in range(chance.randint(1, 9))]

    def _messages(self) -> dict[str, list[Incoming]]:
        made = {}
        for name in (DEVICE, "box-2"):
            sealer = self._keys.sealer(name, f"log-{name}", BEGIN)
            made[name] = [
                Incoming(topics.verdict(FLEET, name, "bank"), one.jws.encode())
                for one in stream(sealer, "bank", 20)
            ]
        return made

    def _kept(self, hashes: set[str], promises: list[dict[str, Any]]) -> None:
        promised = {one for promise in promises for one in promise.get("stored", ())}
        begun = {one for promise in promises for one in promise.get("storing", ())}
        assert promised <= hashes, f"{len(promised - hashes)} were promised and are lost"
        assert hashes <= begun, "something is there that nobody sent"


class CentralArchive(_Received):
    """The collector's SQLite archive: what it has signed for, it has."""

    def _open(self, directory: Path) -> Archive:
        return open_archive(str(directory / "archive.sqlite"), self._keys.anchor)

    def work(self, directory: Path, promise: Callable[..., None], chance: random.Random) -> None:
        messages = self._messages()
        archive = self._open(directory)
        for number in range(self._batches):
            batch = self._batch(messages, chance)
            names = sorted({hashlib.sha256(one.payload).hexdigest() for one in batch})
            promise(storing=names)
            now = BEGIN + timedelta(seconds=number)
            archived = archive.store(check(batch, anchor=self._keys.anchor, now=now), now)
            assert not archived.alarms
            promise(stored=names)
        archive.close()

    def check(self, directory: Path, promises: list[dict[str, Any]]) -> None:
        archive = self._open(directory)
        try:
            sound(directory / "archive.sqlite")
            ledger = archive.ledger()
            self._kept({h for kept in ledger.streams.values() for h in kept.hashes.values()}, promises)
            assert not ledger.alarms
        finally:
            archive.close()


class PartnerInbox(_Received):
    """A partner's inbox: what was acknowledged is there, and is handed on, at the latest after the restart."""

    def work(self, directory: Path, promise: Callable[..., None], chance: random.Random) -> None:
        messages = self._messages()
        inbox = Inbox.open(directory / "verdicts.sqlite", self._keys.anchor, "bank", tests=True)
        for number in range(self._batches):
            now = BEGIN + timedelta(seconds=number)
            batch = self._batch(messages, chance)
            names = sorted({hashlib.sha256(one.payload).hexdigest() for one in batch})
            promise(storing=names)
            assert not inbox.take(batch, now).alarms
            promise(stored=names)
            if chance.random() < 0.7:
                ready = inbox.waiting(5)
                promise(handed=[json.loads(one.body)["sha256"] for one in ready])
                inbox.mark_handed(ready, now)
        inbox.close()

    def check(self, directory: Path, promises: list[dict[str, Any]]) -> None:
        inbox = Inbox.open(directory / "verdicts.sqlite", self._keys.anchor, "bank", tests=True)
        try:
            sound(directory / "verdicts.sqlite")
            hashes = {h for kept in inbox.ledger().streams.values() for h in kept.hashes.values()}
            self._kept(hashes, promises)
            handed = {one for promise in promises for one in promise.get("handed", ())}
            left = {json.loads(one.body)["sha256"] for one in inbox.waiting(1000)}
            assert handed | left >= hashes, "something will never be handed on"
        finally:
            inbox.close()


SUBJECTS: dict[str, Callable[[Keys], Subject]] = {
    "outbox": Outbox,
    "repair": Repair,
    "noted-repair": NotedRepair,
    "migration": Migration,
    "archive": CentralArchive,
    "inbox": PartnerInbox,
    "commands": Commands,
    "fleet": Fleet,
}
"""By the name that `--subject` takes."""


def main() -> None:
    directory, marks, subject, seed, keys = sys.argv[1:]
    descriptor = os.open(marks, os.O_WRONLY | os.O_APPEND)

    def promise(**what: Any) -> None:
        os.write(descriptor, json.dumps(what).encode() + b"\n")

    SUBJECTS[subject](Keys(Path(keys))).work(Path(directory), promise, random.Random(int(seed)))


if __name__ == "__main__":
    main()

"""Answers to sealed records on their way to the boxes: signed, kept in a directory, published when there is a line.

One certificate is one connection (`edged.central.mosquitto`), and a running `edged partner follow` has it. So an answer
is a file beside the inbox: the follower publishes it, or, when none runs, whoever made it. It is deleted when a broker
has taken it; published twice, it says the same.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from edged import log
from edged.errors import OutputError, StateError
from edged.uplink import topics
from edged.uplink.database import connect_reader, from_ms, translated
from edged.uplink.envelope import EnvelopePayload
from edged.uplink.mqtt import PublishRefusedError
from edged.uplink.reason_codes import NO_SUBSCRIBERS
from edged.uplink.record_reply import MAX_RECORD_REPLY, RecordReply, seal_record_reply

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from edged.uplink.mqtt import Connection
    from edged.uplink.sign import Signer

SUFFIX: Final = ".record-reply"
LOOK_S: Final = 1.0
"""Between a follower's looks for answers to publish."""

LATER_S: Final = 60.0
"""Before those are tried again that the broker refused, or had nobody for."""

MAX_SPOOLED: Final = 10_000
"""Answers that wait: a broker that takes none for days is noticed before."""


class Kept(NamedTuple):
    """A record as the inbox has it."""

    device: str
    received: datetime


class Spooled(NamedTuple):
    """An answer that waits to be published."""

    path: Path
    topic: str
    compact: str


class Sent(NamedTuple):
    """How many answers a broker has taken, and how many it didn't."""

    taken: int
    left: int


class Spool:
    """The directory of answers beside an inbox. Blocks; small files, written whole."""

    def __init__(self, inbox: Path) -> None:
        self._directory = inbox.with_name(f"{inbox.name}.replies")

    def put(self, reply: RecordReply, signer: Signer) -> Path:
        """Sign and keep an answer. Raises `SignatureRefusedError`, `OutputError` (`partner.reply_not_kept`)."""
        compact = seal_record_reply(reply, signer=signer)
        topic = topics.record(reply.fleet, reply.device, reply.iss)
        body = json.dumps({"topic": topic, "reply": compact})
        path = self._directory / f"{reply.record_id}-{secrets.token_hex(4)}{SUFFIX}"
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_text(body, encoding="ascii")
            descriptor = os.open(part, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            part.replace(path)
        except OSError as error:
            raise OutputError("partner.reply_not_kept", f"{path}: {error.strerror}") from error
        return path

    def waiting(self) -> list[Spooled]:
        """What is to be published, the oldest first; what can't be read is left where it is."""
        try:
            found = sorted(
                self._directory.glob(f"*{SUFFIX}"), key=lambda path: (path.stat().st_mtime_ns, path)
            )
        except OSError:
            return []
        read = (self._read(path) for path in found[:MAX_SPOOLED])
        return [one for one in read if one is not None]

    def _read(self, path: Path) -> Spooled | None:
        try:
            with path.open("rb") as file:
                body = json.loads(file.read(2 * MAX_RECORD_REPLY))
            return Spooled(path, str(body["topic"]), str(body["reply"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


async def publish(connection: Connection, spool: Spool) -> Sent:
    """Publish what waits, in order, each deleted once a broker has taken it for the box. Raises `UplinkError`.

    What the broker refuses, or has nobody for, is left; the others go on.
    """
    taken = left = 0
    for one in await asyncio.to_thread(spool.waiting):
        try:
            reason = await connection.publish(one.topic, one.compact.encode())
        except PublishRefusedError as error:
            log.get("replying").error("an answer was refused", file=one.path.name, code=error.code)
            left += 1
            continue
        if reason == NO_SUBSCRIBERS:  # the box has never been here, or the broker has forgotten it
            left += 1
            continue
        one.path.unlink(missing_ok=True)
        taken += 1
    return Sent(taken, left)


def find_record(inbox: Path, record_id: str) -> Kept | None:
    """Which box sealed a record of this inbox, and when it came; None for one that isn't there, or isn't any more.

    Raises `StateError`. `record_id` is of `edged.uplink.fields.Token`'s letters.
    """
    if not inbox.exists():
        return None
    connection = connect_reader(inbox)
    try:
        with translated():
            rows = connection.execute(
                "SELECT device, received_at, body FROM envelope WHERE instr(body, ?) > 0 ORDER BY id",
                (json.dumps(record_id),),
            )
            for device, received_at, body in rows:
                if _verdict(body).record_id == record_id:
                    return Kept(device, from_ms(received_at))
    finally:
        connection.close()
    return None


class _Body(msgspec.Struct):
    verdict: EnvelopePayload


def _verdict(body: str) -> EnvelopePayload:
    try:
        return msgspec.json.decode(body, type=_Body).verdict
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise StateError("state.corrupt", "a verdict that can't be read") from None

"""What boxes answer to a command: verified, parts joined, each box's last word found. Does no I/O."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edged.errors import DecodeError, SignatureRefusedError
from edged.uplink import topics
from edged.uplink.command import MAX_ATTACHMENT, OK, Reply, joined, open_reply

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edged.uplink.roles import TrustAnchor

MAX_UNPACKED: Final = 16 * MAX_ATTACHMENT
"""Bytes of a box's file once unpacked: log lines shrink to a tenth, and nothing of a box's shrinks to less."""

_GZIP: Final = 16 + zlib.MAX_WBITS


class Issued(msgspec.Struct, frozen=True):
    """A command to one box, signed."""

    device: str
    name: str
    id: str
    compact: str
    sha256: str
    """Of the whole JWS, in hexadecimal."""


class Done(msgspec.Struct, frozen=True):
    """What came of one box's command; `file` is what it sent, unpacked."""

    device: str
    code: str
    result: dict[str, Any] = {}
    file: bytes | None = None

    @property
    def good(self) -> bool:
        """Whether the box did it."""
        return self.code == OK


class Partly(msgspec.Struct, frozen=True):
    """A box is answering: so many parts of so many are here; `count` 0 before a restart is over."""

    device: str
    have: int
    count: int


class Unusable(msgspec.Struct, frozen=True):
    """Something on a box's topic of answers that isn't one, and why; it changes nothing."""

    device: str
    code: str


class Answers:
    """Who was asked, and who has answered."""

    def __init__(self, fleet: str, issued: Mapping[str, Issued]) -> None:
        """`issued` by device."""
        self._fleet = fleet
        self._open = dict(issued)
        self._parts: dict[str, dict[int, Reply]] = {}

    @property
    def open(self) -> list[Issued]:
        """What isn't answered yet."""
        return list(self._open.values())

    def take(
        self, topic: str, payload: bytes, *, anchor: TrustAnchor, at: datetime
    ) -> Done | Partly | Unusable | None:
        """What one message says; None for what is none of ours, or is known already."""
        try:
            device, identifier = topics.parse_reply(topic, self._fleet)
        except DecodeError:
            return None
        issued = self._open.get(device)
        if issued is None or issued.id != identifier:
            return None
        try:
            reply = open_reply(payload, anchor=anchor, at=at, device=device)
            if (reply.id, reply.name, reply.command_sha256) != (issued.id, issued.name, issued.sha256):
                raise SignatureRefusedError("reply.other_command")
            return self._taken(issued, reply)
        except SignatureRefusedError as error:
            return Unusable(device, error.code)

    def _taken(self, issued: Issued, reply: Reply) -> Done | Partly:
        device = issued.device
        if reply.code == OK and issued.name == "restart" and reply.result.get("restarted") is not True:
            return Partly(device, 0, 0)
        if reply.part is None:
            return self._done(Done(device, reply.code, reply.result))
        parts = self._parts.setdefault(device, {})
        parts[reply.part.number] = reply
        if len(parts) < reply.part.count:
            return Partly(device, len(parts), reply.part.count)
        try:
            file = unpacked(joined(list(parts.values())))
        except SignatureRefusedError:
            del self._parts[device]  # asked again, it will come whole or not at all
            raise
        return self._done(Done(device, reply.code, reply.result, file))

    def refused(self, device: str, code: str) -> Done:
        """The broker won't have the command, so nobody will answer it."""
        return self._done(Done(device, code))

    def _done(self, done: Done) -> Done:
        del self._open[done.device]
        self._parts.pop(done.device, None)
        return done


def unpacked(packed: bytes) -> bytes:
    """What a box has packed with gzip. Raises `SignatureRefusedError` (`reply.malformed`, `reply.too_large`)."""
    unpacking = zlib.decompressobj(_GZIP)
    try:
        data = unpacking.decompress(packed, MAX_UNPACKED)
    except zlib.error:
        raise SignatureRefusedError("reply.malformed") from None
    if unpacking.unconsumed_tail:
        raise SignatureRefusedError("reply.too_large")
    if not unpacking.eof or unpacking.unused_data:
        raise SignatureRefusedError("reply.malformed")
    return data

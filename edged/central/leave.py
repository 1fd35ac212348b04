"""A worker that shall not come back leaves the shared subscription, so that the broker stops keeping its share.

Brokers (mosquitto among them) go on handing a member that is away its part of the messages, into a queue that nobody
reads. Boxes send those again, to whoever is there, so nothing is lost; it only takes until a box's patience ends, time
after time, until the session does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edged.central.settings import SESSION_EXPIRY_S
from edged.uplink.mqtt import Session, connect

if TYPE_CHECKING:
    from edged.uplink.mqtt import Endpoint


class Left(msgspec.Struct, frozen=True, tag="left", tag_field="event"):
    """The broker keeps nothing for `name` any more; `had_session`: it had."""

    name: str
    had_session: bool


async def leave(endpoint: Endpoint, name: str) -> Left:
    """End the session of the worker `name`, subscriptions and queue included.

    Raises `UplinkError`, `CertificateError`. A worker that is still running under this certificate would lose its
    connection, and join again: stop it first.
    """
    # Two connections: only one that resumes is told whether there was a session, only one that starts clean ends it.
    async with connect(endpoint, Session(name, expiry_s=SESSION_EXPIRY_S, receive_maximum=1)) as resumed:
        had = resumed.session_present
    async with connect(endpoint, Session(name)):
        return Left(name, had)

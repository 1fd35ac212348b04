"""What boxes say of themselves: their signed reports, verified, and their status, which nobody signs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import msgspec

from edged.errors import DecodeError, SignatureRefusedError
from edged.uplink import topics
from edged.uplink.fields import decoder
from edged.uplink.reported import Reported, open_reported
from edged.uplink.status import Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence
    from datetime import datetime

    from edged.fleet.link import AdminLink
    from edged.uplink.mqtt_types import Received
    from edged.uplink.roles import TrustAnchor

FEW: Final = 20
"""Up to so many boxes each get a subscription of their own; for more the whole fleet is listened to."""

MAX_STATUS: Final = 4096
"""Bytes: a status has some hundreds."""


class Report(msgspec.Struct, frozen=True):
    """A report whose signature holds; `retained`: it was made before we asked."""

    device: str
    reported: Reported
    retained: bool
    compact: bytes = b""
    """As it was signed."""


class Presence(msgspec.Struct, frozen=True):
    """A status, as the broker has it: anybody who may write there said so."""

    device: str
    status: Status
    retained: bool


class Unusable(msgspec.Struct, frozen=True):
    """Something on a box's topic that can't be believed; `code` says why."""

    device: str
    code: str


Heard = Report | Presence | Unusable


def read(received: Received, *, anchor: TrustAnchor, fleet: str, at: datetime) -> Heard | None:
    """What one message says; None for a topic that is neither a box's report nor its status."""
    with contextlib.suppress(DecodeError):
        return _presence(topics.parse_of_device(received.topic, fleet, "status"), received)
    try:
        device = topics.parse_of_device(received.topic, fleet, "reported")
    except DecodeError:
        return None
    try:
        reported = open_reported(received.payload, anchor=anchor, at=at, device=device)
    except SignatureRefusedError as error:
        return Unusable(device, error.code)
    return Report(device, reported, received.retained, received.payload)


def _presence(device: str, received: Received) -> Heard:
    if len(received.payload) > MAX_STATUS:
        return Unusable(device, "heard.status_malformed")
    try:
        status = decoder(Status).decode(received.payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Unusable(device, "heard.status_malformed")
    if status.device != device:
        return Unusable(device, "heard.status_malformed")
    return Presence(device, status, received.retained)


@contextlib.asynccontextmanager
async def watch(
    link: AdminLink, devices: Collection[str], *, reports: bool = True, statuses: bool = True
) -> AsyncIterator[AsyncIterator[Heard]]:
    """What these boxes have said last and say from now on; all that is retained comes again after a lost connection.

        async with watch(link, {"box-1"}) as heard:
            async for one in heard: …

    Raises `UplinkError`.
    """
    wanted = frozenset(devices)
    async with link.listen(*_filters(link.fleet, wanted, reports=reports, statuses=statuses)) as listening:

        async def heard() -> AsyncIterator[Heard]:
            async for received in listening:
                one = read(received, anchor=link.anchor, fleet=link.fleet, at=link.clock())
                if one is not None and one.device in wanted:
                    yield one

        yield heard()


def _filters(fleet: str, devices: frozenset[str], *, reports: bool, statuses: bool) -> Sequence[str]:
    few = len(devices) <= FEW
    filters: list[str] = []
    if reports:
        filters += [topics.reported(fleet, one) for one in devices] if few else [topics.every_reported(fleet)]
    if statuses:
        filters += [topics.status(fleet, one) for one in devices] if few else [topics.every_status(fleet)]
    return filters

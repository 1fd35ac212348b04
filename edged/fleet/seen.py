"""How the boxes were when somebody last looked, kept beside the state: a list is there without a broker, too.

.seen.json     what each box had said, and when it was heard (ignored by git)
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from edged.errors import OutputError
from edged.fleet.heard import Presence, Report, watch
from edged.fleet.state import write_text
from edged.uplink.fields import Name
from edged.uplink.reported import Reported
from edged.uplink.status import Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from edged.fleet.heard import Heard
    from edged.fleet.link import AdminLink
    from edged.fleet.state import FleetState

FILE: Final = ".seen.json"

QUIET_S: Final = 1.0
"""The broker sends what it has retained at once; after so much silence it had no more."""

LOOK_S: Final = 20.0
"""A look ends after this time, however much still comes."""


class Seen(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What one box has said."""

    status: Status | None = None
    """As the broker has it; nobody signs it."""
    status_at: float | None = None
    """When it was heard: it has no time of its own."""
    online_at: float | None = None
    """When the box was last heard to be online."""
    reported: Reported | None = None
    """Its signature held."""
    refused: str | None = None
    """Why what stands on its topics isn't believed."""

    @property
    def last_seen(self) -> float | None:
        """Seconds since 1970; None for a box nobody has heard of yet."""
        return max((at for at in (self.online_at, self.reported and self.reported.iat) if at), default=None)

    @property
    def online(self) -> bool:
        """Whether it was there when somebody last looked."""
        return self.status is not None and self.status.state == "online"


class Sightings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """All boxes, at `at` (seconds since 1970)."""

    format: Literal[1] = 1
    at: float
    boxes: dict[Name, Seen]

    def take(self, heard: Heard, now: float) -> None:
        """One more message."""
        seen = self.boxes.setdefault(heard.device, Seen())
        match heard:
            case Report(reported=reported):
                seen.reported, seen.refused = reported, None
            case Presence(_, status, _):
                seen.status, seen.status_at = status, now
                if status.state == "online":
                    seen.online_at = now
            case _:
                seen.refused = heard.code


def load(state: FleetState) -> Sightings | None:
    """What was seen last; None when nobody has looked, or the file is broken: the next look makes another."""
    with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode((state.directory / FILE).read_bytes(), type=Sightings)
    return None


def save(state: FleetState, sightings: Sightings) -> None:
    """Keep it for whoever has no connection. A directory that may not be written to goes without."""
    with contextlib.suppress(OSError, OutputError):
        write_text(state.directory / FILE, msgspec.json.encode(sightings).decode())


async def look(
    link: AdminLink,
    devices: Collection[str],
    before: Sightings | None,
    *,
    reports: bool = True,
    quiet_s: float | None = None,
    on_heard: Callable[[Heard], None] = lambda _: None,
) -> Sightings:
    """What these boxes have said last, on top of what was known `before`; without `reports`, who is there alone.

    `on_heard` is told everything as well. Raises `UplinkError`.
    """
    found = Sightings(at=link.clock().timestamp(), boxes=dict(before.boxes) if before else {})
    async with watch(link, devices, reports=reports) as heard:
        missing = {(device, kind) for device in devices for kind in (Report, Presence)[not reports :]}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                while (
                    missing
                    and (one := await _next(heard, QUIET_S if quiet_s is None else quiet_s)) is not None
                ):
                    found.take(one, found.at)
                    on_heard(one)
                    missing.discard((one.device, type(one)))
    return found


async def _next(heard: AsyncIterator[Heard], seconds: float) -> Heard | None:
    """The next message; None after silence. What is awaited isn't cancelled in its middle."""
    waiting = asyncio.ensure_future(anext(heard))
    try:
        done, _ = await asyncio.wait((waiting,), timeout=seconds)
    finally:
        if not waiting.done():
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
    return waiting.result() if done else None

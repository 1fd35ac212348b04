"""Commands for tests: an admin's words, a box's daemon that only notes what it was told, an agent between them."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from edged.pushed.command_journal import FILE, CommandJournal
from edged.pushed.commands import CommandAgent
from edged.pushed.diagnostics import Facts
from edged.pushed.obeying import CheckedOne, Trial
from edged.uplink import topics
from edged.uplink.command import Command, Signed, seal_command
from edged.uplink.database import DatabaseThread
from edged.uplink.mqtt_types import Received
from edged.uplink.names import Role
from edged.verdict import Kind, Result
from tests.broker import FLEET, NOW

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from edged.config import BoxSettings
    from tests.broker import Town

DEVICE = "box-1"
START = int(NOW.timestamp())


def command(name: str = "status", identifier: str = "c-1", **changes: Any) -> Command:
    content = {
        "iss": "ops",
        "fleet": FLEET,
        "device": DEVICE,
        "id": identifier,
        "name": name,
        "args": {},
        "iat": START,
        "exp": START + 600,
    }
    return Command(**(content | changes))


def sealed(place: Town, name: str = "status", identifier: str = "c-1", **changes: Any) -> str:
    return seal_command(command(name, identifier, **changes), place.signer(Role.ADMIN, "ops"))


def signed(name: str = "status", identifier: str = "c-1", sha256: str = "0" * 64, **changes: Any) -> Signed:
    return Signed(command(name, identifier, **changes), sha256)


@dataclass
class Told:
    """A daemon that notes what it was told to do."""

    settings: BoxSettings | None = None
    done: list[str] = field(default_factory=list)
    kind: Kind = Kind.TEST
    error: Exception | None = None
    hold: asyncio.Event | None = None
    said: dict[str, Any] = field(default_factory=lambda: {"state": "ready"})

    async def _do(self, what: str) -> None:
        self.done.append(what)
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error

    async def status(self) -> Mapping[str, Any]:
        await self._do("status")
        return self.said

    async def scan(self, kind: Literal[Kind.TEST]) -> Trial:
        await self._do(f"scan {kind}")
        return Trial(self.kind, Result.SUCCESSFUL, (CheckedOne("mrz_read", Result.SUCCESSFUL),), 1, 180)

    async def restart(self) -> None:
        await self._do("restart")

    async def rotate_key(self) -> Mapping[str, Any]:
        await self._do("rotate-key")
        return {"serial": "1f", "not_after": START}

    async def identify(self, seconds: int) -> None:
        await self._do(f"identify {seconds}")

    async def facts(self) -> Facts:
        await self._do("facts")
        assert self.settings is not None
        return Facts(status=self.said, settings=self.settings)


class Clock:
    """The box's clocks, moved by hand; they stand at `now`."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now
        self.trusted = True
        self.steady_s = 0.0

    async def read(self) -> tuple[datetime, bool]:
        return self.now, self.trusted

    def steady(self) -> float:
        return self.steady_s

    def set(self, seconds: int) -> None:
        self.now = datetime.fromtimestamp(START + seconds, UTC)


@contextlib.asynccontextmanager
async def agent(
    place: Town, directory: Path, told: Told, clock: Clock, *, run: bool = True
) -> AsyncIterator[CommandAgent]:
    """A box's agent, obeying unless told not to."""
    path = directory / FILE
    seconds = int(clock.now.timestamp())
    journal = await DatabaseThread.open("commands", lambda: CommandJournal.open(path, seconds))
    made = CommandAgent(
        journal=journal,
        commanded=told,
        signer=lambda: place.signer(Role.DEVICE, DEVICE),
        anchor=lambda: place.anchor,
        time_and_trust=clock.read,
        steady=clock.steady,
    )
    task = asyncio.create_task(made.run()) if run else None
    try:
        yield made
    finally:
        if task is not None:
            assert not task.done(), task
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await journal.close()


class Broker:
    """What a connection is to an agent: everything published on it, decoded."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []

    async def publish(self, topic: str, payload: bytes, **_: Any) -> int:
        self.published.append((topic, payload))
        return 0


def arrived(compact: str | bytes, name: str = "status") -> Received:
    data = compact.encode() if isinstance(compact, str) else compact
    return Received(topics.command(FLEET, DEVICE, name), data, False, {}, 1)


def plain(found: msgspec.Struct) -> Any:
    return msgspec.to_builtins(found)

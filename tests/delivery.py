"""Running parties for tests: uplinks, collectors and followers as tasks, with their events on record."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from edged.central.archive import open_reader
from edged.central.collector import Collector
from edged.central.settings import CollectorSettings
from edged.partner.catching_up import Patience
from edged.partner.follow import Follower, PartnerSettings
from edged.uplink.database import DatabaseThread
from edged.uplink.names import Role, Usage
from edged.uplink.outbox import RetryPolicy, StateDatabase
from edged.uplink.publisher import Uplink, UplinkSettings
from tests.broker import NOW, Sealer, Town, draft
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from edged.uplink.riding import Rider
    from edged.uplink.streams import ReceiverLedger

E = TypeVar("E", bound=msgspec.Struct)

QUICK = Patience(settle_s=0.2, answer_s=2.0, retry_s=(0.1, 1.0), absent_s=(0.3, 60.0))
RETRY = RetryPolicy(receipt_s=0.5, refused_s=0.5, bound_s=2.0)


def now() -> datetime:
    return datetime.now(UTC)


class Events(list[Any]):
    """Events of a party, to wait on."""

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self if isinstance(event, kind)]

    async def until(self, condition: Callable[[Events], object], seconds: float = 60.0) -> None:
        await until(lambda: condition(self), seconds, so_far=lambda: self[-10:])

    async def first(self, kind: type[E], seconds: float = 60.0) -> E:
        await self.until(lambda events: events.of(kind), seconds)
        return self.of(kind)[0]


class Box:
    """A device's delivery half: its state and its uplink."""

    def __init__(self, place: Town, name: str, state: DatabaseThread[StateDatabase], log_id: str) -> None:
        self.name = name
        self.state = state
        self.sealer = Sealer(place.signer(Role.DEVICE, name), log_id, now())
        self.events = Events()
        self.uplink: Uplink
        self.task: asyncio.Task[None] | None = None
        self._count = 0

    async def vanish(self) -> None:
        """As after kill -9, as far as the broker can tell: the socket just closes."""
        assert self.task is not None
        self.task.cancel()
        await asyncio.wait((self.task,))

    async def commit(self, *audiences: str) -> None:
        self._count += 1
        inspection = f"{self.name}-{self._count}-{time.monotonic_ns()}"
        drafts = [draft(audience) for audience in audiences]
        await self.state.run(lambda s: s.commit_inspection(inspection, drafts, self.sealer, now()))
        self.uplink.wake()

    async def counts(self) -> Any:
        return await self.state.run(lambda state: state.counts())

    async def settled(self, seconds: float = 60.0) -> None:
        """Wait until everything is receipted."""
        deadline = time.monotonic() + seconds
        while (counts := await self.counts()).pending:
            assert time.monotonic() < deadline, f"still pending: {counts}, {self.events[-5:]}"
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def box(
    place: Town,
    directory: Path,
    name: str = "box-1",
    *,
    run: bool = True,
    retry: RetryPolicy = RETRY,
    clock: Callable[[], datetime] = now,
    outbox: dict[str, Any] | None = None,
    riders: Sequence[Rider] = (),
    **settings: Any,
) -> AsyncIterator[Box]:
    """A box; `outbox` are further arguments of `StateDatabase.open`, `settings` the uplink's."""
    directory.mkdir(exist_ok=True)  # noqa: ASYNC240
    path = directory / "state.sqlite"
    state = await DatabaseThread.open(
        "state", lambda: StateDatabase.open(path, device=name, now=NOW, retry=retry, **outbox or {})
    )
    made = Box(place, name, state, await state.run(lambda database: database.log_id))
    endpoint = settings.pop("endpoint", None) or place.endpoint(Role.DEVICE, name)
    chosen: dict[str, Any] = {"reconnect_min_s": 0.05, "reconnect_max_s": 0.5, "status_s": 0.1} | settings
    made.uplink = Uplink(
        UplinkSettings(endpoint=endpoint, config_version="1", **chosen),
        state=state,
        signer=place.signer(Role.DEVICE, name),
        anchor=place.anchor,
        on_event=made.events.append,
        clock=clock,
        chance=random.Random(1),
        riders=riders,
    )
    if run:
        made.task = asyncio.create_task(made.uplink.run())
    try:
        yield made
        if made.task is not None and not made.task.done():
            await made.uplink.stop()
            await made.task
    finally:
        if made.task is not None:
            made.task.cancel()
            await asyncio.gather(made.task, return_exceptions=True)
        await state.close()


def archive_ledger(path: Path | str) -> ReceiverLedger:
    """Everything in an archive, read beside whoever writes into it."""
    with contextlib.closing(open_reader(str(path))) as reader:
        return reader.ledger()


def collector_settings(place: Town, directory: Path, name: str = "centre") -> CollectorSettings:
    directory.mkdir(exist_ok=True)
    files = place.fleet.issue(Role.COLLECTOR, name, Usage.SIGNING)
    return CollectorSettings(
        fleet_ca=place.fleet.ca,
        signing_key=files.key,
        signing_certificate=files.certificate,
        archive=str(directory / "archive.sqlite"),
        broker=place.endpoint(Role.COLLECTOR, name),
        reconnect_min_s=0.05,
        reconnect_max_s=0.5,
    )


def partner_settings(place: Town, directory: Path, name: str = "bank") -> PartnerSettings:
    directory.mkdir(exist_ok=True)
    return PartnerSettings(
        fleet_ca=place.fleet.ca,
        inbox=directory / "verdicts.sqlite",
        broker=place.endpoint(Role.AUDIENCE, name),
        tests=True,
        reconnect_min_s=0.05,
        reconnect_max_s=0.5,
    )


@contextlib.asynccontextmanager
async def running(party: Collector | Follower) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(party.run())
    try:
        yield task
        party.stop()
        await asyncio.wait_for(task, 60)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def collector(
    place: Town, directory: Path, name: str = "centre", **changes: Any
) -> AsyncIterator[Events]:
    events = Events()
    settings = msgspec.structs.replace(collector_settings(place, directory, name), **changes)
    async with running(Collector(settings, on_event=events.append)):
        yield events


@contextlib.asynccontextmanager
async def follower(
    place: Town, directory: Path, name: str = "bank", *, options: dict[str, Any] | None = None, **changes: Any
) -> AsyncIterator[Events]:
    events = Events()
    settings = msgspec.structs.replace(partner_settings(place, directory, name), **changes)
    async with running(Follower(settings, on_event=events.append, **options or {})):
        yield events


def signing(place: Town, name: str = "bank") -> dict[str, Path]:
    """What a partner's configuration needs to ask for anything."""
    files = place.fleet.issue(Role.AUDIENCE, name, Usage.SIGNING)
    return {"signing_key": files.key, "signing_certificate": files.certificate}


def configuration(settings: Any, path: Path) -> Path:
    """`settings` as the TOML file an operator would write."""
    plain = msgspec.to_builtins(settings, enc_hook=str)
    plain = {key: value for key, value in plain.items() if value is not None}  # TOML has no word for it
    lines = [f"{key} = {json.dumps(value)}" for key, value in plain.items() if not isinstance(value, dict)]
    for key, table in plain.items():
        if isinstance(table, dict):
            lines += [f"[{key}]", *(f"{name} = {json.dumps(value)}" for name, value in table.items())]
    path.write_text("\n".join(lines))
    return path

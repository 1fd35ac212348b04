"""The signed directory, published by the enrolment service itself: a box's new key is worth nothing that nobody lists.

Never in a box's way: certificates are given first, and all that follow each other closely are published at once.
"""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from edged.errors import CodedError, StateError
from edged.fleet import directory
from edged.fleet.link import admin_link
from edged.fleet.state import FleetState
from edged.uplink.reconnect import Backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from edged.fleet.directory import Made

SETTLE_S: Final = 5.0
"""From a change to the directory: a box has two certificates, and an installer may have several boxes."""

EVERY_S: Final = 60.0
"""From one directory to the next at least: every partner gets all of it."""

LOOK_S: Final = 3600.0
"""How often it is looked whether the last one is getting old."""

OLD: Final = timedelta(days=directory.DAYS / 3)
"""A directory of this age is made anew though nothing has changed, long before readers rely on it no more."""

BACKOFF_S: Final = (5.0, 300.0)

BUSY_S: Final = 30.0
BUSY_AGAIN_S: Final = 0.1


class Published(msgspec.Struct, frozen=True):
    """What came of an attempt: the directory's number, or why there is none (once, until the reason is another)."""

    version: int | None = None
    code: str | None = None


class DirectoryPublisher:
    """`run` is a task; `changed` says that somebody has a new key. Both belong to one event loop."""

    def __init__(
        self,
        path: Path,
        told: Callable[[Published], None],
        *,
        publish: Callable[[Path], Awaitable[int]] | None = None,
        settle_s: float = SETTLE_S,
        every_s: float = EVERY_S,
        backoff_s: tuple[float, float] = BACKOFF_S,
    ) -> None:
        """`path` is the state directory."""
        self._path = path
        self._told = told
        self._publish = publish or publish_now
        self._settle_s = settle_s
        self._every_s = every_s
        self._backoff_s = backoff_s
        self._changed = asyncio.Event()
        self._changed.set()  # whether the last one ever reached the broker, nobody has written down

    def changed(self) -> None:
        """Somebody has a new key."""
        self._changed.set()

    async def run(self) -> None:
        """Publish after changes and now and then, until cancelled."""
        failed: str | None = None
        backoff = self._fresh()
        while True:
            await self._due()
            await asyncio.sleep(self._settle_s)
            self._changed.clear()
            try:
                version = await self._publish(self._path)
            except (CodedError, OSError) as error:
                self._changed.set()
                code = error.code if isinstance(error, CodedError) else "state.unusable"
                if code != failed:
                    self._told(Published(code=code))
                failed = code
                await asyncio.sleep(backoff.next())
                continue
            failed, backoff = None, self._fresh()
            self._told(Published(version=version))
            await asyncio.sleep(self._every_s)

    def _fresh(self) -> Backoff:
        return Backoff(*self._backoff_s, random.Random())  # noqa: S311 - jitter is no secret

    async def _due(self) -> None:
        """Until something has changed or the last one is old."""
        while not self._changed.is_set():
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._changed.wait()
            except TimeoutError:
                if await asyncio.to_thread(is_old, self._path, datetime.now(UTC)):
                    return


def is_old(path: Path, now: datetime) -> bool:
    """Whether the directory that was made last should be made anew; one that can't be read should."""
    try:
        last = directory.kept(FleetState.open(path))
    except CodedError:
        return True
    return last is None or now - datetime.fromtimestamp(last.head.iat, UTC) > OLD


async def publish_now(path: Path) -> int:
    """Make the directory of what the state says now and tell everybody; its number.

    Raises `UplinkError`, `StateError`, `ConfigError`, `CertificateError`, `SignatureRefusedError`.
    """
    state = await asyncio.to_thread(FleetState.open, path)  # anew: an admin may have moved the broker
    made, before = await asyncio.to_thread(_next, state)
    async with admin_link(state) as link:
        while True:
            await directory.publish(link, made, before=before)
            newest = await asyncio.to_thread(directory.kept, state)
            if newest is None or newest.head.version <= made.head.version:
                return made.head.version
            # A command has made another meanwhile: it must not be ours that stays.
            made, before = newest, len(made.pages)


def _next(state: FleetState) -> tuple[Made, int]:
    """Made without holding the state directory, which takes seconds for a large fleet and would keep boxes waiting."""
    deadline = time.monotonic() + BUSY_S
    while True:
        made = directory.make(state, now=datetime.now(UTC))
        try:
            with state.changing():
                if directory.last_version(state) < made.head.version:
                    return made, directory.keep(state, made)
        except StateError as error:
            if error.code != "fleet.busy" or time.monotonic() > deadline:
                raise
        time.sleep(BUSY_AGAIN_S)

"""Brings large files over the uplink's connection, a few retained chunks at a time, and never in verdicts' way.

`fetch` says what is wanted and waits; `serve` works at it for as long as there is a connection, and the next
connection's goes on where it ended. Each chunk is checked when it arrives and written in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING

from edged import log
from edged.errors import DecodeError, PushRefusedError, StateError
from edged.pushed.artefact_fetch import DEFAULT_LIMITS, FetchFailedError, FetchPlan, Limits, Part
from edged.uplink import topics
from edged.uplink.artefact import CHUNK, check_target
from edged.uplink.mqtt import SubscriptionRefusedError
from edged.uplink.token_bucket import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from edged.desired import ArtefactKind
    from edged.pushed.artefact_store import ArtefactStore
    from edged.pushed.part_file import PartFile
    from edged.pushed.verifying import ArtefactTarget
    from edged.uplink.mqtt import Connection
    from edged.uplink.mqtt_types import Received


class _Job:
    """One file on its way."""

    def __init__(
        self, target: ArtefactTarget, plan: FetchPlan, file: PartFile, on_bytes: Callable[[int], None]
    ) -> None:
        self.target = target
        self.plan = plan
        self.file = file
        self.on_bytes = on_bytes
        self.arrived: deque[tuple[Part, bytes]] = deque()
        self.done: asyncio.Future[Path] = asyncio.get_running_loop().create_future()


class ArtefactRider:
    """A `Rider`, and the agent's `edged.pushed.host.Artefacts`."""

    def __init__(
        self,
        fleet: str,
        store: ArtefactStore,
        *,
        limits: Limits = DEFAULT_LIMITS,
        busy: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`busy` says whether the line is needed for something better just now: then nothing new is asked for."""
        self._fleet = fleet
        self._root = f"{topics.PREFIX}/{fleet}/artefact/"
        self._store = store
        self._limits = limits
        self._busy = busy
        self._clock = clock
        self._bucket = TokenBucket(limits.rate, limits.window * CHUNK, clock())
        self._job: _Job | None = None
        self._stale: list[str] = []
        self._fetching: dict[ArtefactKind, ArtefactTarget] = {}
        self._wake = asyncio.Event()
        self._log = log.get("artefact")

    # --- for the agent ---

    async def here(self, targets: Mapping[ArtefactKind, ArtefactTarget]) -> dict[ArtefactKind, Path] | None:
        """Where they lie, if all of them are on this box and whole; needs no connection. Raises `StateError`."""
        found: dict[ArtefactKind, Path] = {}
        await asyncio.to_thread(self._store.open)
        for kind, target in targets.items():
            path = await asyncio.to_thread(self._store.find, target)
            if path is None:
                return None
            found[kind] = path
        return found

    async def keep(self, targets: Collection[ArtefactTarget]) -> None:
        """Forget every file that is none of these. Raises `StateError`."""
        kept = {one.sha256 for one in (*targets, *self._fetching.values())}
        await asyncio.to_thread(self._store.open)
        freed = await asyncio.to_thread(self._store.keep, kept)
        if freed:
            self._log.info("files removed", bytes=freed)

    async def fetch(
        self, targets: Mapping[ArtefactKind, ArtefactTarget], on_progress: Callable[[int], None]
    ) -> dict[ArtefactKind, Path]:
        """Bring the files of a push here, one after the other; where each lies. One call at a time.

        `on_progress` is told per cent of all bytes, 0 to 100, when it has changed. Waits for as long as there is no
        connection. Cancelled or failed it keeps what is here, and the next call goes on from there.

        Raises `PushRefusedError`, its `where` the target's path: `artefact.bad_target`, `artefact.too_large`,
        `artefact.no_room`, `artefact.incomplete` (a part isn't on the broker),
        `artefact.wrong_index`, `artefact.wrong_chunk`, `artefact.wrong_file`. Raises `StateError`
        (`artefact.disk_full`, `artefact.disk_trouble`) for trouble of this box's own.
        """
        assert not self._fetching, "one fetch at a time"
        for kind, target in targets.items():
            _check(kind, target)
        self._fetching = dict(targets)
        try:
            return await self._fetch(targets, on_progress)
        finally:
            self._fetching = {}

    async def _fetch(
        self, targets: Mapping[ArtefactKind, ArtefactTarget], on_progress: Callable[[int], None]
    ) -> dict[ArtefactKind, Path]:
        await asyncio.to_thread(self._store.open)
        try:
            await asyncio.to_thread(self._store.room_for, tuple(targets.values()))
        except StateError as error:
            if error.code != "artefact.no_room":
                raise
            raise PushRefusedError("artefact.no_room", next(iter(targets.values())).path) from None
        progress = _Progress(sum(target.length for target in targets.values()), on_progress)
        found: dict[ArtefactKind, Path] = {}
        for kind, target in targets.items():
            path = await asyncio.to_thread(self._store.find, target)
            found[kind] = await self._bring(target, progress) if path is None else path
            progress.whole(target.length)
        return found

    async def _bring(self, target: ArtefactTarget, progress: _Progress) -> Path:
        plan = FetchPlan(target, limits=self._limits, bucket=self._bucket)
        file = await asyncio.to_thread(self._store.part, target)
        job = self._job = _Job(target, plan, file, progress.part)
        self._wake.set()
        try:
            return await job.done
        finally:
            self._job = None
            self._stale += [self._topic(target, part) for part in plan.leave()]
            self._wake.set()
            await asyncio.to_thread(file.close)

    def _topic(self, target: ArtefactTarget, part: Part) -> str:
        return topics.artefact(self._fleet, target.sha256, part)

    # --- for the uplink ---

    def filters(self) -> Sequence[str]:
        """Nothing at the beginning of a connection: parts are asked for one by one."""
        return ()

    def wants(self, topic: str) -> bool:
        """Whether a message is a part of a file."""
        return topic.startswith(self._root)

    async def take(self, received: Sequence[Received]) -> None:
        """Put aside what was asked for; anything else is late, or another file's, and no harm."""
        job = self._job
        for message in received:
            try:
                sha256, number = topics.parse_artefact(message.topic, self._fleet)
            except DecodeError:
                continue
            part: Part = topics.INDEX if number is None else number
            if job is None or sha256 != job.target.sha256 or not job.plan.expects(part):
                continue
            if all(part != waiting for waiting, _ in job.arrived):
                job.arrived.append((part, message.payload))
                self._wake.set()

    async def serve(self, connection: Connection) -> None:
        """Work at what is wanted until cancelled. Raises `UplinkError`, which ends the connection."""
        try:
            while True:
                self._wake.clear()
                again_s = await self._work(connection)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(again_s):
                        await self._wake.wait()
        finally:
            self._stale.clear()
            if self._job is not None:
                self._job.arrived.clear()
                self._job.plan.lost()

    async def _work(self, connection: Connection) -> float | None:
        """One round; seconds until the next, unless something happens."""
        stale, self._stale = self._stale, []
        await _drop(connection, stale)
        job = self._job
        if job is None or job.done.done():
            return None
        try:
            await self._write_arrived(job)
            if job.done.done():
                return None
            step = job.plan.step(self._clock(), hold=self._busy())
        except FetchFailedError as error:
            self._fail(job, PushRefusedError(error.code, job.target.path))
            return None
        except StateError as error:
            self._fail(job, error)
            return None
        await asyncio.gather(
            _drop(connection, [self._topic(job.target, part) for part in step.unsubscribe]),
            self._ask(connection, job, step.subscribe),
        )
        return step.again_s

    async def _write_arrived(self, job: _Job) -> None:
        """Raises `FetchFailedError`, `StateError`."""
        while job.arrived:
            part, data = job.arrived.popleft()
            number = job.plan.arrived(part, data, self._clock())
            if number is not None:
                try:
                    await asyncio.to_thread(job.file.write, number, data)
                except BaseException:  # the connection may have ended before the thread began
                    job.plan.put_back(number)
                    raise
                job.on_bytes(job.plan.bytes_here)
        if job.plan.asks_what_is_here:
            here = await asyncio.to_thread(job.file.here, job.plan.hashes)
            self._log.info("fetching", sha256=job.target.sha256, chunks=job.target.chunks, here=len(here))
            job.plan.resume(here)
            job.on_bytes(job.plan.bytes_here)
        if job.plan.complete:
            path = await asyncio.to_thread(job.file.finish, job.plan.hashes)
            if path is None:
                self._fail(job, PushRefusedError("artefact.wrong_file", job.target.path))
            elif not job.done.done():
                self._log.info("fetched", sha256=job.target.sha256, bytes=job.target.length)
                job.done.set_result(path)

    async def _ask(self, connection: Connection, job: _Job, parts: Sequence[Part]) -> None:
        for part in parts:
            try:
                await connection.subscribe(self._topic(job.target, part))
            except SubscriptionRefusedError:
                try:
                    job.plan.refused(part, self._clock())
                except FetchFailedError as failed:
                    self._fail(job, PushRefusedError(failed.code, job.target.path))
                    return

    def _fail(self, job: _Job, error: PushRefusedError | StateError) -> None:
        self._log.warning("not fetched", sha256=job.target.sha256, code=error.code)
        if not job.done.done():
            job.done.set_exception(error)


class _Progress:
    """Per cent of several files' bytes; told when it has changed."""

    def __init__(self, total: int, on_progress: Callable[[int], None]) -> None:
        self._total = total
        self._before = 0
        self._told: int | None = None
        self._on_progress = on_progress

    def whole(self, length: int) -> None:
        """A file is here, the next one begins."""
        self._before += length
        self.part(0)

    def part(self, length: int) -> None:
        """So much is here of the file that is on its way."""
        percent = 100 * (self._before + length) // self._total
        if percent != self._told:
            self._told = percent
            self._on_progress(percent)


def _check(kind: ArtefactKind, target: ArtefactTarget) -> None:
    try:
        check_target(target, kind)
    except DecodeError as error:
        raise PushRefusedError(error.code, target.path) from None


async def _drop(connection: Connection, filters: Sequence[str]) -> None:
    for topic_filter in filters:
        await connection.unsubscribe(topic_filter)

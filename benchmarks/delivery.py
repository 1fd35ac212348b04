"""Delivery of one box, against what its disk and its broker can do.

    python -m benchmarks.delivery [--envelopes 5000] [--backlog 100000] [--quick]

- **Commits**: how long an inspection's envelopes take to be on the disk, and how many fit into a second, one by one and
  in groups, against appending the same bytes and syncing them (the disk's own rate). Sealing is timed apart.
- **Start**: opening the state and finding the next envelope with a backlog, against doing so with none.
- **Drain**: from the outbox through mosquitto into a collector's archive until the receipts are in, against bare
  publications of the same messages to the same broker with as many in flight (paho, through our port), and against the
  collector alone.
- **Live latency**: from commit to the PUBACK and to a partner, with an empty outbox, and while the backlog drains.

Everything runs on this machine's disk (`--directory`), broker on loopback.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.delivery_common import Table, collectors, percentile, town_with
from benchmarks.processes import resident_mib
from edged.uplink import topics
from edged.uplink.database import DatabaseThread
from edged.uplink.envelope import Envelope, EnvelopeDraft, StreamPosition
from edged.uplink.mqtt import Session, connect
from edged.uplink.mqtt_types import DEFAULT_WINDOW
from edged.uplink.names import Role
from edged.uplink.outbox import RetryPolicy, StateDatabase
from edged.uplink.status import Connected, Published, Receipted
from tests import delivery
from tests.broker import FLEET, Sealer, Town, draft

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

DEVICE: Final = "box-1"
LIVE_COMMITS: Final = 100
LIVE_PAUSE_S: Final = 0.1


def now() -> datetime:
    return datetime.now(UTC)


class Presealed:
    """A device's `seal` whose envelopes of one audience were made beforehand, so that only the disk is timed."""

    def __init__(self, sealer: Sealer, audience: str, count: int, start: StreamPosition) -> None:
        self._made: dict[int, Envelope] = {}
        position = start
        for _ in range(count):
            made = sealer(draft(audience), position)
            self._made[made.seq] = made
            position = StreamPosition(made.seq + 1, made.sha256)

    def __call__(self, _draft: EnvelopeDraft, position: StreamPosition) -> Envelope:
        return self._made[position.seq]


def sync_rate(directory: Path, size: int, count: int) -> list[float]:
    """Seconds of each of `count` appends of `size` bytes with `fdatasync`, sorted."""
    took = []
    data = b"x" * size
    descriptor = os.open(directory / "sync-rate", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        for _ in range(count):
            began = time.perf_counter()
            os.write(descriptor, data)
            os.fdatasync(descriptor)
            took.append(time.perf_counter() - began)
    finally:
        os.close(descriptor)
    return sorted(took)


async def commits(table: Table, place: Town, directory: Path, count: int) -> None:
    """Commit latency and rate against the disk's own."""
    state = await DatabaseThread.open(
        "state", lambda: StateDatabase.open(directory / "commits.sqlite", device=DEVICE, now=now())
    )
    log_id = await state.run(lambda database: database.log_id)
    sealer = Sealer(place.signer(Role.DEVICE, DEVICE), log_id, now())
    began = time.perf_counter()
    seal = Presealed(sealer, "bank", 4 * count, StreamPosition(1, None))
    sealing = (time.perf_counter() - began) / (4 * count)
    size = len(seal(draft("bank"), StreamPosition(1, None)).jws)

    async def one(number: int) -> float:
        started = time.perf_counter()
        await state.write(lambda s: s.commit_inspection(f"i-{number}", [draft("bank")], seal, now()))
        return time.perf_counter() - started

    appended = sync_rate(directory, size, count)
    alone = sorted([await one(number) for number in range(count)])
    appended = sorted(appended + sync_rate(directory, size, count))
    rate = {}
    for group in (10, 100):
        started = time.perf_counter()
        for first in range(0, count, group):
            await asyncio.gather(*(one(first + n) for n in range(group)))
        rate[group] = count / (time.perf_counter() - started)
    await state.close()
    disk = percentile(appended, 50)
    table.row("append and fdatasync, p50", disk * 1000, "ms")
    table.row("append and fdatasync, p99", percentile(appended, 99) * 1000, "ms")
    table.row("sealing one envelope", sealing * 1000, "ms")
    for share in (50, 99):
        value = percentile(alone, share)
        ratio = value / percentile(appended, share)
        table.row(f"one commit at a time, p{share}", value * 1000, "ms", f"{ratio:.2f} x the disk's own")
    single = count / sum(alone)
    table.row(
        "one commit at a time",
        single,
        "1/s",
        f"{single * statistics.mean(appended):.2f} x the disk's own rate",
    )
    for group, value in rate.items():
        table.row(
            f"{group} commits at once",
            value,
            "1/s",
            f"{value * statistics.mean(appended):.1f} x the disk's own rate",
        )


def fill(path: Path, place: Town, count: int) -> None:
    """A state database with `count` committed envelopes, in groups of hundreds; synced like any other."""
    state = StateDatabase.open(path, device=DEVICE, now=now())
    sealer = Sealer(place.signer(Role.DEVICE, DEVICE), state.log_id, now())
    group = 500
    for first in range(0, count, group):
        drafts = [draft("bank")] * min(group, count - first)
        state.commit_inspection(f"backlog-{first}", drafts, sealer, now())
        print(
            f"\rfilling the backlog: {first + len(drafts):,} of {count:,} ",
            end="",
            file=sys.stderr,
            flush=True,
        )
    print(file=sys.stderr)
    state.close()


def starting(table: Table, directory: Path, full: Path) -> None:
    """Opening and finding the first thing to send, with a backlog and without."""

    def opened(path: Path) -> float:
        took = []
        for _ in range(5):
            began = time.perf_counter()
            state = StateDatabase.open(path, device=DEVICE, now=now())
            state.counts()
            state.look(now(), since=state.last_id(), skip=frozenset(), live=8, backlog=32)
            took.append(time.perf_counter() - began)
            state.close()
        return min(took)

    empty = opened(directory / "empty.sqlite")
    with_backlog = opened(full)
    table.row("open and look, empty outbox", empty * 1000, "ms")
    table.row("open and look, backlog", with_backlog * 1000, "ms", f"{with_backlog / empty:.2f} x empty")


@contextlib.asynccontextmanager
async def box_on(
    place: Town, directory: Path, on_event: Callable[[object], None] = lambda _: None
) -> AsyncIterator[delivery.Box]:
    """The delivery half of a box over the state database in `directory`."""
    async with delivery.box(place, directory, DEVICE, run=False, retry=RetryPolicy()) as box:
        keep = box.events.append
        box.uplink._on_event = lambda event: (keep(event), on_event(event))  # type: ignore[func-returns-value]
        box.task = asyncio.create_task(box.uplink.run())
        yield box


async def drain(table: Table, place: Town, directory: Path, count: int) -> None:
    """Envelopes a second from a full outbox to receipts, against bare publications."""
    bodies = [
        (topics.verdict(FLEET, DEVICE, "bank"), draft_envelope.jws.encode())
        for draft_envelope in _chain(place, count)
    ]
    async with connect(
        place.endpoint(Role.DEVICE, DEVICE), Session(DEVICE, window=DEFAULT_WINDOW)
    ) as connection:
        began = time.perf_counter()
        await asyncio.gather(*(connection.publish(topic, body) for topic, body in bodies))
        bare = count / (time.perf_counter() - began)
    fill(directory / "drain" / "state.sqlite", place, count)
    with collectors(place, directory, ["centre"], str(directory / "drained.sqlite")):
        async with box_on(place, directory / "drain") as box:
            await box.events.until(lambda events: events.of(Receipted), 60)
            start = (await box.counts()).receipted
            began = time.perf_counter()
            await box.settled(600)
            ours = (count - start) / (time.perf_counter() - began)
    table.row(f"bare publications, {DEFAULT_WINDOW} in flight", bare, "1/s")
    table.row("drained, archived and receipted", ours, "1/s", f"{ours / bare:.2f} x bare publications")


def _chain(place: Town, count: int) -> list[Envelope]:
    sealer = Sealer(place.signer(Role.DEVICE, DEVICE), "bare", now())
    made: list[Envelope] = []
    for seq in range(1, count + 1):
        made.append(sealer(draft("bank"), StreamPosition(seq, made[-1].sha256 if made else None)))
    return made


async def live(table: Table, place: Town, directory: Path, name: str, state: Path) -> None:
    """From commit to PUBACK and to a partner, for fresh verdicts."""
    acknowledged: dict[str, float] = {}
    arrived: dict[bytes, float] = {}
    committed: dict[str, float] = {}

    def seen(event: object) -> None:
        if isinstance(event, Published):
            acknowledged.setdefault(event.inspection, time.perf_counter())

    async def partner() -> None:
        session = Session("audience.bank", receive_maximum=1000)
        async with connect(place.endpoint(Role.AUDIENCE, "bank"), session) as connection:
            await connection.subscribe(topics.verdict(FLEET, DEVICE, "bank"))
            listening.set()
            while True:
                for message in await connection.receive(100):
                    if message.user_properties.get("lane") == "live":
                        arrived[message.payload] = time.perf_counter()
                    connection.acknowledge(message)

    listening = asyncio.Event()
    listener = asyncio.create_task(partner())
    await listening.wait()
    state.mkdir(exist_ok=True)  # noqa: ASYNC240
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(collectors(place, directory, ["centre"], str(state / "archive.sqlite")))
        box = await stack.enter_async_context(box_on(place, state, seen))
        await box.events.until(lambda events: events.of(Connected), 60)
        await asyncio.sleep(3)
        waiting = (await box.counts()).pending
        bodies: dict[bytes, str] = {}
        for number in range(LIVE_COMMITS):
            inspection = f"live-{number}"
            committed[inspection] = time.perf_counter()
            made = await box.state.write(
                lambda s, i=inspection: s.commit_inspection(i, [draft("bank")], box.sealer, now())
            )
            bodies[made[0].jws.encode()] = inspection
            box.uplink.wake()
            await asyncio.sleep(LIVE_PAUSE_S)
        pending = (await box.counts()).pending
        await box.events.until(lambda _: len(acknowledged.keys() & committed.keys()) == LIVE_COMMITS, 120)
    listener.cancel()
    await asyncio.gather(listener, return_exceptions=True)
    acks = sorted(acknowledged[name] - committed[name] for name in committed)
    arrivals = sorted(arrived[body] - committed[bodies[body]] for body in arrived if body in bodies)
    table.row(f"{name}: pending at the first and last commit", waiting, "", f"and {pending:,}")
    for share in (50, 95, 99):
        table.row(f"{name}: commit to PUBACK, p{share}", percentile(acks, share) * 1000, "ms")
    table.row(f"{name}: arrived at the partner as live", len(arrivals), f"of {LIVE_COMMITS}")
    for share in (50, 95):
        table.row(f"{name}: commit to partner, p{share}", percentile(arrivals, share) * 1000, "ms")


async def measure(options: argparse.Namespace, directory: Path) -> None:
    """All of it, one after the other."""
    table = Table()
    place = town_with(directory, collectors=["centre"])
    place.broker.start()
    try:
        for name in ("drain", "full", "empty-live"):
            (directory / name).mkdir()
        await commits(table, place, directory, options.envelopes // 5)
        fill(directory / "full" / "state.sqlite", place, options.backlog)
        starting(table, directory, directory / "full" / "state.sqlite")
        await drain(table, place, directory, options.envelopes)
        await live(table, place, directory, "live, empty outbox", directory / "empty-live")
        await live(table, place, directory, "live, backlog draining", directory / "full")
        table.row("memory of this process", resident_mib(os.getpid()), "MiB")
    finally:
        place.broker.stop()
    table.print()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--envelopes", type=int, default=5000)
    parser.add_argument("--backlog", type=int, default=100_000)
    parser.add_argument(
        "--quick", action="store_true", help="a hundredth of everything, to see that it works"
    )
    parser.add_argument("--directory", type=Path, help="where the databases lie: the disk that is measured")
    options = parser.parse_args()
    if options.quick:
        options.envelopes, options.backlog = 500, 1000
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        asyncio.run(measure(options, Path(directory)))


if __name__ == "__main__":
    main()

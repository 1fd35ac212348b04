"""A fleet on one machine: thousands of boxes' connections and envelopes against a real broker and real collectors.

    python -m benchmarks.fleet [--boxes 2000] [--rate 100] [--seconds 60] [--collectors 2]
                               [--archive sqlite|postgres|URL] [--processes 1]

Each box is a connection of its own (mutual TLS 1.3, its own certificate, its own keys) that seals envelopes as a
terminal does, publishes them as its outbox does, and lets them go when a signed receipt names them: what a box costs
everybody else is real, the box itself is only a stream in memory. The broker is mosquitto with the product's
configuration, the collectors are `edged central collect` processes. Envelopes come at `--rate` a second over the whole
fleet, at random boxes.

Printed: how fast the fleet connects; envelopes a second offered, archived and receipted; the lag from commit to
receipt; memory and processor time of broker, collectors and database, by connection and by envelope. Exit 1 when an
envelope was lost or doubled, or the fleet fell behind.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from benchmarks.delivery_common import (
    Table,
    collectors,
    percentile,
    town_with,
)
from benchmarks.processes import family, processor_seconds, resident_mib
from edged.errors import EdgedError
from edged.uplink import topics
from edged.uplink.envelope import StreamPosition
from edged.uplink.mqtt import PublishRefusedError, Session, connect
from edged.uplink.names import Role
from edged.uplink.receipts import open_receipt
from tests.broker import FLEET, Sealer, draft

if TYPE_CHECKING:
    from edged.uplink.mqtt import Connection
    from tests.broker import Town

AUDIENCE: Final = "bank"
CONNECTING_AT_ONCE: Final = 32
RESEND_S: Final = 30.0
SETTLE_S: Final = 60.0
"""How long the fleet may take after the last envelope until everything is receipted."""


class Figures(msgspec.Struct):
    """What one process of boxes saw."""

    connected: int = 0
    connect_s: float = 0.0
    offered: int = 0
    receipted: int = 0
    resent: int = 0
    reconnects: int = 0
    lags: list[float] = []
    published: list[float] = []
    hashes: list[tuple[str, int, str]] = []
    rss_mib: float = 0.0


class SimulatedBox:
    """One box: a connection, a stream in memory, and what of it is not receipted yet."""

    def __init__(self, place: Town, name: str, figures: Figures) -> None:
        self.name = name
        self.pending: dict[int, tuple[bytes, str, float, float]] = {}
        self._place = place
        self._figures = figures
        self._sealer = Sealer(place.signer(Role.DEVICE, name), f"log-{name}", datetime.now(UTC))
        self._position = StreamPosition(1, None)
        self._wake = asyncio.Event()
        self._topic = topics.verdict(FLEET, name, AUDIENCE)
        self.up = asyncio.Event()

    def scan(self) -> None:
        """One inspection: an envelope is committed now."""
        self._sealer.now = datetime.now(UTC)
        envelope = self._sealer(draft(AUDIENCE), self._position)
        now = time.monotonic()
        self.pending[envelope.seq] = (envelope.jws.encode(), envelope.sha256, now, 0.0)
        self._figures.offered += 1
        self._figures.hashes.append((self.name, envelope.seq, envelope.sha256))
        self._position = StreamPosition(envelope.seq + 1, envelope.sha256)
        self._wake.set()

    async def run(self, gate: asyncio.Semaphore) -> None:
        """Stay connected."""
        endpoint = self._place.endpoint(Role.DEVICE, self.name, answer_timeout_s=60.0, connect_timeout_s=60.0)
        first = True
        while True:
            try:
                async with contextlib.AsyncExitStack() as stack:
                    async with gate:
                        began = time.monotonic()
                        connection = await stack.enter_async_context(connect(endpoint, Session(self.name)))
                        await connection.subscribe(topics.receipt(FLEET, self.name))
                    if first:
                        self._figures.connected += 1
                        self._figures.connect_s += time.monotonic() - began
                    self._figures.reconnects += not first
                    first = False
                    self.up.set()
                    await asyncio.gather(self._send(connection), self._receive(connection))
            except EdgedError:
                await asyncio.sleep(random.uniform(0.5, 1.5))

    async def _send(self, connection: Connection) -> None:
        while True:
            self._wake.clear()
            now = time.monotonic()
            due = [seq for seq, entry in self.pending.items() if now - entry[3] > RESEND_S or not entry[3]]
            for seq in due:
                if (entry := self.pending.get(seq)) is None:
                    continue
                body, sha256, committed, before = entry
                self.pending[seq] = (body, sha256, committed, time.monotonic())
                self._figures.resent += before > 0
                with contextlib.suppress(PublishRefusedError):
                    await connection.publish(self._topic, body, user_properties={"lane": "live"})
                if not before:
                    self._figures.published.append(time.monotonic() - committed)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), RESEND_S / 3 if self.pending else None)

    async def _receive(self, connection: Connection) -> None:
        while True:
            for message in await connection.receive(8):
                receipt = open_receipt(
                    message.payload, anchor=self._place.anchor, at=datetime.now(UTC), device=self.name
                )
                for run in receipt.ranges:
                    for seq in range(run.first, run.last + 1):
                        if (entry := self.pending.pop(seq, None)) is not None:
                            self._figures.receipted += 1
                            self._figures.lags.append(time.monotonic() - entry[2])
                connection.acknowledge(message)


async def boxes(place: Town, names: list[str], rate: float, seconds: float, seed: int) -> Figures:
    """One process's share of the fleet: connect all, scan for so long, then wait until everything is receipted."""
    figures = Figures()
    made = [SimulatedBox(place, name, figures) for name in names]
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)
    began = time.monotonic()
    tasks = [asyncio.create_task(box.run(gate)) for box in made]
    for box in made:
        await box.up.wait()
    figures.connect_s = time.monotonic() - began
    chance = random.Random(seed)
    end = time.monotonic() + seconds
    due = time.monotonic()
    while (now := time.monotonic()) < end:
        while due <= now:
            chance.choice(made).scan()
            due += chance.expovariate(rate)
        await asyncio.sleep(max(0.0, min(due, end) - time.monotonic()))
    deadline = time.monotonic() + SETTLE_S
    while any(box.pending for box in made) and time.monotonic() < deadline:  # noqa: ASYNC110  # one look at all
        await asyncio.sleep(0.05)
    figures.rss_mib = resident_mib(os.getpid())
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return figures


def _process(place: Town, names: list[str], options: argparse.Namespace, seed: int, answers: Any) -> None:
    _many_descriptors()
    share = options.rate * len(names) / options.boxes
    answers.put(msgspec.msgpack.encode(asyncio.run(boxes(place, names, share, options.seconds, seed))))


def _many_descriptors() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def archived(place: Town, archive: str) -> tuple[dict[tuple[str, int], str], int]:
    """(device, seq) to hash of everything in the archive; and its alarms."""
    from edged.central.archive import open_archive

    opened = open_archive(archive, place.anchor)
    try:
        ledger = opened.ledger()
    finally:
        opened.close()
    found = {
        (device, seq): sha256
        for (device, _, _), stream in ledger.streams.items()
        for seq, sha256 in stream.hashes.items()
    }
    return found, ledger.alarms


def run(options: argparse.Namespace, directory: Path, archive: str, database: int | None) -> int:
    """One simulation; its table on standard output, and the exit status."""
    names = [f"box-{number:05}" for number in range(options.boxes)]
    table = Table()
    print(f"making {options.boxes} boxes' keys and certificates ...", file=sys.stderr, flush=True)
    workers = [f"worker-{number + 1}" for number in range(options.collectors)]
    place = town_with(directory, collectors=workers)
    for name in names:
        place.endpoint(Role.DEVICE, name)
        place.signer(Role.DEVICE, name)
    shares = [names[number :: options.processes] for number in range(options.processes)]
    _many_descriptors()
    place.broker.start()
    with contextlib.ExitStack() as stack:
        stack.callback(place.broker.stop)
        running = stack.enter_context(collectors(place, directory, workers, archive))
        time.sleep(2)
        broker_pid = place.broker.pid
        assert broker_pid is not None
        watched = {"broker": [broker_pid], "collectors": [worker.pid for worker in running]}
        if database is not None:
            watched["database"] = family(database)
        idle_mib = resident_mib(broker_pid)
        answers: Any = multiprocessing.Queue()
        before = {part: sum(map(processor_seconds, pids)) for part, pids in watched.items()}
        began = time.monotonic()
        children = [
            multiprocessing.Process(target=_process, args=(place, share, options, seed, answers))
            for seed, share in enumerate(shares)
        ]
        for child in children:
            child.start()
        found = [msgspec.msgpack.decode(answers.get(), type=Figures) for _ in children]
        wall = time.monotonic() - began
        spent = {part: sum(map(processor_seconds, pids)) - before[part] for part, pids in watched.items()}
        memory = {part: sum(map(resident_mib, pids)) for part, pids in watched.items()}
        for child in children:
            child.join()
    kept, alarms = archived(place, archive)
    sent = {(name, seq): sha256 for figures in found for name, seq, sha256 in figures.hashes}
    offered, receipted = len(sent), sum(figures.receipted for figures in found)
    lags = sorted(lag for figures in found for lag in figures.lags)
    published = sorted(lag for figures in found for lag in figures.published)
    lost = [key for key, sha256 in sent.items() if kept.get(key) != sha256]
    connecting = max(figures.connect_s for figures in found)
    table.row("boxes connected", len(names), "")
    table.row("of them a second", len(names) / connecting, "1/s")
    table.row("envelopes offered", offered / options.seconds, "1/s")
    table.row("envelopes archived", len(kept), "")
    table.row("lost", len(lost), "")
    table.row("alarms", alarms, "")
    table.row("not receipted in time", offered - receipted, "")
    table.row("sent more than once", sum(figures.resent for figures in found), "")
    table.row("reconnects", sum(figures.reconnects for figures in found), "")
    for share in (50, 95, 99):
        table.row(f"commit to PUBACK, p{share}", percentile(published, share) * 1000, "ms")
    for share in (50, 95, 99):
        table.row(f"commit to receipt (lag), p{share}", percentile(lags, share) * 1000, "ms")
    for part, seconds in spent.items():
        table.row(f"{part}: processor time an envelope", seconds / max(offered, 1) * 1e6, "us")
        table.row(f"{part}: memory", memory[part], "MiB")
    table.row("broker: memory a connection", (memory["broker"] - idle_mib) * 1024 / len(names), "KiB")
    table.row("simulator: memory a box", sum(f.rss_mib for f in found) * 1024 / len(names), "KiB")
    table.row("whole run", wall, "s")
    table.print()
    return 1 if lost or alarms or offered != receipted else 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--boxes", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=100.0, help="envelopes a second, over the whole fleet")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--collectors", type=int, default=2)
    parser.add_argument("--processes", type=int, default=1, help="processes that play the boxes")
    parser.add_argument(
        "--archive", default="sqlite", help="sqlite, postgres (a temporary cluster) or its URL"
    )
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        archive, database = str(directory / "archive.sqlite"), None
        if options.archive == "postgres":
            from tests.postgres import cluster

            server = stack.enter_context(cluster())
            archive, database = server.database(), server.pid
        elif options.archive != "sqlite":
            archive = options.archive
        sys.exit(run(options, directory, archive, database))


if __name__ == "__main__":
    main()

"""What it costs to push to a fleet: to one real box, in bytes, and to a thousand simulated ones.

    python -m benchmarks.pushing [--pushes 10] [--boxes 1000] [--quick]

- **Push to applied**: a real `edged run` behind a real mosquitto. The time from the admin's tool publishing until the
  box reports `staged`, `trial` and `applied`, against the least that a push could take: a retained message of that
  size through the same broker. Most of it is the self-test, whose darkness alone takes
  `edged.pushed.probes.DARKNESS_S`.
- **Bytes**: a push by what is in it, against the document that it carries.
- **A rollout** by `edged fleet rollout start` to simulated boxes: each a connection of its own with certificates of
  its own that really verifies the bundle and signs its reports. Processor time of the admin's tool, of the broker and
  of the boxes, for each box; against publishing as many retained messages of that size to the same broker.

Everything runs on this machine, broker on loopback. Exit 1 when a push wasn't applied.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.delivery_common import Table, percentile
from benchmarks.processes import processor_seconds, resident_mib
from edged.control import ControlClient
from edged.demo.fleet import KeyFiles
from edged.demo.head import SIMULATED
from edged.demo.stage import BOX_CONFIG
from edged.fleet import simulated
from edged.fleet.pushing import Pusher
from edged.fleet.state import DeviceRecord
from edged.pushed.probes import DARKNESS_S
from edged.uplink import topics
from edged.uplink.bundle import decode_bundle
from edged.uplink.keys import generate_key, private_pem, write_private
from edged.uplink.mqtt import Session, connect
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.reported import open_reported
from tests.fleet_town import FleetTown, applied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.fleet.pushing import Prepared
    from edged.uplink.mqtt import Connection

BOX: Final = "box-real"
PATIENCE_S: Final = 60.0


class NotAppliedError(Exception):
    """A push that should have been applied wasn't."""


def now() -> datetime:
    return datetime.now(UTC)


@contextlib.contextmanager
def real_box(place: FleetTown) -> Iterator[subprocess.Popen[bytes]]:
    """`edged run` as a box of the fleet, enrolled by hand."""
    home = place.directory / BOX
    home.mkdir()
    files = {}
    for usage in Usage:
        key = generate_key()
        pem = place.state.issue(
            Principal(place.state.file.fleet, Role.DEVICE, BOX), usage, key.public_key(), now=now()
        )
        write_private(home / f"{usage}.key", private_pem(key))
        (home / f"{usage}.pem").write_bytes(pem)
        files[usage] = KeyFiles(home / f"{usage}.key", home / f"{usage}.pem")
    (home / "root.json").write_bytes(place.root)
    text = BOX_CONFIG.format(
        ca=place.state.anchors_file,
        sign=files[Usage.SIGNING],
        tls=files[Usage.TLS],
        host=place.state.file.broker_host,
        port=place.broker.port,
        fixed="",
    )
    (home / "edged.toml").write_text(f'{text}{SIMULATED}\n[fleet]\nroot = "root.json"\n')
    place.state.save_device(DeviceRecord(name=BOX, added_at=0))
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "edged", "run", "--config", str(home / "edged.toml")], stderr=log
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


async def ready(place: FleetTown) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(Exception):
                async with ControlClient(place.directory / BOX / "control.sock") as control:
                    if (await control.call("status"))["uplink"]["connected"]:
                        return
            await asyncio.sleep(0.05)


def prepared(place: FleetTown, label: int) -> tuple[Prepared, float]:
    """A push whose content no push had before, and how long making it took."""
    place.layer(
        f'default_scene = "bank"\naudiences = ["first-bank"]\n[timeouts]\ndocument_s = {20 + label % 400}.0\n'
    )
    began = time.perf_counter()
    pusher = Pusher(place.state, now=now(), by="benchmark")
    pusher.compile([BOX])
    return pusher.prepare([BOX])[0], time.perf_counter() - began


async def push(place: FleetTown, admin: Connection, label: int) -> dict[str, float]:
    """One push to the real box; seconds from publishing to each report."""
    made, making = prepared(place, label)
    fleet = place.state.file.fleet
    began = time.perf_counter()
    await admin.publish(topics.desired(fleet, BOX), made.data, retain=True)
    seen = {"made": making}
    anchor = place.state.anchor()
    async with asyncio.timeout(PATIENCE_S):
        while "applied" not in seen:
            for message in await admin.receive(8):
                admin.acknowledge(message)
                if message.topic != topics.reported(fleet, BOX):
                    continue
                report = open_reported(message.payload, anchor=anchor, at=now(), device=BOX)
                if report.push != made.number:
                    continue
                if report.outcome in ("rejected", "rolled_back"):
                    raise NotAppliedError(f"{report.outcome}: {report.probe} {report.code}")
                seen.setdefault(report.outcome, time.perf_counter() - began)
    return seen


async def echoes(admin: Connection, place: FleetTown, size: int, count: int) -> list[float]:
    """The least: a retained message of that size, and it is here again."""
    topic = topics.desired(place.state.file.fleet, "nobody")
    await admin.subscribe(topic)
    took = []
    for number in range(count):
        data = number.to_bytes(4) + bytes(size - 4)
        began = time.perf_counter()
        await admin.publish(topic, data, retain=True)
        while True:
            messages = await admin.receive(8)
            for message in messages:
                admin.acknowledge(message)
            if any(message.payload == data for message in messages):
                break
        took.append(time.perf_counter() - began)
    await admin.publish(topic, b"", retain=True)
    await admin.unsubscribe(topic)
    return took


async def one_box(place: FleetTown, pushes: int, table: Table) -> None:
    name = f"{Role.ADMIN}.{place.state.file.admin}"
    async with connect(place.state.endpoint(), Session(name)) as admin:
        await admin.subscribe(topics.every_reported(place.state.file.fleet))
        await ready(place)
        made = [await push(place, admin, label) for label in range(pushes)]
        data = prepared(place, pushes)[0].data
        least = sorted(await echoes(admin, place, len(data), max(pushes, 20)))
    floor = percentile(least, 50)
    for what in ("made", "staged", "trial", "applied"):
        times = sorted(one[what] for one in made if what in one)
        against = (
            f"p99 {1000 * percentile(times, 99):,.0f} ms; {percentile(times, 50) / floor:,.0f} x a bare echo"
        )
        table.row(f"push: {what}, p50", 1000 * percentile(times, 50), "ms", f"  {against}")
    table.row("bare echo of a message of that size, p50", 1000 * floor, "ms")
    table.row("of which the dark frame's darkness", 1000 * DARKNESS_S, "ms")
    in_bytes(data, table)


def in_bytes(data: bytes, table: Table) -> None:
    bundle = decode_bundle(data)
    document = sum(len(text) for path, text in bundle.targets.items() if path.startswith("config/"))
    table.row("bytes of a push", len(data), "B", f"  {len(data) / document:.1f} x its document")
    parts = {name: len(text) for name, text in (*bundle.metadata.items(), *bundle.targets.items())}
    for name, size in sorted(parts.items(), key=lambda part: -part[1]):
        table.row(f"  {name}", size, "B")


async def fleet(place: FleetTown, table: Table) -> None:
    """The rollout, and the same messages to the same broker by themselves."""
    boxes = place.boxes(applied)
    began = time.monotonic()
    broker = place.broker.pid
    assert broker is not None
    async with simulated.running(boxes):
        count = len(boxes)
        table.row("boxes connected", count / (time.monotonic() - began), "/s")
        before = (processor_seconds(broker), time.process_time(), children())
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "edged",
                "fleet",
                "rollout",
                "start",
                "--all",
                "--waves",
                "1%,10%,50%,100%",
            ),
            *("--soak", "1s", "--state", str(place.state.directory), "--json"),
            stdout=asyncio.subprocess.DEVNULL,
        )
        code = await process.wait()
        took = time.monotonic() - began
        after = (processor_seconds(broker), time.process_time(), children())
        if code or any(len(box.taken) != 1 for box in boxes):
            raise NotAppliedError(f"the rollout ended with {code}")
        table.row("rollout in four waves, soaking 3 s", took, "s", f"  {count / took:,.0f} boxes/s")
        each = [1000 * (late - early) / count for early, late in zip(before, after, strict=True)]
        for who, cost in zip(("broker", "box: verify, sign two reports", "admin's tool"), each, strict=True):
            table.row(f"  processor time a box: {who}", cost, "ms")
        table.row("broker's memory", resident_mib(broker), "MiB")
    await bare(place, len(boxes), broker, each[0], table)


async def bare(place: FleetTown, count: int, broker: int, cost: float, table: Table) -> None:
    data = bytes(place.maker().make(place.state.device(place.names[0]), 1 << 20).data)
    name = f"{Role.ADMIN}.{place.state.file.admin}"
    before = processor_seconds(broker)
    began = time.monotonic()
    async with connect(place.state.endpoint(), Session(name)) as admin:
        gate = asyncio.Semaphore(50)

        async def one(number: int) -> None:
            async with gate:
                await admin.publish(
                    topics.desired(place.state.file.fleet, f"nobody-{number}"), data, retain=True
                )

        await asyncio.gather(*(one(number) for number in range(count)))
    took = time.monotonic() - began
    least = 1000 * (processor_seconds(broker) - before) / count
    table.row("as many bare retained messages", count / took, "/s")
    table.row(
        "  processor time each: broker",
        least,
        "ms",
        f"  a box of the rollout: {cost / least:.1f} x" if least else "",
    )


def children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pushes", type=int, default=10)
    parser.add_argument("--boxes", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="three pushes, fifty boxes")
    options = parser.parse_args()
    pushes, count = (3, 50) if options.quick else (options.pushes, options.boxes)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4 * count + 256), hard), hard))
    table = Table()
    try:
        with tempfile.TemporaryDirectory(prefix="edged-pushing-") as name:
            place = FleetTown(Path(name) / "many", count)
            place.broker.start()
            try:
                asyncio.run(fleet(place, table))
            finally:
                place.broker.stop()
            place = FleetTown(Path(name) / "one", 0)
            place.broker.start()
            try:
                with real_box(place):
                    asyncio.run(one_box(place, pushes, table))
            finally:
                place.broker.stop()
    except NotAppliedError as error:
        print(f"not applied: {error}", file=sys.stderr)
        return 1
    table.print()
    return 0


if __name__ == "__main__":
    sys.exit(main())

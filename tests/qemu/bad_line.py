"""Inside the virtual machine: a box behind a bad line, in a network namespace of its own.

    python -m tests.qemu.bad_line --backlog 60 --netem "delay 300ms 100ms loss 5%"

Broker, collector and partner live in one namespace; the box in another, and all of its packets, to and fro, pass netem.
Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import os
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edged.partner.follow import VerdictEvent
from edged.uplink.names import Role
from edged.uplink.outbox import RetryPolicy, StateDatabase
from edged.uplink.status import Connected, Disconnected, Published
from edged.uplink.subscription import Ready
from tests.broker import Town
from tests.delivery import archive_ledger, box, collector, follower, now
from tests.qemu import guest

if TYPE_CHECKING:
    from collections.abc import Sequence

SPACE = "counter"
CENTRE, COUNTER = "10.9.0.1", "10.9.0.2"
_CLONE_NEWNET = 0x40000000

RETRY = RetryPolicy(receipt_s=15.0, refused_s=15.0, bound_s=60.0)
"""As long as such a line takes: a box that asks again sooner fills it with its own repetitions."""

WINDOW = 12
"""Few enough that most of the backlog still waits when the first fresh verdict comes."""

FRESH = 3
"""Verdicts given while the backlog is on its way."""


def lay_the_line(netem: str) -> None:
    """Two namespaces and a pair of interfaces between them, netem on each end."""
    guest.run("ip", "netns", "add", SPACE)
    guest.run("ip", "link", "add", "centre", "type", "veth", "peer", "name", "box", "netns", SPACE)
    inside = ("ip", "netns", "exec", SPACE)
    for prefix, name, address in (((), "centre", CENTRE), (inside, "box", COUNTER)):
        guest.run(*prefix, "ip", "address", "add", f"{address}/24", "dev", name)
        guest.run(*prefix, "ip", "link", "set", name, "up")
        guest.run(*prefix, "tc", "qdisc", "add", "dev", name, "root", "netem", *netem.split())
    # The broker's certificate is for localhost: behind the line that is the centre's address.
    Path("/etc/hosts").write_text(f"{CENTRE} localhost\n")


def statistics() -> str:
    """What the line did to the packets of both ends."""
    return " / ".join(
        guest.run(*prefix, "tc", "-s", "qdisc", "show", "dev", name)
        .split("Sent", 1)[1]
        .split("\n")[0]
        .strip()
        for prefix, name in (((), "centre"), (("ip", "netns", "exec", SPACE), "box"))
    )


def enter(space: str) -> None:
    """This process, and what it starts, to another network namespace."""
    descriptor = os.open(f"/run/netns/{space}", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(descriptor)


def listen_everywhere(place: Town) -> None:
    """The demo's broker listens on loopback alone."""
    path = place.directory / "broker" / "mosquitto.conf"
    text = path.read_text()
    changed = text.replace(f"listener {place.broker.port} 127.0.0.1", f"listener {place.broker.port} 0.0.0.0")
    assert changed != text
    path.write_text(changed)


async def at_the_counter(place: Town, directory: Path, backlog: int, limit_s: float) -> dict[str, Any]:
    """A box that comes home with a backlog, and gives verdicts while it drains."""
    endpoint = msgspec.structs.replace(
        place.endpoint(Role.DEVICE, "box-1"), host="localhost", connect_timeout_s=20.0, answer_timeout_s=30.0
    )
    settings: dict[str, Any] = {
        "reconnect_max_s": 2.0,
        "status_s": 5.0,
        "drain_s": 0.1,
        "window": WINDOW,
    }
    async with box(place, directory, run=False, retry=RETRY, endpoint=endpoint, **settings) as device:
        for _ in range(backlog):
            await device.commit("bank", "hotel")
        began = time.monotonic()
        device.task = asyncio.create_task(device.uplink.run())
        await device.events.first(Connected, limit_s)
        connected = time.monotonic()
        await device.events.first(Published, limit_s)
        for _ in range(FRESH):
            await device.commit("bank")
        await device.events.until(lambda events: live(events) == FRESH, limit_s)
        behind = 2 * backlog - (len(device.events.of(Published)) - FRESH)
        await device.settled(limit_s)
        settled = time.monotonic()
        return {
            "connect_s": round(connected - began, 1),
            "drain_s": round(settled - connected, 1),
            "connections": len(device.events.of(Connected)),
            "losses": [event.code for event in device.events.of(Disconnected)],
            "published": len(device.events.of(Published)),
            "backlog_behind": behind,
        }


def live(events: Any) -> int:
    return sum(event.lane == "live" for event in events.of(Published))


def sent(directory: Path) -> dict[str, dict[int, str]]:
    with closing(StateDatabase.open(directory / "state.sqlite", device="box-1", now=now())) as state:
        return {key[2]: {one.seq: one.sha256 for one in sent} for key, sent in state.ledger().items()}


async def at_the_centre(place: Town, directory: Path, started: int, child: int, limit_s: float) -> list[int]:
    """Collect and follow until the box's process has ended; the numbers that the partner was handed, in order."""
    async with collector(place, directory / "centre") as centre, follower(place, directory / "bank") as bank:
        await centre.first(Ready, limit_s)
        await bank.first(Ready, limit_s)
        os.write(started, b"go")
        os.close(started)
        _, status = await asyncio.wait_for(asyncio.to_thread(os.waitpid, child, 0), limit_s)
        if status:
            raise RuntimeError(f"the box ended with {status}")
        everything = len(sent(directory / "box")["bank"])
        await bank.until(lambda events: len(events.of(VerdictEvent)) >= everything, 30.0)
        return [event.verdict["seq"] for event in bank.of(VerdictEvent)]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--backlog", type=int, default=60)
    parser.add_argument("--netem", required=True)
    parser.add_argument("--limit", type=float, default=200.0)
    chosen = parser.parse_args(arguments)
    lay_the_line(chosen.netem)
    directory = Path(tempfile.mkdtemp())
    place = Town(directory / "town")
    listen_everywhere(place)
    place.signer(Role.DEVICE, "box-1")
    place.endpoint(Role.DEVICE, "box-1")
    place.broker.start()
    try:
        waiting, started = os.pipe()
        child = os.fork()
        if not child:
            os.close(started)
            os.read(waiting, 2)
            enter(SPACE)
            found = asyncio.run(at_the_counter(place, directory / "box", chosen.backlog, chosen.limit))
            (directory / "box.json").write_text(json.dumps(found))
            os._exit(0)
        handed = asyncio.run(at_the_centre(place, directory, started, child, chosen.limit))
    finally:
        place.broker.stop()
    result = json.loads((directory / "box.json").read_text())
    archived = archive_ledger(directory / "centre" / "archive.sqlite")
    kept = {key[2]: dict(stream.hashes) for key, stream in archived.streams.items()}
    result |= {
        "committed": sum(len(numbers) for numbers in sent(directory / "box").values()),
        "same": kept == sent(directory / "box"),
        "alarms": archived.alarms,
        "duplicates": sum(stream.duplicates for stream in archived.streams.values()),
        "handed": len(handed),
        "handed_once": sorted(handed) == list(range(1, len(handed) + 1)),
        "line": statistics(),
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

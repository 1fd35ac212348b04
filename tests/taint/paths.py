"""The table of ways out of a box: each is driven with a person of its own, and what comes out of it is searched.

To add one: a line of `PATHS`, and a function of `tests.taint.planting` under the same name (`@leak`), which the proof
that the search finds it needs. `drive` gets the running world and the person, and returns what came out, by name; what
the daemon writes anywhere on its disk, tells the broker or the service manager is searched at the end of it all anyway.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.uplink import topics
from tests.broker import FLEET
from tests.taint import counter
from tests.taint.drawing import can_draw
from tests.taint.world import DEVICE
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.taint.canaries import Canary
    from tests.taint.world import World

Drive = "Callable[[World, Canary], Awaitable[dict[str, bytes]]]"


class Path(NamedTuple):
    """One way out. `hazard`: it is a failure of that name, with the value in its text (`tests.taint.planting`)."""

    name: str
    drive: Callable[[World, Canary], Awaitable[dict[str, bytes]]]
    hazard: bool = False
    ends: bool = False
    """Whether the daemon doesn't survive it."""
    encoding: str | None = None
    """The only one that has room there."""


def _said(answer: object) -> bytes:
    return json.dumps(answer, ensure_ascii=False).encode()


async def _log(world: World, person: Canary) -> dict[str, bytes]:
    await world.swiped(person)
    return world.files("log")


async def _answer(world: World, person: Canary) -> dict[str, bytes]:
    """By picture where pages can be drawn, else by card: a swipe has no answer, only an event."""
    if can_draw():
        answer = await world.photographed(person)
        assert answer["result"]["verdict"]["result"] in ("successful", "undetermined"), answer
    else:
        answer = await world.laid(person)
    return {"answer": _said(answer)}


async def _events(world: World, person: Canary) -> dict[str, bytes]:
    await world.swiped(person, forged=True)
    return {"events": b"\n".join(world.events)}


async def _status(world: World, person: Canary) -> dict[str, bytes]:
    await world.swiped(person)
    asked = ("status", "--socket", str(world.box.directory / "control.sock"))
    told = await asyncio.gather(world.command_line(*asked), world.command_line(*asked, "--json"))
    return {
        "status": _said(await world.call("status")),
        "edged status": told[0],
        "edged status --json": told[1],
    }


async def _devices(world: World, person: Canary) -> dict[str, bytes]:
    await world.laid(person)
    return {
        "devices": _said(await world.call("devices")),
        "edged devices list": await world.command_line("devices", "list", "--config", str(world.box.config)),
    }


async def _refusals(world: World, person: Canary) -> dict[str, bytes]:
    """Requests that are refused while a document lies there, some with what stands on it in the wrong place."""
    await world.swiped(person)
    asked: tuple[dict[str, object], ...] = (
        {"scene": person.surname},
        {"reference": f"{person.surname} {person.given_names}"},
        {"operator": person.han},
        {person.document_number: True},
    )
    said = [await world.call("scan", **params) for params in asked]
    said += [await world.call(person.surname), await world.call("complete"), await world.call("cancel")]
    said.append(await world.call("outbox_retry", numbers=[person.document_number]))
    assert all("refused" in one or one == {"result": False} for one in said), said
    return {"refusals": _said(said)}


async def _refused_lines(world: World, person: Canary) -> dict[str, bytes]:
    """Lines that are no request at all."""
    await world.swiped(person)
    reader, writer = await asyncio.open_unix_connection(str(world.box.directory / "control.sock"))
    for line in (person.lines[0], f'{{"id": 1, "method": "{person.surname}"}}', f'["{person.han}"]'):
        writer.write(line.encode() + b"\n")
    writer.write_eof()
    said = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    assert said
    return {"answers": said}


async def _service_manager(world: World, person: Canary) -> dict[str, bytes]:
    """Signs of life come while documents are read."""
    await world.swiped(person)
    count = len(world.notified)
    await until(lambda: len(world.notified) > count)
    return {"service manager": b"\n".join(world.notified)}


async def _metrics(world: World, person: Canary) -> dict[str, bytes]:
    await world.swiped(person)
    file = world.box.directory / "metrics" / "edged.prom"
    before = file.stat().st_mtime_ns if file.exists() else 0
    await world.interrupted()
    await until(lambda: file.exists() and file.stat().st_mtime_ns != before, 30)
    return {"metrics": file.read_bytes()}


async def _verdicts(world: World, person: Canary) -> dict[str, bytes]:
    topic = topics.verdict(FLEET, DEVICE, "central")
    before = set(world.heard.get(topic, ()))  # without receipts they come again and again
    await world.swiped(person)
    await until(lambda: set(world.heard.get(topic, ())) > before)
    return {topic: b"\n".join(set(world.heard[topic]) - before)}


async def _status_topic(world: World, person: Canary) -> dict[str, bytes]:
    topic = topics.status(FLEET, DEVICE)
    await world.swiped(person)
    before = len(world.heard[topic])
    await world.interrupted()
    await until(lambda: any(b"online" in one for one in world.heard[topic][before:]), 30)
    return {topic: b"\n".join(world.heard[topic])}


async def _reported(world: World, person: Canary) -> dict[str, bytes]:
    """A push that is refused, with the value in it."""
    await world.swiped(person)
    return {"reported": b"\n".join(await world.pushed(f"no bundle {person.document_number}".encode()))}


async def _replies(world: World, person: Canary) -> dict[str, bytes]:
    """What technicians ask for, packed or not, after documents were read."""
    await world.laid(person)
    replies = {}
    for name in ("status", "diagnostics", "collect-logs"):
        replies[name] = b"\n".join(await world.commanded(name))
    return replies


async def _outbox(world: World, person: Canary) -> dict[str, bytes]:
    before = world.files("state")
    await world.swiped(person)
    return world.news(before)


async def _outbox_commands(world: World, person: Canary) -> dict[str, bytes]:
    """Every command about what waits on this box."""
    await world.swiped(person)
    state = str(world.box.directory / "state")
    said = {}
    for action in ("show", "dead", "export"):
        more = ("--out", str(world.box.directory / "exported")) if action == "export" else ()
        said[f"edged outbox {action}"] = await world.command_line("outbox", action, "--state", state, *more)
    return said


async def _temporary(world: World, person: Canary) -> dict[str, bytes]:
    await world.swiped(person)
    return {"names": "\n".join(world.files()).encode(), **world.files("tmp")}


async def _by_picture(world: World, person: Canary) -> dict[str, bytes]:
    if can_draw():
        return {"answer": _said(await world.photographed(person)), **world.files("log")}
    return {"answer": _said(await world.laid(person)), **world.files("log")}


async def _by_swipe(world: World, person: Canary) -> dict[str, bytes]:
    return {"outcome": _said(await world.swiped(person)), **world.files("log")}


async def _by_card(world: World, person: Canary) -> dict[str, bytes]:
    """The driver fails in its own thread, and says so when it begins anew."""
    answer = await world.laid(person)
    await until(
        lambda: b"ID-card driver failed" in world.box.log_file.read_bytes(),
        20,
        so_far=lambda: (answer, world.struck),
    )
    return {"answer": _said(answer), **world.files("log")}


async def _crash(world: World, person: Canary) -> dict[str, bytes]:
    await world.swiped(person)
    await world.call("status")
    await world.box.process.wait()
    return world.files("log", "out")


PATHS: Final = (
    Path("log", _log),
    Path("answer of a scan", _answer),
    Path("events", _events),
    Path("status", _status),
    Path("devices", _devices),
    Path("refusals", _refusals),
    Path("refused lines", _refused_lines),
    Path("service manager", _service_manager),
    Path("metrics", _metrics),
    Path("verdicts", _verdicts),
    Path("status topic", _status_topic),
    Path("reported", _reported),
    Path("replies", _replies),
    Path("outbox", _outbox),
    Path("deleted rows", _outbox),
    Path("temporary files", _temporary),
    Path("slip's facts", counter.slip_facts, encoding="plain"),
    Path("answers about slips", counter.slip_answers),
    Path("journal", counter.slip_journal),
    Path("slip on paper", counter.slip_on_paper, encoding="plain"),
    Path("slip as a file", counter.slip_as_file, encoding="plain"),
    Path("list of slips", counter.slip_list),
    Path("refusals of a handover", counter.handover_refusals),
    Path("handover too late", counter.handover_too_late),
    Path("answers about records", counter.lodging_answers),
    Path("sealed record", counter.sealed_record),
    Path("encrypted claims", counter.encrypted_claims),
    Path("set aside", counter.set_aside),
    Path("slip raises", counter.by_swipe_logged, hazard=True),
    Path("completing raises", counter.completing_fails, hazard=True),
    Path("taking raises", counter.taking_fails, hazard=True),
    Path("judge raises", _by_swipe, hazard=True),
    Path("reader raises", _by_picture, hazard=True),
    Path("text reader raises", _by_swipe, hazard=True),
    Path("card driver raises", _by_card, hazard=True),
    Path("committing fails", _by_swipe, hazard=True),
    Path("what nobody catches", _by_swipe, hazard=True),
    Path("a crash", _crash, hazard=True, ends=True),
)

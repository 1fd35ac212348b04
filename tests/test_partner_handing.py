"""Handing on to a command: each verdict until it is taken, in order, one stream not holding up another."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edged.errors import StateError
from edged.partner.command import Command, Untaken
from edged.partner.handing import (
    MAX_HELD,
    MAX_REPLAYED,
    MAX_WAITING,
    GapEvent,
    Handing,
    HandingFailed,
    NotTaken,
    VerdictEvent,
)
from edged.partner.store import Inbox
from edged.uplink.database import DatabaseThread
from edged.uplink.names import Role
from tests.broker import NOW, Sealer, Town, stream
from tests.delivery import Events
from tests.test_partner_inbox import gap_record, gap_sent, replayed, sent
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


@pytest.fixture
async def inbox(place: Town, tmp_path: Path) -> AsyncIterator[DatabaseThread[Inbox]]:
    opened = await DatabaseThread.open(
        "inbox", lambda: Inbox.open(tmp_path / "verdicts.sqlite", place.anchor, "bank", tests=True)
    )
    yield opened
    with contextlib.suppress(StateError):
        await opened.close()


def sealer(place: Town, log_id: str = "log-1") -> Sealer:
    return Sealer(place.signer(Role.DEVICE, "box-1"), log_id)


class Taker:
    """A command that is a function: says why not, or takes."""

    def __init__(self, *refusals: Any) -> None:
        self.refusals = dict(refusals)
        self.lines: list[dict[str, Any]] = []

    def key(self, line: dict[str, Any]) -> tuple[str, int]:
        content = line.get("verdict") or line["gap"]
        return content["log_id"], content.get("seq", 0)

    async def take(self, line: bytes) -> Untaken | None:
        content = json.loads(line)
        assert line.endswith(b"\n")
        self.lines.append(content)
        left = self.refusals.get(self.key(content), 0)
        if left:
            self.refusals[self.key(content)] = left - 1
            return Untaken("partner.command_failed", 3)
        return None

    @property
    def order(self) -> list[tuple[str, int]]:
        return [self.key(line) for line in self.lines]


@contextlib.asynccontextmanager
async def handing(inbox: DatabaseThread[Inbox], command: Any) -> AsyncIterator[tuple[Handing, Events]]:
    events = Events()
    made = Handing(
        inbox,
        on_event=events.append,
        clock=lambda: datetime.now(UTC),
        command=command,
        retry_s=(0.02, 0.05),
    )
    task = asyncio.create_task(made.run())
    try:
        yield made, events
    finally:
        made.stop()
        await asyncio.wait_for(task, 60)


async def waiting(inbox: DatabaseThread[Inbox]) -> int:
    return len(await inbox.run(lambda database: database.waiting(999)))


async def test_each_is_given_once_and_marked(place: Town, inbox: DatabaseThread[Inbox]) -> None:
    messages = [*map(sent, stream(sealer(place), "bank", 5)), gap_sent(gap_record(sealer(place), 7, 9))]
    await inbox.run(lambda database: database.take(messages, NOW))
    taker = Taker()
    async with handing(inbox, taker):
        await until(lambda: len(taker.lines) == 6)
    assert taker.order == [*(("log-1", seq) for seq in range(1, 6)), ("log-1", 0)]
    assert await waiting(inbox) == 0
    first, gap = taker.lines[0], taker.lines[5]
    assert (first["event"], set(first)) == ("verdict", {"event", "verdict", "sha256", "lane"})
    assert (gap["event"], set(gap)) == ("gap", {"event", "gap", "sha256"})


async def test_what_is_not_taken_comes_again_and_holds_up_its_own_stream_alone(
    place: Town, inbox: DatabaseThread[Inbox]
) -> None:
    for log_id in ("log-1", "log-2"):
        envelopes = stream(sealer(place, log_id), "bank", 4)
        await inbox.run(lambda database, found=envelopes: database.take(list(map(sent, found)), NOW))
    taker = Taker((("log-1", 2), 3))
    async with handing(inbox, taker) as (_, events):
        await until(lambda: taker.order.count(("log-1", 4)) == 1)
    ours = [seq for log_id, seq in taker.order if log_id == "log-1"]
    assert ours == [1, 2, 2, 2, 2, 3, 4]
    assert [seq for log_id, seq in taker.order if log_id == "log-2"] == [1, 2, 3, 4]
    assert taker.order.index(("log-2", 4)) < taker.order.index(("log-1", 3))
    assert [(event.device, event.code, event.exit) for event in events.of(NotTaken)] == [
        ("box-1", "partner.command_failed", 3)
    ] * 3
    assert await waiting(inbox) == 0


async def test_a_fresh_verdict_goes_before_replayed_ones(place: Town, inbox: DatabaseThread[Inbox]) -> None:
    envelopes = stream(sealer(place), "bank", 6)
    await inbox.run(lambda database: database.take(list(map(replayed, envelopes[:5])), NOW))
    gate = asyncio.Event()

    class Slow(Taker):
        async def take(self, line: bytes) -> Untaken | None:
            answer = await super().take(line)
            if len(self.lines) == 1:
                await gate.wait()
            return answer

    taker = Slow()
    async with handing(inbox, taker) as (made, _):
        await until(lambda: len(taker.lines) == 1)
        await inbox.run(lambda database: database.take([sent(envelopes[5])], NOW))
        made.wake()
        gate.set()
        await until(lambda: len(taker.lines) == 6)
    assert [seq for _, seq in taker.order] == [1, 6, 2, 3, 4, 5]
    assert [line["lane"] for line in taker.lines] == ["replay", "live", *["replay"] * 4]


async def test_when_nothing_is_taken_not_everything_is_tried(
    place: Town, inbox: DatabaseThread[Inbox]
) -> None:
    """A backend that is down: twenty streams are enough to know."""
    for number in range(MAX_HELD + 15):
        (envelope,) = stream(sealer(place, f"log-{number:02}"), "bank", 1)
        await inbox.run(lambda database, found=envelope: database.take([sent(found)], NOW))
    taker = Taker(*(((f"log-{number:02}", 1), 10**6) for number in range(99)))
    events = Events()
    made = Handing(
        inbox,
        on_event=events.append,
        clock=lambda: NOW,
        command=taker,
        retry_s=(30.0, 60.0),  # type: ignore[arg-type]
    )
    task = asyncio.create_task(made.run())
    await until(lambda: len(taker.lines) == MAX_HELD)
    await asyncio.sleep(0.1)
    assert len(taker.lines) == MAX_HELD
    made.stop()
    await asyncio.wait_for(task, 60)


async def test_a_disk_that_fails_is_said_and_tried_again(
    place: Town, inbox: DatabaseThread[Inbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    await inbox.run(lambda database: database.take(list(map(sent, stream(sealer(place), "bank", 2))), NOW))
    good, failures = Inbox.mark_handed, iter([True, True])

    def fails_twice(self: Inbox, *arguments: Any) -> None:
        if next(failures, False):
            raise StateError("state.disk_full")
        good(self, *arguments)

    monkeypatch.setattr(Inbox, "mark_handed", fails_twice)
    taker = Taker()
    async with handing(inbox, taker) as (_, events):
        await until(lambda: taker.order[-1:] == [("log-1", 2)])
    assert [event.code for event in events.of(HandingFailed)] == ["state.disk_full"] * 2
    assert taker.order == [("log-1", 1)] * 3 + [("log-1", 2)], "twice rather than never"


async def test_without_a_command_they_are_events(place: Town, inbox: DatabaseThread[Inbox]) -> None:
    messages = [sent(stream(sealer(place), "bank", 1)[0]), gap_sent(gap_record(sealer(place), 2, None))]
    await inbox.run(lambda database: database.take(messages, NOW))
    async with handing(inbox, None) as (_, events):
        await events.until(lambda found: len(found) == 2)
    assert [type(event) for event in events] == [VerdictEvent, GapEvent]
    assert await waiting(inbox) == 0


async def test_room_is_bounded(inbox: DatabaseThread[Inbox], monkeypatch: pytest.MonkeyPatch) -> None:
    counts = [0, 0]
    monkeypatch.setattr(Inbox, "count_waiting", lambda self: tuple(counts))
    made = Handing(inbox, on_event=lambda _: None, clock=lambda: NOW)
    counts[:] = [MAX_WAITING - 1, MAX_REPLAYED]
    await asyncio.wait_for(made.room(), 60)
    assert not await made.room_for_page()
    counts[:] = [MAX_WAITING, 0]
    assert not await made.room_for_page(), "nobody would take the answer from the broker"
    for full in ([MAX_WAITING, 0], [0, MAX_WAITING + MAX_REPLAYED]):
        counts[:] = full
        waits = asyncio.create_task(made.room())
        done, _ = await asyncio.wait({waits}, timeout=0.05)
        assert not done, "the broker keeps the rest"
        counts[:] = [0, 0]
        made._marked.set()
        await asyncio.wait_for(waits, 60)
    counts[:] = [MAX_WAITING, 0]
    waits = asyncio.create_task(made.room())
    made.stop()
    await asyncio.wait_for(waits, 60)


# --- the command itself ---


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


async def test_a_command_gets_the_line_and_answers_by_its_exit_status(tmp_path: Path) -> None:
    code = f"import sys; open({str(tmp_path / 'got')!r}, 'wb').write(sys.stdin.buffer.read())"
    assert await Command(python(code)).take(b'{"a": 1}\n') is None
    assert (tmp_path / "got").read_bytes() == b'{"a": 1}\n'
    assert await Command(python("raise SystemExit(7)")).take(b"x") == Untaken("partner.command_failed", 7)
    killed = "import os; os.kill(os.getpid(), 9)"
    assert await Command(python(killed)).take(b"x") == Untaken("partner.command_failed", -9)
    assert await Command(["/nonexistent/thing"]).take(b"x") == Untaken("partner.command_unusable")
    assert await Command([str(tmp_path)]).take(b"x") == Untaken("partner.command_unusable")


async def test_a_command_that_reads_nothing_has_taken_it() -> None:
    assert await Command(["true"]).take(b"x" * 1_000_000) is None


async def test_no_shell_ever_sees_the_command(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    assert await Command(["echo", f"; touch {flag} $(touch {flag})"]).take(b"x") is None
    assert not flag.exists()


async def test_a_slow_command_is_killed_with_its_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen(['sleep', '600']); open({str(pid)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)"
    )
    taking = asyncio.create_task(Command(python(code), timeout_s=3.0).take(b"x"))
    await until(lambda: pid.exists() and pid.read_text())
    assert await taking == Untaken("partner.command_too_slow")
    await until(lambda: gone(int(pid.read_text())))


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"


async def test_stopping_waits_for_the_command_in_hand(
    place: Town, inbox: DatabaseThread[Inbox], tmp_path: Path
) -> None:
    await inbox.run(lambda database: database.take(list(map(sent, stream(sealer(place), "bank", 2))), NOW))
    began, go = tmp_path / "began", tmp_path / "go"
    code = (
        f"import os, time\nopen({str(began)!r}, 'w')\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"
    )
    events = Events()
    made = Handing(inbox, on_event=events.append, clock=lambda: NOW, command=Command(python(code)))
    task = asyncio.create_task(made.run())
    await until(began.exists)
    made.stop()
    go.touch()
    await asyncio.wait_for(task, 60)
    assert await waiting(inbox) == 1, "the first was taken and marked, the second not begun"
    assert events == []


async def test_a_command_that_does_not_end_is_killed_at_the_stop(
    place: Town, inbox: DatabaseThread[Inbox], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.partner.handing.STOP_S", 0.1)
    await inbox.run(lambda database: database.take([sent(stream(sealer(place), "bank", 1)[0])], NOW))
    pid = tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    made = Handing(inbox, on_event=lambda _: None, clock=lambda: NOW, command=Command(python(code)))
    task = asyncio.create_task(made.run())
    await until(lambda: pid.exists() and pid.read_text())
    made.stop()
    await asyncio.wait_for(task, 60)
    assert gone(int(pid.read_text()))
    assert await waiting(inbox) == 1, "it comes again at the next start"

"""What a box does when it is told to, by the real daemon: its own files leak nothing, and no inspection is lost."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from edged import log
from edged.config import load_box
from edged.core.mrz import parse_mrz
from edged.daemon import Daemon
from edged.demo.hand import Hand
from edged.log import Recent
from edged.privacy.leakscan import LeakScanner
from edged.pushed.obeying import obey
from edged.specimens import FIXED_TODAY
from edged.uplink.command import ARGUMENTS, OK, Order
from tests import logging_state
from tests.box import SPECIMENS, Box
from tests.command_bench import signed
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from edged.control import ControlClient
    from edged.pushed.obeying import Commanded, Outcome


class Running:
    """A whole daemon in this process, its hand and its control socket."""

    def __init__(self, box: Box, daemon: Daemon, hand: Hand, control: ControlClient) -> None:
        self.box, self.daemon, self.hand, self.control = box, daemon, hand, control

    @property
    def commanded(self) -> Commanded:
        return self.daemon._membership._commands._commanded

    async def obey(self, name: Any) -> Outcome:
        """As the command agent has it done, with every argument's default."""
        args = {argument: taken.default for argument, taken in ARGUMENTS[name].items()}
        return await obey(Order(signed(name), name, args), self.commanded)


@pytest.fixture
async def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setattr(log, "_recent", Recent())
    with logging_state.restored():
        log.configure("debug", stream=io.StringIO())
        box = Box(tmp_path / "box")
        daemon = Daemon(load_box(box.config))
        task = asyncio.create_task(daemon.run())
        try:
            async with Hand(box.directory / "glass.sock") as hand, await box._connect() as control:
                box.hand, box.control = hand, control
                yield Running(box, daemon, hand, control)
        finally:
            if not task.done():
                os.kill(os.getpid(), signal.SIGTERM)
            await task


def holders() -> list[Any]:
    return [
        parse_mrz(specimen.expected.lines, today=FIXED_TODAY)
        for specimen in SPECIMENS.values()
        if specimen.expected is not None and specimen.expected.lines
    ]


async def test_what_a_box_answers_after_inspections_has_nobodys_document_in_it(running: Running) -> None:
    """Every command that tells of the box, by what the daemon itself puts into its answer."""
    documents = ("passport", "identity-card", "wrong-check-digit")
    for name in documents:
        answer = await running.box.scan(name, reference=f"r-{name}")
        assert answer["outcome"] in ("committed", "aborted")
    scanner = LeakScanner.for_documents(holders())
    secrets = [f"r-{name}" for name in documents] + [
        str(running.box.directory),
        "PRIVATE KEY",
        ".pem",
        ".key",
    ]
    for name in ("diagnostics", "collect-logs", "status", "scan"):
        outcome = await running.obey(name)
        assert outcome.code == OK, name
        told = json.dumps(outcome.result).encode()
        if outcome.attachment is not None:
            told += gzip.decompress(outcome.attachment)
            assert told.count(b"inspection ended") == len(documents)
        assert scanner.scan(told) == [], name
        assert [secret for secret in secrets if secret in told.decode()] == [], name


async def test_the_search_of_a_daemons_answers_finds_what_is_planted(running: Running) -> None:
    """A test of the test: plain text that somebody logs by mistake is found in what the daemon would send."""
    (holder,) = holders()[:1]
    surname = holder.surname.reveal()
    log.get("station").info("planted", text=base64.b64encode(f"name {surname} there".encode()).decode())
    scanner = LeakScanner.for_documents([holder])
    for name in ("diagnostics", "collect-logs"):
        outcome = await running.obey(name)
        assert outcome.attachment is not None
        assert scanner.scan(gzip.decompress(outcome.attachment)), name


async def test_a_restart_waits_for_the_running_inspection(running: Running) -> None:
    scanning = asyncio.create_task(running.control.call("scan"))
    await until(lambda: running.daemon._box.station.inspecting)
    restarting = asyncio.create_task(running.obey("restart"))
    await asyncio.sleep(0.05)
    assert not restarting.done()
    assert not running.daemon._stop.is_set()
    await running.hand.place(SPECIMENS["passport"].sides)
    assert (await scanning)["outcome"] == "committed"
    assert (await restarting).code == OK
    await until(running.daemon._stop.is_set)


async def test_a_document_that_was_left_on_the_glass_stops_no_command_and_no_file(running: Running) -> None:
    """Its inspection is over; it may lie there until the morning."""
    await running.hand.place(SPECIMENS["passport"].sides)
    assert (await running.control.call("scan"))["outcome"] == "committed"
    assert (await running.control.call("status"))["state"] != "ready"
    assert not running.daemon._membership._files._busy()
    assert (await running.obey("scan")).code == OK
    assert (await running.obey("restart")).code == OK

"""A push to a real daemon over a real broker: applied, taken back, cut off by power, and an inspection meanwhile."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edged.central.mosquitto import Access
from edged.commands.status import lines
from edged.control import ControlClient
from edged.demo.broker import HOST, DemoBroker
from edged.demo.fleet import KeyFiles
from edged.fleet.ceremony import Plan, found
from edged.fleet.link import admin_link
from edged.fleet.pushing import publish
from edged.fleet.repository import Repository
from edged.fleet.state import FLEET_FILE, DeviceRecord, FleetFile, FleetState, as_toml, write_text
from edged.uplink import topics
from edged.uplink.keys import generate_key, private_pem, write_private
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.reported import open_reported
from tests.box import SPECIMENS, Box
from tests.fleet_made import BANK, Fleet, make_bundle, moment, sign_audiences

DEVICE, FLEET = "box-1", "acme"
NOWHERE = f'[broker]\nhost = "{HOST}"\nport = 1\n'
LAYER = """\
default_scene = "bank"
audiences = ["first-bank"]
probation_s = {probation}
[timeouts]
document_s = 60.0
remind_s = {remind}
[scenes.bank]
mandatory = ["document_detected", "mrz_read"]
{more}
"""


class Town:
    """A fleet of one real box, and its broker."""

    def __init__(self, directory: Path) -> None:
        keys = directory / "keys"
        plan = Plan(
            directory=directory / "state",
            file=FleetFile(fleet=FLEET, admin="alice", demo=True),
            root_keys=(keys / "root1",),
            threshold=1,
            privacy_keys=keys / "privacy",
            release_keys=keys / "release",
        )
        self.directory = directory
        self.state = found(plan, moment(), "en")
        self.ca = self.state.directory / "authorities.pem"
        access = Access(FLEET, (), (), admins=("alice",))
        self.broker = DemoBroker(directory / "broker", self, access)  # type: ignore[arg-type]
        file = msgspec.structs.replace(plan.file, broker_port=self.broker.port)
        write_text(plan.directory / FLEET_FILE, as_toml(file))
        self.state = FleetState.open(plan.directory)
        sign_audiences(Fleet(self.state, keys), moment(), BANK | {"receives": ["live", "test"]})
        self.state.save_device(DeviceRecord(name=DEVICE, added_at=0))
        root = directory / "root.json"
        root.write_bytes(Repository(self.state.directory / "metadata").file("root", 1))
        self.box = Box(
            directory / "box",
            self,  # type: ignore[arg-type]
            port=self.broker.port,
            edit=("[state]", f'[fleet]\nroot = "{root}"\n\n[state]'),
        )
        self.pushed = 0

    def issue(self, role: Role, name: str, usage: Usage) -> KeyFiles:
        key, files = self._files(f"{name}-{usage}")
        principal = Principal(FLEET, role, name)
        files.certificate.write_bytes(self.state.issue(principal, usage, key.public_key(), now=moment()))
        return files

    def issue_server(self, name: str, hosts: tuple[str, ...]) -> KeyFiles:
        key, files = self._files(name)
        files.certificate.write_bytes(self.state.issue_server(hosts, key.public_key(), now=moment()))
        return files

    def _files(self, name: str) -> tuple[Any, KeyFiles]:
        key, files = (
            generate_key(),
            KeyFiles(self.directory / f"{name}.key", self.directory / f"{name}.pem"),
        )
        write_private(files.key, private_pem(key))
        return key, files

    async def push(self, more: str = "", *, probation: float = 60.0) -> int:
        """Push another configuration than the one before; its number."""
        self.pushed += 1
        text = LAYER.format(probation=probation, remind=10.0 + self.pushed, more=more)
        write_text(self.state.directory / "config/fleet.toml", text)
        with self.state.changing():
            made = make_bundle(self.state, DEVICE, moment())
        async with admin_link(self.state) as link:
            await publish(link, DEVICE, made.data)
        return made.number

    async def reported(self) -> Any:
        """What the broker keeps of the box's reports, verified."""
        async with admin_link(self.state) as link, link.listen(topics.reported(FLEET, DEVICE)) as listening:
            received = await anext(listening)
            return open_reported(received.payload, anchor=self.state.anchor(), at=moment(), device=DEVICE)

    async def told(self, push: int, outcome: str, **more: Any) -> dict[str, Any]:
        """The box's status once it says that of the push."""
        wanted = {"push": push, "outcome": outcome, **more}
        async with asyncio.timeout(60):
            while True:
                status: dict[str, Any] = await self.box.control.call("status")
                if wanted.items() <= status["push"].items():
                    return status
                await asyncio.sleep(0.02)

    async def back_at(self, push: int) -> dict[str, Any]:
        """The box's status once this push is in force and the centre in reach."""
        async with asyncio.timeout(60):
            while True:
                status: dict[str, Any] = await self.box.control.call("status")
                if status["push"]["running"] == push and status["uplink"]["connected"]:
                    return status
                await asyncio.sleep(0.02)

    def envelopes(self, reference: str) -> list[dict[str, Any]]:
        """What was committed under a reference."""
        with closing(sqlite3.connect(f"file:{self.box.database}?mode=ro", uri=True)) as database:
            rows = [row[0] for row in database.execute("SELECT jws FROM envelope")]
        texts = [row if isinstance(row, str) else row.decode() for row in rows]
        payloads = [json.loads(base64.urlsafe_b64decode(text.split(".")[1] + "==")) for text in texts]
        return [one for one in payloads if one.get("reference") == reference]


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    made = await asyncio.to_thread(Town, tmp_path)
    await asyncio.to_thread(made.broker.start)
    yield made
    await asyncio.to_thread(made.broker.stop)


async def test_a_push_is_applied_a_bad_one_taken_back_and_no_inspection_lost(town: Town) -> None:
    async with town.box:
        good = await town.push()
        status = await town.told(good, "applied")
        version = status["config_version"]
        assert (status["push"]["running"], version) != (0, "demo")

        # An inspection runs while something better comes, and while something bad does after that.
        async with ControlClient(town.box.directory / "control.sock") as clerk:
            scanning = asyncio.create_task(clerk.call("scan", reference="till-7"))
            while (await town.box.control.call("status"))["state"] != "waiting":
                await asyncio.sleep(0.01)
            better = await town.push()
            status = await town.told(better, "staged", fetched=100)
            assert (status["config_version"], status["push"]["running"]) == (version, good)
            await town.box.hand.place(SPECIMENS["passport"].sides)
            assert (await scanning)["outcome"] == "committed"
        assert [one["config_version"] for one in town.envelopes("till-7")] == [version]
        status = await town.told(better, "applied")  # the document may lie there as long as it likes
        assert status["config_version"] != version
        await town.box.hand.remove()

        bad = await town.push(NOWHERE, probation=4.0)
        await town.told(bad, "rolled_back", probe="uplink")
        status = await town.back_at(better)
        said = "\n".join(lines(status, "en"))
        assert f"push {better}" in said
        assert f"Push {bad}: rolled back" in said
        assert "probe uplink" in said
        answer = await town.box.scan("passport", reference="till-8")
        assert answer["outcome"] == "committed"
        assert [one["config_version"] for one in town.envelopes("till-8")] == [status["config_version"]]
        report = await town.reported()
        assert (report.push, report.outcome, report.probe, report.running_push) == (
            bad,
            "rolled_back",
            "uplink",
            better,
        )


async def test_a_box_that_dies_in_both_trials_comes_back_with_what_was_good(town: Town) -> None:
    async with town.box:
        good = await town.push()
        version = (await town.told(good, "applied"))["config_version"]
        bad = await town.push(NOWHERE, probation=3600.0)
        status = await town.told(bad, "trial")
        await town.box.stop(signal.SIGKILL)
    async with town.box:
        await town.told(bad, "trial")
        await town.box.stop(signal.SIGKILL)
    async with town.box:
        status = await town.told(bad, "rolled_back", probe="start", code="push.went_down")
        assert (status["config_version"], status["push"]["running"]) == (version, good)
        await town.back_at(good)
        assert (await town.box.scan("passport"))["outcome"] == "committed"
        report = await town.reported()
        assert (report.push, report.outcome, report.probe) == (bad, "rolled_back", "start")

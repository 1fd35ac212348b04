"""An update of the box's own software from the push to the report: agent, helper and both versions, each in turn."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import time
from pathlib import Path
from typing import Any, Self

import pytest

from edged.pushed.agent import PushAgent
from edged.pushed.host import ProbeResult
from edged.pushed.package_update import Updater
from edged.pushed.software import Software
from edged.pushed.update_request import asked
from edged.pushed.update_steps import UpdateState
from edged.uplink.artefact import cut
from edged.uplink.mqtt_types import Received
from edged.uplink.sign import Signer
from edged.uplink.topics import desired
from tests.pushed_box import FLEET, PushedBox, device_signer
from tests.test_package_update import Shelf, package
from tests.tuf_repository import DEVICE, NOW
from tests.waiting import until

PATH = "software/edged-2.0"


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return device_signer(tmp_path_factory.mktemp("fleet"))


class UpdatingBox(PushedBox):
    """A box that runs one version of the software after another, and the helper beside it."""

    def __init__(self, directory: Path, signer: Signer) -> None:
        super().__init__(directory, signer)
        (directory / "artefacts").mkdir()
        self.files.directory = directory / "artefacts"
        self.running = "1.0"
        self.cannot_start: set[str] = set()
        self.packages = Shelf(directory, "1.0")
        self.loop = asyncio.get_running_loop()
        self.last: bytes = b""
        self.helper = directory / "helper"
        old = directory / "old.deb"
        old.write_bytes(package("1.0"))
        self.updater(itertools.repeat(0.0)).keep(old)

    async def __aenter__(self) -> Self:
        self.software = Software(
            self.files,
            topic=desired(FLEET, DEVICE),
            state=self.directory,
            taken=lambda: self.agent.taken,
            running=self.running,
            helper=self.helper,
            look_s=0.01,
        )
        scripted = self.host.probe

        async def probe(deadline_s: float) -> ProbeResult:
            """As the daemon does it."""
            push = self.host.history[-1]
            result = await self.software.probe(push, deadline_s)
            if result.passed:
                result = await scripted(deadline_s)
            if result.passed:
                await self.software.healthy(push)
            return result

        self.host.probe = probe  # type: ignore[method-assign]
        self.agent = await PushAgent.open(
            host=self.host,
            artefacts=self.software,
            signer=lambda: self.signer,
            clock=lambda: self.now,
            look_s=0.001,
            refused_pause_s=0.0,
        )
        await self.agent.begin()
        self.task = asyncio.create_task(self.agent.run())
        return self

    async def deliver(self, *bundles: bytes) -> None:
        received = [Received(desired(FLEET, DEVICE), data, True, {}, 1) for data in bundles]
        await self.software.take(received)
        await self.agent.take(received)

    async def start_again(self) -> None:
        """What systemd does: the version that is installed begins, if it can."""
        await self.stop()
        self.running = self.packages.installed() or ""
        if self.running not in self.cannot_start:
            await self.restart()
            await self.deliver(self.last)

    def updater(self, clock: Any) -> Updater:
        return Updater(
            self.helper,
            self.directory,
            packages=self.packages,
            restart=lambda: asyncio.run_coroutine_threadsafe(self.start_again(), self.loop).result(),
            device=lambda: DEVICE,
            root=lambda: self.repository.first_root,
            now=lambda: NOW,
            clock=lambda: next(clock),
            sleep=lambda _: time.sleep(0.01),
        )

    async def order(self) -> None:
        """Push version 2.0, and wait until the daemon has asked the helper for it."""
        data = package("2.0")
        self.files.contents[PATH] = data
        self.repository.set_target("release", PATH, data, cut([data]).custom("software", "edged", "2.0"))
        self.repository.roles["release"].version += 1
        self.repository.publish(["release"])
        self.last = self.repository.push(version="second", probation_s=5.0, artefacts={"software": PATH})
        await self.deliver(self.last)
        await until(lambda: asked(self.directory))
        request = asked(self.directory)
        assert request is not None
        assert request.sha256 == hashlib.sha256(data).hexdigest()
        assert self.report.outcome == "staged"

    async def update(self, *, patient: bool) -> UpdateState:
        clock = itertools.repeat(0.0) if patient else itertools.count(0.0, 10.0)
        return await asyncio.to_thread(self.updater(clock).run)


async def test_a_good_version_is_tried_by_itself_and_stays(tmp_path: Path, signer: Signer) -> None:
    async with UpdatingBox(tmp_path, signer) as box:
        await box.order()
        state = await box.update(patient=True)
        assert state.last is not None
        assert state.last.outcome == "installed"
        assert box.running == "2.0"
        await box.settled("applied", 2)
        await box.start_again()
        assert box.host.versions == ["second"]
        assert (await box.update(patient=True)).last == state.last


async def test_a_version_that_does_not_start_is_replaced_and_told(tmp_path: Path, signer: Signer) -> None:
    async with UpdatingBox(tmp_path, signer) as box:
        box.cannot_start = {"2.0"}
        await box.order()
        state = await box.update(patient=False)
        assert state.last is not None
        assert state.last.outcome == "rolled_back"
        report = await box.settled("rolled_back", 2)
        assert (report.probe, report.code) == ("software", "update.not_healthy")
        assert box.running == "1.0"
        await until(lambda: box.host.versions[-1] == "boot")


async def test_a_version_whose_probes_fail_is_replaced(tmp_path: Path, signer: Signer) -> None:
    """It says so itself, and never says that it is healthy."""
    async with UpdatingBox(tmp_path, signer) as box:
        box.host.results["second"] = ProbeResult("head", "device.gone")
        await box.order()
        state = await box.update(patient=False)
        assert state.last is not None
        assert (state.last.outcome, state.last.code) == ("rolled_back", "update.not_healthy")
        report = await box.settled("rolled_back", 2)
        assert report.probe in ("head", "software")
        assert box.running == "1.0"


async def test_a_package_that_root_refuses_is_a_rejected_push(tmp_path: Path, signer: Signer) -> None:
    async with UpdatingBox(tmp_path, signer) as box:
        await box.order()
        for path in box.helper.glob("*.deb"):
            path.unlink()
        await box.update(patient=True)
        report = await box.settled("rejected", 2, "update.no_way_back")
        assert report.path == PATH
        assert box.packages.calls == []

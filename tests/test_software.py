"""The daemon's side of an update of its own software: asked for before the trial, probed first, told to the helper."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edged.errors import PushRefusedError
from edged.pushed import update_request
from edged.pushed.software import Software
from edged.pushed.update_steps import Mark, Outcome, Request
from edged.uplink.mqtt_types import Received
from tests.artefacts import content, target
from tests.waiting import until

TOPIC = "edged/1/north/box-1/desired"
BUNDLE = b"the push that the agent took"
TARGETS: dict[Any, Any] = {"software": target(content(1))}


class Fetched:
    """Files that are here at once."""

    async def here(self, targets: dict[Any, Any]) -> dict[Any, Path]:
        return {kind: Path(one.sha256) for kind, one in targets.items()}

    async def fetch(self, targets: dict[Any, Any], on_progress: object) -> dict[Any, Path]:
        return await self.here(targets)

    async def keep(self, targets: object) -> None:
        pass


class Bench:
    def __init__(self, directory: Path, running: str = "1.0", **changes: Any) -> None:
        self.state, self.helper = directory / "state", directory / "helper"
        self.state.mkdir(exist_ok=True)
        self.helper.mkdir(exist_ok=True)
        self.request = Request(push=7, sha256=TARGETS["software"].sha256)
        self.software = Software(
            Fetched(),
            topic=TOPIC,
            state=self.state,
            taken=lambda: (7, hashlib.sha256(BUNDLE).hexdigest()),
            running=running,
            helper=self.helper,
            look_s=0.01,
            **changes,
        )

    async def heard(self, *payloads: bytes) -> None:
        for payload in payloads:
            assert self.software.wants(TOPIC)
            await self.software.take([Received(TOPIC, payload, True, {}, 1)])

    def ended(self, outcome: Any, code: str | None = None) -> None:
        told = Outcome(push=7, sha256=self.request.sha256, outcome=outcome, code=code)
        (self.helper / update_request.OUTCOME).write_bytes(msgspec.json.encode(told))

    async def fetch(self) -> dict[Any, Path]:
        return dict(await self.software.fetch(TARGETS, lambda _: None))


async def test_the_helper_gets_the_push_that_the_agent_took(tmp_path: Path) -> None:
    """And no other, though others came before and after."""
    bench = Bench(tmp_path)
    await bench.heard(b"one that was refused")
    fetching = asyncio.create_task(bench.fetch())
    await asyncio.sleep(0.05)
    assert update_request.asked(bench.state) is None
    await bench.heard(BUNDLE, b"another that will be refused")
    await until(lambda: update_request.asked(bench.state))
    assert update_request.asked(bench.state) == bench.request
    assert update_request.read_bundle(bench.state) == BUNDLE
    assert not fetching.done(), "the helper ends this process"
    fetching.cancel()


async def test_the_software_that_runs_is_not_asked_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, running=TARGETS["software"].version)
    assert set(await bench.fetch()) == {"software"}
    assert set(await bench.software.fetch({}, lambda _: None)) == set()
    assert update_request.asked(bench.state) is None


async def test_what_the_helper_refuses_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.ended("refused", "update.too_old")
    with pytest.raises(PushRefusedError) as refused:
        await bench.fetch()
    assert (refused.value.code, refused.value.where) == ("update.too_old", TARGETS["software"].path)


async def test_without_a_helper_a_push_ends(tmp_path: Path) -> None:
    bench = Bench(tmp_path, helper_s=0.05)
    await bench.heard(BUNDLE)
    with pytest.raises(PushRefusedError) as refused:
        await bench.fetch()
    assert refused.value.code == "update.no_helper"


async def test_a_push_that_cannot_be_heard_again_ends(tmp_path: Path) -> None:
    """After a start its message has been replaced on the broker: the fetch doesn't wait for it without end."""
    bench = Bench(tmp_path, helper_s=0.05)
    await bench.heard(b"what lies there now")
    with pytest.raises(PushRefusedError) as refused:
        await bench.fetch()
    assert refused.value.code == "update.no_helper"


async def test_a_request_that_nobody_saw_is_made_again(tmp_path: Path) -> None:
    """The helper was just ending when it came, and systemd looks at changes alone."""
    bench = Bench(tmp_path, again_s=0.02)
    await bench.heard(BUNDLE)
    fetching = asyncio.create_task(bench.fetch())
    path = bench.state / update_request.DIRECTORY / update_request.REQUEST
    await until(path.exists)
    first = path.stat().st_ino, path.stat().st_mtime_ns
    await until(lambda: (path.stat().st_ino, path.stat().st_mtime_ns) != first)
    bench.ended("rolled_back")
    await fetching


async def test_what_was_taken_back_fails_the_trials_probe(tmp_path: Path) -> None:
    """The previous version is back, finds the push on its way, and tries it."""
    bench = Bench(tmp_path)
    bench.ended("rolled_back", "update.not_healthy")
    await bench.fetch()
    await bench.software.here(TARGETS)
    result = await bench.software.probe(7, 5.0)
    assert (result.probe, result.code) == ("software", "update.not_healthy")


async def test_the_probe_waits_for_the_helpers_word(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.software.here(TARGETS)
    probing = asyncio.create_task(bench.software.probe(7, 60.0))
    await asyncio.sleep(0.05)
    assert not probing.done()
    bench.ended("rolled_back", "update.dpkg_failed")
    assert (await probing).code == "update.dpkg_failed"
    assert (await Bench(tmp_path / "state").software.probe(7, 0.0)).passed, "no version asked for software"


async def test_a_version_that_runs_as_asked_says_when_it_is_healthy(tmp_path: Path) -> None:
    bench = Bench(tmp_path, running=TARGETS["software"].version)
    await bench.software.here(TARGETS)
    assert (await bench.software.probe(7, 0.0)).passed
    await bench.software.healthy(7)
    path = bench.state / update_request.DIRECTORY / update_request.HEALTHY
    assert update_request.read_note(path, Mark) == Mark(push=7, version=TARGETS["software"].version)
    await bench.software.here({})
    path.unlink()
    await bench.software.healthy(8)
    assert not path.exists(), "a push without software is nobody's news"

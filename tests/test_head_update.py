"""The head's firmware is updated for real: the host build behind its boot loader, over its line, through the daemon."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edged.cli import main
from edged.drivers.head_client import HeadClient
from edged.drivers.head_events import Lamp
from edged.drivers.head_frame import Capability, ResetCause, WelcomeFlag
from edged.drivers.head_image import Version
from edged.drivers.head_messages import LightUp, Ping, ReadStatus, Status
from edged.drivers.head_update import HeadUpdate, Stage, no_wait
from edged.drivers.head_update_messages import NO_SLOT, SlotState, UpdateRefusal
from edged.errors import DecodeError, DeviceError, DeviceGoneError, HeadRefusedError, PushRefusedError
from edged.pushed.head_artefact import HeadArtefact
from edged.pushed.verifying import ArtefactTarget
from tests.box import Box
from tests.head_boot import NEW, NEWER, OLD, HostBoard, client, image, restarted
from tests.waiting import until

SHORT_TRIAL_MS = "1500"
"""Instead of the minute that a clerk has."""


@pytest.fixture
def board(tmp_path: Path) -> Iterator[HostBoard]:
    with HostBoard(tmp_path) as board:
        yield board


async def install(line: HeadClient, version: Version = OLD, security: int = 1) -> None:
    """Have a confirmed image in the head."""
    assert (await HeadUpdate(line, image(version, security)).run()).outcome == "confirmed"


async def states(line: HeadClient) -> list[SlotState]:
    return [slot.state for slot in (await line.slots()).slots]


async def refusal(update: HeadUpdate) -> str:
    with pytest.raises(DeviceError) as refused:
        await update.run()
    return refused.value.code


async def test_from_the_bare_loader_to_the_second_update(board: HostBoard) -> None:
    told: list[tuple[Stage, int]] = []
    async with client(board.port) as line:
        assert line.welcome is not None
        assert WelcomeFlag.BOOT_LOADER in line.welcome.flags
        assert line.welcome.capabilities == Capability.UPDATE
        assert (await line.slots()).running == NO_SLOT
        assert await line.request(Ping()) >= 0
        with pytest.raises(HeadRefusedError) as unknown:
            await line.request(LightUp(Lamp.WHITE, 100, 10))
        assert unknown.value.status == Status.UNSUPPORTED
        first = await HeadUpdate(line, image(OLD, 1), on_progress=lambda *said: told.append(said)).run()
        assert (first.outcome, first.version, first.before) == ("confirmed", "1.0.0", None)
        assert told[0] == ("sending", 0)
        assert told[-2:] == [("verifying", 100), ("restarting", 100)]
        assert [percent for stage, percent in told if stage == "sending"] == sorted({p for _, p in told})
        assert line.welcome.reset_cause is ResetCause.UPDATE
        assert WelcomeFlag.ON_TRIAL not in line.welcome.flags, "it was confirmed in this session"
        assert line.known == line.welcome
        assert Capability.WHITE in line.welcome.capabilities
        second = await HeadUpdate(line, image(NEW, 2)).run()
        assert (second.outcome, second.version, second.before) == ("confirmed", "1.1.0", "1.0.0")
        assert await states(line) == [SlotState.CONFIRMED] * 2
        again = await HeadUpdate(line, image(NEW, 2)).run()
        assert again.outcome == "already"
        assert await refusal(HeadUpdate(line, image(OLD, 1))) == "head_update.older"
    board.kill()
    board.start()
    async with client(board.port) as line:  # a power cut changes nothing
        assert line.welcome is not None
        assert WelcomeFlag.ON_TRIAL not in line.welcome.flags
        assert line.welcome.security_version == 2
        assert (await line.slots()).slots[(await line.slots()).running].version == NEW


async def test_what_the_head_itself_refuses(board: HostBoard) -> None:
    async with client(board.port) as line:
        await install(line, OLD, 2)
        cases = {
            UpdateRefusal.OLDER: image(NEW, 1),
            UpdateRefusal.OTHER_BOARD: image(NEW, 2, board="lm3s6965"),
            UpdateRefusal.SIGNATURE: image(NEW, 2)[:200] + b"\0" + image(NEW, 2)[201:],
            UpdateRefusal.NOT_AN_IMAGE: b"no image".ljust(1024, b"\0"),
        }
        for reason, data in cases.items():
            await line.update_begin(len(data), bytes(32))
            with pytest.raises(HeadRefusedError) as refused:
                for offset in range(0, 1024, 128):
                    await line.update_data(offset, data[offset : offset + 128])
            assert refused.value.number == reason
            assert await states(line) == [SlotState.CONFIRMED, SlotState.EMPTY], "nothing was written"
        with pytest.raises(HeadRefusedError) as refused:
            await line.update_begin(1 << 24, bytes(32))
        assert refused.value.number == UpdateRefusal.TOO_LARGE
        with pytest.raises(HeadRefusedError) as refused:
            await line.update_boot()
        assert refused.value.number == UpdateRefusal.NOT_BEGUN
        await line.update_cancel()
        await line.request(ReadStatus())


async def test_an_image_that_was_damaged_on_the_way_is_bad(board: HostBoard) -> None:
    async with client(board.port) as line:
        await install(line)
        damaged = bytearray(image(NEW, 2))
        update = HeadUpdate(line, bytes(damaged))
        damaged[-1] ^= 1
        update._data = bytes(damaged)
        assert await refusal(update) == "reader_head.update_digest"
        assert await states(line) == [SlotState.CONFIRMED, SlotState.BAD]
        await install(line, NEW, 2)


@pytest.mark.parametrize("seed", range(2))
async def test_power_cuts_while_it_is_sent_cost_little(board: HostBoard, seed: int) -> None:
    """The process is killed in the middle; the update goes on by itself where the octets were safe."""
    chance = random.Random(seed)
    async with client(board.port) as line:
        await install(line)
        data = image(NEW, 2)
        cuts = sorted(chance.sample(range(1, 100), 3))
        begun: list[int] = []
        begin = line.update_begin

        async def watched(size: int, digest: bytes) -> int:
            begun.append(await begin(size, digest))
            return begun[-1]

        def cut(stage: Stage, percent: int) -> None:
            if stage == "sending" and cuts and percent >= cuts[0]:
                reached.append(percent * len(data) // 100)
                cuts.pop(0)
                board.kill()
                board.start()

        reached: list[int] = []
        line.update_begin = watched  # type: ignore[method-assign]
        updated = await HeadUpdate(line, data, on_progress=cut).run()
        assert (updated.outcome, updated.version) == ("confirmed", str(NEW))
        assert len(begun) == 1 + len(reached)
        for before, offset in zip(reached, begun[1:], strict=True):
            assert offset > before - 2 * 16384, "what was safe needn't be sent again"


async def test_what_is_not_confirmed_is_left_for_the_old_one(board: HostBoard) -> None:
    async with client(board.port) as line:
        await install(line)
        board.kill()
        board.environment["EDGED_HEAD_TRIAL_MS"] = SHORT_TRIAL_MS
        board.start()

        async def forget_to_confirm() -> None:
            """As a host that has gone."""

        line.update_confirm = forget_to_confirm  # type: ignore[method-assign]
        await HeadUpdate(line, image(NEW, 2)).run()
        assert line.welcome is not None
        assert WelcomeFlag.ON_TRIAL in line.welcome.flags
        await restarted(line, line.welcome.boots)
        assert WelcomeFlag.ON_TRIAL not in line.welcome.flags
        assert await states(line) == [SlotState.CONFIRMED, SlotState.BAD]
        assert line.welcome.security_version == 1, "the way back stays open until it is confirmed"


async def test_a_reset_during_the_trial_ends_it(board: HostBoard) -> None:
    async with client(board.port) as line:
        await install(line)

        async def cut() -> None:
            board.kill()
            board.start()

        line.update_confirm = cut  # type: ignore[method-assign]
        await HeadUpdate(line, image(NEW, 2)).run()
        await until(lambda: line.welcome is not None and WelcomeFlag.ON_TRIAL not in line.welcome.flags)
        assert await states(line) == [SlotState.CONFIRMED, SlotState.BAD]


async def test_a_trial_that_was_left_alone_is_judged(board: HostBoard) -> None:
    """The daemon was restarted between the head's restart and its confirmation: the same update finds it."""
    async with client(board.port) as line:
        await install(line)

        async def gone() -> None:
            raise asyncio.CancelledError

        line.update_confirm = gone  # type: ignore[method-assign]
        with pytest.raises(asyncio.CancelledError):
            await HeadUpdate(line, image(NEW, 2)).run()
    async with client(board.port) as line:
        assert line.welcome is not None
        boots = line.welcome.boots
        assert WelcomeFlag.ON_TRIAL in line.welcome.flags
        updated = await HeadUpdate(line, image(NEW, 2)).run()
        assert (updated.outcome, updated.version) == ("confirmed", str(NEW))
        assert await states(line) == [SlotState.CONFIRMED] * 2
        assert line.welcome.boots == boots, "nothing is sent again"


async def test_an_image_waits_for_another_ones_trial(board: HostBoard) -> None:
    async with client(board.port) as line:
        await install(line)
        board.kill()
        board.environment["EDGED_HEAD_TRIAL_MS"] = SHORT_TRIAL_MS
        board.start()
        confirm, line.update_confirm = line.update_confirm, no_wait  # type: ignore[method-assign]
        await HeadUpdate(line, image(NEW, 2)).run()
        line.update_confirm = confirm  # type: ignore[method-assign]
        assert (await HeadUpdate(line, image(NEWER, 2)).run()).outcome == "confirmed"


async def test_a_line_that_is_lost_with_the_confirmation_costs_nothing(board: HostBoard) -> None:
    async with client(board.port) as line:
        await install(line)
        confirm = line.update_confirm

        async def lost() -> None:
            await confirm()
            raise DeviceGoneError("head", "reader_head.lost")

        line.update_confirm = lost  # type: ignore[method-assign]
        assert (await HeadUpdate(line, image(NEW, 2)).run()).outcome == "confirmed"
        assert await states(line) == [SlotState.CONFIRMED] * 2


async def test_a_head_that_stays_busy_is_given_up(board: HostBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.drivers.head_update.BUSY_S", 0.3)
    async with client(board.port) as line:

        async def busy(offset: int, octets: bytes) -> int:
            raise HeadRefusedError("reader_head.busy", Status.BUSY)

        line.update_data = busy  # type: ignore[method-assign]
        assert await refusal(HeadUpdate(line, image(OLD, 1))) == "reader_head.busy"


async def test_an_image_that_cannot_run_is_left_at_once(board: HostBoard) -> None:
    """As on a processor that faults: the loader is back, and the old one runs."""
    async with client(board.port) as line:
        await install(line)
        broken = image(NEW, 2, payload=b"\x7fELF no program at all")
        assert await refusal(HeadUpdate(line, broken, restart_s=5)) == "head_update.not_started"
        assert await states(line) == [SlotState.CONFIRMED, SlotState.BAD]


async def test_a_head_without_slots_says_so(tmp_path: Path) -> None:
    from edged.emulator.host_head import HostHead

    image(OLD, 1)
    async with HostHead() as head, client(head.port) as line:
        assert await refusal(HeadUpdate(line, image(OLD, 1))) == "head_update.not_supported"


# --- through the daemon ---


def with_head(directory: Path, board: HostBoard, *fleet: Any, **more: Any) -> Box:
    head = f'\n[head]\ndriver = "serial"\nport = "{board.port}"\n'
    camera = '\n[camera]\ndriver = "simulated"\nsocket = "glass.sock"\n'
    return Box(directory, *fleet, head=head + camera, **more)


async def command(*words: str) -> int:
    return await asyncio.to_thread(main, list(words))


async def test_the_daemon_updates_its_head(
    board: HostBoard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new, stranger = tmp_path / "old.img", tmp_path / "new.img", tmp_path / "stranger.img"
    old.write_bytes(image(OLD, 1))
    new.write_bytes(image(NEW, 2))
    stranger.write_bytes(image(NEWER, 2)[:200] + b"\0" + image(NEWER, 2)[201:])
    assert await command("head", "update", str(old), "--port", board.port, "--json") == 0
    async with with_head(tmp_path, board) as box:
        socket = ("--socket", str(tmp_path / "control.sock"))
        await box.control.call("subscribe")
        capsys.readouterr()
        assert await command("head", "update", str(new), *socket, "--json") == 0
        said = json.loads(capsys.readouterr().out)
        assert said == {"outcome": "confirmed", "version": "1.1.0", "before": "1.0.0"}
        events: list[dict[str, Any]] = []
        async with asyncio.timeout(60):
            async for event in box.control.events():
                if event["event"] == "head_update":
                    events.append(event)
                    if event["stage"] == "confirmed":
                        break
        assert [event["stage"] for event in events][-3:] == ["verifying", "restarting", "confirmed"]
        assert await command("head", "status", *socket, "--json") == 0
        status = json.loads(capsys.readouterr().out)
        assert status["slots"][status["slots"]["running"]]["version"] == "1.1.0"
        assert (status["security_version"], status["on_trial"]) == (2, False)
        assert await command("head", "status", *socket) == 0
        assert "slot B: confirmed, version 1.1.0" in capsys.readouterr().out
        assert await command("head", "update", str(stranger), *socket) == 69
        assert "sign" in capsys.readouterr().err
        assert await command("head", "update", str(old), *socket) == 69
        assert "older" in capsys.readouterr().err
        status = await box.control.call("status")
        assert (status["state"], status["indication"], status["devices_gone"]) == ("ready", "offline", [])


# --- as an artefact of the fleet ---


class Fetched:
    """Artefacts that are here."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def fetch(self, targets: Any, on_progress: Any) -> Any:
        return dict.fromkeys(targets, self.path)


def target(kind: str, version: str) -> ArtefactTarget:
    return ArtefactTarget(
        path=f"{kind}/x-{version}",
        sha256="0" * 64,
        length=1,
        chunk=1,
        chunks=1,
        index_sha256="0" * 64,
        name="x",
        version=version,
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, None),
        (HeadRefusedError("reader_head.update_signature", Status.REFUSED, 5), "reader_head.update_signature"),
        (DecodeError("head image", "head_image.incomplete"), "head_image.incomplete"),
    ],
)
async def test_a_push_carries_firmware(tmp_path: Path, error: Exception | None, code: str | None) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"image")
    installed: list[bytes] = []

    async def into_head(data: bytes, _: object) -> None:
        installed.append(data)
        if error is not None:
            raise error

    artefacts: Any = Fetched(file)
    head = HeadArtefact(artefacts, install=into_head, updatable=lambda: True, running="2.0")
    targets: Any = {"firmware": target("firmware", "1.1.0"), "software": target("software", "2.0")}
    if code is None:
        await head.fetch(targets, lambda _: None)
    else:
        with pytest.raises(PushRefusedError) as refused:
            await head.fetch(targets, lambda _: None)
        assert (refused.value.code, refused.value.where) == (code, targets["firmware"].path)
    assert installed == [b"image"]
    targets["software"] = target(
        "software", "3.0"
    )  # it was taken back: the version that goes with the head isn't here
    await head.fetch(targets, lambda _: None)
    assert installed == [b"image"]


async def test_a_head_that_takes_none_refuses_before_anything_is_fetched(tmp_path: Path) -> None:
    async def never(*_: object) -> None:
        raise AssertionError("nothing is installed")

    artefacts: Any = None
    head = HeadArtefact(artefacts, install=never, updatable=lambda: False)
    targets: Any = {"firmware": target("firmware", "1.1.0")}
    with pytest.raises(PushRefusedError) as refused:
        await head.fetch(targets, lambda _: None)
    assert refused.value.code == "artefact.head_cannot_update"

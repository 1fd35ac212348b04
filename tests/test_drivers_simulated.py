"""The simulated head and camera behind the seams, and the socket of the hand."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edged import messages
from edged.demo.hand import Hand
from edged.drivers import Camera, Head
from edged.drivers.simulated import FileCamera, LoneFileCamera, SimulatedGlass, SimulatedHead
from edged.errors import DecodeError, DeviceError, DeviceGoneError, StateError
from edged.events import (
    ButtonPressed,
    DeviceBack,
    DeviceGone,
    DocumentPlaced,
    DocumentRemoved,
    DocumentTurned,
    Indication,
    Light,
)
from edged.testing import CameraContract, HeadContract


class _Played:
    """A simulated device and the hand that plays with its glass; the glass opens when the device is entered."""

    simulated = True

    def __init__(self, directory: Path, name: str) -> None:
        self.glass = SimulatedGlass(directory / "glass.sock")
        self.device = SimulatedHead(self.glass) if name == "head" else LoneFileCamera(self.glass)
        self._name = name
        self._sides = []
        for side in ("front", "back"):
            self._sides.append(directory / f"{side}.png")
            cv2.imwrite(str(self._sides[-1]), np.full((40, 60, 3), 90, np.uint8))
        cv2.imwrite(str(directory / "front.ir.png"), np.full((40, 60, 3), 30, np.uint8))

    async def _do(self, what: str, **more: Any) -> None:
        async with Hand(self.glass.path) as hand:
            await hand.do(what, **more)

    async def unplug(self) -> None:
        await self._do("unplug", device=self._name)

    async def plug(self) -> None:
        await self._do("plug", device=self._name)

    async def press(self) -> None:
        await self._do("press")

    async def place(self) -> None:
        await self._do("place", files=[str(side) for side in self._sides])

    async def turn(self) -> None:
        await self._do("turn")

    async def remove(self) -> None:
        await self._do("remove")

    async def lit(self) -> Light | None:
        return self.glass.light

    async def shown(self) -> Indication:
        return self.glass.indication

    async def beeps(self) -> int:
        return self.glass.beeps


def _bench(directory: Path, name: str) -> Callable[..., AbstractAsyncContextManager[_Played]]:
    @asynccontextmanager
    async def made(*, attached: bool = True) -> AsyncIterator[_Played]:
        played = _Played(directory, name)
        if not attached:
            played.glass.unplug(name)
        yield played

    return made


class TestHead(HeadContract):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[_Played]]:
        return _bench(tmp_path, "head")


class TestCamera(CameraContract):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[_Played]]:
        return _bench(tmp_path, "camera")


class Desk:
    def __init__(self, directory: Path) -> None:
        self.glass = SimulatedGlass(directory / "glass.sock")
        self.head: Head = SimulatedHead(self.glass)
        self.camera: Camera = FileCamera(self.glass)
        self.directory = directory

    def image(self, name: str, shade: int) -> Path:
        path = self.directory / name
        cv2.imwrite(str(path), np.full((40, 60, 3), shade, np.uint8))
        return path

    async def next_event(self) -> Any:
        async with asyncio.timeout(60):
            return await self.glass.happened.get()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path)
    async with made.head, made.camera:
        yield made


@pytest.fixture
async def hand(desk: Desk) -> AsyncIterator[Hand]:
    async with Hand(desk.directory / "glass.sock") as made:
        yield made


async def test_documents_come_turn_and_go(desk: Desk, hand: Hand) -> None:
    front, back = desk.image("front.png", 10), desk.image("back.png", 200)
    assert not desk.head.document_present
    await hand.place([front, back])
    assert await desk.next_event() == DocumentPlaced()
    assert desk.head.document_present
    assert int((await desk.camera.capture(Light.WHITE)).image()[0, 0, 0]) == 10
    await hand.turn()
    assert await desk.next_event() == DocumentTurned()
    frame = await desk.camera.capture(Light.IR)
    assert (int(frame.image()[0, 0, 0]), frame.light) == (200, Light.IR)
    await hand.remove()
    assert await desk.next_event() == DocumentRemoved()
    assert not desk.head.document_present


async def test_a_side_in_infrared_lies_beside_its_file(desk: Desk, hand: Hand) -> None:
    front, back = desk.image("front.jpg", 10), desk.image("back.png", 200)
    desk.image("front.ir.png", 90)
    assert desk.camera.lights == {Light.WHITE}
    await hand.place([front, back])
    assert desk.camera.lights == {Light.WHITE, Light.IR}
    assert desk.camera.lights <= desk.head.lights
    frames = [await desk.camera.capture(light) for light in (Light.IR, Light.WHITE)]
    assert [(int(frame.image()[0, 0, 0]), frame.light) for frame in frames] == [
        (90, Light.IR),
        (10, Light.WHITE),
    ]
    await hand.turn()
    assert desk.camera.lights == {Light.WHITE}


async def test_the_button_and_what_the_head_shows(desk: Desk, hand: Hand) -> None:
    await hand.do("press")
    assert await desk.next_event() == ButtonPressed()
    await desk.head.indicate(Indication.TURN_OVER)
    await desk.head.illuminate(Light.UV, 100)
    await desk.head.beep()
    seen = await hand.do("look")
    assert (seen["indication"], seen["light"], seen["beeps"]) == ("turn_over", "uv", 1)


async def test_unplugged_devices_are_gone_until_they_are_plugged_in(desk: Desk, hand: Hand) -> None:
    await hand.place([desk.image("front.png", 10)])
    await desk.next_event()
    for device in ("camera", "head"):
        await hand.do("unplug", device=device)
        assert await desk.next_event() == DeviceGone(device)
        with pytest.raises(DeviceGoneError):
            if device == "camera":
                await desk.camera.capture(Light.WHITE)
            else:
                await desk.head.indicate(Indication.READY)
        await hand.do("plug", device=device)
        assert await desk.next_event() == DeviceBack(device)
    assert (await desk.camera.capture(Light.WHITE)).image().shape == (40, 60, 3)


async def test_an_empty_glass_and_a_missing_file_give_no_frame(desk: Desk, hand: Hand) -> None:
    with pytest.raises(DeviceError, match="glass_empty"):
        await desk.camera.capture(Light.WHITE)
    await hand.place([desk.directory / "nobody.png"])
    with pytest.raises(DeviceError, match="file_unreadable"):
        await desk.camera.capture(Light.WHITE)


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "image.empty"), (b"hello, I am not an image", "image.not_an_image")],
)
async def test_what_is_no_image_is_said_to_be_none(desk: Desk, hand: Hand, content: bytes, code: str) -> None:
    file = desk.directory / "odd.jpg"
    file.write_bytes(content)
    await hand.place([file])
    with pytest.raises(DecodeError) as caught:
        await desk.camera.capture(Light.WHITE)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "line",
    [
        b"x\n",
        b"[]\n",
        b"{}\n",
        b'{"do": "fly"}\n',
        b'{"do": "place", "files": 1}\n',
        b'{"do": "unplug"}\n',
        b'{"do": "unplug", "device": "door"}\n',
        b"[" * 9000 + b"\n",
        b'{"do": "turn"}\n',
    ],
)
async def test_nonsense_is_refused_and_changes_nothing(desk: Desk, line: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(str(desk.directory / "glass.sock"))
    writer.write(line)
    answer = json.loads(await reader.readline())
    assert answer["ok"] is False
    assert messages.known(answer["error"])
    assert desk.glass.happened.empty()
    writer.close()


async def test_two_documents_do_not_lie_on_one_another(desk: Desk, hand: Hand) -> None:
    front = desk.image("front.png", 10)
    await hand.place([front])
    with pytest.raises(DeviceGoneError, match="glass_occupied"):
        await hand.place([front])


def test_simulated_devices_say_so(tmp_path: Path) -> None:
    made = Desk(tmp_path)
    assert made.head.provenance.simulated
    assert made.camera.provenance.simulated


async def test_the_socket_is_for_this_user_alone(desk: Desk) -> None:
    assert (desk.directory / "glass.sock").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["nul\0.png", "\ud800.png", "fifo", "/dev/zero", "/dev/tty", ".", "socket"])
async def test_only_a_regular_file_is_read(desk: Desk, name: str) -> None:
    """Nothing else is opened for long, and nothing is waited for: a FIFO never has a writer here."""
    os.mkfifo(desk.directory / "fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(desk.directory / "socket"))
        reader, writer = await asyncio.open_unix_connection(str(desk.directory / "glass.sock"))
        path = name if name.startswith("/") else f"{desk.directory}/{name}"
        writer.write(json.dumps({"do": "place", "files": [path]}).encode() + b"\n")
        assert json.loads(await reader.readline())["ok"]
        with pytest.raises(DeviceError, match="file_unreadable"):
            async with asyncio.timeout(60):
                await desk.camera.capture(Light.WHITE)
        writer.close()


async def test_closing_disconnects_every_hand_and_leaves_no_task(tmp_path: Path) -> None:
    """A task that is left is cancelled when the loop ends, and asyncio reports that as an unhandled exception."""
    glass = SimulatedGlass(tmp_path / "glass.sock")
    await glass.open()
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "glass.sock"))
    _, deaf = await asyncio.open_unix_connection(str(tmp_path / "glass.sock"))
    assert isinstance(deaf.transport, asyncio.Transport)
    deaf.transport.pause_reading()
    deaf.write(b'{"do": "look"}\n' * 20_000)  # whose answers pile up
    writer.write(b'{"do": "look"}\n')
    assert json.loads(await reader.readline())["ok"]
    async with asyncio.timeout(60):
        while not any(client.transport.get_write_buffer_size() for client in glass._clients.values()):
            await asyncio.sleep(0.01)
        await glass.close()
        assert await reader.read() == b""
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not (tmp_path / "glass.sock").exists()
    for one in (writer, deaf):
        one.close()


async def test_a_socket_left_by_a_killed_daemon_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "glass.sock"))
    glass = SimulatedGlass(tmp_path / "glass.sock")
    await glass.open()
    async with Hand(tmp_path / "glass.sock") as hand:
        await hand.do("look")
    await glass.close()


async def test_a_file_in_the_sockets_place_is_kept(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("thesis")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    (tmp_path / "folder").mkdir()
    for name in ("precious", "link", "folder"):
        with pytest.raises(StateError, match=rf"state\.unusable .*{name}"):
            await SimulatedGlass(tmp_path / name).open()
    assert (tmp_path / "link").read_text() == "thesis"
    assert (tmp_path / "folder").is_dir()


@pytest.mark.parametrize("name", ["x" * 120, "precious/glass.sock", "nul\0.sock", "/proc/glass.sock"])
async def test_a_place_where_no_socket_can_be_is_said_to_be_one(tmp_path: Path, name: str) -> None:
    (tmp_path / "precious").write_text("thesis")
    with pytest.raises(StateError, match=r"state\.unusable"):
        await SimulatedGlass(tmp_path / name).open()

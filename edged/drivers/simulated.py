"""A reader head and camera without hardware: image files take the place of documents on the glass.

The hand of a demonstration or test reaches the glass through a Unix socket, one JSON object a line:

    {"do": "place", "files": ["front.jpg", "back.jpg"]}    {"do": "turn"}    {"do": "remove"}
    {"do": "press"}    {"do": "unplug", "device": "camera"}    {"do": "plug", "device": "camera"}

and is answered `{"ok": true, "indication": …, "light": …, "beeps": …}` or `{"ok": false, "error": <code>}`.
A side in infrared or ultraviolet is a file beside it: `front.ir.png` for `front.jpg`.
Verdicts made with these devices say so: their provenance is simulated, and they are never `live`.
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from edged.core.image import MAX_BYTES, decode_image
from edged.drivers._unix_sockets import is_socket
from edged.drivers.facts import DeviceFacts
from edged.drivers.ports import SOCKET
from edged.errors import DecodeError, DeviceError, DeviceGoneError, StateError
from edged.events import (
    Attached,
    ButtonPressed,
    DeviceBack,
    DeviceGone,
    DocumentPlaced,
    DocumentRemoved,
    DocumentTurned,
    Frame,
    HeadEvent,
    Indication,
    Light,
)
from edged.specimens import under_light
from edged.uplink.envelope import Provenance
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from edged.device_settings import CameraSettings, HeadSettings
    from edged.drivers import Head

MAX_COMMAND_BYTES = 64 * 1024
"""A command names a handful of files; a longer line is not one."""

_DEVICES = ("camera", "head")

_EMPTY_GLASS = (480, 640, 3)
_PLATE = 24
"""Brightness of what lies behind the glass, lit: as in the picture of the specimen `nothing`."""


class SimulatedGlass:
    """What lies on the glass, and the socket through which a hand puts it there."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._sides: list[Path] = []
        self._side = 0
        self._unplugged: set[str] = set()
        self.happened: asyncio.Queue[HeadEvent] = asyncio.Queue()
        self.indication = Indication.READY
        self.light: Light | None = None
        self.beeps = 0

    @property
    def document_present(self) -> bool:
        """Whether a document lies on the glass."""
        return bool(self._sides)

    @property
    def path(self) -> Path:
        """Of the socket."""
        return self._socket

    def unplug(self, device: str) -> None:
        """As if the cable of `device` were pulled."""
        self._unplugged.add(device)
        self.happened.put_nowait(DeviceGone(device))

    def plug(self, device: str) -> None:
        """As if it were put back."""
        self._unplugged.discard(device)
        self.happened.put_nowait(DeviceBack(device))

    async def open(self) -> None:
        """Listen on the socket; it is readable by this user alone. Raises `StateError` when there can't be one."""
        try:
            self._socket.parent.mkdir(parents=True, exist_ok=True)
            if is_socket(self._socket):
                self._socket.unlink()  # left by a daemon that was killed
            self._server = await asyncio.start_unix_server(
                self._serve, path=str(self._socket), limit=MAX_COMMAND_BYTES
            )
            self._socket.chmod(0o600)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            await self.close()
            raise StateError("state.unusable", str(self._socket)) from error

    async def close(self) -> None:
        """Stop listening and disconnect every hand."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for writer in self._clients.values():
            writer.transport.abort()  # `close` would wait for a hand that doesn't read its answers
        if self._clients:
            await asyncio.wait(self._clients)
        with suppress(OSError):
            self._socket.unlink()

    def plugged(self, device: str) -> None:
        """Raise `DeviceGoneError` if the hand has unplugged `device`."""
        if device in self._unplugged:
            raise DeviceGoneError(device, "device.unplugged")

    def facts(self, device: str) -> DeviceFacts:
        """What a simulated `device` has to say of itself."""
        gone = device in self._unplugged
        trouble = Reason("device.unplugged") if gone else None
        return DeviceFacts(present=not gone, port=f"{SOCKET}{self._socket}", trouble=trouble)

    def showing(self, light: Light = Light.WHITE) -> Path | None:
        """The file of the side that faces the camera, as seen under `light`; None when there is none."""
        file = self._sides[self._side] if self._sides else None
        if file is None or light is Light.WHITE:
            return file
        other = under_light(file, light)
        return other if other.is_file() else None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients[task] = writer
        try:
            with suppress(ConnectionError, ValueError, asyncio.IncompleteReadError):
                while line := await reader.readline():
                    writer.write(json.dumps(self._obey(line)).encode() + b"\n")
                    await writer.drain()
        finally:
            del self._clients[task]
            writer.close()

    def _obey(self, line: bytes) -> dict[str, Any]:
        try:
            command = json.loads(line)
            self._do(command)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return {"ok": False, "error": "device.not_a_command"}
        except DeviceError as error:
            return {"ok": False, "error": error.code}
        return {
            "ok": True,
            "indication": self.indication.value,
            "light": self.light.value if self.light else None,
            "beeps": self.beeps,
            "document_present": self.document_present,
        }

    def _do(self, command: dict[str, Any]) -> None:
        match command["do"]:
            case "place":
                files = [Path(name) for name in command["files"]]
                if not files or self._sides:
                    raise DeviceError("head", "device.glass_occupied")
                self._sides, self._side = files, 0
                self.happened.put_nowait(DocumentPlaced())
            case "turn":
                if not self._sides:
                    raise DeviceError("head", "device.glass_empty")
                self._side = (self._side + 1) % len(self._sides)
                self.happened.put_nowait(DocumentTurned())
            case "remove":
                if self._sides:
                    self._sides = []
                    self.happened.put_nowait(DocumentRemoved())
            case "press":
                self.happened.put_nowait(ButtonPressed())
            case "unplug":
                self.unplug(_known(command["device"]))
            case "plug":
                self.plug(_known(command["device"]))
            case "look":
                pass
            case _:
                raise KeyError("do")


def _known(device: str) -> str:
    if device not in _DEVICES:
        raise KeyError(device)
    return device


def open_head(settings: HeadSettings) -> SimulatedHead:
    """A head on the glass of the socket that is configured."""
    assert settings.socket is not None  # edged.device_checks.check_head
    return SimulatedHead(SimulatedGlass(settings.socket))


def open_camera(settings: CameraSettings | None, head: Head | None = None) -> FileCamera:
    """A camera over its own glass, or, without a section of its own, over that of the simulated `head`."""
    if settings is None:
        assert isinstance(head, SimulatedHead)  # edged.config_checks
        return FileCamera(head.glass)
    assert settings.socket is not None  # edged.device_checks.check_camera
    return LoneFileCamera(SimulatedGlass(settings.socket))


class SimulatedHead:
    """`edged.drivers.Head` on a `SimulatedGlass`."""

    def __init__(self, glass: SimulatedGlass) -> None:
        self._glass = glass

    @property
    def glass(self) -> SimulatedGlass:
        """What lies on it, for the camera over it."""
        return self._glass

    @property
    def provenance(self) -> Provenance:
        """Simulated, and saying so."""
        return Provenance(driver="simulated", identity="simulated-head", simulated=True)

    @property
    def document_present(self) -> bool:
        """Whether a document lies on the glass."""
        return self._glass.document_present

    def facts(self) -> DeviceFacts:
        """Where its hand connects."""
        return self._glass.facts("head")

    @property
    def lights(self) -> frozenset[Light]:
        """All of them: lighting a file takes nothing."""
        return frozenset(Light)

    async def __aenter__(self) -> Self:
        await self._glass.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._glass.close()

    async def events(self) -> AsyncIterator[HeadEvent]:
        """What the hand does, in order."""
        while True:
            yield await self._glass.happened.get()

    async def illuminate(self, light: Light, milliseconds: int) -> None:  # noqa: ARG002 - files need no time
        """Remember the light."""
        self._glass.plugged("head")
        self._glass.light = light

    async def indicate(self, indication: Indication) -> None:
        """Show `indication` to whoever looks through the socket."""
        self._glass.plugged("head")
        self._glass.indication = indication

    async def beep(self) -> None:
        """Count the beep."""
        self._glass.plugged("head")
        self._glass.beeps += 1


class FileCamera:
    """`edged.drivers.Camera` that shows the image file lying on a `SimulatedGlass`, which a simulated head opens.

    A side without a file for a light looks under it as it does under white.
    """

    def __init__(self, glass: SimulatedGlass) -> None:
        self._glass = glass

    @property
    def provenance(self) -> Provenance:
        """Simulated, and saying so."""
        return Provenance(driver="files", identity="simulated-camera", simulated=True)

    def facts(self) -> DeviceFacts:
        """Where its hand connects."""
        return self._glass.facts("camera")

    @property
    def lights(self) -> frozenset[Light]:
        """White, and what there is a file for."""
        return frozenset(light for light in Light if light is Light.WHITE or self._glass.showing(light))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held open between captures."""

    async def capture(self, light: Light) -> Frame:
        """Decode the file on the glass; `DeviceGoneError` when unplugged, also while decoding."""
        self._glass.plugged("camera")
        file = self._glass.showing(light) or self._glass.showing()
        if file is None:
            raise DeviceError("camera", "device.glass_empty")
        frame = await asyncio.to_thread(_decode, file, light)
        self._glass.plugged("camera")
        return frame

    async def look(self, light: Light | None) -> Frame:
        """What `capture` shows; an empty glass is a grey plate, and nothing is seen without light."""
        self._glass.plugged("camera")
        if light is not None and self._glass.showing() is not None:
            return await self.capture(light)
        return Frame(np.full(_EMPTY_GLASS, 0 if light is None else _PLATE, np.uint8), light or Light.WHITE)


class LoneFileCamera(FileCamera):
    """A `FileCamera` beside a head of another kind: it opens the glass itself, and tells when it is unplugged.

    What else the hand does at the glass is that other head's to notice.
    """

    async def __aenter__(self) -> Self:
        await self._glass.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._glass.close()

    async def events(self) -> AsyncIterator[Attached]:
        """When the hand unplugs the camera, and plugs it in again."""
        while True:
            event = await self._glass.happened.get()
            if isinstance(event, DeviceGone | DeviceBack) and event.device == "camera":
                yield event


def _decode(file: Path, light: Light) -> Frame:
    try:
        data = _read_regular(file)
    except (OSError, ValueError) as error:  # ValueError: a path that can't be one (a NUL, a lone surrogate)
        raise DeviceError("camera", "device.file_unreadable") from error
    if len(data) > MAX_BYTES:
        raise DecodeError("image", "image.too_large")
    return Frame(decode_image(data), light)


def _read_regular(file: Path) -> bytes:
    """Up to one byte more than an image may have. Never waits for a writer, as opening a FIFO would."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(file)
        with open(descriptor, "rb", closefd=False) as stream:
            return stream.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)

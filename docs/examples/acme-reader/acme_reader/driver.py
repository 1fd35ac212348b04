"""The Acme full-page reader as edged's `Head` and `Camera`. The factories at the end are what pyproject.toml names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Self

import numpy as np

from acme_reader import sdk
from acme_reader.connection import Connection, shared
from edged.drivers import codes
from edged.drivers.facts import DeviceFacts
from edged.errors import ConfigError, DeviceError
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
from edged.uplink.envelope import Provenance
from edged.verdict import Reason

EVENTS: dict[str, HeadEvent] = {
    "pressed": ButtonPressed(),
    "laid": DocumentPlaced(),
    "turned": DocumentTurned(),
    "lifted": DocumentRemoved(),
}


class _Part:
    """What head and camera have in common: a shared connection, and how it is."""

    name: str

    def __init__(self, serial: str) -> None:
        self._serial = serial
        self._connection: Connection = shared(serial)
        self._was_there = True

    @property
    def provenance(self) -> Provenance:
        """The reader's serial number is what tells it from every other."""
        return Provenance(driver="acme", identity=self._serial, simulated=sdk.IMITATION)

    def facts(self) -> DeviceFacts:
        """For `edged devices`."""
        connection = self._connection
        return DeviceFacts(
            present=connection.present,
            model="Acme full-page reader",
            port=f"acme:{self._serial}",
            versions={"library": sdk.VERSION},
            trouble=None if connection.present else Reason(connection.trouble or codes.UNPLUGGED),
        )

    async def __aenter__(self) -> Self:
        self._was_there = True  # so that one that isn't is told
        await self._connection.enter(self._heard)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.leave(self._heard)

    def _heard(self, what: str) -> None:
        raise NotImplementedError

    def _came_or_went(self, what: str) -> Attached | None:
        """Each of the two once, in turn."""
        there = what == "back"
        if there == self._was_there:
            return None
        self._was_there = there
        return DeviceBack(self.name) if there else DeviceGone(self.name)


class AcmeHead(_Part):
    """Window, lamps, button, indicator, buzzer."""

    name = "head"

    def __init__(self, serial: str) -> None:
        super().__init__(serial)
        self._happened: asyncio.Queue[HeadEvent] = asyncio.Queue()
        self._present = False

    @property
    def document_present(self) -> bool:
        """As the reader told last."""
        return self._present

    @property
    def lights(self) -> frozenset[Light]:
        """All three."""
        return frozenset(Light(lamp) for lamp in sdk.LAMPS)

    async def events(self) -> AsyncIterator[HeadEvent]:
        """What happens at the head, in order."""
        while True:
            yield await self._happened.get()

    async def illuminate(self, light: Light, milliseconds: int) -> None:
        """Light the window."""
        await self._connection.call("head", lambda handle: sdk.light(handle, light.value, milliseconds))

    async def indicate(self, indication: Indication) -> None:
        """The reader has a display: it shows the word."""
        await self._connection.call("head", lambda handle: sdk.led(handle, indication.value))

    async def beep(self) -> None:
        """Once."""
        await self._connection.call("head", sdk.beep)

    def _heard(self, what: str) -> None:
        if what in ("gone", "back"):
            event = self._came_or_went(what)
            if what == "gone" and self._present:  # what lay there is no document of this reader any more
                self._present = False
                self._happened.put_nowait(DocumentRemoved())
            if event is not None:
                self._happened.put_nowait(event)
            return
        if what in ("laid", "lifted"):
            self._present = what == "laid"
        self._happened.put_nowait(EVENTS[what])


class AcmeCamera(_Part):
    """The sensor behind the window. It lights the window itself."""

    name = "camera"

    def __init__(self, serial: str) -> None:
        super().__init__(serial)
        self._happened: asyncio.Queue[Attached] = asyncio.Queue()

    @property
    def lights(self) -> frozenset[Light]:
        """All three."""
        return frozenset(Light(lamp) for lamp in sdk.LAMPS)

    async def events(self) -> AsyncIterator[Attached]:
        """When it goes and comes."""
        while True:
            yield await self._happened.get()

    async def capture(self, light: Light) -> Frame:
        """One picture under `light`."""
        return await self.look(light)

    async def look(self, light: Light | None) -> Frame:
        """One picture, whatever lies there; None is without light."""
        lamp = None if light is None else light.value
        raw = await self._connection.call("camera", lambda handle: sdk.snapshot(handle, lamp))
        expected = sdk.HEIGHT * sdk.WIDTH * 3
        if len(raw) != expected:  # never trust what comes from a device, a vendor's library included
            raise DeviceError("camera", codes.FAILED, f"{len(raw)} instead of {expected} bytes")
        image = np.frombuffer(raw, np.uint8).reshape(sdk.HEIGHT, sdk.WIDTH, 3).copy()
        return Frame(image, light or Light.WHITE)

    def _heard(self, what: str) -> None:
        event = self._came_or_went(what) if what in ("gone", "back") else None
        if event is not None:
            self._happened.put_nowait(event)


Options = Mapping[str, str | int | float | bool]


def open_head(options: Options) -> AcmeHead:
    """`[head] driver = "acme"`, `options = { serial = "…" }`."""
    return AcmeHead(_serial(options))


def open_camera(options: Options) -> AcmeCamera:
    """`[camera] driver = "acme"`, `options = { serial = "…" }`: the same reader."""
    return AcmeCamera(_serial(options))


def _serial(options: Options) -> str:
    """The one option there is. Raises `ConfigError`, which is shown with the path of the key."""
    for name in options:
        if name != "serial":
            raise ConfigError(name, "config.unknown_key")
    serial = options.get("serial")
    if not isinstance(serial, str) or not serial:
        raise ConfigError("serial", "config.missing_key")
    return serial

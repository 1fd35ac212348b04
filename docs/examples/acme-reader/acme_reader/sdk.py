"""An imitation of what a vendor's SDK is like: one handle, blocking calls, numbers for errors, one thread at a time.

In a driver of your own this is the vendor's library behind ctypes or its own Python module, and the class `Hardware` is
a reader on the desk. Here it is played, so that the contract tests run anywhere; the driver says so in its provenance.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np

IMITATION = True
"""No hardware stands behind this one."""

VERSION = "7.3.1"

NOT_FOUND, LOST, BUSY, BAD_LAMP, COVER_OPEN = -1, -2, -3, -4, -5

LAMPS = ("white", "ir", "uv")
HEIGHT, WIDTH = 120, 180


class SdkError(Exception):
    """What a call of the SDK ended with."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass
class Hardware:
    """A reader, and hands for it. What happens to one that isn't plugged in, nobody hears of."""

    plugged: bool = False
    opened: bool = False
    pages: list[int] = field(default_factory=list)
    lit: str | None = None
    led: str | None = None
    beeps: int = 0
    happened: deque[str] = field(default_factory=deque)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def happens(self, what: str) -> None:
        with self.changed:
            if self.opened:
                self.happened.append(what)
            self.changed.notify_all()

    def plug(self) -> None:
        self.plugged = True

    def unplug(self) -> None:
        with self.changed:
            self.plugged = self.opened = False
            self.happened.clear()
            self.changed.notify_all()

    def lay(self, shades: list[int]) -> None:
        with self.changed:
            self.pages = list(shades)
            self.happens("laid")

    def turn(self) -> None:
        with self.changed:
            self.pages.append(self.pages.pop(0))
            self.happens("turned")

    def lift(self) -> None:
        with self.changed:
            self.pages = []
            self.happens("lifted")

    def press(self) -> None:
        self.happens("pressed")


_on_the_bus: dict[str, Hardware] = {}


def hardware(serial: str) -> Hardware:
    """The reader with this serial number, for whoever's hands are on it."""
    return _on_the_bus.setdefault(serial, Hardware())


@dataclass
class Handle:
    """An open reader."""

    serial: str


def open_reader(serial: str) -> Handle:
    """Open it; whoever has it open holds it alone. What lies in the window already is its first event."""
    found = hardware(serial)
    with found.changed:
        if not found.plugged:
            raise SdkError(NOT_FOUND)
        if found.opened:
            raise SdkError(BUSY)
        found.opened = True
        found.happened = deque(["laid"] if found.pages else [])
    return Handle(serial)


def close(handle: Handle) -> None:
    hardware(handle.serial).opened = False


def wait_event(handle: Handle, milliseconds: int) -> str | None:
    """The next thing that happened, or None when nothing did in time."""
    found = hardware(handle.serial)
    with found.changed:
        found.changed.wait_for(lambda: found.happened or not found.opened, milliseconds / 1000)
        _there(handle)
        return found.happened.popleft() if found.happened else None


def light(handle: Handle, lamp: str, milliseconds: int) -> None:  # noqa: ARG001 - what is played needs no time
    if lamp not in LAMPS:
        raise SdkError(BAD_LAMP)
    _there(handle).lit = lamp


def snapshot(handle: Handle, lamp: str | None) -> bytes:
    """A picture under a lamp, or without any: rows of blue, green, red."""
    found = _there(handle)
    time.sleep(0.002)  # a sensor takes its time
    shade = 0 if lamp is None else found.pages[0] if found.pages else 20
    return np.full((HEIGHT, WIDTH, 3), shade, np.uint8).tobytes()


def led(handle: Handle, pattern: str) -> None:
    _there(handle).led = pattern


def beep(handle: Handle) -> None:
    _there(handle).beeps += 1


def _there(handle: Handle) -> Hardware:
    found = hardware(handle.serial)
    if not found.opened:
        raise SdkError(LOST)
    return found

"""Steps of the head: button, window, lamps, indicator, buzzer."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import numpy as np

from edged.errors import DecodeError, DeviceError
from edged.events import ButtonPressed, DocumentPlaced, DocumentRemoved, Indication, Light
from edged.technician.lamps import light_up
from edged.technician.walk import Came, Task, Walk, failed, passed, skipped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.devices import Devices

PRESSES: Final = 3
"""A button that bounces or sticks shows by the second or third press."""

STRAY_S: Final = 0.5
"""After the last press: one that comes unasked is a bounce."""

BLINKS: Final = 2
"""Times each lamp is lit for whoever looks."""

BRIGHTER: Final = 0.02
"""Of full brightness, by which a lamp must change the picture of the window to be seen by the camera."""

SHOWN: Final = (Indication.READY, Indication.READING, Indication.SUCCESSFUL, Indication.FAILED)
SHOWN_S: Final = 1.0


def tasks(devices: Devices) -> Iterator[Task]:
    """The head's steps."""
    yield Task("head/button", button, hands=True)
    yield Task("head/window", window, hands=True)
    for light in sorted(devices.head.lights):
        yield Task(f"head/lamp_{light}", _Lamp(light))
    yield Task("head/indicator", indicator)
    yield Task("head/buzzer", buzzer)


async def button(walk: Walk) -> Came:
    """Every press is told once."""
    ears = walk.ears["head"]
    waits = []
    for number in range(1, PRESSES + 1):
        await walk.person.tell("acceptance.press", number=str(number), of=str(PRESSES))
        began = time.monotonic()
        await ears.next(ButtonPressed)
        waits.append(time.monotonic() - began)
    try:
        await ears.next(ButtonPressed, seconds=STRAY_S)
    except TimeoutError:
        return passed(presses=PRESSES, quickest_ms=int(1000 * min(waits)))
    return failed("acceptance.bounces", presses=PRESSES)


async def window(walk: Walk) -> Came:
    """What is laid in it and taken away is noticed."""
    ears, head = walk.ears["head"], walk.devices.head
    if head.document_present:
        await walk.person.tell("acceptance.empty_window")
        await ears.next(DocumentRemoved)
    await walk.person.tell("acceptance.lay_card")
    await ears.next(DocumentPlaced)
    present = head.document_present
    await walk.person.tell("acceptance.take_card")
    await ears.next(DocumentRemoved)
    return passed() if present and not head.document_present else failed("acceptance.window_unsure")


class _Lamp:
    """One lamp: seen by the camera, and by whoever is there."""

    def __init__(self, light: Light) -> None:
        self._light = light

    async def __call__(self, walk: Walk) -> Came:
        light = self._light
        measured = await _seen_by_camera(walk, light)
        if walk.person.hands:
            await walk.person.tell("acceptance.watch_lamp", light=f"light.{light}")
            for _ in range(BLINKS):
                await asyncio.sleep(await light_up(walk.devices.head, light))
        answer = await walk.person.ask(
            f"head/lamp_{light}", "acceptance.did_it_light", light=f"light.{light}"
        )
        if answer is not None:
            return passed(**measured) if answer else failed("acceptance.dark_lamp", **measured)
        if measured.get("brighter", 0.0) >= BRIGHTER:
            return passed(**measured)
        return skipped("acceptance.nobody", **measured)


async def _seen_by_camera(walk: Walk, light: Light) -> dict[str, float | int | bool]:
    """By how much the lamp brightens the window; nothing where the camera can't say."""
    if light not in walk.devices.camera.lights:
        return {}
    try:
        dark = await walk.devices.camera.look(None)
        await light_up(walk.devices.head, light)
        lit = await walk.devices.camera.look(light)
    except (DeviceError, DecodeError):
        return {}
    levels = [float(np.mean(frame.image())) / 255 for frame in (dark, lit)]
    return {
        "dark": round(levels[0], 3),
        "lit": round(levels[1], 3),
        "brighter": round(levels[1] - levels[0], 3),
    }


async def indicator(walk: Walk) -> Came:
    """Every state can be told from every other."""
    for indication in SHOWN:
        await walk.person.tell("acceptance.watch_indicator", indication=f"indication.{indication}")
        await walk.devices.head.indicate(indication)
        if walk.person.hands:
            await asyncio.sleep(SHOWN_S)
    await walk.devices.head.indicate(Indication.READY)
    return _answered(
        await walk.person.ask("head/indicator", "acceptance.did_it_show"), "acceptance.dark_indicator"
    )


async def buzzer(walk: Walk) -> Came:
    """It can be heard."""
    await walk.devices.head.beep()
    return _answered(await walk.person.ask("head/buzzer", "acceptance.did_it_beep"), "acceptance.silent")


def _answered(answer: bool | None, code: str) -> Came:
    if answer is None:
        return skipped("acceptance.nobody")
    return passed() if answer else failed(code)

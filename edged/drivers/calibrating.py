"""A calibration taken: pictures in the dark and of a white sheet under each light, asked for one after the other."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from edged.core.calibration import (
    VERSION,
    About,
    Calibration,
    Mean,
    dark_fault,
    flat_fault,
    is_flat,
    make,
    measure,
    renewed,
    unmeasured,
)
from edged.drivers.v4l2 import DEVICE
from edged.errors import DeviceError, DeviceGoneError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import numpy as np
    from numpy.typing import NDArray

    from edged.drivers import Head
    from edged.drivers.uvc import UvcCamera
    from edged.events import Light

USUAL_FRAMES: Final = 32
"""Leave a fifth of one frame's noise in the pattern."""
MOST_FRAMES: Final = 256
HELD_OUT: Final = 8
"""More pictures, from which the calibration is not made but by which it is measured."""
LAMP_RESTS: Final = "reader_head.lamp_rests"
REST_S: Final = 0.5
MOST_RESTS: Final = 40
"""A UV lamp may be on a tenth of the time; ten seconds without it always allow another picture."""

Pictures = list["NDArray[np.uint8]"]


async def calibrate(
    camera: UvcCamera,
    head: Head,
    frames: int,
    *,
    ask: Callable[[str], Awaitable[None]],
    progress: Callable[[Light | None, int, int], None] = lambda _light, _done, _all: None,
) -> Calibration:
    """Take and measure a calibration of an open camera that has none.

    `ask` waits until a person has done what its code says; `progress` hears of every picture. Raises `DeviceError` with
    what is wrong with the pictures, or with camera or head.
    """
    facts = camera.standing
    if facts is None:
        trouble = camera.trouble
        raise DeviceGoneError(DEVICE, trouble.code if trouble else "camera.not_there")
    await ask("camera.ask_dark")
    dark, left = await _burst(camera, head, None, frames, progress)
    _refuse(dark_fault(dark))
    await ask("camera.ask_flat")
    flats: dict[Light, Mean] = {}
    held: dict[Light, Pictures] = {}
    for light in sorted(head.lights & camera.lights, reverse=True):  # white first: it shows what lies there
        flats[light], held[light] = await _burst(camera, head, light, frames, progress)
        _refuse(flat_fault(flats[light]) or (None if is_flat(held[light][0]) else "camera.flat_not_white"))
    about = About(
        version=VERSION,
        camera=facts.identity,
        width=facts.width,
        height=facts.height,
        pixel_format=facts.pixel_format,
        exposure_us={light.value: facts.exposure_us.get(light) or 0 for light in flats},
        gain=facts.gain,
        made=datetime.now(UTC),
        frames=frames,
        simulated=facts.simulated,
        measured=unmeasured(),
    )
    return await asyncio.to_thread(_finish, dark, flats, about, left, held)


def _finish(
    dark: Mean, flats: dict[Light, Mean], about: About, left: Pictures, held: dict[Light, Pictures]
) -> Calibration:
    made = make(dark, flats, about)
    return renewed(made, measure(made, dark.noise, left, held))


def _refuse(code: str | None) -> None:
    if code is not None:
        raise DeviceError(DEVICE, code)


async def _burst(
    camera: UvcCamera,
    head: Head,
    light: Light | None,
    frames: int,
    progress: Callable[[Light | None, int, int], None],
) -> tuple[Mean, Pictures]:
    """So many frames, and `HELD_OUT` more."""
    burst, held = Mean(), []
    for number in range(frames + HELD_OUT):
        if light is not None:
            await _light(head, light, camera.hold_ms(light))
        image = (await camera.look(light)).image()
        if number < frames:
            await asyncio.to_thread(burst.add, image)
        else:
            held.append(image)
        progress(light, number + 1, frames + HELD_OUT)
    return burst, held


async def _light(head: Head, light: Light, milliseconds: int) -> None:
    """Light the window, once its lamp has rested."""
    if not milliseconds:
        return  # the camera lights it itself
    for _ in range(MOST_RESTS):
        try:
            await head.illuminate(light, milliseconds)
        except DeviceError as error:
            if error.code != LAMP_RESTS:
                raise
            await asyncio.sleep(REST_S)
        else:
            return
    raise DeviceError("head", LAMP_RESTS)

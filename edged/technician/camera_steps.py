"""Steps of the camera: exposure and focus on the test card, and every light it works with.

Pictures are kept only of the test card, cut to the card, and only when nothing lies on it: a technician who lays a
passport there to try it out is told so, and no pixel of it is written, measured or told.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from edged.events import Light
from edged.technician import card
from edged.technician.lamps import light_up
from edged.technician.walk import Came, Task, Walk, failed, passed, skipped
from edged.whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from edged.devices import Devices

LOOK_FOR_S: Final = 60.0
"""For the card to be laid there."""

PAUSE_S: Final = 0.3

_UNSEEING: Final = ("acceptance.too_dark", "acceptance.too_bright")
"""What keeps anybody from telling whether something lies on the card."""


def tasks(devices: Devices) -> Iterator[Task]:
    """The camera's steps."""
    yield Task("camera/card", on_the_card, hands=True)
    for light in sorted(devices.camera.lights - {Light.WHITE}):
        yield Task(f"camera/card_{light}", _Under(light), hands=True)


async def on_the_card(walk: Walk) -> Came:
    """Exposure, focus and resolution under white light."""
    _picture_of(walk.directory, Light.WHITE).unlink(missing_ok=True)
    await walk.person.tell("acceptance.lay_test_card")
    came: Came = failed("acceptance.no_card")
    ends = time.monotonic() + LOOK_FOR_S
    while time.monotonic() < ends:
        picture = await _picture(walk, Light.WHITE)
        came = await asyncio.to_thread(_judged, picture, walk.directory, walk.today)
        if came.code != "acceptance.no_card":
            return came
        await asyncio.sleep(PAUSE_S)
    return came


class _Under:
    """One more light: the card is seen as well, or at least nothing else."""

    def __init__(self, light: Light) -> None:
        self._light = light

    async def __call__(self, walk: Walk) -> Came:
        """The card lies there, before and after: what is seen in between is the card."""
        _picture_of(walk.directory, self._light).unlink(missing_ok=True)
        began = time.monotonic()
        white = await _picture(walk, Light.WHITE)
        picture = await _picture(walk, self._light)
        took = time.monotonic() - began
        after = await _picture(walk, Light.WHITE)
        return await asyncio.to_thread(self._judged, (white, picture, after), walk, took)

    def _judged(self, pictures: tuple[NDArray[np.uint8], ...], walk: Walk, took: float) -> Came:
        white, picture, after = pictures
        if any(card.shows_a_document(one, today=walk.today) for one in pictures):
            return failed("acceptance.document")
        plans = [card.locate(white), card.locate(after)]
        if plans[0] is None or plans[1] is None:
            return skipped("acceptance.no_card")
        if card.alone(white, plans[0]) is None or card.alone(after, plans[1]) is None:
            return failed("acceptance.covered")
        brightness = float(picture.mean()) / 255
        kept = picture.shape == white.shape and _keep(picture, plans[0], walk.directory, self._light)
        return passed(brightness=brightness, took_ms=int(1000 * took), kept=kept)


async def _picture(walk: Walk, light: Light) -> NDArray[np.uint8]:
    await light_up(walk.devices.head, light)
    return (await walk.devices.camera.look(light)).image()


def _judged(picture: NDArray[np.uint8], directory: Path, today: date) -> Came:
    if card.shows_a_document(picture, today=today):
        return failed("acceptance.document")
    plan = card.locate(picture)
    if plan is None:
        return failed("acceptance.no_card")
    seen = card.measure(picture, plan)
    code = card.complaint(seen)
    measured = {**seen._asdict(), "width_px": picture.shape[1], "height_px": picture.shape[0]}
    if code not in _UNSEEING and card.alone(picture, plan) is None:
        return failed("acceptance.covered")
    kept = _keep(picture, plan, directory, Light.WHITE)
    return passed(**measured, kept=kept) if code is None else failed(code, **measured, kept=kept)


def _picture_of(directory: Path, light: Light) -> Path:
    """One of an earlier walk is taken away first: a report lies beside pictures of its own."""
    return directory / f"card-{light}.png"


def _keep(picture: NDArray[np.uint8], plan: NDArray[np.float64], directory: Path, light: Light) -> bool:
    """Write the card, if exactly the card is there; whether it was written."""
    alone = card.alone(picture, plan)
    if alone is None:
        return False
    import cv2

    done, data = cv2.imencode(".png", alone)
    if done:
        with whole_file(_picture_of(directory, light)) as file:
            file.write(data.tobytes())
    return bool(done)

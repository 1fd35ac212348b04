"""Whether the camera sees this window now: the head lights it in an order drawn for the occasion, the frames show it.

Only what is sure counts: the head begins some time after it was asked, so a frame is a step's when it was exposed
wholly between the latest moment at which the step can have begun and the earliest at which it can have ended.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Final, TypeGuard

from edged.core.illumination_order import MOST_STEPS, STEPS, Chance, Seen, Step, draw, judge
from edged.drivers import LiveCamera, StrobeStep
from edged.drivers.head_strobe import strobe_of
from edged.drivers.v4l2 import DEVICE
from edged.errors import DeviceError
from edged.events import Light

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edged.core.illumination_order import Sight
    from edged.drivers import Camera, Glimpse, Head, Strobe

SLACK_MS: Final = 40
"""From asking the head to its first light, and from its last to our hearing of it, together: a serial line needs 5 to
15 ms, with one retransmission on the way the burst is made again."""
PATIENCE: Final = 3
"""Times more slack for the second burst: a busy machine or a poor line must not close the counter."""
BURSTS: Final = ((STEPS, 1), (MOST_STEPS, PATIENCE))
"""Frames of the first burst, and of a second one when the first doesn't follow; how many times the slack each has.

A document that slips spoils one burst of a hundred; telling a clerk of a recording takes two, and the second is harder.
"""
UNSUPPORTED: Final = "reader_head.unsupported"
"""What a board says that can light but not expose."""
LAMP_RESTS: Final = "reader_head.lamp_rests"
"""What a head says whose lamp would be on for longer than it may."""
_AFTER_S: Final = 0.3
"""That the camera films on after the head should be done."""


async def require_live(
    head: Head, camera: Camera, chance: Chance | None = None, clock: Callable[[], float] = time.monotonic
) -> bool:
    """Raise `DeviceError` unless the camera's frames follow the head's light.

    Its code is `camera.replayed_feed` or `camera.replay_unclear`. False when head and camera can't show it: a head
    without strobe, a camera that exposes as it likes. It takes about a second, and what lies in the window must stay.
    Raises also as `Strobe.flash` and `LiveCamera.watch`.
    """
    strobe = strobe_of(head)
    if strobe is None or not _comparable(camera):
        return False
    seen = Seen.UNCLEAR
    for steps, times in BURSTS:
        slack_ms = times * SLACK_MS
        try:
            seen = await _seen(head, strobe, camera, chance or secrets.SystemRandom(), steps, slack_ms, clock)
        except DeviceError as error:
            if error.code == UNSUPPORTED:
                return False
            raise
        if seen is Seen.LIVE:
            return True
    raise DeviceError(DEVICE, seen.value)


def longest_s(head: Head, camera: Camera) -> float:
    """How long `require_live` films at most; 0 when it has nothing to ask. A capture waits as much longer."""
    if strobe_of(head) is None or not _comparable(camera):
        return 0.0
    slowest_ms = max(camera.sure_ms(light) for light in camera.lights)
    return sum(steps * (slowest_ms + times * SLACK_MS) / 1000 + _AFTER_S for steps, times in BURSTS)


def _comparable(camera: Camera) -> TypeGuard[LiveCamera]:
    """Whether brightness in its frames follows the light."""
    return isinstance(camera, LiveCamera) and camera.exposure_is_fixed


async def _seen(
    head: Head,
    strobe: Strobe,
    camera: LiveCamera,
    chance: Chance,
    steps: int,
    slack_ms: int,
    clock: Callable[[], float],
) -> Seen:
    """What one burst says. Without infrared where its lamp would be on for longer than the head allows."""
    lights = head.lights & camera.lights
    order = draw(lights, chance, steps)
    try:
        sights = await _burst(strobe, camera, order, slack_ms, clock)
    except DeviceError as error:
        if error.code != LAMP_RESTS or Light.IR not in lights:
            raise
        order = draw({Light.WHITE}, chance, steps)
        sights = await _burst(strobe, camera, order, slack_ms, clock)
    return Seen.UNCLEAR if sights is None else judge(order, sights)


async def _burst(
    strobe: Strobe, camera: LiveCamera, order: Sequence[Step], slack_ms: int, clock: Callable[[], float]
) -> list[Sight] | None:
    """One frame a step; None when some step has none that is surely its own."""
    steps = [
        StrobeStep(
            step.light, step.brightness, 0, 1000 * (camera.sure_ms(step.light or Light.WHITE) + slack_ms)
        )
        for step in order
    ]
    windows = [step.window_us / 1e6 for step in steps]
    watching = asyncio.ensure_future(camera.watch(sum(windows) + _AFTER_S))
    try:
        began = clock()
        exposed = await strobe.flash(steps)
        ended = clock()
        glimpses = await watching
    finally:
        watching.cancel()
    if not all(one.complete for one in exposed):
        return None
    if camera.hold_ms(Light.WHITE) == 0:  # triggered: a frame a step
        return [one.sight for one in glimpses] if len(glimpses) == len(order) else None
    return sure(windows, glimpses, began, ended)


def sure(
    windows: Sequence[float], glimpses: Sequence[Glimpse], began: float, ended: float
) -> list[Sight] | None:
    """The first frame that is surely of each step, for steps of `windows` seconds done between `began` and `ended`."""
    found = []
    before, left = 0.0, sum(windows)
    for window in windows:
        earliest, latest = ended - left, began + before + window
        before, left = before + window, left - window
        own = next((one for one in glimpses if earliest <= one.began and one.ended <= latest), None)
        if own is None:
            return None
        found.append(own.sight)
    return found

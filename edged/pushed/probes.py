"""The self-test of a version on trial: four probes, in order, within its probation. The first that fails decides.

    head        the head takes an indication and answers
    frames      without light the window is dark; lit it is bright, and not blown out (`edged.pushed.calibration`)
    specimen    a shipped specimen goes through reading, judging, each audience's policy and the seal to the commit
    uplink      the box is connected to the broker that the version names

The specimen's envelopes have the kind `test`. Who receives tests gets one, committed and published like any other. For
who doesn't, one is made by the policy, sealed and verified all the same, and thrown away: the probe must find a policy
that can't be applied, and must not put into a partner's stream what that partner never asked for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edged import log
from edged.drivers.head_messages import Status
from edged.errors import CodedError, HeadRefusedError
from edged.events import Light
from edged.pushed.calibration import Calibration, judge, measure
from edged.pushed.host import ProbeResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edged.drivers import Camera, Head
    from edged.events import Frame, Indication
    from edged.pushed.calibration import Seen

ILLUMINATION_MS: Final = 120
"""As for a document: `edged.optics`."""

DARKNESS_S: Final = 2 * ILLUMINATION_MS / 1000
"""After so long no light of an inspection that has just ended burns any more."""

HANDS_S: Final = 8.0
"""Head and camera have no longer than this: a press waits meanwhile (`edged.station.Station.between_inspections`)."""


MAX_REST_MS: Final = 15_000
"""A lamp's limits are those of ten seconds; a head that wants more wants for ever."""


@dataclass(frozen=True)
class Parts:
    """What the probes are tried on.

    Attributes:
        head: the box's.
        camera: the box's.
        indication: what the head shows now, so that showing it again changes nothing.
        calibration: the bounds of dark and lit frames.
        between: runs work while no inspection does, as `edged.station.Station.between_inspections`.
        specimen: sends a specimen through (`edged.self_test.inspect_specimen`); the code of what was wrong, or None.
        connected: returns when the box is connected with what is in force.
        trouble: the code of why it isn't, as far as is known.
        darkness_s: how long to wait for darkness, seconds.
    """

    head: Head
    camera: Camera
    indication: Callable[[], Indication]
    calibration: Calibration
    between: Callable[[Callable[[], Awaitable[str | None]]], Awaitable[str | None]]
    specimen: Callable[[], Awaitable[str | None]]
    connected: Callable[[], Awaitable[None]]
    trouble: Callable[[], str | None] = lambda: None
    darkness_s: float = DARKNESS_S


async def run(parts: Parts, deadline_s: float) -> ProbeResult:
    """Try everything within so many seconds. Raises nothing: what breaks a probe is its result."""
    loop = asyncio.get_running_loop()
    until = loop.time() + deadline_s
    probes = {
        "head": lambda: parts.between(lambda: _within_hands(_head(parts))),
        "frames": lambda: _rested(lambda: parts.between(lambda: _within_hands(_frames(parts)))),
        "specimen": parts.specimen,
        "uplink": lambda: _uplink(parts),
    }
    for name, probe in probes.items():
        code = await _tried(name, probe, until - loop.time(), parts)
        log.get("fleet").info("probe", probe=name, code=code)
        if code is not None:
            return ProbeResult(name, code)
    return ProbeResult()


async def _tried(
    name: str, probe: Callable[[], Awaitable[str | None]], left_s: float, parts: Parts
) -> str | None:
    try:
        async with asyncio.timeout(max(left_s, 0.0)):
            return await probe()
    except TimeoutError:
        late = "probe.not_connected" if name == "uplink" else "probe.too_slow"
        return (parts.trouble() if name == "uplink" else None) or late
    except CodedError as error:
        return error.code
    except Exception as error:  # noqa: BLE001 - our own bug, brought out by new settings, must not end the box
        log.get("fleet").error("a probe broke; please report this", exc_info=error)
        return "push.probe_broke"


async def _within_hands(work: Awaitable[str | None]) -> str | None:
    async with asyncio.timeout(HANDS_S):
        return await work


async def _rested(work: Callable[[], Awaitable[str | None]]) -> str | None:
    """A lamp that rests, after many documents or a restart of the head, is no fault of the version: try again then."""
    while True:
        try:
            return await work()
        except HeadRefusedError as error:
            if error.status != Status.LIMIT or error.number is None or error.number > MAX_REST_MS:
                raise
            await asyncio.sleep(error.number / 1000)


async def _head(parts: Parts) -> str | None:
    await parts.head.indicate(parts.indication())
    return None


async def _frames(parts: Parts) -> str | None:
    await asyncio.sleep(parts.darkness_s)
    dark = await _seen(await parts.camera.look(None))
    await parts.head.illuminate(Light.WHITE, ILLUMINATION_MS)
    lit = await _seen(await parts.camera.look(Light.WHITE))
    return judge(parts.calibration, dark, lit)


async def _seen(frame: Frame) -> Seen:
    return await asyncio.to_thread(measure, frame.image())


async def _uplink(parts: Parts) -> str | None:
    await parts.connected()
    return None

"""The self-test of new settings: what each probe finds, in which order, and that nothing takes the box down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edged.core.image import decode_image
from edged.drivers.head_messages import Status
from edged.drivers.simulated import FileCamera, SimulatedGlass, SimulatedHead
from edged.errors import ConfigError, DecodeError, DeviceError, HeadRefusedError
from edged.events import Frame, Indication, Light
from edged.pushed import probes
from edged.pushed.calibration import Calibration, load
from edged.pushed.host import ProbeResult
from edged.pushed.probes import Parts
from edged.specimens import shipped


async def between(work: Callable[[], Awaitable[str | None]]) -> str | None:
    return await work()


async def well() -> None:
    return None


def plain(brightness: int) -> Any:
    return np.full((300, 400, 3), brightness, np.uint8)


class ScriptedCamera:
    """Shows the one picture without light and the other with it."""

    def __init__(self, dark: Any, lit: Any) -> None:
        self.pictures = {None: dark, Light.WHITE: lit}

    async def look(self, light: Light | None) -> Frame:
        picture = self.pictures[light]
        if isinstance(picture, Exception):
            raise picture
        return Frame(picture, light or Light.WHITE)


@pytest.fixture
def glass(tmp_path: Path) -> SimulatedGlass:
    return SimulatedGlass(tmp_path / "glass.sock")


def parts(glass: SimulatedGlass, **changes: Any) -> Parts:
    made: dict[str, Any] = {
        "head": SimulatedHead(glass),
        "camera": FileCamera(glass),
        "indication": lambda: Indication.OFFLINE,
        "calibration": Calibration(),
        "between": between,
        "specimen": well,
        "connected": well,
        "darkness_s": 0.0,
    }
    return Parts(**(made | changes))


async def test_a_well_box_passes_and_shows_what_it_showed(glass: SimulatedGlass) -> None:
    assert await probes.run(parts(glass), 30) == ProbeResult()
    assert glass.indication is Indication.OFFLINE


@pytest.mark.parametrize("specimen", shipped(), ids=lambda one: one.name)
async def test_a_document_on_the_glass_fails_no_probe(glass: SimulatedGlass, specimen: Any) -> None:
    glass._do({"do": "place", "files": [str(specimen.sides[0])]})
    assert await probes.run(parts(glass), 30) == ProbeResult()


SHIPPED = decode_image(shipped()[0].sides[0].read_bytes())


@pytest.mark.parametrize(
    ("dark", "lit", "code"),
    [
        (plain(0), plain(110), None),
        (plain(60), plain(110), None),
        (plain(4), (SHIPPED // 8).astype(np.uint8), None),
        (plain(200), plain(220), "probe.never_dark"),
        (SHIPPED, SHIPPED, "probe.never_dark"),
        (plain(5), plain(6), "probe.never_lit"),
        (plain(0), plain(255), "probe.blinded"),
        (plain(0), DeviceError("camera", "device.unplugged"), "device.unplugged"),
        (DecodeError("image", "image.empty"), plain(110), "image.empty"),
    ],
    ids=[
        "well",
        "bright room",
        "dim lamp",
        "lamp stuck",
        "always lit",
        "no lamp",
        "blinded",
        "gone",
        "no image",
    ],
)
async def test_frames_are_compared_with_what_they_should_be(
    glass: SimulatedGlass, dark: Any, lit: Any, code: str | None
) -> None:
    result = await probes.run(parts(glass, camera=ScriptedCamera(dark, lit)), 30)
    assert result == (ProbeResult() if code is None else ProbeResult("frames", code))


async def test_the_boxs_own_calibration_is_stricter(glass: SimulatedGlass, tmp_path: Path) -> None:
    assert load(tmp_path / "calibration.json") == Calibration()
    (tmp_path / "calibration.json").write_text('{"format": 1, "dark_most": 0.04, "lit_least": 0.5}')
    own = load(tmp_path / "calibration.json")
    camera = ScriptedCamera(plain(4), plain(110))
    result = await probes.run(parts(glass, camera=camera, calibration=own), 30)
    assert result == ProbeResult("frames", "probe.never_lit")


@pytest.mark.parametrize(
    "content", ["", '{"format": 2}', '{"format": 1, "dark_most": 7}', "\x00", "[" * 5000]
)
def test_a_broken_calibration_is_an_error_with_its_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match="calibration_broken"):
        load(path)


async def test_the_first_that_fails_decides_and_the_rest_is_not_tried(glass: SimulatedGlass) -> None:
    tried: list[str] = []

    async def specimen() -> str:
        tried.append("specimen")
        return "self_test.not_read"

    async def connected() -> None:
        tried.append("uplink")

    result = await probes.run(parts(glass, specimen=specimen, connected=connected), 30)
    assert (result, tried) == (ProbeResult("specimen", "self_test.not_read"), ["specimen"])
    glass._do({"do": "unplug", "device": "head"})
    assert await probes.run(parts(glass), 30) == ProbeResult("head", "device.unplugged")


async def never() -> None:
    await asyncio.Event().wait()


async def test_a_box_that_does_not_get_through_says_why(glass: SimulatedGlass) -> None:
    assert await probes.run(parts(glass, connected=never), 0.3) == ProbeResult(
        "uplink", "probe.not_connected"
    )
    told = parts(glass, connected=never, trouble=lambda: "uplink.unknown_host")
    assert await probes.run(told, 0.3) == ProbeResult("uplink", "uplink.unknown_host")


async def test_a_probe_that_hangs_costs_the_probation_and_no_more(glass: SimulatedGlass) -> None:
    assert await probes.run(parts(glass, specimen=never), 0.3) == ProbeResult("specimen", "probe.too_slow")


async def test_a_bug_in_a_probe_is_its_failure(glass: SimulatedGlass) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    assert await probes.run(parts(glass, specimen=broken), 30) == ProbeResult("specimen", "push.probe_broke")


async def test_head_and_camera_are_used_between_inspections_alone(glass: SimulatedGlass) -> None:
    began = 0

    async def counted(work: Callable[[], Awaitable[str | None]]) -> str | None:
        nonlocal began
        began += 1
        return await work()

    await probes.run(parts(glass, between=counted), 30)
    assert began == 2


async def test_a_lamp_that_rests_is_waited_for(
    glass: SimulatedGlass, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head that has just started again, with the firmware of this very push, lets its lamps rest first."""
    rests = [20, 10]
    lit = SimulatedHead.illuminate

    async def illuminate(head: SimulatedHead, light: Light, milliseconds: int) -> None:
        if rests:
            raise HeadRefusedError("reader_head.lamp_rests", Status.LIMIT, rests.pop())
        await lit(head, light, milliseconds)

    monkeypatch.setattr(SimulatedHead, "illuminate", illuminate)
    assert (await probes.run(parts(glass), 30.0)).passed
    assert not rests
    rests.append(0xFFFFFFFF)
    result = await probes.run(parts(glass), 30.0)
    assert (result.probe, result.code) == ("frames", "reader_head.lamp_rests")

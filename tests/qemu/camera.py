"""Inside the virtual machine: the camera's driver on the kernel's own test camera (vivid). Prints one line of JSON.

    python -m tests.qemu.camera

vivid has knobs for what cameras do wrong: black and white pictures, no text that would make frames differ, frames that
never come. Unbinding it from its driver is pulling its plug: the kernel takes it away under whoever has it open.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.device_settings import CameraSettings
from edged.drivers import v4l2
from edged.drivers.bare import BareHead
from edged.drivers.calibrating import calibrate
from edged.drivers.uvc import UvcCamera
from edged.errors import DeviceError
from edged.events import Light

if TYPE_CHECKING:
    from collections.abc import Iterator

VIDEO = Path("/dev/video0")
NAME = Path("/dev/v4l/by-path/platform-vivid.0-video-index0")
PLUG = Path("/sys/bus/platform/drivers/vivid")

PATTERN, OSD, DROPPED, BRIGHTNESS = (
    *("Test Pattern", "OSD Text Mode", "Percentage of Dropped Buffers", "Brightness"),
)
USUAL, GREY = 128, 70
"""Of `Brightness`: the second makes white a sheet that isn't blown out."""
BARS, BLACK, WHITE = 0, 5, 6
"""Of `Test Pattern`, as vivid's menu has them."""


def name_it() -> None:
    """What udev does; there is none in this machine."""
    NAME.parent.mkdir(parents=True, exist_ok=True)
    NAME.unlink(missing_ok=True)
    NAME.symlink_to("../../video0")


def knobs() -> dict[str, int]:
    """vivid's controls by their names."""
    found: dict[str, int] = {}
    number = 0
    request, layout = v4l2._QUERYCTRL
    with VIDEO.open("rb+", buffering=0) as node:
        while True:
            buffer = bytearray(layout.pack(number | 0x80000000, 0, b"", 0, 0, 0, 0, 0))
            try:
                fcntl.ioctl(node, request, buffer)
            except OSError:
                return found
            fields = layout.unpack(buffer)
            number = fields[0]
            found[fields[2].split(b"\0")[0].decode()] = number


def turn(knob: str, value: int) -> None:
    with VIDEO.open("rb+", buffering=0) as node:
        fcntl.ioctl(node, v4l2._S_CTRL[0], bytearray(struct.pack("=Ii", knobs()[knob], value)))


@contextlib.contextmanager
def turned(knob: str, value: int, back: int) -> Iterator[None]:
    turn(knob, value)
    try:
        yield
    finally:
        turn(knob, back)


def settings(**more: Any) -> CameraSettings:
    plain: dict[str, Any] = {"device": NAME, "width": 640, "height": 480, "pixel_format": "YUYV"}
    return CameraSettings(**{**plain, **more})


async def code_of(camera: UvcCamera) -> str:
    try:
        await camera.capture(Light.WHITE)
    except DeviceError as error:
        return error.code
    return ""


async def set_and_read_back() -> dict[str, Any]:
    async with UvcCamera(settings(gain=77, exposure_us={"white": 5000}, white_balance_k=5000)) as camera:
        facts = camera.standing
        assert facts is not None
        frame = await camera.capture(Light.WHITE)
        with v4l2.Node(VIDEO) as node:
            gain, automatic = node.get(v4l2.Control.GAIN), node.get(v4l2.Control.AUTO_GAIN)
        return {
            "format": [facts.pixel_format, facts.width, facts.height],
            "gain": [facts.gain, gain, automatic],
            "refused": [one.setting for one in facts.refused],
            "shape": list(frame.image().shape),
            "provenance": [camera.provenance.driver, camera.provenance.identity, camera.provenance.simulated],
            "exposure_is_fixed": camera.exposure_is_fixed,
        }


async def formats() -> dict[str, Any]:
    found = {}
    for name, width, height in (("YUYV", 1280, 720), ("RGB3", 640, 360), ("GREY", 320, 180)):
        async with UvcCamera(settings(pixel_format=name, width=width, height=height)) as camera:
            shape = (await camera.capture(Light.WHITE)).image().shape if camera.standing else None
            found[name] = list(shape) if shape else str(camera.trouble)
    async with UvcCamera(settings(width=641)) as camera:
        found["641"] = camera.trouble.code if camera.trouble else ""
    async with UvcCamera(settings(pixel_format="MJPG")) as camera:
        found["MJPG"] = camera.trouble.code if camera.trouble else ""
    return found


async def misbehaving() -> dict[str, str]:
    """A camera of which each picture is black, white, the same, or never comes."""
    found = {}
    async with UvcCamera(settings()) as camera:
        events = camera.events()
        with turned(PATTERN, BLACK, BARS), turned(OSD, 2, 0):
            await camera.watch(0.2)
            found["black"] = await code_of(camera)
        with turned(PATTERN, WHITE, BARS), turned(OSD, 2, 0):
            await camera.watch(0.2)
            found["white"] = await code_of(camera)
        with turned(OSD, 2, 0):
            await camera.watch(0.2)
            await code_of(camera)
            found["frozen"] = await code_of(camera)
        async with asyncio.timeout(20):
            while camera.trouble is not None or await code_of(camera):
                await asyncio.sleep(0.05)
        with turned(DROPPED, 100, 0):
            found["silent"] = await code_of(camera)
            found["told"] = str(await anext(events))
        async with asyncio.timeout(20):
            found["back"] = str(await anext(events))
        found["after"] = await code_of(camera)
    return found


async def unplugged() -> dict[str, Any]:
    """While idle, in the middle of a capture, and before the driver starts."""
    found: dict[str, Any] = {}
    async with UvcCamera(settings()) as camera:
        events = camera.events()

        async def replug(what: str) -> None:
            async with asyncio.timeout(20):
                found[what] = str(await anext(events))
                found[f"{what} code"] = await code_of(camera)
                (PLUG / "bind").write_text("vivid.0")
                name_it()
                found[f"{what} back"] = str(await anext(events))
                found[f"{what} again"] = await code_of(camera)

        (PLUG / "unbind").write_text("vivid.0")
        await replug("idle")
        watching = asyncio.ensure_future(camera.watch(10.0))
        await asyncio.sleep(0.3)
        (PLUG / "unbind").write_text("vivid.0")
        try:
            await watching
        except DeviceError as error:
            found["capture failed"] = error.code
        await replug("capture")
    (PLUG / "unbind").write_text("vivid.0")
    async with UvcCamera(settings()) as camera:
        found["never"] = camera.trouble.code if camera.trouble else ""
        (PLUG / "bind").write_text("vivid.0")
        name_it()
        events = camera.events()
        async with asyncio.timeout(20):
            found["never events"] = [str(await anext(events)), str(await anext(events))]
        found["never again"] = await code_of(camera)
    return found


async def flushed() -> dict[str, Any]:
    """Frames after a pause are new; how long it takes."""
    async with UvcCamera(settings()) as camera:
        late, took = [], []
        for _ in range(5):
            await asyncio.sleep(0.4)
            asked = time.monotonic()
            frame = await camera.capture(Light.WHITE)
            took.append(round(time.monotonic() - asked, 3))
            assert frame.shot is not None
            late.append(frame.shot.at > asked)
        return {"fresh": late, "took_s": took}


async def calibrated() -> dict[str, Any]:
    """vivid holds whatever is laid before it: a black picture, then a grey one."""
    async with UvcCamera(settings()) as camera, BareHead(camera, 60.0) as head:

        async def ask(code: str) -> None:
            turn(OSD, 2)
            turn(PATTERN, BLACK if code == "camera.ask_dark" else WHITE)
            turn(BRIGHTNESS, USUAL if code == "camera.ask_dark" else GREY)
            await camera.watch(0.2)

        try:
            made = await calibrate(camera, head, 8, ask=ask)
        except DeviceError as error:
            return {"code": error.code}
        finally:
            turn(PATTERN, BARS)
            turn(OSD, 0)
            turn(BRIGHTNESS, USUAL)
        return {"simulated": made.about.simulated, "camera": made.about.camera}


async def main() -> dict[str, Any]:
    name_it()
    (listed,) = [one for one in v4l2.cameras() if one.node == VIDEO]
    with v4l2.Node(NAME) as node:
        sizes = node.sizes("YUYV")
    return {
        "listed": [str(listed.path), listed.identity, listed.simulated, listed.error],
        "sizes": sizes,
        "set": await set_and_read_back(),
        "formats": await formats(),
        "flushed": await flushed(),
        "misbehaving": await misbehaving(),
        "unplugged": await unplugged(),
        "calibrated": await calibrated(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main())) + "\n")

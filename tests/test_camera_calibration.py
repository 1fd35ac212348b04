"""A calibration: what it improves, whose it is, and that nothing but a whole one of this camera is believed."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edged.cli import main
from edged.core import calibration
from edged.core.calibration import About, Calibration, Mean, Situation, decode, describe, encode
from edged.drivers import uvc
from edged.drivers.bare import BareHead
from edged.drivers.calibrating import calibrate
from edged.drivers.uvc import UvcCamera
from edged.errors import DecodeError, DeviceError
from edged.events import Light
from edged.verdict import Reason
from tests import logging_state
from tests.camera_fake import FakeCamera, settings
from tests.waiting import until

WIDTH, HEIGHT = 160, 120
Image = NDArray[np.uint8]


class Sensor:
    """With a pattern of its own, hot pixels, and a window whose corners get less light."""

    def __init__(self, seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        self.dark = np.abs(self.rng.normal(4, 2, (HEIGHT, WIDTH, 3)))
        self.dark[self.rng.random((HEIGHT, WIDTH)) < 1e-3] += 60
        y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
        self.shade = (1 - 0.25 * (x * x + y * y))[..., None]

    def take(self, light: Any, noise: float = 2.0) -> Image:
        """`light` is 0 for dark, 1 for white paper, or a picture between."""
        lit = self.dark + 200 * light * self.shade
        return np.clip(lit + self.rng.normal(0, noise, lit.shape) + 0.5, 0, 255).astype(np.uint8)


def about(**changes: Any) -> About:
    made = About(
        version=calibration.VERSION,
        camera="046d:0825:AB12",
        width=WIDTH,
        height=HEIGHT,
        pixel_format="MJPG",
        exposure_us={"white": 2000},
        gain=16,
        made=datetime(2026, 6, 15, tzinfo=UTC),
        frames=16,
        simulated=False,
        measured=calibration.unmeasured(),
    )
    return msgspec.structs.replace(made, **changes)


def burst(sensor: Sensor, light: float, frames: int = 16) -> Mean:
    mean = Mean()
    for _ in range(frames):
        mean.add(sensor.take(light))
    return mean


def made(sensor: Sensor | None = None, **changes: Any) -> Calibration:
    sensor = sensor or Sensor()
    dark, flat = burst(sensor, 0), burst(sensor, 1)
    assert calibration.dark_fault(dark) is None
    assert calibration.flat_fault(flat) is None
    return calibration.make(dark, {Light.WHITE: flat}, about(**changes))


def test_pattern_and_shading_are_taken_out() -> None:
    sensor = Sensor()
    calibrated = made(sensor)
    measured = calibration.measure(
        calibrated,
        2.0,
        [sensor.take(0) for _ in range(8)],
        {Light.WHITE: [sensor.take(1) for _ in range(8)]},
    )
    print(measured)
    assert measured.pattern_before > 2.5
    assert measured.pattern_after < 0.4 * measured.pattern_before
    assert measured.shading_before["white"] > 0.25
    assert measured.shading_after["white"] < 0.02


def test_a_page_is_as_even_as_it_is() -> None:
    """Half black, half white: as far apart in the corners as in the middle, and nothing beside it is changed."""
    sensor = Sensor()
    page = np.tile(np.repeat([[0.2], [1.0]], 4, axis=0).repeat(WIDTH, axis=1), (15, 1))[..., None]
    plain = sensor.take(page)
    even = made(sensor).apply(plain, Light.WHITE)
    white = even[page[..., 0] == 1.0].astype(float)
    corner, middle = even[4:8, :10].mean(), even[60:64, 75:85].mean()
    assert abs(corner - middle) < 3
    assert white.std() < plain[page[..., 0] == 1.0].astype(float).std() / 2
    assert even.dtype == np.uint8
    assert even.shape == plain.shape


def test_a_light_that_was_not_measured_loses_the_dark_pattern_alone() -> None:
    sensor = Sensor()
    calibrated = made(sensor)
    dark = calibrated.apply(sensor.take(0), Light.IR)
    assert dark.mean() < sensor.take(0).mean() / 2


def test_a_file_is_what_was_made() -> None:
    calibrated = made()
    data = encode(calibrated)
    read = decode(data)
    assert read.about == calibrated.about
    assert read.name == calibrated.name
    frame = Sensor().take(0.5)
    assert np.array_equal(read.apply(frame, Light.WHITE), calibrated.apply(frame, Light.WHITE))
    assert describe(data) == (calibrated.about, (Light.WHITE,), calibrated.name)


@pytest.mark.parametrize("part", ["first", "header", "arrays", "checksum"])
def test_any_changed_octet_is_noticed(part: str) -> None:
    data = bytearray(encode(made()))
    at = {"first": 0, "header": 60, "arrays": len(data) // 2, "checksum": len(data) - 1}[part]
    data[at] ^= 1
    with pytest.raises(DecodeError) as caught:
        decode(bytes(data))
    assert caught.value.code in {"camera.calibration_damaged", "camera.not_a_calibration"}


def _sealed(body: bytes) -> bytes:
    import hashlib

    return body + hashlib.sha256(body).digest()


@given(st.binary(max_size=400))
def test_bytes_with_a_right_checksum_are_no_calibration(junk: bytes) -> None:
    """Whoever can make a checksum still makes no picture of a hundred gigabytes."""
    for data in (junk, _sealed(junk), _sealed(b"edged camera calibration\n" + junk)):
        with pytest.raises(DecodeError):
            decode(data)


@given(
    width=st.integers(1, 1 << 16),
    height=st.integers(1, 1 << 16),
    lengths=st.lists(st.integers(-5, 1 << 40), max_size=3),
    packed=st.binary(max_size=60),
)
def test_a_header_promises_nothing(width: int, height: int, lengths: list[int], packed: bytes) -> None:
    header = {"about": msgspec.to_builtins(about(width=width, height=height)), "lights": ["white"]}
    text = json.dumps(header | {"lengths": lengths}).encode()
    with pytest.raises(DecodeError):
        decode(_sealed(b"edged camera calibration\n" + text + b"\n" + packed))


def test_bad_bursts_are_refused() -> None:
    sensor = Sensor()
    assert calibration.dark_fault(burst(sensor, 0, 4)) == "camera.calibration_too_few"
    assert calibration.dark_fault(burst(sensor, 0.5)) == "camera.dark_not_dark"
    assert calibration.flat_fault(burst(sensor, 0.05)) == "camera.flat_too_dark"
    assert calibration.flat_fault(burst(sensor, 1.4)) == "camera.flat_too_bright"
    unsteady = Mean()
    for number in range(16):
        unsteady.add(sensor.take(1.0 if number % 4 else 0.7))
    assert calibration.flat_fault(unsteady) == "camera.flat_unsteady"


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"camera": "046d:0825:CD34"}, "camera.calibration_of_other"),
        ({"width": 320}, "camera.calibration_other_format"),
        ({"pixel_format": "YUYV"}, "camera.calibration_other_format"),
        ({}, None),
    ],
)
def test_it_fits_one_camera_as_it_is_set(other: dict[str, Any], code: str | None) -> None:
    now = {"camera": "046d:0825:AB12", "width": WIDTH, "height": HEIGHT, "pixel_format": "MJPG"}
    assert made().fits(Situation(**(now | other))) == code


# --- in the driver --------------------------------------------------------------------------------------------


def filming(sensor: Sensor) -> FakeCamera:
    fake = FakeCamera()
    fake.picture = lambda *_: sensor.take(0.6)
    return fake


def stored(path: Path, **changes: Any) -> Path:
    path.write_bytes(encode(made(**changes)))
    return path


async def test_pictures_are_corrected_and_say_with_what(tmp_path: Path) -> None:
    path = stored(tmp_path / "calibration")
    name = decode(path.read_bytes()).name
    async with UvcCamera(settings(calibration=path), filming(Sensor()).opener) as camera:
        frame = await camera.capture(Light.WHITE)
        assert frame.shot is not None
        assert frame.shot.calibration == name
        small = frame.image().reshape(6, 20, 8, 20, 3).mean(axis=(1, 3, 4))
        assert small.max() - small.min() < 4  # the window's corners have a tenth less light
        dark = await camera.look(None)
        assert dark.shot is not None
        assert dark.shot.calibration is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"camera": "046d:0825:CD34"}, "camera.calibration_of_other"),
        ({"pixel_format": "YUYV"}, "camera.calibration_other_format"),
        ({"exposure_us": {"white": 4000}}, "camera.calibration_other_exposure"),
    ],
)
async def test_a_calibration_that_is_not_this_cameras_stops_it(
    tmp_path: Path, changes: dict[str, Any], code: str
) -> None:
    path = stored(tmp_path / "calibration", **changes)
    async with UvcCamera(settings(calibration=path), filming(Sensor()).opener) as camera:
        assert camera.trouble == Reason(code)
        with pytest.raises(DeviceError, match=code):
            await camera.capture(Light.WHITE)


async def test_a_camera_that_is_calibrated_anew_needs_no_new_daemon(tmp_path: Path) -> None:
    path = stored(tmp_path / "calibration", camera="046d:0825:CD34")
    async with UvcCamera(settings(calibration=path), filming(Sensor()).opener) as camera:
        assert camera.trouble == Reason("camera.calibration_of_other")
        stored(tmp_path / "anew").replace(path)
        await until(lambda: camera.trouble is None)


async def test_a_damaged_or_missing_calibration_stops_the_camera_until_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "calibration"
    async with UvcCamera(settings(calibration=path), filming(Sensor()).opener) as camera:
        assert camera.trouble is not None
        assert camera.trouble.code == "camera.calibration_missing"
    path.write_bytes(encode(made())[:-1] + b"?")
    async with UvcCamera(settings(calibration=path), filming(Sensor()).opener) as camera:
        assert camera.trouble == Reason("camera.calibration_damaged")
        stored(path)
        events = camera.events()
        async with asyncio.timeout(60):
            await anext(events)  # gone
            await anext(events)  # back, by itself
        await camera.capture(Light.WHITE)


class Desk:
    """Somebody who does what the command asks for."""

    def __init__(self) -> None:
        self.sensor = Sensor()
        self.light: Any = 0.6
        self.asked: list[str] = []

    async def ask(self, code: str) -> None:
        self.asked.append(code)
        self.light = 0.0 if code == "camera.ask_dark" else 1.0

    def picture(self, *_: float) -> Image:
        return self.sensor.take(self.light)


async def test_a_calibration_is_taken_step_by_step() -> None:
    desk, fake = Desk(), FakeCamera()
    fake.picture = desk.picture
    seen: list[tuple[Light | None, int, int]] = []
    async with UvcCamera(settings(), fake.opener) as camera, BareHead(camera) as head:
        found = await calibrate(camera, head, 16, ask=desk.ask, progress=lambda *one: seen.append(one))
    assert desk.asked == ["camera.ask_dark", "camera.ask_flat"]
    assert found.about.camera == "046d:0825:AB12"
    assert found.about.exposure_us == {"white": 2000}
    assert found.about.measured.shading_after["white"] < 0.1 * found.about.measured.shading_before["white"]
    assert found.about.measured.pattern_after < found.about.measured.pattern_before
    assert seen[0] == (None, 1, 24)
    assert seen[-1] == (Light.WHITE, 24, 24)


@pytest.mark.parametrize("fault", ["camera.dark_not_dark", "camera.flat_not_white"])
async def test_a_calibration_says_what_is_wrong_with_the_desk(fault: str) -> None:
    desk, fake = Desk(), FakeCamera()
    page = np.where(np.arange(WIDTH) // 20 % 2, 0.3, 1.0)[None, :, None]

    async def ask(code: str) -> None:
        desk.light = 0.4 if fault == "camera.dark_not_dark" else 0.0 if code == "camera.ask_dark" else page

    fake.picture = desk.picture
    async with UvcCamera(settings(), fake.opener) as camera, BareHead(camera) as head:
        with pytest.raises(DeviceError, match=fault):
            await calibrate(camera, head, 8, ask=ask)


def test_the_command_writes_a_file_that_show_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edged import config
    from edged.device_settings import HeadSettings

    desk, fake = Desk(), FakeCamera()
    kinds = iter([0.0, 1.0])
    fake.picture = lambda *_: desk.sensor.take(desk.light)
    out = tmp_path / "camera.calibration"
    box = type("Box", (), {"camera": settings(calibration=out), "head": HeadSettings(driver="bare")})()
    monkeypatch.setattr(config, "load_box", lambda _: box)
    monkeypatch.setattr(uvc, "open_device", fake.opener)
    monkeypatch.setattr(
        "sys.stdin.readline", lambda: setattr(desk, "light", next(kinds)) or "\n", raising=False
    )
    with logging_state.restored():
        assert main(["camera", "calibrate", "--config", "edged.toml", "--frames", "8"]) == 0
    said = capsys.readouterr()
    assert str(out) in said.out
    assert "16" in said.err
    assert main(["camera", "show", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["camera"] == "046d:0825:AB12"
    assert found["lights"] == ["white"]
    assert found["measured"]["shading_before"]["white"] > found["measured"]["shading_after"]["white"]
    assert main(["camera", "show", str(out)]) == 0
    assert found["name"] in capsys.readouterr().out
    out.write_bytes(out.read_bytes()[:-1])
    assert main(["camera", "show", str(out)]) == 65

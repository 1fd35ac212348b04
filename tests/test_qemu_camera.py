"""The camera's driver on a real V4L2 device: the kernel's test camera (vivid), under Debian's own kernel."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.qemu import kernel
from tests.qemu.machine import Machine, missing

pytestmark = [
    pytest.mark.hardware,
    pytest.mark.timeout(600),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

GONE, BACK = "DeviceGone(device='camera')", "DeviceBack(device='camera')"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with Machine(tmp_path_factory.mktemp("camera")) as machine:
        machine.run(kernel.loading("camera"))
        told: dict[str, Any] = json.loads(machine.run(".venv/bin/python -m tests.qemu.camera", 300)[-1])
    print(json.dumps(told))
    return told


def test_it_is_listed_by_its_stable_name(found: dict[str, Any]) -> None:
    assert found["listed"] == [
        "/dev/v4l/by-path/platform-vivid.0-video-index0",
        "platform:vivid-000",
        True,
        None,
    ]
    assert [640, 480] in found["sizes"]


def test_what_is_set_is_what_the_kernel_has(found: dict[str, Any]) -> None:
    assert found["set"] == {
        "format": ["YUYV", 640, 480],
        "gain": [77, 77, 0],
        "refused": ["white_balance_k", "exposure_us.white"],
        "shape": [480, 640, 3],
        "provenance": ["uvc", "platform:vivid-000", True],
        "exposure_is_fixed": False,
    }


def test_every_format_comes_as_a_picture(found: dict[str, Any]) -> None:
    assert found["formats"] == {
        "YUYV": [720, 1280, 3],
        "RGB3": [360, 640, 3],
        "GREY": [180, 320, 3],
        "641": "camera.format_refused",
        "MJPG": "camera.no_such_format",
    }


def test_a_frame_is_new(found: dict[str, Any]) -> None:
    assert found["flushed"]["fresh"] == [True] * 5


def test_what_cameras_do_wrong_is_told(found: dict[str, Any]) -> None:
    assert found["misbehaving"] == {
        "black": "camera.black",
        "white": "camera.over_exposed",
        "frozen": "camera.frozen",
        "silent": "camera.silent",
        "told": GONE,
        "back": BACK,
        "after": "",
    }


def test_it_is_unplugged_at_any_moment_and_plugged_in_again(found: dict[str, Any]) -> None:
    assert found["unplugged"] == {
        "idle": GONE,
        "idle code": "camera.unplugged",
        "idle back": BACK,
        "idle again": "",
        "capture failed": "camera.unplugged",
        "capture": GONE,
        "capture code": "camera.unplugged",
        "capture back": BACK,
        "capture again": "",
        "never": "camera.not_there",
        "never events": [GONE, BACK],
        "never again": "",
    }


def test_it_is_calibrated(found: dict[str, Any]) -> None:
    assert found["calibrated"] == {"simulated": True, "camera": "platform:vivid-000"}

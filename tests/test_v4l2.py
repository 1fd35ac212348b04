"""What Linux says of its cameras, on made-up trees of /dev and /sys; the ioctls themselves: test_qemu_camera.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.config import parse_toml
from edged.device_checks import check_camera
from edged.device_settings import CameraSettings
from edged.drivers import uvc, v4l2
from edged.errors import ConfigError, DeviceError, DeviceGoneError


def machine(root: Path) -> tuple[Path, Path]:
    """A USB camera with two nodes and a serial number, one without udev's names, a loopback."""
    dev, sysfs = root / "dev", root / "sys"
    usb = sysfs / "devices" / "pci0000:00" / "usb1" / "1-3"
    (usb / "1-3:1.0").mkdir(parents=True)
    for name, text in {"idVendor": "046d\n", "idProduct": "0825\n", "serial": "AB\x07 12\n"}.items():
        (usb / name).write_text(text)
    loop = sysfs / "devices" / "virtual" / "video4linux" / "video2"
    loop.mkdir(parents=True)
    (dev / "v4l" / "by-id").mkdir(parents=True)
    (dev / "v4l" / "by-path").mkdir(parents=True)
    (sysfs / "class" / "video4linux").mkdir(parents=True)
    for name in ("video0", "video1"):
        node = usb / "1-3:1.0" / "video4linux" / name
        node.mkdir(parents=True)
        (node / "device").symlink_to(usb / "1-3:1.0")
        (sysfs / "class" / "video4linux" / name).symlink_to(node)
        (dev / name).touch()
    (sysfs / "class" / "video4linux" / "video2").symlink_to(loop)
    (dev / "video2").touch()
    (dev / "v4l" / "by-path" / "pci-usb-0:3:1.0-video-index0").symlink_to("../../video0")
    (dev / "v4l" / "by-id" / "usb-046d_0825_AB12-video-index0").symlink_to("../../video0")
    return dev, sysfs


def test_cameras_are_listed_by_their_stable_names(tmp_path: Path) -> None:
    dev, sysfs = machine(tmp_path)
    found = v4l2.cameras(dev, sysfs)
    assert [one.node.name for one in found] == ["video0", "video1", "video2"]
    assert found[0].path == dev / "v4l" / "by-id" / "usb-046d_0825_AB12-video-index0"
    assert v4l2.is_stable(found[0].path)
    assert not v4l2.is_stable(found[1].path)
    assert found[0].identity == "046d:0825:AB? 12"
    assert [one.simulated for one in found] == [False, False, True]
    assert {one.error for one in found} == {"camera.not_a_camera"}  # these are files


def test_software_is_known_by_its_driver_too(tmp_path: Path) -> None:
    dev, sysfs = machine(tmp_path)
    for driver, simulated in {"uvcvideo": False, "vivid": True, "v4l2 loopback": True}.items():
        capability = v4l2.Capability(driver, "x", "y", captures=True)
        assert v4l2.is_software(dev / "video0", sysfs, capability) is simulated


def test_a_machine_without_cameras_has_none(tmp_path: Path) -> None:
    assert v4l2.cameras(tmp_path, tmp_path) == ()


def test_what_is_no_camera_says_so(tmp_path: Path) -> None:
    with pytest.raises(DeviceGoneError, match="not_there"):
        v4l2.Node(tmp_path / "video0")
    with v4l2.Node(Path("/dev/null")) as node:
        with pytest.raises(DeviceError, match="not_a_camera"):
            node.capability()
        assert node.formats() == ()
        assert node.sizes("MJPG") == ()
        assert node.format() is None
        assert node.range(v4l2.Control.GAIN) is None
        assert node.get(v4l2.Control.GAIN) is None
        assert node.set(v4l2.Control.GAIN, 1) is None
    with pytest.raises(DeviceGoneError):
        node.capability()  # closed
    node.close()


def test_the_driver_says_what_it_was_pointed_at(tmp_path: Path) -> None:
    with pytest.raises(DeviceGoneError, match="not_there"):
        uvc.open_device(CameraSettings(device=tmp_path / "camera"))
    with pytest.raises(DeviceError, match="not_a_camera"):
        uvc.open_device(CameraSettings(device=Path("/dev/null")))


def settings(text: str) -> CameraSettings:
    return parse_toml(f'device = "/dev/v4l/by-id/x"\n{text}'.encode(), CameraSettings, base=Path("/"))


def test_settings_as_a_technician_writes_them() -> None:
    found = settings(
        "width = 1920\nheight = 1080\npixel_format = 'MJPG'\nlights = ['white', 'ir']\n"
        "exposure_us = { white = 8000, ir = 12000 }\ngain = 0\nwhite_balance_k = 5000\ntrigger = 'strobe'\n"
        "calibration = '/var/lib/edged/camera.calibration'\n"
    )
    check_camera(found)
    assert found.exposure_us == {"white": 8000, "ir": 12000}


@pytest.mark.parametrize(
    ("text", "where", "code"),
    [
        ("width = 1920", "camera.height", "config.required_by"),
        ("height = 1080", "camera.width", "config.required_by"),
        ("width = 10\nheight = 1080", "camera.width", "config.out_of_range"),
        ("pixel_format = 'mjpeg'", "camera.pixel_format", "camera.not_four_characters"),
        ("exposure_us = { white = 5 }", "camera.exposure_us.white", "config.out_of_range"),
        ("exposure_us = { ir = 5000 }", "camera.exposure_us.ir", "config.only_with"),
        ("trigger = 'strobe'", "camera.exposure_us.white", "config.required_by"),
        ("warm_up_frames = 1000", "camera.warm_up_frames", "config.out_of_range"),
    ],
)
def test_settings_that_no_camera_can_have(text: str, where: str, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_camera(settings(text))
    assert (caught.value.where, caught.value.code) == (where, code)


def test_a_camera_of_files_has_no_picture_to_be_set() -> None:
    with pytest.raises(ConfigError) as caught:
        check_camera(CameraSettings(driver="simulated", socket=Path("/x"), gain=1))
    assert (caught.value.where, caught.value.code) == ("camera.gain", "config.only_with")

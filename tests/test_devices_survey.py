"""What is attached and what is missing: a look at made-up ports, judged; and the command that says it."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged import messages
from edged.cli import main
from edged.config import BoxSettings, load_box
from edged.control import ControlServer
from edged.control_methods import device_list
from edged.device_settings import (
    CameraSettings,
    HeadSettings,
    IdCardSettings,
    PrinterSettings,
    SwipeSettings,
)
from edged.drivers.facts import DeviceFacts
from edged.drivers.simulated import FileCamera, SimulatedGlass, SimulatedHead
from edged.technician.snapshot import Node, Snapshot, UsbDevice, User
from edged.technician.survey import Row, Told, survey
from edged.technician.taking import take
from edged.uplink.envelope import Provenance
from edged.verdict import Reason
from tests.box import Box

EDGED = User(name="edged", uid=990, gids=(990, 20))
ACM = Node(
    path="/dev/ttyACM0",
    stable=("/dev/serial/by-id/usb-edged_reader_head_7-if00",),
    mode=0o660,
    gid=20,
    group="dialout",
)
HEAD = UsbDevice(
    name="1-1",
    vendor="1209",
    product="0001",
    label="edged reader head",
    serial="7",
    interfaces=((0xFF, 0x45, 0x48), (2, 2, 1)),
    ports=(ACM,),
    node=Node(path="/dev/bus/usb/001/004", mode=0o660, gid=990, group="edged"),
)
CAMERA = UsbDevice(
    name="1-2",
    vendor="abcd",
    product="0002",
    label="Some camera",
    interfaces=((0x0E, 1, 0), (0x0E, 2, 0)),
    ports=(Node(path="/dev/video0", stable=("/dev/v4l/by-id/usb-cam",), mode=0o660, gid=44, group="video"),),
)
CHIP = UsbDevice(name="1-3", vendor="076b", product="5422", label="OMNIKEY", interfaces=((0x0B, 0, 0),))
ALL = Snapshot(
    user=EDGED,
    usb=(HEAD, CAMERA, CHIP),
    libraries=frozenset({"smartcard", "escpos"}),
    programs=frozenset({"pcscd"}),
)


@pytest.fixture
def plain(tmp_path: Path) -> BoxSettings:
    return load_box(Box(tmp_path / "box").config)


def with_(plain: BoxSettings, **sections: Any) -> BoxSettings:
    return msgspec.structs.replace(plain, **sections)


def row(rows: tuple[Row, ...], name: str) -> Row:
    return next(one for one in rows if one.name == name)


def codes(one: Row) -> list[str]:
    assert all(messages.known(problem.code) for problem in one.problems)
    for problem in one.problems:
        for lang in messages.LANGUAGES:
            assert "…" not in messages.reason(problem, lang), "a sentence lacks what fills it"
    return [problem.code for problem in one.problems]


def real(plain: BoxSettings, port: str = ACM.stable[0]) -> BoxSettings:
    return with_(
        plain,
        head=HeadSettings(driver="serial", port=port),
        camera=CameraSettings(device=Path("/dev/v4l/by-id/usb-cam")),
    )


def test_all_is_there(plain: BoxSettings) -> None:
    rows = survey(
        real(plain), msgspec.structs.replace(ALL, user=User(name="edged", uid=1, gids=(20, 44))), None
    )
    head = row(rows, "head")
    assert (head.state, head.identity, head.model, head.simulated) == (
        "attached",
        "7",
        "edged reader head",
        False,
    )
    assert codes(head) == codes(row(rows, "camera")) == []
    assert [one.name for one in rows if one.state == "free"] == ["usb:1-3"]
    assert row(rows, "usb:1-3").could_be == ("chip_reader",)


def test_a_group_that_is_missing(plain: BoxSettings) -> None:
    problem = row(survey(real(plain), ALL, None), "camera").problems[0]
    assert problem == Reason("devices.not_member", {"port": "/dev/video0", "user": "edged", "group": "video"})
    assert "usermod -aG video edged" in messages.reason(problem, "en")


@pytest.mark.parametrize(
    ("mode", "gid", "group"), [(0o600, 0, "root"), (0o660, 0, "root"), (0o640, 44, "video")]
)
def test_a_rule_that_is_missing(plain: BoxSettings, mode: int, gid: int, group: str) -> None:
    node = msgspec.structs.replace(ACM, mode=mode, gid=gid, group=group)
    seen = Snapshot(user=EDGED, usb=(msgspec.structs.replace(HEAD, ports=(node,)),))
    assert codes(row(survey(real(plain), seen, None), "head")) == ["devices.no_rule"]


def test_a_port_that_is_not_there(plain: BoxSettings) -> None:
    head = row(survey(real(plain), Snapshot(user=EDGED), None), "head")
    assert (head.state, codes(head)) == ("missing", ["devices.no_port"])


def test_a_name_that_changes(plain: BoxSettings) -> None:
    head = row(survey(real(plain, "/dev/ttyACM0"), ALL, None), "head")
    assert (head.state, codes(head)) == ("attached", ["devices.unstable_name"])
    assert head.problems[0].params["stable"] == ACM.stable[0]


def test_another_program_holds_it(plain: BoxSettings) -> None:
    node = msgspec.structs.replace(ACM, holders=("ModemManager (77)",))
    seen = Snapshot(user=EDGED, usb=(msgspec.structs.replace(HEAD, ports=(node,)),))
    head = row(survey(real(plain), seen, None), "head")
    assert codes(head) == ["devices.held"]
    assert "ModemManager (77)" in messages.reason(head.problems[0], "en")


def test_libraries_and_programs(plain: BoxSettings) -> None:
    from edged.config import ChipReaderSettings

    wanted = with_(plain, chip_reader=ChipReaderSettings(driver="pcsc"), printer=PrinterSettings(port="usb"))
    rows = survey(wanted, Snapshot(user=EDGED), None)
    assert codes(row(rows, "chip")) == ["chip.no_pyscard", "devices.no_pcscd", "devices.no_ccid"]
    assert codes(row(rows, "printer")) == ["devices.no_escpos", "devices.no_usb"]
    assert row(survey(wanted, ALL, None), "chip").state == "attached"


@pytest.mark.parametrize(
    ("selector", "state"),
    [
        (None, "attached"),
        ("1209:0001", "attached"),
        ("1209:0001:7", "attached"),
        ("1209:0001:8", "missing"),
        ("9999:0001", "missing"),
    ],
)
def test_a_head_on_usb(plain: BoxSettings, selector: str | None, state: str) -> None:
    wanted = with_(real(plain), head=HeadSettings(driver="usb", usb=selector))
    assert row(survey(wanted, ALL, None), "head").state == state


def test_modules_beside_the_window(plain: BoxSettings) -> None:
    sam = UsbDevice(name="1-4", vendor="0400", product="c35a")
    wedge = UsbDevice(name="1-5", vendor="0c2e", product="0b61", interfaces=((3, 1, 1),))
    printer = UsbDevice(name="1-6", vendor="04b8", product="0202", interfaces=((7, 1, 2),))
    seen = msgspec.structs.replace(ALL, usb=(sam, wedge, printer))
    rows = survey(plain, seen, None)
    assert [(one.name, one.could_be) for one in rows if one.state == "free"] == [
        ("usb:1-4", ("id_card",)),
        ("usb:1-5", ("swipe",)),
        ("usb:1-6", ("printer",)),
    ]
    other = with_(plain, id_card=IdCardSettings(usb="0400:c35b"))
    assert row(survey(other, seen, None), "id_card").state == "missing"
    wanted = with_(
        plain,
        id_card=IdCardSettings(),
        printer=PrinterSettings(port="usb:04b8:0202"),
        swipe=SwipeSettings(port="/dev/x"),
    )
    rows = survey(wanted, seen, None)
    assert (row(rows, "id_card").state, row(rows, "printer").state, row(rows, "swipe").state) == (
        "attached",
        "attached",
        "missing",
    )


def test_a_camera_without_its_kernel_driver(plain: BoxSettings) -> None:
    seen = Snapshot(user=EDGED, usb=(msgspec.structs.replace(CAMERA, ports=()),))
    problem = row(survey(plain, seen, None), "usb:1-2").problems[0]
    assert "modprobe uvcvideo" in messages.reason(problem, "en")


def told(**more: Any) -> Told:
    return Told(**({"gone": False, "provenance": Provenance("serial", "7", simulated=False)} | more))


def test_the_daemons_word_goes_first(plain: BoxSettings) -> None:
    held = msgspec.structs.replace(ACM, holders=("edged (5)",))
    seen = Snapshot(user=EDGED, usb=(msgspec.structs.replace(HEAD, ports=(held,)),))
    facts = DeviceFacts(present=True, versions={"firmware": "1.2"}, counters={"resent": 3})
    head = row(survey(real(plain), seen, {"head": told(facts=facts)}), "head")
    assert (head.state, head.versions, head.counters, codes(head)) == (
        "ready",
        {"firmware": "1.2"},
        {"resent": 3},
        [],
    )
    head = row(survey(real(plain), Snapshot(user=EDGED), {"head": told(gone=True)}), "head")
    assert (head.state, codes(head)) == ("gone", ["devices.no_port"])
    head = row(survey(real(plain), seen, {"head": told(trouble=Reason("chip.busy"))}), "head")
    assert (head.state, codes(head)) == ("trouble", ["chip.busy", "devices.held"])


def test_a_simulated_box_has_nothing_to_look_at(plain: BoxSettings) -> None:
    rows = survey(plain, Snapshot(user=EDGED), None)
    assert [(one.name, one.state, one.simulated, one.problems) for one in rows] == [
        ("head", "unseen", True, ()),
        ("camera", "unseen", True, ()),
    ]


def test_without_a_boot_file_what_is_attached_is_told() -> None:
    assert [one.state for one in survey(None, ALL, None)] == ["free"] * 3


# --- the look itself ---


class Machine:
    """A directory that looks like a machine's /sys, /dev and /proc."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in (
            "sys/bus/usb/devices",
            "sys/class/tty",
            "sys/class/video4linux",
            "proc",
            "dev/serial/by-id",
        ):
            (root / name).mkdir(parents=True)

    def usb(self, name: str, interfaces: dict[str, tuple[str, str, str]], **attributes: str) -> Path:
        device = self.root / "sys/devices/pci0000:00/usb1" / name
        device.mkdir(parents=True)
        for key, value in attributes.items():
            (device / key).write_text(f"{value}\n")
        for interface, numbers in interfaces.items():
            (device / interface).mkdir()
            for key, value in zip(
                ("bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol"), numbers, strict=True
            ):
                (device / interface / key).write_text(f"{value}\n")
        (self.root / "sys/bus/usb/devices" / name).symlink_to(device)
        return device

    def port(self, kind: str, name: str, parent: Path, *, stable: str | None = None) -> Path:
        entry = parent / kind / name
        entry.mkdir(parents=True)
        (entry / "device").symlink_to(parent)
        (self.root / "sys/class" / kind / name).symlink_to(entry)
        node = self.root / "dev" / name
        node.touch()
        node.chmod(0o660)
        if stable is not None:
            (self.root / stable).symlink_to(node)
        return node

    def process(self, number: int, name: str, opened: Path) -> None:
        process = self.root / "proc" / str(number)
        (process / "fd").mkdir(parents=True)
        (process / "comm").write_text(f"{name}\n")
        (process / "fd" / "3").symlink_to(opened)


def test_a_look_at_a_machine(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.usb("usb1", {}, idVendor="1d6b", idProduct="0002", bDeviceClass="09", product="root hub")
    head = machine.usb(
        "1-1",
        {"1-1:1.0": ("ff", "45", "48"), "1-1:1.1": ("02", "02", "01")},
        idVendor="1209",
        idProduct="000A",
        bDeviceClass="00",
        manufacturer="edged",
        product="reader head",
        serial="7",
        busnum="1",
        devnum="4",
    )
    node = machine.port("tty", "ttyACM0", head / "1-1:1.1", stable="dev/serial/by-id/usb-edged-if00")
    machine.port("tty", "ttyS0", machine.root / "sys/devices/pnp0/serial0")
    (tmp_path / "dev/bus/usb/001").mkdir(parents=True)
    (tmp_path / "dev/bus/usb/001/004").touch(0o600)
    machine.process(77, "ModemManager", node)
    machine.process(78, "sh", tmp_path / "etc")
    (tmp_path / "proc/self").mkdir()
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/pcscd").touch(0o755)

    seen = take(tmp_path, EDGED)
    (device,) = seen.usb
    assert (device.vendor, device.product, device.label, device.serial) == (
        "1209",
        "000a",
        "edged reader head",
        "7",
    )
    assert device.interfaces == ((0xFF, 0x45, 0x48), (2, 2, 1))
    assert not device.simulated
    (port,) = device.ports
    assert (port.path, port.stable, port.mode) == (
        "/dev/ttyACM0",
        ("/dev/serial/by-id/usb-edged-if00",),
        0o660,
    )
    assert port.holders == ("ModemManager (77)",)
    assert device.node is not None
    assert device.node.path == "/dev/bus/usb/001/004"
    assert [one.path for one in seen.ports] == ["/dev/ttyS0"]
    assert seen.programs == {"pcscd"}
    assert seen.nodes()["/dev/serial/by-id/usb-edged-if00"] == port


def test_a_machine_without_anything(tmp_path: Path) -> None:
    seen = take(tmp_path, EDGED)
    assert (seen.usb, seen.ports, seen.programs) == ((), (), frozenset())


def test_a_look_at_this_machine() -> None:
    assert take().user.name


@given(st.binary(max_size=600), st.text(max_size=40))
@settings(max_examples=30, deadline=None)
def test_whatever_a_device_calls_itself(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, text: str
) -> None:
    machine = Machine(tmp_path_factory.mktemp("machine"))
    device = machine.usb("1-9", {"1-9:1.0": ("zz", "", "-1")}, idVendor="0403", idProduct="6001")
    for key in ("manufacturer", "serial", "bDeviceClass", "busnum", "devnum"):
        (device / key).write_bytes(noise)
    (device / "product").write_text(text, encoding="utf-8", errors="replace")
    (row_,) = survey(None, take(machine.root, EDGED), None) or (None,)
    assert row_ is None or row_.state == "free"
    json.dumps(msgspec.to_builtins(row_))


# --- the command ---


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["devices", *arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_the_command_without_a_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(Box(tmp_path / "box").config)
    code, out, _ = listed(capsys, "--config", config, "--json")
    assert code == os.EX_OK
    said = json.loads(out)["devices"]
    assert [one["name"] for one in said if one["section"]] == ["head", "camera"]
    for lang in messages.LANGUAGES:
        code, out, _ = listed(capsys, "list", "--config", config, "--lang", lang)
        assert messages.text("devices.state_unseen", lang) in out
        assert "devices." not in out


def test_options_may_stand_before_the_action(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(Box(tmp_path / "box").config)
    for arguments in (("list", "--config", config, "--json"), ("--config", config, "--json", "list")):
        code, out, _ = listed(capsys, *arguments)
        assert (code, [one["name"] for one in json.loads(out)["devices"]][:2]) == (
            os.EX_OK,
            ["head", "camera"],
        )


def test_a_device_that_is_missing_ends_with_a_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Box(tmp_path / "box").config
    config.write_text(config.read_text() + f'\n[swipe]\nport = "{tmp_path}/ttyX"\n')
    code, out, _ = listed(capsys, "--config", str(config))
    assert code == os.EX_UNAVAILABLE
    assert f"There is no {tmp_path}/ttyX. Plug the device in" in out


def test_a_broken_boot_file_is_told_and_the_rest_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "edged.toml").write_text("nonsense = 1\n")
    code, out, err = listed(capsys, "--config", str(tmp_path / "edged.toml"), "--json")
    assert code == os.EX_CONFIG
    assert "nonsense" in err
    assert json.loads(out)["devices"] is not None


async def test_a_running_daemon_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    box = Box(tmp_path / "box")
    glass = SimulatedGlass(tmp_path / "glass.sock")
    glass.unplug("camera")
    devices = {"head": SimulatedHead(glass), "camera": FileCamera(glass)}

    async def answer(params: Any) -> Any:
        return device_list(devices, {"camera"})

    async with ControlServer(tmp_path / "box" / "control.sock", {"devices": answer}):
        code, out, _ = await asyncio.to_thread(listed, capsys, "--config", str(box.config), "--json")
        said = {one["name"]: one for one in json.loads(out)["devices"] if one["section"]}
        assert code == os.EX_UNAVAILABLE
        assert (said["head"]["state"], said["head"]["identity"]) == ("ready", "simulated-head")
        assert (said["camera"]["state"], said["camera"]["problems"]) == (
            "gone",
            [{"code": "device.unplugged"}],
        )

    async def odd(params: Any) -> Any:
        return {"head": "as it was before"}

    async with ControlServer(tmp_path / "box" / "control.sock", {"devices": odd}):
        code, out, err = await asyncio.to_thread(listed, capsys, "--config", str(box.config))
        assert "of another version" in err


def test_watching_says_what_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edged.commands import _devices_list

    config = Box(tmp_path / "box").config
    looks = iter([Snapshot(user=EDGED, usb=usb) for usb in ((), (CHIP,), (CHIP,), ())])
    monkeypatch.setattr(_devices_list, "EVERY_S", 0.0)

    def look(named: Any) -> Snapshot:
        try:
            return next(looks)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(_devices_list, "take", look)
    code, out, _ = listed(capsys, "--config", str(config), "--watch")
    assert code == 130
    lines = out.splitlines()
    assert [
        ("OMNIKEY: not configured" in line, "OMNIKEY: unplugged" in line)
        for line in lines
        if "OMNIKEY" in line
    ] == [
        (True, False),
        (False, True),
    ]

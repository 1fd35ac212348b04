"""Drivers and the firmware's host build against USB as it is: enumerated by Debian's kernel, opened by libusb.

Behind every device stands a program (FunctionFS and the kernel's own gadgets on `dummy_hcd`), so each of them must be
known as simulated; our udev rules are applied by udevd.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.qemu.machine import Machine, missing

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.hardware,
    pytest.mark.timeout(600),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

LIMIT_S = 240


def found(directory: Path, subject: str) -> dict[str, Any]:
    with Machine(directory) as machine:
        lines = machine.run(f".venv/bin/python -m tests.qemu.usb_real {subject}", LIMIT_S)
    print(f"{subject}: {lines[-1]}")
    told: dict[str, Any] = json.loads(lines[-1])
    return told


def test_a_press_while_the_head_is_unplugged_is_not_lost(tmp_path: Path) -> None:
    from edged.emulator.host_head import build

    if shutil.which("make") is None or shutil.which("cc") is None:
        pytest.skip("no C compiler: tools/setup.sh tests")
    build()
    assert found(tmp_path, "head") == {
        "found": [[0x1209, 0x0001, True]],
        "simulated": True,
        "driver": "usb",
        "identified": True,
        "node": "edged 660",
    }


def test_a_module_with_split_endpoints_is_read_and_comes_back(tmp_path: Path) -> None:
    told = found(tmp_path, "sam")
    assert told["kinds"] == ["permanent_resident_card_2023"] * 2
    assert told["simulated"]
    assert told["node"] == "edged 660"


def test_a_printer_prints_through_libusb_and_through_the_kernels_driver(tmp_path: Path) -> None:
    told = found(tmp_path, "printer")
    assert told["told"] == [[True, True, True, True]] * 2
    assert told["texts"] == ["via usb", "via /dev/usb/lp0"]
    assert told["gone"]
    assert told["back"]
    assert (told["node"], told["lp"]) == ("edged 660", "edged 660")


def test_a_swipe_reader_on_usb_comes_back(tmp_path: Path) -> None:
    assert found(tmp_path, "swipe") == {
        "lines": [True, True],
        "identity": "2b78:0005:7",
        "simulated": True,
        "tty": "dialout 660",
    }


def test_a_wedge_types_into_no_other_program(tmp_path: Path) -> None:
    assert found(tmp_path, "keyboard") == {
        "seen": True,
        "overheard": 0,
        "held": True,
        "identity": "1234:5678",
        "simulated": True,
    }

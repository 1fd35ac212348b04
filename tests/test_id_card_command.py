"""`edged id-card`: a card on an emulated module read by the command, fields masked; and the settings of [id_card]."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edged.cli import main
from edged.device_checks import check_id_card
from edged.device_settings import IdCardSettings
from edged.emulator.id_cards import id_cards
from edged.errors import ConfigError
from tests import logging_state

SECRETS = ("ZHENGJIAN", "YANGBEN", "证件样本", "911124198108030024", "19810803", "1981-08-03")


class Emulation:
    """`edged id-card emulate` in a process of its own."""

    def __init__(self, link: Path, *more: str) -> None:
        command = [
            "env",
            "--default-signal=INT",  # a shell's background jobs ignore it
            sys.executable,
            "-m",
            "edged",
            "id-card",
            "emulate",
            "--json",
            "--port-link",
            str(link),
            *more,
        ]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def told(self) -> dict[str, str]:
        assert self.process.stdout is not None
        event: dict[str, str] = json.loads(self.process.stdout.readline())
        return event

    def order(self, **order: Any) -> dict[str, str]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self.told()


@contextlib.contextmanager
def emulation(link: Path, *more: str) -> Iterator[Emulation]:
    made = Emulation(link, *more)
    try:
        assert made.told() == {"event": "plugged", "port": str(link)}
        yield made
    finally:
        with made.process:  # closes its pipes
            made.process.send_signal(signal.SIGINT)
            assert made.process.wait(20) == 130


def run(*arguments: str) -> int:
    with logging_state.restored():
        return main(["id-card", "read", "--wait", "20", *arguments])


def test_a_card_is_read_with_its_fields_masked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    link = tmp_path / "sam"
    with emulation(link, "--card", "resident-2023") as emulated:
        assert emulated.told() == {"event": "laid", "card": "resident-2023"}
        assert run("--port", str(link), "--lang", "en") == os.EX_OK
        said = capsys.readouterr().out
        assert not [secret for secret in SECRETS if secret in said]
        for part in (
            "Z*",
            "91**************24",
            "CA***********10",
            "CAN",
            "1981",
            "2034",
            "simulated",
            "1024 bytes",
        ):
            assert part in said, part
        assert "version of 2023" in said

        assert emulated.order(do="lay", card="resident-2023-contradiction")["event"] == "laid"
        assert run("--port", str(link), "--json") == 1
        found = json.loads(capsys.readouterr().out)
        assert not [secret for secret in SECRETS if secret in str(found)]
        assert (found["result"], found["kind"]) == ("failed", "permanent_resident_card_2023")
        assert found["module"]["simulated"]
        assert [check["name"] for check in found["checks"]] == [
            "id_card_read",
            "id_card_number",
            "id_card_fields",
        ]

        assert emulated.order(do="lay", card="citizen")["event"] == "laid"
        for _ in range(2):
            assert emulated.order(do="fault", operation="read", status="33")["event"] == "fault"
        assert run("--port", str(link), "--json") == 1
        found = json.loads(capsys.readouterr().out)
        assert found["checks"][0]["reasons"][0]["code"] == "idcard.data_not_genuine"

        assert emulated.order(do="lay", card="citizen")["event"] == "laid"
        for _ in range(2):
            assert emulated.order(do="fault", operation="select", status="81")["event"] == "fault"
        assert run("--port", str(link), "--json") == 2
        assert json.loads(capsys.readouterr().out)["fields"] == {}

        assert emulated.order(do="unplug") == {"event": "unplugged"}
        assert run("--port", str(link), "--lang", "en") == os.EX_UNAVAILABLE
        assert "not connected" in capsys.readouterr().err
        assert emulated.order(do="plug") == {"event": "plugged", "port": str(link)}
        assert emulated.order(do="lift") == {"event": "lifted"}
        assert run("--port", str(link), "--wait", "0.1", "--lang", "zh-CN") == os.EX_UNAVAILABLE
        assert "未检测到卡片" in capsys.readouterr().err
        for bad in (
            {"do": "dance"},
            {"do": "lay"},
            {"do": "lay", "card": 3},
            {"do": "lift", "card": "citizen"},
            {"do": "fault", "operation": "read", "status": "4100"},
            {"do": "fault", "operation": "read", "status": "xx"},
            {"do": "fault", "operation": "sing", "status": "41"},
            {"do": "lay", "card": "nobody"},
        ):
            assert emulated.order(**bad)["event"] == "refused"


def test_in_full_on_a_terminal_alone(tmp_path: Path) -> None:
    link = tmp_path / "sam"
    with emulation(link, "--card", "resident-2023", "--baud", "57600"):
        command = [sys.executable, "-m", "edged", "id-card", "read", "--port", str(link), "--baud", "57600"]
        command.append("--show-identity")
        piped = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert piped.returncode == os.EX_USAGE
        assert not [secret for secret in SECRETS if secret in piped.stdout + piped.stderr]
        master, slave = pty.openpty()
        try:
            shown = subprocess.run(command, stdout=slave, stderr=subprocess.PIPE, timeout=30)
            said = os.read(master, 65536).decode()
        finally:
            os.close(master)
            os.close(slave)
        assert shown.returncode == os.EX_OK
        for part in ("ZHENGJIAN", "YANGBEN", "911124198108030024", "CAN110081080310", "1981-08-03"):
            assert part in said


def test_the_names_of_cards_and_operations(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["id-card", "emulate", "--list", "--json"]) == os.EX_OK
    assert json.loads(capsys.readouterr().out)["cards"] == list(id_cards())
    assert main(["id-card", "emulate", "--list", "--lang", "en"]) == os.EX_OK
    assert "five-star" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], os.EX_CONFIG),
        (["--port-link", "{file}"], os.EX_CONFIG),
        (["--port-link", "{new}", "--baud", "300"], os.EX_CONFIG),
        (["--port-link", "{new}", "--card", "nobody"], os.EX_CONFIG),
    ],
)
def test_what_can_not_be_emulated(tmp_path: Path, arguments: list[str], code: int) -> None:
    (tmp_path / "file").write_text("thesis")
    named = [one.format(file=tmp_path / "file", new=tmp_path / "new") for one in arguments]
    assert main(["id-card", "emulate", *named]) == code
    assert (tmp_path / "file").read_text() == "thesis"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"port": "/dev/ttyUSB0", "usb": "0400:c35a"}, "id_card.usb"),
        ({"port": "/dev/ttyUSB0", "usb_in": (0x81,)}, "id_card.usb_in"),
        ({"baud": 9600}, "id_card.baud"),
        ({"port": "/dev/ttyUSB0", "baud": 300}, "id_card.baud"),
        ({"usb": "400:c35a"}, "id_card.usb"),
        ({"usb": "0400:c35a:"}, "id_card.usb"),
        ({"usb": "0400:c35a:A1\n"}, "id_card.usb"),
        ({"usb_out": ()}, "id_card.usb_out"),
        ({"usb_out": (1, 2, 3)}, "id_card.usb_out"),
        ({"usb_out": (0x81,)}, "id_card.usb_out"),
        ({"usb_in": (0x01,)}, "id_card.usb_in"),
        ({"usb_in": (0x80,)}, "id_card.usb_in"),
        ({"driver": "theirs", "port": "/dev/ttyUSB0"}, "id_card.port"),
        ({"options": {"speed": 9}}, "id_card.options"),
    ],
)
def test_settings_that_can_not_be_meant(
    settings: dict[str, Any], key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "edged.device_checks.check_driver", lambda section, driver: None
    )  # "theirs" is installed
    with pytest.raises(ConfigError) as refused:
        check_id_card(IdCardSettings(**settings))
    assert refused.value.where == key


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"port": "/dev/serial/by-id/usb-x", "baud": 9600, "additional_address": True},
        {"usb": "0400:C35A:0001", "usb_out": (2,), "usb_in": (0x81,)},
        {"driver": "theirs", "options": {"speed": 9}},
    ],
)
def test_settings_that_are_in_order(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "edged.device_checks.check_driver", lambda section, driver: None
    )  # "theirs" is installed
    check_id_card(IdCardSettings(**settings))

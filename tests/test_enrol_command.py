"""`edged fleet enrol`, `edged fleet serve` and `edged enrol` as people use them, and where a token comes from."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from edged.cli import main
from edged.config import HeadSettings, load_box
from edged.core.barcode import find_barcodes
from edged.demo.hand import Hand
from edged.errors import ConfigError, DecodeError, DeviceError
from edged.fleet import qr
from edged.pushed import token_sources
from edged.pushed.enrolling import enrol
from edged.pushed.identity_files import IdentityFiles
from edged.uplink.names import Usage
from edged.uplink.token import FILE_NAME, Token, parse
from tests.box import EDGED
from tests.enrolling import HOST, Office
from tests.waiting import until

TEMPLATE = """\
version = "site-1"

[state]
directory = "state"

[control]
socket = "control.sock"

[head]
driver = "simulated"
socket = "glass.sock"

[audiences.central]
scenes = ["bank"]
[audiences.central.policy.claims]
issuing_state = "keep"
"""


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path / "office")


def fleet(office: Office, *arguments: str) -> int:
    return main(["--lang", "en", "fleet", *arguments, "--state", str(office.state.directory)])


async def edged(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *EDGED,
        "--lang",
        "en",
        *arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, errors = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, out.decode(), errors.decode()


@contextlib.asynccontextmanager
async def serving(office: Office) -> AsyncIterator[list[dict[str, Any]]]:
    """`edged fleet serve` as a process; what it says."""
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    office.at(port)
    said: list[dict[str, Any]] = []
    process = await asyncio.create_subprocess_exec(
        *EDGED, "fleet", "serve", "--listen", f"{HOST}:{port}", "--state", str(office.state.directory), "--json",
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    out = process.stdout

    async def listen() -> None:
        while line := await out.readline():
            one = json.loads(line)
            if "published" not in one["what"]:  # there is no broker here (tests/test_fleet_publishing.py)
                said.append(one)

    listening = asyncio.create_task(listen())
    try:
        await until(lambda: said)
        yield said
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await listening


async def test_from_the_admins_command_to_a_complete_box(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    template, boot = tmp_path / "box.toml", tmp_path / "edged.toml"
    template.write_text(TEMPLATE)
    identity = tmp_path / "identity"
    async with serving(office) as said:
        assert fleet(office, "enrol", "box-1", "--group", "branch", "--usb", str(stick), "--json") == 0
        shown = json.loads(capsys.readouterr().out)
        assert parse(shown["token"]) == parse((stick / FILE_NAME).read_text()) == parse(shown["qr"])
        code, out, errors = await edged(
            "enrol", "--file", str(stick / FILE_NAME), "--into", str(identity), "--template", str(template),
            "--config-out", str(boot), "--json",
        )  # fmt: skip
        assert code == 0, errors
        assert json.loads(out)["device"] == "box-1"
        token = parse(shown["token"])
        assert token.secret not in out + errors
        await until(lambda: len(said) == 3)
        assert [line["what"] for line in said] == ["listening", "issued", "issued"]
        assert token.secret not in json.dumps(said)
        # Somebody else with the same token: told with an exit code and a sentence, and to the admin.
        code, _, errors = await edged("enrol", "--token", shown["qr"], "--into", str(tmp_path / "thief"))
        assert code == 69  # EX_UNAVAILABLE
        assert "used with other keys already" in errors
        await until(lambda: said[-1].get("code") == "enrol.token_used")
        # Typed, two lines; a typing error is told with its group.
        typed = shown["token"].encode()
        code, _, errors = await edged("enrol", "--into", str(identity), stdin=typed.lower())
        assert code == 0, errors
        as_printed = [
            token.address_line,
            *(" - ".join(token.groups[start : start + 3]) for start in (0, 3, 6)),
            "",
        ]
        code, _, errors = await edged("enrol", "--into", str(identity), stdin="\n".join(as_printed).encode())
        assert code == 0, errors
        code, _, errors = await edged("enrol", "--into", str(identity), stdin=token.line().encode() + b"\n")
        assert code == 0, errors
        code, _, errors = await edged("enrol", stdin=f"{token.address_line}\n{token.groups[0]}\n\n".encode())
        assert (code, "[6/54]" in errors) == (65, True)
        code, _, errors = await edged("enrol", stdin=b"")
        assert code == 65
        code, _, errors = await edged(
            "enrol", stdin=typed[:-2] + (b"0\n" if typed[-2:-1] != b"0" else b"1\n")
        )
        assert code == 65  # EX_DATAERR
        assert "[9]" in errors
    settings = load_box(boot)
    files = IdentityFiles(identity)
    assert settings.identity.tls_certificate == files.settings(Usage.TLS).chain
    assert settings.fleet is not None
    assert settings.fleet.root == files.root
    assert settings.fleet.enrolment == token.address
    assert settings.broker.port == office.state.file.broker_port
    assert settings.state.directory == boot.parent / "state"


def test_a_token_is_shown_to_be_typed_and_scanned(
    office: Office, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    picture = tmp_path / "token.png"
    assert fleet(office, "enrol", "box-1", "--qr", str(picture)) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(number for number, line in enumerate(lines) if "@" in line)
    typed = "\n".join([lines[start], *lines[start + 1 : start + 4]])
    token = parse(typed)
    assert token.device == "box-1"
    image = cv2.imread(str(picture))
    assert image is not None
    (code,) = find_barcodes(np.asarray(image, np.uint8))
    assert parse(code.content.reveal().decode()) == token
    assert picture.stat().st_mode & 0o077 == 0
    record = office.state.device("box-1")
    assert record.token_sha256 == token.secret_sha256()


def test_what_the_admin_may_not_ask_for_is_refused_and_changes_nothing(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fleet(office, "enrol", "box-1", "--dry-run") == 0
    assert "Nothing was changed" in capsys.readouterr().out
    assert office.state.devices() == {}
    assert fleet(office, "enrol", "box-1", "--again") == 78
    assert fleet(office, "enrol", "Box_1") == 78
    assert fleet(office, "enrol", "verdict") == 78
    assert fleet(office, "enrol", "box-1", "--valid-days", "365") == 78
    assert fleet(office, "enrol", "box-1", "--group", "A") == 78
    assert office.state.devices() == {}
    assert fleet(office, "enrol", "box-1", "--group", "branch", "--site", "here") == 0
    assert fleet(office, "enrol", "box-1") == 78
    before = office.state.device("box-1")
    assert fleet(office, "enrol", "box-1", "--again") == 0
    after = office.state.device("box-1")
    assert (after.groups, after.site) == (before.groups, before.site) == (("branch",), "here")
    assert after.token_sha256 != before.token_sha256


# --- where a token comes from ---


def test_a_stick_is_found_where_sticks_are_mounted(office: Office, tmp_path: Path) -> None:
    token = office.invite()
    mounts = (tmp_path / "media", tmp_path / "run")
    with pytest.raises(DecodeError) as caught:
        token_sources.find_on_stick(mounts)
    assert caught.value.code == "token.no_stick"
    deep = mounts[1] / "somebody" / "EDGED"
    deep.mkdir(parents=True)
    (deep / FILE_NAME).write_bytes(token.text().replace("\n", "\r\n").encode("utf-8-sig"))
    (mounts[1] / "somebody" / "EDGED" / "a" / "b").mkdir(parents=True)
    assert token_sources.read_file(token_sources.find_on_stick(mounts)) == token
    other = mounts[0] / "edged"
    other.mkdir(parents=True)
    (other / FILE_NAME).write_text(token.text())
    with pytest.raises(DecodeError) as caught:
        token_sources.find_on_stick(mounts)
    assert caught.value.code == "token.several_sticks"


def test_a_file_that_is_no_token_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"\xff\xfe\x00", b"x" * 5000):
        (tmp_path / FILE_NAME).write_bytes(content)
        with pytest.raises(DecodeError):
            token_sources.read_file(tmp_path / FILE_NAME)


def picture(path: Path, text: str) -> Path:
    path.write_bytes(qr.png(qr.modules(text)))
    return path


async def test_a_code_that_is_held_to_the_camera_is_read(office: Office, tmp_path: Path) -> None:
    token = office.invite()
    settings = token_sources.WindowOnly(HeadSettings("simulated", tmp_path / "glass.sock"))
    told: list[str] = []
    showing = asyncio.create_task(token_sources.show_to_camera(settings, 60, told.append))
    async with Hand(tmp_path / "glass.sock") as hand:
        empty = tmp_path / "empty.png"
        empty.write_bytes(qr.png(np.zeros((200, 200), bool)))
        await hand.place([empty])
        await until(lambda: told == ["token.no_code"])
        await hand.remove()
        await hand.place([picture(tmp_path / "other.png", "https://example.net")])
        await until(lambda: told[-1] == "token.other_code")
        await hand.remove()
        bad = token.qr()[:-1] + ("0" if token.qr()[-1] != "0" else "1")
        await hand.place([picture(tmp_path / "bad.png", bad)])
        await until(lambda: told[-1] == "token.group")
        await hand.remove()
        await hand.place([picture(tmp_path / "token.png", token.qr())])
        assert await asyncio.wait_for(showing, 60) == token


async def test_nobody_shows_anything(tmp_path: Path) -> None:
    with pytest.raises(DeviceError) as caught:
        await token_sources.show_to_camera(
            token_sources.WindowOnly(HeadSettings("simulated", tmp_path / "glass.sock")), 0.05
        )
    assert caught.value.code == "token.none_shown"


# --- the boot file ---


def test_a_template_that_says_what_enrolment_says_is_refused(tmp_path: Path) -> None:
    from edged.pushed.boot_file import fill
    from edged.pushed.enrolling import Enrolled
    from edged.uplink import est
    from edged.uplink.names import Principal, Role

    enrolled = Enrolled(
        Principal("north", Role.DEVICE, "box-1"), True, est.Boot(1, "north", 'b"roker', 8883, "enrol:1")
    )
    files = IdentityFiles(tmp_path)
    for template, where in (
        (TEMPLATE + "[broker]\nhost = 'x'\n", "broker"),
        (TEMPLATE.replace("simulated", "unknown"), "head.driver"),
        ("x = ", "file"),
    ):
        with pytest.raises(ConfigError) as caught:
            fill(template, enrolled.boot, files, base=tmp_path)
        assert caught.value.where == where
    assert '\nhost = "b\\"roker"\n' in fill(TEMPLATE, enrolled.boot, files, base=tmp_path)


def test_a_config_without_a_template_is_refused_before_anything_happens(tmp_path: Path) -> None:
    token = Token("box-1", HOST, 1, "0" * 20, "0" * 20).qr()
    assert (
        main(["enrol", "--token", token, "--config-out", str(tmp_path / "x"), "--into", str(tmp_path / "y")])
        == 78
    )
    assert main(["enrol", "--token", token, "--signing-key", "key.pem", "--into", str(tmp_path / "y")]) == 78
    assert not (tmp_path / "y").exists()


def test_help_is_there() -> None:
    seen = subprocess.run([sys.executable, "-m", "edged", "enrol", "--help"], capture_output=True, text=True)
    assert "--camera" in seen.stdout


async def test_a_template_that_will_not_do_costs_no_token(office: Office, tmp_path: Path) -> None:
    template = tmp_path / "box.toml"
    template.write_text(TEMPLATE.replace("simulated", "unknown"))
    arguments = ["--template", str(template), "--config-out", str(tmp_path / "edged.toml")]
    async with office.open():
        token = office.invite()
        more = ["--token", token.line(), "--into", str(tmp_path / "identity")]
        assert await asyncio.to_thread(main, ["enrol", *more, *arguments]) == 78
    assert office.state.device("box-1").token_serials == {}
    assert not (tmp_path / "identity" / "tls").exists()


async def test_the_boot_file_is_there_before_the_certificates_are_in_use(
    office: Office, tmp_path: Path
) -> None:
    """First boot is over once there are certificates: a power cut must not leave a box with them alone."""
    files = IdentityFiles(tmp_path / "identity")
    seen: list[bool] = []
    async with office.open():
        token = office.invite()
        await asyncio.to_thread(
            lambda: enrol(token, files, before_use=lambda _: seen.append(files.complete()))
        )
        await asyncio.to_thread(
            lambda: enrol(token, files, before_use=lambda _: seen.append(files.complete()))
        )
    assert seen == [False, True]


def test_the_token_and_who_came_with_it_twice_are_shown(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    def shown() -> dict[str, Any]:
        assert fleet(office, "show", "box-1", "--offline", "--json") == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    office.invite()
    record = office.state.device("box-1")
    assert shown()["token"] == {"until": record.token_until, "used": False}
    assert "token_twice" not in shown()["problems"]
    assert fleet(office, "show", "box-1", "--offline") == 0
    assert "whoever has it can become this box" in capsys.readouterr().out
    used = msgspec.structs.replace(record, token_serials={Usage.TLS: "1"}, token_refused_at=5)
    office.state.save_device(used)
    found = shown()
    assert (found["token"]["used"], found["token_refused_at"]) == (True, 5)
    assert "token_twice" in found["problems"]
    assert fleet(office, "show", "box-1", "--offline") == 0
    assert "its token was used twice" in capsys.readouterr().out
    office.state.save_device(msgspec.structs.replace(used, token_until=5))
    assert shown()["token"] is None

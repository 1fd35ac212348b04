"""A whole acceptance as a factory runs it: firmware head, module, swipe reader and printer, each emulated on its port.

And `edged devices --watch` beside a daemon, while something is pulled out and put back.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import cv2
import pytest

from edged.demo.hand import Hand
from edged.emulator.escpos_printer import EscposEmulator, pty
from edged.emulator.host_head import HostHead
from edged.emulator.id_cards import id_cards
from edged.emulator.sam import SamTty
from edged.emulator.swipe_reader import SwipeReaderEmulator
from edged.technician import card
from edged.testing.swipe import TD3
from tests.box import EDGED, Box
from tests.head_boot import program

DEVICES = """
[head]
driver = "serial"
port = "{port}"

[camera]
driver = "simulated"
socket = "glass.sock"

[swipe]
port = "{here}/swipe"

[id_card]
port = "{here}/sam"

[printer]
port = "{here}/paper"
"""
CARD = id_cards()["citizen"]
ANSWERS = """
"head/indicator" = "yes"
"head/buzzer" = "yes"
"head/lamp_white" = "yes"
"head/lamp_ir" = "yes"
"head/lamp_uv" = "yes"
"printer/page" = "yes"
"""


class Rig:
    """The devices of one box, and what moves them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.head = HostHead(program=program())
        self.reader = SwipeReaderEmulator(directory / "swipe", "lines")
        self.module = SamTty(directory / "sam")
        self.paper = EscposEmulator()
        self.picture = directory / "card.png"
        page = cv2.cvtColor(card.draw(), cv2.COLOR_GRAY2BGR) * 0.85 + 8
        lying = cv2.copyMakeBorder(page, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=(24, 24, 24))
        cv2.imwrite(str(self.picture), lying)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for device in (self.head, self.reader, self.module):
                await stack.enter_async_context(device)
            await stack.enter_async_context(pty(self.paper, self.directory / "paper"))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *about: object) -> None:
        await self._stack.aclose()

    def box(self) -> Box:
        return Box(self.directory / "box", head=DEVICES.format(port=self.head.port, here=self.directory))

    async def do(self, code: str, hand: Hand) -> None:
        """What the walk asks for."""
        match code:
            case "acceptance.press":
                await self.head.button(down=True)
                await self.head.button(down=False)
            case "acceptance.lay_card":
                await self.head.document(present=True)
            case "acceptance.take_card":
                await self.head.document(present=False)
            case "acceptance.lay_test_card":
                await hand.place([self.picture])
            case "acceptance.lay_id_card":
                self.module.lay(CARD)
            case "acceptance.swipe":
                await self.reader.ready()
                assert await self.reader.swipe(TD3)


async def edged(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *EDGED, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_a_box_is_accepted_by_a_rig_and_its_report_stands(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        box = rig.box()
        (tmp_path / "answers.toml").write_text(ANSWERS)
        process = await asyncio.create_subprocess_exec(
            *EDGED, "devices", "test", "--json", "--config", str(box.config), "--technician", "T-7",
            "--answers", str(tmp_path / "answers.toml"),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        said: list[Any] = []
        async with asyncio.timeout(90), Hand(box.directory / "glass.sock") as hand:
            async for line in process.stdout:
                said.append(json.loads(line))
                if "do" in said[-1]:
                    await rig.do(said[-1]["do"], hand)
            errors = (await process.stderr.read()).decode()
            code = await process.wait()
        steps = {
            one["step"]["name"]: (one["step"]["outcome"], one["step"].get("code"))
            for one in said
            if "step" in one
        }
        assert {outcome for outcome, _ in steps.values()} == {"passed"}, (steps, errors)
        assert code == os.EX_OK
        assert said[-1]["result"] == "passed"
        assert any("0123456789" in text for text in rig.paper.texts)
    path = Path(said[-1]["report"])
    await _stands(box, path)
    _tells_nobody(path.parent, json.dumps(said) + errors)


def _reread(path: Path) -> list[str]:
    return path.read_text().split(".")


async def _stands(box: Box, path: Path) -> None:
    """Verified; refused when it is changed, another's, or of another role."""
    ca = str(box.fleet.ca)
    code, out = await edged("devices", "verify", str(path), "--ca", ca, "--device", "box-1", "--json")
    report = json.loads(out)["report"]
    assert (code, report["technician"], report["simulated"]) == (os.EX_OK, "T-7", True)
    assert report["devices"]["head"]["versions"].keys() >= {"firmware", "protocol"}
    assert report["devices"]["printer"]["model"]
    measured = {step["name"]: step["measured"] for step in report["steps"]}
    assert measured["swipe/reads"] == {"lines": 2, "characters": 44}
    assert measured["id_card/reads"]["not_successful"] == 0
    header, payload, signature = _reread(path)
    path.with_name("changed.jws").write_text(f"{header}.{payload[:200]}{payload[201:]}.{signature}")
    refused = ((path.with_name("changed.jws"), "box-1"), (path, "box-2"))
    for file, device in refused:
        code, out = await edged("devices", "verify", str(file), "--ca", ca, "--device", device, "--json")
        assert (code, json.loads(out)["verified"]) == (os.EX_DATAERR, False)
    path.with_name("changed.jws").unlink()


def _tells_nobody(directory: Path, said: str) -> None:
    secrets = [*TD3, "ERIKSSON", "L898902C3", *filter(None, CARD.text.decode("utf-16-le").split())]
    secrets = [secret for secret in secrets if len(secret) > 2]
    assert len(secrets) > 5
    files = {path.name: path.read_bytes().decode("latin-1") for path in directory.iterdir()}
    assert {"acceptance.jws", "acceptance.md", "card-white.png", "progress.jws"} <= files.keys()
    for number, secret in enumerate(secrets):
        for where, text in ({"the output": said} | files).items():
            assert secret not in text, (where, number)
            assert secret.encode().decode("latin-1") not in text, (where, number)


async def test_what_is_pulled_out_and_put_back_is_watched(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig, rig.box() as box:
        code, out = await edged("devices", "--config", str(box.config), "--json")
        rows = {row["name"]: row for row in json.loads(out)["devices"] if row["section"]}
        assert {name: row["state"] for name, row in rows.items() if name != "camera"} == dict.fromkeys(
            ("head", "id_card", "swipe", "printer"), "ready"
        ), rows
        for name in ("head", "id_card", "swipe", "printer"):
            assert rows[name]["port"], name
            assert rows[name]["versions"], name
            assert rows[name].get("problems", []) == [], name
        assert code == os.EX_OK
        watching = await asyncio.create_subprocess_exec(
            *EDGED, "devices", "--watch", "--config", str(box.config), stdout=asyncio.subprocess.PIPE
        )
        assert watching.stdout is not None
        lines = aiter(watching.stdout)
        try:
            async with asyncio.timeout(60):
                await _line(lines, "swipe", "ready")
                rig.reader.unplug()
                await _line(lines, "swipe", "gone")
                rig.reader.plug()
                await _line(lines, "swipe", "ready")
        finally:
            watching.terminate()
            await watching.wait()


async def _line(lines: Any, *words: str) -> None:
    """A line that has these words."""
    async for line in lines:
        if all(word in line.decode() for word in words):
            return
    pytest.fail(f"never told: {words}")

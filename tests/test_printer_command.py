"""`edged printer` and `edged swipe emulate`, as a technician uses them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("escpos", reason="printing needs the extra edged[printer]")

from edged.config import SwipeSettings
from edged.core.vision import cv2
from edged.drivers import swipe
from edged.emulator.escpos_printer import MODEL, EscposEmulator, tcp
from edged.events import DocumentSwiped

if TYPE_CHECKING:
    from pathlib import Path

PASSPORT = ("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10")


async def edged(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "edged",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode(), complained.decode()


@pytest.mark.parametrize(("lang", "width"), [("en", 58), ("zh-CN", 80)])
async def test_the_test_page_has_everything(lang: str, width: int) -> None:
    emulator = EscposEmulator({58: 384, 80: 576}[width])
    async with tcp(emulator) as (port, _):
        where = ("--port", f"tcp:127.0.0.1:{port}", "--width", str(width), "--lang", lang)
        code, said, complained = await edged("printer", "test", *where, "--json")
    assert (code, complained) == (0, "")
    assert json.loads(said) == {"printed": True, "width_mm": width, "chinese": "gb18030"}
    assert any(len(text) == width_columns(width) and text.isdecimal() for text in emulator.texts)
    assert any("护照" in text for text in emulator.texts)
    assert emulator.cuts == 1
    read, *_ = cv2.QRCodeDetector().detectAndDecode(emulator.picture())
    assert read.startswith("https://")


def width_columns(width: int) -> int:
    return {58: 32, 80: 48}[width]


async def test_status_says_what_to_do() -> None:
    emulator = EscposEmulator()
    async with tcp(emulator) as (port, _):
        where = ("--port", f"tcp:127.0.0.1:{port}")
        code, said, _ = await edged("printer", "status", *where, "--json")
        status: dict[str, Any] = json.loads(said)
        assert code == 0
        assert status["ready"]
        assert status["model"] == MODEL
        emulator.paper = False
        code, said, _ = await edged("printer", "status", *where)
        assert code == os.EX_UNAVAILABLE
        assert "new roll" in said
    code, _, complained = await edged("printer", "test", *where)
    assert code == os.EX_UNAVAILABLE
    assert "Switch it on" in complained


async def test_a_printer_nobody_named_is_a_clear_message(tmp_path: Path) -> None:
    code, _, complained = await edged("printer", "status", "--config", str(tmp_path / "none.toml"))
    assert code in {os.EX_CONFIG, os.EX_OSERR}
    assert "none.toml" in complained
    code, _, complained = await edged("printer", "status", "--port", "lp0")
    assert code == os.EX_CONFIG
    assert "tcp:HOST:PORT" in complained


async def test_an_emulated_reader_is_swiped_from_standard_input(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "edged",
            "swipe",
            "emulate",
            str(tmp_path / "port"),
            "--kind",
            "lines",
            "--json",
        ),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert json.loads(await process.stdout.readline())["happened"] == "emulating"
    async with swipe.open(SwipeSettings(port=str(tmp_path / "port"))) as driver:
        process.stdin.write(" ".join(PASSPORT).encode() + b"\n")
        async for event in driver.events():
            if isinstance(event, DocumentSwiped):
                assert event.lines() == PASSPORT
                break
    process.stdin.write(b"unplug\nhello\n")  # only now: what nobody has read goes with the terminal
    process.stdin.close()
    told = [json.loads(line)["happened"] for line in (await process.stdout.read()).splitlines()]
    assert told == ["emulated", "not_told"]
    assert await process.wait() == 0

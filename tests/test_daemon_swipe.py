"""A real daemon with a swipe reader on a kernel tty: a swipe alone leads to a verdict, which is a test."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from edged.emulator.swipe_reader import SwipeReaderEmulator
from tests.box import Box

VALID = (
    "P<CANERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<",
    "X123456785CAN7408122F3104150ZE184226B<<<<<18",
)
FORGED = (VALID[0], VALID[1].replace("F3104150", "F3204150"))


def with_swipe(directory: Path) -> Box:
    return Box(directory, edit=("[timeouts]", f'[swipe]\nport = "{directory / "swipe"}"\n\n[timeouts]'))


async def outcome(box: Box) -> dict[str, Any]:
    async with asyncio.timeout(60):
        async for event in box.control.events():
            if event["event"] == "outcome":
                return dict(event)
    raise AssertionError("the daemon went away")


async def told(box: Box, device: str, *, answers: bool) -> None:
    async with asyncio.timeout(60):
        while (device in (await box.control.call("status"))["devices_gone"]) is answers:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", ["desko", "lines"])
async def test_a_swipe_leads_to_a_test_verdict(tmp_path: Path, kind: str) -> None:
    async with SwipeReaderEmulator(tmp_path / "swipe", kind) as reader, with_swipe(tmp_path) as box:
        await box.control.call("subscribe")
        for lines, result in ((VALID, "successful"), (FORGED, "failed")):
            hearing = asyncio.create_task(outcome(box))
            await told(box, "swipe", answers=True)
            assert await reader.swipe(lines)
            verdict = (await hearing)["verdict"]
            assert (verdict["kind"], verdict["result"]) == ("test", result)
            results = {check["name"]: check["result"] for check in verdict["checks"]}
            assert results["image_quality"] == results["optical_security"] == "not_supported"
            assert results["mrz_read"] == "successful"
    assert "ERIKSSON" not in box.errors.decode()
    assert b"X12345678" not in box.errors


async def test_a_reader_that_is_pulled_out_keeps_nobody_from_scanning(tmp_path: Path) -> None:
    async with SwipeReaderEmulator(tmp_path / "swipe", "lines") as reader, with_swipe(tmp_path) as box:
        await told(box, "swipe", answers=True)
        reader.unplug()
        await told(box, "swipe", answers=False)
        assert (await box.scan("passport", scene="bank"))["outcome"] == "committed"
        reader.plug()
        await told(box, "swipe", answers=True)
        await box.control.call("subscribe")
        hearing = asyncio.create_task(outcome(box))
        assert await reader.swipe(VALID)
        assert (await hearing)["verdict"]["result"] == "successful"

"""Firmware of the head from the admin's disk into the head: over a real broker, a real daemon, the firmware itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edged.cli import main
from tests.head_boot import NEW, NEWER, OLD, HostBoard, image
from tests.test_head_update import with_head
from tests.test_push_daemon import Town


def named(town: Town, file: Path, data: bytes, version: object) -> str:
    """Publish an image as an artefact; the line of configuration that names it."""
    file.write_bytes(data)
    state, keys = str(town.state.directory), str(town.directory / "keys/release")
    arguments = ("--kind", "firmware", "--name", "head", "--version", str(version), "--release-keys", keys)
    command = ["fleet", "artefact", "push", str(file), *arguments, "--state", state, "--json"]
    assert main(command) == 0
    return f'[artefacts]\nfirmware = "firmware/head-{version}"\n'


async def firmware(town: Town) -> tuple[str, int]:
    """What the head runs, and its counter."""
    said = await town.box.control.call("head_status")
    running = said["slots"][said["slots"]["running"]]
    assert running["state"] == "confirmed"
    return running["version"], said["security_version"]


@pytest.mark.slow  # the lamps rest for ten seconds when the head has started again
async def test_firmware_is_pushed_into_the_head(tmp_path: Path) -> None:
    town = await asyncio.to_thread(Town, tmp_path)
    await asyncio.to_thread(town.broker.start)
    with HostBoard(tmp_path) as board:
        old = tmp_path / "old.img"
        old.write_bytes(image(OLD, 1))
        assert await asyncio.to_thread(main, ["head", "update", str(old), "--port", board.port]) == 0
        edit = "[state]", f'[fleet]\nroot = "{tmp_path / "root.json"}"\n\n[state]'
        town.box = with_head(tmp_path / "box", board, town, port=town.broker.port, edit=edit)
        async with town.box:
            good = await town.push(
                await asyncio.to_thread(named, town, tmp_path / "new.img", image(NEW, 2), NEW)
            )
            status = await town.told(good, "applied")
            assert status["devices_gone"] == []
            assert await firmware(town) == (str(NEW), 2)
            stranger = bytearray(image(NEWER, 2))
            stranger[200] ^= 1
            bad = await town.push(
                await asyncio.to_thread(named, town, tmp_path / "bad.img", bytes(stranger), NEWER)
            )
            await town.told(bad, "rejected", code="reader_head.update_signature")
            await town.back_at(good)
            assert await firmware(town) == (str(NEW), 2)
    await asyncio.to_thread(town.broker.stop)

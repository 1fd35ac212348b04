"""The daemon with a chip reader: `edged run` as a process, an emulated chip on its simulated reader."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edged.demo.fleet import DemoFleet
from edged.emulator.faults import Injected
from edged.emulator.office import Office
from edged.emulator.profiles import profiles
from edged.emulator.vpcd import Slot
from edged.specimens import FIXED_TODAY
from edged.verdict import CHIP_CHECKS
from tests.box import EDGED, SPECIMENS, Box

SECTION = """
[chip_reader]
driver = "simulated"
socket = "reader.sock"
trust = "trust"
find_s = 0.2
"""
OFFICE = Office("UT", on=FIXED_TODAY - timedelta(days=30), seed="daemon")


def trusting(directory: Path) -> None:
    """Have the box of this directory trust the emulated state."""
    directory.mkdir(exist_ok=True)
    authorities = directory / "authorities.pem"
    authorities.write_bytes(OFFICE.trust_pem([profiles()["pace-gm"]]))
    trust = str(directory / "trust")
    done = subprocess.run(
        [*EDGED, "trust", "import", "--yes", "--trust", trust, str(authorities)], capture_output=True
    )
    assert done.returncode == os.EX_OK, done.stdout + done.stderr


def box(directory: Path, more: str = "", **rest: Any) -> Box:
    return Box(directory, edit=("[head]", f"{SECTION}{more}\n[head]"), **rest)


@contextlib.asynccontextmanager
async def laid(here: Box, fault: str | None = None, profile: str = "pace-gm") -> AsyncIterator[None]:
    """The passport's chip on the reader, seen by the box."""
    expected = SPECIMENS["passport"].expected
    assert expected is not None
    assert expected.lines is not None
    slot = Slot(here.directory / "reader.sock")
    card = OFFICE.lay(profiles()[profile], expected.lines, Injected.parse(fault) if fault else None)
    await slot.lay(card)
    async with asyncio.timeout(60):
        while not (await here.control.call("status"))["chip"]["present"]:
            await asyncio.sleep(0.01)
    try:
        yield
    finally:
        await slot.lift()


def checks(answer: dict[str, Any]) -> dict[str, tuple[str, str, list[str]]]:
    return {
        check["name"]: (
            check["check_class"],
            check["result"],
            [reason["code"] for reason in check.get("reasons", [])],
        )
        for check in answer["verdict"]["checks"]
    }


async def test_a_genuine_chip_a_copy_and_none_at_all(tmp_path: Path) -> None:
    await asyncio.to_thread(trusting, tmp_path)
    async with box(tmp_path) as here:
        async with laid(here):
            genuine = await here.scan("passport")
        async with laid(here, "cloned"):
            copied = await here.scan("passport")
        none = await here.scan("passport")
        status = await here.control.call("status")
    assert genuine["verdict"]["result"] == "successful"
    assert checks(genuine)["chip"] == ("mandatory", "successful", [])
    assert set(CHIP_CHECKS) - {"terminal_authentication"} <= {
        name for name, (_, result, _) in checks(genuine).items() if result == "successful"
    }
    assert {"chip_select", "chip_access", "chip_data", "chip_portrait", "chip"} <= set(genuine["stages"])
    assert set(genuine["chip_ms"]) == {"select", "access", "data", "authentication", "portrait"}
    assert sum(genuine["chip_ms"].values()) <= genuine["stages"]["chip"]
    assert none["chip_ms"] == {}
    assert copied["verdict"]["result"] == "failed"
    assert checks(copied)["chip"][2][0] == "chip.ca_not_proven"
    assert none["verdict"]["result"] == "successful", (
        "a passport need not have a chip, unless a scene says so"
    )
    assert checks(none)["chip"] == ("optional", "undetermined", ["chip.not_found"])
    assert status["chip"] == {"present": False, "trouble": None, "authorities": 2}
    assert b"ERIKSSON" not in here.errors


async def test_a_scene_may_demand_a_chip(tmp_path: Path) -> None:
    scene = """
[scenes.bank]
mandatory = ["document_detected", "mrz_read", "chip"]
"""
    async with box(tmp_path, scene) as here:
        none = await here.scan("passport")
        async with laid(here):
            untrusted = await here.scan("passport")
    assert none["verdict"]["result"] == "undetermined"
    assert untrusted["verdict"]["result"] == "undetermined"
    assert "chip.no_trust_anchor" in checks(untrusted)["chip"][2], "nothing was imported"


async def test_what_is_imported_counts_from_the_next_document_on(tmp_path: Path) -> None:
    async with box(tmp_path) as here, laid(here):
        before = await here.scan("passport")
        await asyncio.to_thread(trusting, tmp_path)
        after = await here.scan("passport")
    assert checks(before)["pa_certificate"][1:] == ("undetermined", ["chip.no_trust_anchor"])
    assert checks(after)["pa_certificate"][1] == "successful"


async def test_lifting_the_document_ends_the_reading_of_its_chip(tmp_path: Path) -> None:
    async with box(tmp_path) as here:
        async with laid(here, "slow:400"):
            await here.hand.place(SPECIMENS["passport"].sides)
            scanning = asyncio.ensure_future(here.control.call("scan"))
            async with asyncio.timeout(60):
                while (await here.control.call("status"))["state"] != "chip":
                    await asyncio.sleep(0.01)
            await here.hand.remove()
            answer = await scanning
        async with laid(here):
            again = await here.scan("passport")
    assert (answer["outcome"], answer["reason"]["code"]) == ("aborted", "inspection.removed_early")
    assert checks(again)["chip_access"][1] == "successful", "the reader is free again"


async def test_a_chip_that_is_taken_away_or_mute_aborts_the_chip_alone(tmp_path: Path) -> None:
    async with box(tmp_path) as here, laid(here, "removed:15"):
        answer = await here.scan("passport")
    assert answer["outcome"] == "committed"
    assert answer["verdict"]["result"] == "aborted"
    assert checks(answer)["mrz_read"][1] == "successful"
    assert checks(answer)["chip"][1] == "aborted"


async def test_partners_who_may_not_know_the_state_are_not_told_by_a_reason(tmp_path: Path) -> None:
    async with box(tmp_path) as here, laid(here):
        answer = await here.scan("passport", scene="hotel")
    assert checks(answer)["pa_certificate"][2] == ["chip.no_trust_anchor"]
    told, kept = (payload(here.database, audience) for audience in ("central", "grand-hotel"))
    assert '"country":"UT"' in told
    assert "chip.no_trust_anchor" in kept
    assert '"UT"' not in kept


def payload(database: Path, audience: str) -> str:
    """The payload of the audience's one envelope."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        ((jws,),) = connection.execute("SELECT jws FROM envelope WHERE audience = ?", (audience,))
    return base64.urlsafe_b64decode(jws.split(".")[1] + "==").decode()


async def test_a_simulated_chip_reader_is_for_demo_fleets_alone(tmp_path: Path) -> None:
    fleet = DemoFleet(tmp_path / "pki", fleet="real-fleet", now=datetime.now(UTC), demo=False)
    here = box(tmp_path, fleet=fleet)
    process = await here.spawn()
    _, errors = await process.communicate()
    assert process.returncode == os.EX_CONFIG
    assert b"head.driver" in errors or b"chip_reader.driver" in errors


@pytest.mark.parametrize("damage", ["cut", "open"])
async def test_a_damaged_trust_store_keeps_the_box_from_starting(damage: str, tmp_path: Path) -> None:
    await asyncio.to_thread(trusting, tmp_path)
    files = sorted((tmp_path / "trust").iterdir(), key=lambda path: path.stat().st_size)
    if damage == "cut":
        files[-1].write_bytes(files[-1].read_bytes()[:-10])
    else:
        (tmp_path / "trust").chmod(0o777)
    process = await box(tmp_path).spawn()
    _, errors = await process.communicate()
    assert process.returncode == os.EX_CANTCREAT
    assert b"trust" in errors

"""Nothing personal ever leaves in clear: every byte that the processes of a whole demo write is searched.

And the search finds what is planted: in a log line, the status topic, an exception, a verdict, the database and
the control socket.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edged.control import ControlClient
from edged.core.id_card import IdCardData, parse_id_card
from edged.core.image import decode_image
from edged.core.mrz import Mrz, parse_mrz
from edged.core.reading import read_page
from edged.core.viz import VisualZone, read_visual_zone
from edged.demo.hand import Hand
from edged.demo.stage import PARTNERS, Stage
from edged.emulator import host_head
from edged.emulator.id_cards import id_cards
from edged.errors import ControlError
from edged.privacy.leakscan import LeakScanner
from edged.specimens import FIXED_TODAY, shipped
from edged.specimens.chips import with_chips
from tests import plants
from tests.box import EDGED, SPECIMENS


def holders(*names: str) -> list[Mrz]:
    return [
        parse_mrz(specimen.expected.lines, today=FIXED_TODAY)
        for specimen in shipped()
        if specimen.expected and specimen.expected.lines and (not names or specimen.name in names)
    ]


def zones() -> list[VisualZone]:
    """What is printed on the shipped documents beside their MRZs."""
    pages = [decode_image(side.read_bytes()) for specimen in shipped() for side in specimen.sides]
    found = [read_visual_zone(page, read_page(page, today=FIXED_TODAY)) for page in pages]
    return [zone for zone in found if zone is not None]


def leaks(scanner: LeakScanner, directory: Path, **more: bytes) -> dict[str, list[Any]]:
    """Findings by file, in every file below `directory` and in `more`; images and sockets apart."""
    outputs = {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.suffix != ".jpg"
    } | more
    assert len(outputs) > 10
    found = {name: scanner.scan(data) for name, data in outputs.items()}
    return {name: findings for name, findings in found.items() if findings}


def five_star_card() -> IdCardData:
    """The card that the demo lays on its module."""
    card = id_cards()["resident-2023"]
    return parse_id_card(card.text, card.photo, today=FIXED_TODAY).data


class Whole(NamedTuple):
    """A demo of everything, and what it left. The files are read and never written."""

    directory: Path
    stdout: bytes
    stderr: bytes


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    directory = tmp_path_factory.mktemp("whole") / "demo"
    done = subprocess.run(
        [*EDGED, "demo", "--json", "--directory", str(directory), "--kill", "box", "--kill", "broker"],
        capture_output=True,
        env=os.environ | {"LANG": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return Whole(directory, done.stdout, done.stderr)


def test_a_whole_demo_with_kills_leaks_nothing(whole: Whole) -> None:
    """What the box has on disk while it runs is searched after kill -9, before any clean-up."""
    scanner = LeakScanner.for_documents(holders(), (*zones(), five_star_card()))
    assert leaks(scanner, whole.directory, stdout=whole.stdout, stderr=whole.stderr) == {}
    assert (whole.directory / "box" / "log").stat().st_size > 1000, "the searched log is a real one"
    assert (whole.directory / "central" / "archive.sqlite").stat().st_size > 50_000


def test_the_same_demo_balances_and_every_specimen_comes_as_expected(whole: Whole) -> None:
    last: dict[str, Any] = json.loads(whole.stdout.splitlines()[-1])
    specimens = (*shipped(), *with_chips())
    rows, acts = last["documents"][: len(specimens)], last["documents"][len(specimens) :]
    assert [row["name"] for row in rows] == [specimen.name for specimen in specimens]
    firmware = host_head.find() is not None
    assert [row["name"] for row in acts] == ["button"] * firmware + ["swipe", "id-card", "teller"]
    assert [row["differences"] for row in acts] == [[]] * len(acts)
    for row, specimen in zip(rows, specimens, strict=True):
        assert specimen.expected is not None
        assert (row["outcome"], row["result"]) == (specimen.expected.outcome, specimen.expected.result)
        assert row["differences"] == []
        assert row["outcome"] == "committed" or row["reason"]
        assert len(row["verified_by"]) == max(0, row["envelopes"] - 1)
    ledger = last["ledger"]
    assert ledger["balanced"] is True
    streams = {stream["audience"]: stream for stream in ledger["streams"]}
    committed = sum(row["outcome"] == "committed" for row in last["documents"])
    assert streams["central"]["committed"] == committed + 1, "the practice scan goes to the centre"
    assert sum(streams[name]["committed"] for name in PARTNERS.values()) == committed, "and to nobody else"
    for stream in streams.values():
        assert stream["committed"] == stream["published"] == stream["archived"] == stream["receipted"]


@pytest.mark.parametrize(
    ("plant", "place"),
    [
        ("log", "box/log"),
        ("exception", "box/log"),
        ("status", "broker/mosquitto.db"),
        ("verdict", "central/archive.sqlite"),
        ("database", "box/state/state.sqlite"),
        ("control_socket", "events"),
    ],
)
async def test_a_planted_leak_is_found(plant: str, place: str, tmp_path: Path) -> None:
    assert plant in plants.PLANTS
    heard: list[str] = []
    stage = Stage(
        tmp_path / "stage",
        fixed_today=FIXED_TODAY,
        on_verdict=lambda partner, verdict: heard.append(str(verdict)),
        on_restart=lambda party: None,
        box_command=(sys.executable, "-m", "tests.plants", plant),
    )
    async with stage:
        await _scan_one(stage, heard)
    found = leaks(
        LeakScanner.for_documents(holders("identity-card")),
        tmp_path / "stage",
        events="\n".join(heard).encode(),
    )
    assert any(name.startswith(place) for name in found), f"{plant}: found in {sorted(found)} alone"


async def _scan_one(stage: Stage, heard: list[str]) -> None:
    """One inspection, and what the control socket says until its envelopes have their receipts."""
    async with asyncio.timeout(60), Hand(stage.glass) as hand:
        client = await _connect(stage)
        await client.call("subscribe")
        await hand.place(SPECIMENS["identity-card"].sides)
        await client.call("scan")
        while (await client.call("status"))["uplink"]["pending"]:
            await asyncio.sleep(0.05)
        while not client._events.empty():
            heard.append(str(await client._events.get()))
        await client.__aexit__(None, None, None)


async def _connect(stage: Stage) -> ControlClient:
    while True:
        try:
            return await ControlClient(stage.control).__aenter__()
        except ControlError:
            await asyncio.sleep(0.02)


def test_without_a_plant_the_same_inspection_is_clean(tmp_path: Path) -> None:
    async def run() -> None:
        stage = Stage(
            tmp_path / "stage",
            fixed_today=FIXED_TODAY,
            on_verdict=lambda partner, verdict: heard.append(str(verdict)),
            on_restart=lambda party: None,
        )
        async with stage:
            await _scan_one(stage, heard)

    heard: list[str] = []
    asyncio.run(run())
    scanner = LeakScanner.for_documents(holders("identity-card"))
    assert leaks(scanner, tmp_path / "stage", events="\n".join(heard).encode()) == {}

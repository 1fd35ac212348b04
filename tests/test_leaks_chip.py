"""Nothing that a chip holds ever leaves: names, further details and portrait, read in a whole demo, are searched for.

And the search finds what is planted: a chip's text on the control socket, its portrait in a log line.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from edged.control import ControlClient
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.portrait_file import find_portrait
from edged.demo.hand import Hand
from edged.demo.stage import Stage
from edged.emulator.office import Office
from edged.emulator.profiles import profiles
from edged.errors import ControlError
from edged.privacy.leakscan import LeakScanner
from edged.privacy.leakviews import views
from edged.specimens import FIXED_TODAY, EmulatedChip
from tests.box import SPECIMENS

CHIP = EmulatedChip("passport", "bac-plain")
SLICES, SLICE = 40, 16


class Searcher:
    """For what is in the chip of the emulated passport: texts, and slices of its portrait."""

    def __init__(self) -> None:
        expected = SPECIMENS["passport"].expected
        assert expected is not None
        assert expected.lines is not None
        chip = Office("UT", on=FIXED_TODAY, seed="leaks").personalise(
            profiles()[CHIP.profile], expected.lines
        )
        assert ElementaryFile.DG11 in chip.files
        portrait = find_portrait(chip.files[ElementaryFile.DG2]).octets
        step = len(portrait) // (SLICES + 1)
        self.slices = [portrait[at : at + SLICE] for at in range(step, step * (SLICES + 1), step)]
        texts = [("mrz", line) for line in expected.lines]
        texts += [("name", "SPECIMEN HOLDER"), ("place", "UTOPIA CITY"), ("name", "ERIKSSON")]
        self.texts = LeakScanner(texts)

    def finds(self, data: bytes) -> bool:
        if self.texts.scan(data):
            return True
        return any(piece in view.data for view in views(data) for piece in self.slices)


async def read_one(directory: Path, plant: str | None = None) -> dict[str, bytes]:
    """One passport with its chip: everything that was written and told."""
    command = {} if plant is None else {"box_command": (sys.executable, "-m", "tests.plants", plant)}
    heard: list[str] = []
    stage = Stage(
        directory,
        fixed_today=FIXED_TODAY,
        on_verdict=lambda partner, verdict: heard.append(str(verdict)),
        on_restart=lambda party: None,
        chips=True,
        **command,  # type: ignore[arg-type]
    )
    async with stage, asyncio.timeout(60):
        assert stage.chip is not None
        async with Hand(stage.glass) as hand:
            client = await connect(stage)
            await client.call("subscribe")
            await stage.chip.lay(CHIP)
            while not (await client.call("status"))["chip"]["present"]:
                await asyncio.sleep(0.01)
            await hand.place(SPECIMENS["passport"].sides)
            answer = await client.call("scan")
            while (await client.call("status"))["uplink"]["pending"]:
                await asyncio.sleep(0.05)
            while not client._events.empty():
                heard.append(str(await client._events.get()))
            await client.__aexit__(None, None, None)
    checks = {check["name"]: check["result"] for check in answer["verdict"]["checks"]}
    assert checks["chip"] == "successful", "the chip was read"
    outputs = await asyncio.to_thread(written, directory)
    return outputs | {"events": "\n".join(heard).encode(), "answer": str(answer).encode()}


def written(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


async def connect(stage: Stage) -> ControlClient:
    while True:
        try:
            return await ControlClient(stage.control).__aenter__()
        except ControlError:
            await asyncio.sleep(0.02)


async def test_nothing_of_the_chip_leaves(tmp_path: Path) -> None:
    searcher = Searcher()
    outputs = await read_one(tmp_path / "stage")
    assert len(outputs) > 12
    assert "'DG2'" in outputs["events"].decode(), "its progress was told"
    assert [name for name, data in outputs.items() if searcher.finds(data)] == []


async def test_planted_leaks_of_the_chip_are_found(tmp_path: Path) -> None:
    searcher = Searcher()
    outputs = await read_one(tmp_path / "stage", "chip")
    found = {name for name, data in outputs.items() if searcher.finds(data)}
    assert {"events", "box/log"} <= found

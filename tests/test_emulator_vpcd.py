"""The emulated chip on readers: the simulated one, vpcd's protocol over TCP, and a real pcscd."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from edged.core.emrtd.chip_reading import ChipReading
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.reader import ReadPlan, read_chip
from edged.drivers import Chip
from edged.emulator import vpcd
from edged.emulator.faults import Fault, Injected
from edged.emulator.office import Office
from edged.emulator.profiles import profiles
from edged.emulator.vpcd import Happened, Slot
from edged.events import ChipPlaced, ChipRemoved
from edged.verdict import Result
from tests import pcsc_stack
from tests.chip_bench import PATIENCE_S, pcsc_bench, socket_bench
from tests.emulated_reading import KEY, ON, PASSPORT, laid

PACE_GM = profiles()["pace-gm"]


async def reading(chip: Chip) -> ChipReading:
    return await chip.read(read_chip(ReadPlan(KEY, max_apdu=4096)))


def proven(got: ChipReading) -> bool:
    found = {check.name: check.result for check in got.checks}
    return got.aborted is None and found == {
        "chip_access": Result.SUCCESSFUL,
        "chip_authentication": Result.SUCCESSFUL,
    }


async def test_documents_are_laid_exchanged_and_lifted_on_a_simulated_reader(tmp_path: Path) -> None:
    told: list[Happened] = []
    slot = Slot(tmp_path / "chip.sock", told.append)
    await slot.lay(laid(PACE_GM))
    async with asyncio.timeout(PATIENCE_S):
        while told != [Happened.WAITING]:
            await asyncio.sleep(0)
    async with socket_bench(tmp_path) as bench:
        assert await bench.next() == ChipPlaced()
        first = await reading(bench.chip)
        assert proven(first)
        await slot.lay(laid(PACE_GM, "cloned"))
        assert await bench.next() == ChipRemoved()
        assert await bench.next() == ChipPlaced()
        second = await reading(bench.chip)
        assert not proven(second)
        assert first.files == second.files
        await slot.lift()
        assert await bench.next() == ChipRemoved()
        await slot.lift()
    assert told == [
        Happened.WAITING,
        Happened.CONNECTED,
        Happened.LIFTED,
        Happened.CONNECTED,
        Happened.LIFTED,
    ]


@pytest.mark.parametrize(("fault", "files"), [("removed:20", set()), ("torn:4000", {ElementaryFile.DG1})])
async def test_a_card_that_goes_in_the_middle(tmp_path: Path, fault: str, files: set[ElementaryFile]) -> None:
    told: list[Happened] = []
    async with socket_bench(tmp_path) as bench:
        slot = Slot(bench.path, told.append)
        await slot.lay(laid(PACE_GM, fault))
        assert await bench.next() == ChipPlaced()
        got = await reading(bench.chip)
        assert got.aborted is not None
        assert got.aborted.code == "chip.gone"
        assert files <= got.files.keys()
        assert await bench.next() == ChipRemoved()
        async with asyncio.timeout(PATIENCE_S):
            await slot.until_gone()
    assert told == [Happened.CONNECTED, Happened.CARD_GONE]


async def test_vpcds_protocol_over_tcp() -> None:
    arrived: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.put_nowait((reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    chip = laid(PACE_GM, "slow:1")
    slot = Slot(("127.0.0.1", server.sockets[0].getsockname()[1]))
    await slot.lay(chip)
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await arrived.get()

        async def ask(message: bytes) -> bytes:
            writer.write(len(message).to_bytes(2, "big"))
            await writer.drain()
            writer.write(message)
            return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))

        writer.write(b"\x00\x01\x01")  # power on: no answer
        assert await ask(b"\x04") == chip.atr
        assert await ask(bytes.fromhex("00A4040C07A0000002471001")) == b"\x90\x00"
        writer.write(b"\x00\x01\x02")  # reset: the application isn't selected any more
        card_access = chip.card.personalised.files[ElementaryFile.CARD_ACCESS]
        assert await ask(bytes.fromhex("00B09C0002")) == card_access[:2] + b"\x90\x00"
        writer.close()
        _, other = await arrived.get()
        other.close()
    await slot.lift()
    server.close()


@pytest.fixture
def pcscd() -> Iterator[pcsc_stack.Pcscd]:
    if why := pcsc_stack.missing():
        pytest.skip(why)
    with pcsc_stack.running() as made:
        yield made


async def test_a_real_pcscd_reads_it(pcscd: pcsc_stack.Pcscd) -> None:
    """Through Debian's pcscd and vpcd: what the product's driver does with a passport on the reader."""
    async with pcsc_bench(pcscd) as bench:
        for name in ("pace-gm", "bac", "prc"):
            connection = pcscd.connect(pcsc_stack.PORTS[0])
            connection.setblocking(False)
            chip = laid(profiles()[name])
            serving = asyncio.create_task(vpcd.serve(connection, chip))
            assert await bench.next() == ChipPlaced()
            got = await reading(bench.chip)
            assert got.aborted is None
            assert got.files.keys() >= {ElementaryFile.SOD, ElementaryFile.DG1, ElementaryFile.DG2}
            assert all(chip.card.personalised.files[file] == octets for file, octets in got.files.items())
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
            connection.close()
            assert await bench.next() == ChipRemoved()


class Emulate:
    """`edged chip emulate` as a process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def event(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            event: dict[str, Any] = json.loads(await self.process.stdout.readline())
        return event

    async def order(self, **order: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        await self.process.stdin.drain()


async def emulate(*arguments: str) -> Emulate:
    pipe = asyncio.subprocess.PIPE
    return Emulate(
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "edged", "chip", "emulate", "--json", *arguments),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
        )
    )


async def test_the_command_lays_what_it_is_told_and_issues_what_verifies_it(tmp_path: Path) -> None:
    trust = tmp_path / "trust.pem"
    async with socket_bench(tmp_path) as bench:
        where = ("--socket", str(bench.path), "--issue-trust", str(trust), "--seed", "test")
        command = await emulate("--document", "passport", *where)
        assert await command.event() == {"event": "trust", "file": str(trust)}
        assert await command.event() == {"event": "laid", "document": "passport"}
        assert await command.event() == {"event": "connected"}
        assert await bench.next() == ChipPlaced()
        assert proven(await reading(bench.chip))
        for order, reason in (
            ({"do": "dance"}, "emulate.bad_order"),
            ({"do": "lay"}, "emulate.bad_order"),
            ({"do": "lay", "specimen": "passport", "fault": 3}, "emulate.bad_order"),
            ({"do": "lay", "specimen": "nothing"}, "emulate.no_mrz"),
            ({"do": "lay", "specimen": "none such"}, "emulate.unknown_document"),
            ({"do": "lay", "specimen": "passport", "profile": "none such"}, "emulate.unknown_profile"),
            ({"do": "lay", "specimen": "passport", "fault": "none such"}, "emulate.unknown_fault"),
            ({"do": "lay", "mrz": ["HELLO"]}, "mrz.unknown_format"),
        ):
            await command.order(**order)
            assert await command.event() == {"event": "refused", "reason": reason}
        await command.order(do="lay", specimen="passport", profile="pace-im", fault="cloned")
        assert await command.event() == {"event": "lifted"}
        assert await command.event() == {"event": "laid", "document": "passport"}
        assert await command.event() == {"event": "connected"}
        assert await bench.next() == ChipRemoved()
        assert await bench.next() == ChipPlaced()
        assert not proven(await reading(bench.chip))
        await command.order(do="lift")
        assert await command.event() == {"event": "lifted"}
        assert await bench.next() == ChipRemoved()
        assert command.process.stdin is not None
        command.process.stdin.close()
        async with asyncio.timeout(PATIENCE_S):
            assert await command.process.wait() == os.EX_OK
            assert command.process.stderr is not None
            assert await command.process.stderr.read() == b""
    text = trust.read_text("ascii")
    assert text.count("BEGIN CERTIFICATE") == text.count("BEGIN X509 CRL") > 1


def edged(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "edged", *arguments], capture_output=True).returncode


def test_what_is_issued_is_imported_and_verifies_documents(tmp_path: Path) -> None:
    """With the seed given, another process makes the same state: RSA apart, whose primes no seed gives."""
    issued, store = tmp_path / "issued", tmp_path / "store"
    issued.mkdir()
    on = ("--seed", "test", "--issued", ON.isoformat())
    assert edged("chip", "emulate", "--issue-trust", str(issued), "--document", "passport", *on) == 0
    assert {path.suffix for path in issued.iterdir()} == {".cer", ".crl", ".ml"}
    assert edged("trust", "import", "--yes", "--trust", str(store), *map(str, issued.glob("*.c*"))) == 0
    for fault, expected in ((None, 0), (Fault.FOREIGN_SIGNER, 1), (Fault.SWAPPED_PORTRAIT, 1)):
        injected = Injected(fault, 1) if fault else None
        chip = Office("UT", on=ON, seed="test").personalise(PACE_GM, PASSPORT, injected)
        given = []
        for file, octets in chip.files.items():
            if file is ElementaryFile.SOD or (file.number is not None and file is not ElementaryFile.DG3):
                (tmp_path / file.value).write_bytes(octets)
                path = str(tmp_path / file.value)
                given += ["--sod", path] if file.number is None else ["--dg", f"{file.number}={path}"]
        at = ("--trust", str(store), "--at", "2026-06-15")
        assert edged("chip", "verify", *given, *at) == expected, fault

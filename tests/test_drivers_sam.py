"""The driver of the ID-card module with an emulated module on a kernel tty: good days, bad lines, pulled plugs."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import random
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edged import log
from edged.core.id_card import parse_id_card
from edged.device_settings import IdCardSettings
from edged.drivers import _sam_wire, sam
from edged.drivers.sam_session import SIMULATED_SAM, STATUS_CODES
from edged.emulator.sam import Line, SamTty
from edged.emulator.sam_module import SamModule
from edged.errors import DeviceError, DeviceGoneError
from edged.events import DeviceBack, DeviceGone, IdCardPlaced, IdCardRemoved
from edged.privacy.leakscan import LeakScanner
from edged.verdict import Result
from tests import logging_state
from tests.sam_bench import CARDS, TODAY, Bench, bench, driver
from tests.waiting import until

GONE, BACK = DeviceGone("id_card"), DeviceBack("id_card")


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as made:
        yield made


# --- good days --------------------------------------------------------------------------------------------------


async def test_a_five_star_card_is_placed_read_and_taken_away(at: Bench) -> None:
    assert at.sam.trouble is None
    assert not at.sam.card_present
    await at.lay("resident-2023")
    await at.until(IdCardPlaced())
    assert at.sam.card_present
    reading = await at.sam.read()
    assert [(check.name, check.result) for check in reading.checks] == [
        ("id_card_read", Result.SUCCESSFUL),
        ("id_card_number", Result.SUCCESSFUL),
        ("id_card_fields", Result.SUCCESSFUL),
    ]
    assert reading.data.document_number.reveal() == "911124198108030024"
    assert bytes(reading.data.photo.reveal()) == CARDS["resident-2023"].photo
    assert not at.sam.card_present, "what was read is not waiting to be read"
    await at.until(IdCardRemoved())
    assert at.told == [IdCardPlaced(), IdCardRemoved()]


@pytest.mark.parametrize("name", CARDS)
async def test_every_emulated_card_comes_through(at: Bench, name: str) -> None:
    await at.lay(name)
    reading = await at.sam.read()
    assert reading.kind.value
    wrong = {"resident-2023-wrong-number", "resident-2023-contradiction"}
    assert (reading.checks[1].result is Result.FAILED) == (name in wrong)


async def test_what_is_read_through_a_pseudo_terminal_is_simulated(at: Bench) -> None:
    assert at.sam.provenance.simulated
    assert at.sam.provenance.identity == SIMULATED_SAM
    assert at.sam.provenance.driver == "sam"


async def test_a_pseudo_terminal_is_simulated_whatever_its_module_says(tmp_path: Path) -> None:
    module = SamModule(numbers=(5, 1, 20101129, 1228293, 296863149))
    async with bench(tmp_path, module=module) as at:
        assert at.sam.provenance.identity == "05.01-20101129-0001228293-0296863149"
        assert at.sam.provenance.simulated


async def test_a_card_that_was_read_must_be_lifted(at: Bench) -> None:
    await at.lay()
    await at.sam.read()
    with pytest.raises(DeviceError) as refused:
        await at.sam.read()
    assert refused.value.code == "idcard.no_card"
    at.tty.lift()
    await at.lay()
    await at.until(IdCardPlaced())
    await at.sam.read()


async def test_a_module_that_goes_on_finding_a_card_that_was_read(tmp_path: Path) -> None:
    async with bench(tmp_path, module=SamModule(reads_once=False)) as at:
        await at.lay()
        await at.until(IdCardPlaced())
        await at.sam.read()
        looks = at.module.heard.count("find")
        await until(lambda: at.module.heard.count("find") > looks + 4)
        assert not at.sam.card_present
        at.tty.lift()
        await at.until(IdCardRemoved())
        assert at.told == [IdCardPlaced(), IdCardRemoved()]


async def test_fingerprints_are_never_asked_for(tmp_path: Path) -> None:
    async with bench(tmp_path, additional_address=True) as at:
        await at.lay("citizen")
        reading = await at.sam.read()
        assert reading.data.additional_address.reveal() == "北京市海淀区样本街2号"
        assert "read-address" in at.module.heard
        assert not {"read-fingerprints", "refused"} & set(at.module.heard)


async def test_the_additional_address_is_left_alone_unless_it_is_asked_for(at: Bench) -> None:
    await at.lay("citizen")
    reading = await at.sam.read()
    assert reading.data.additional_address.reveal() == ""
    assert "read-address" not in at.module.heard


async def test_readings_that_are_asked_for_at_once_come_one_after_the_other(tmp_path: Path) -> None:
    async with bench(tmp_path, module=SamModule(reads_once=False)) as at:
        await at.lay()
        readings = await asyncio.gather(*(at.sam.read() for _ in range(5)))
        assert len(readings) == 5
        steps = [step for step in at.module.heard if step != "find"]
        assert steps == ["status", "sam-id", *5 * ["select", "read"]]


# --- bad lines --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        Line(piece=1),
        Line(piece=7, pause_s=0.0005),
        Line(damage=lambda answer: b"\xaa\xaa\xaa" + answer + b"\xaa\x96"),
        Line(damage=lambda answer: b"noise \xaa\xaa\xaa\x96\x69\x00\x00" + answer),
    ],
    ids=["one octet at a time", "slow pieces", "noise", "half a frame before"],
)
async def test_a_bad_line_costs_time_and_nothing_else(tmp_path: Path, line: Line) -> None:
    async with bench(tmp_path, line=line) as at:
        assert at.sam.trouble is None
        await at.lay()
        assert (await at.sam.read()).data.document_number.reveal() == "911124198108030024"


async def test_content_that_is_damaged_on_its_way(tmp_path: Path) -> None:
    def damage(answer: bytes) -> bytes:
        return answer if len(answer) < 100 else answer[:300] + b"\0" + answer[301:]

    async with bench(tmp_path, line=Line(damage=damage)) as at:
        await at.lay()
        with pytest.raises(DeviceError) as refused:
            await at.sam.read()
        assert refused.value.code == "idcard.answer_damaged"
        assert at.sam.trouble is None, "the module is fine"


async def test_a_short_answer_is_not_waited_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sam_wire, "GAP_S", 0.05)
    async with bench(tmp_path, line=Line(damage=lambda answer: answer[:1000])) as at:
        await at.lay()
        with pytest.raises(DeviceError) as refused:
            await at.sam.read()
        assert refused.value.code == "idcard.answer_damaged"


async def test_endless_noise_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sam_wire, "MOST_S", 0.2)
    begun = b"\xaa\xaa\xaa\x96\x69\x0f\xff"
    async with bench(tmp_path, baud=115200) as at:
        at.tty.line = Line(piece=1, pause_s=0.001, damage=lambda answer: begun + bytes(4000))
        with pytest.raises(DeviceGoneError) as gone:
            await at.sam.read()
        assert gone.value.code == "idcard.answer_damaged"
        await at.until(GONE)


@pytest.mark.parametrize("baud", [9600, 57600])
async def test_the_speed_is_looked_for(tmp_path: Path, baud: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.drivers.sam_session.ANSWER_S", 0.1)
    async with bench(tmp_path, line=Line(baud=baud)) as at:
        await until(lambda: at.sam.trouble is None)
        await at.lay()
        await at.sam.read()


async def test_a_speed_that_is_set_is_not_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.drivers.sam_session.ANSWER_S", 0.1)
    async with bench(tmp_path, line=Line(baud=9600), baud=115200) as at:
        assert at.sam.trouble is not None
        assert at.sam.trouble.code == "idcard.mute"
        await at.until(GONE)
        assert at.module.heard == []


# --- what the module says ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(set(STATUS_CODES) - {0x60, 0x66}))
async def test_every_status_of_a_reading_reaches_the_clerk(at: Bench, code: int) -> None:
    at.module.broken["read"] = code
    await at.lay()
    with pytest.raises(DeviceError) as refused:
        await at.sam.read()
    assert refused.value.code == STATUS_CODES[code]
    assert not isinstance(refused.value, DeviceGoneError)
    assert at.sam.trouble is None
    at.module.broken.clear()
    await at.lay()
    await at.sam.read()


@pytest.mark.parametrize("code", [0x60, 0x66])
async def test_a_module_that_can_not_work_is_reset_and_found_again(at: Bench, code: int) -> None:
    at.module.broken.update({"find": code, "status": code})
    await at.until(GONE)
    assert at.sam.trouble is not None
    assert at.sam.trouble.code == STATUS_CODES[code]
    with pytest.raises(DeviceGoneError) as refused:
        await at.sam.read()
    assert refused.value.code == STATUS_CODES[code]
    await until(lambda: "reset" in at.module.heard)
    at.module.broken.clear()
    await at.until(BACK)
    assert at.sam.trouble is None


async def test_a_module_that_only_says_its_name_does_not_come_and_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its status is good, and every look for a card says that it can't work: it is away until it can."""
    pauses: list[int] = []

    class Steps(tuple[float, ...]):
        def __getitem__(self, at):  # type: ignore[no-untyped-def]
            pauses.append(at)
            return 0.001

    monkeypatch.setattr(sam, "RECONNECT_S", Steps((1, 2, 3, 4, 5)))
    async with bench(tmp_path, module=SamModule(broken={"find": 0x60})) as at:
        await until(lambda: at.module.heard.count("find") > 8)
        assert at.sam.trouble is not None
        assert at.sam.trouble.code == "idcard.self_test_failed"
        assert pauses[:6] == [0, 1, 2, 3, 4, 4], "looked for in longer and longer pauses"
        at.module.broken.clear()
        await at.until(BACK)
    assert at.told == [GONE, BACK]


async def test_a_module_with_an_error_of_its_own_is_in_trouble_and_there(at: Bench) -> None:
    at.module.broken["find"] = 0x24
    await until(lambda: at.sam.trouble is not None)
    assert at.sam.trouble is not None
    assert at.sam.trouble.code == "idcard.module_error"
    at.module.broken.clear()
    await until(lambda: at.sam.trouble is None)
    assert at.told == []


# --- pulled plugs -----------------------------------------------------------------------------------------------


async def test_a_module_that_is_not_there_is_found_when_it_comes(tmp_path: Path) -> None:
    async with bench(tmp_path, plugged=False) as at:
        assert at.sam.trouble is not None
        assert at.sam.trouble.code == "idcard.no_module"
        assert not at.sam.provenance.simulated
        with pytest.raises(DeviceGoneError):
            await at.sam.read()
        await at.until(GONE)
        at.tty.plug()
        await at.until(BACK)
        await at.lay()
        await at.sam.read()


async def test_the_plug_is_pulled_while_a_card_lies_there(at: Bench) -> None:
    await at.lay()
    await at.until(IdCardPlaced())
    await at.tty.unplug()
    await at.until(GONE)
    assert at.told == [IdCardPlaced(), IdCardRemoved(), GONE]
    assert not at.sam.card_present
    at.tty.plug()
    await at.until(IdCardPlaced())
    assert at.told[-2:] == [BACK, IdCardPlaced()], "laid down on a module that is there"
    await at.sam.read()


@pytest.mark.parametrize("octets", [0, 1, 7, 11, 300, 1294])
async def test_the_plug_is_pulled_in_the_middle_of_a_reading(tmp_path: Path, octets: int) -> None:
    """After so many octets of the card's content; the next reading after it is back is a good one."""
    async with bench(tmp_path) as at:
        pulled = asyncio.Event()

        def cut(answer: bytes) -> bytes:
            if len(answer) < 100:
                return answer
            pulled.set()
            return answer[:octets]

        at.tty.line = Line(damage=cut)
        await at.lay()
        reading = asyncio.create_task(at.sam.read())
        await pulled.wait()
        await asyncio.sleep(0)  # the tty's writer takes it up
        await at.tty.unplug()
        with pytest.raises(DeviceGoneError) as gone:
            await reading
        assert gone.value.code == "idcard.gone"
        await at.until(GONE)
        at.tty.line = Line()
        at.tty.plug()
        await at.until(BACK)
        await at.lay()
        assert (await at.sam.read()).data.document_number.reveal() == "911124198108030024"


async def test_the_plug_is_pulled_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somewhere between two octets of whatever is going on; afterwards everything is as before."""
    monkeypatch.setattr(sam, "RECONNECT_S", (0.005,))
    chance = random.Random(11)
    outcomes = set()
    async with bench(tmp_path, line=Line(piece=40), poll_s=0.001) as at:
        for _ in range(80):
            await until(lambda: at.sam.trouble is None)
            await at.lay()
            reading = asyncio.create_task(at.sam.read())
            for _ in range(chance.randrange(90)):
                await asyncio.sleep(0)
            if chance.random() < 0.1:  # the very moment after it
                await asyncio.wait([reading])
            await at.tty.unplug()
            try:
                await reading
                outcomes.add("read")
            except DeviceError as error:
                outcomes.add(error.code)
            identified = at.module.heard.count("sam-id")
            at.tty.plug()
        await until(lambda: at.module.heard.count("sam-id") > identified and at.sam.trouble is None)
        await at.lay()
        assert (await at.sam.read()).data.document_number.reveal() == "911124198108030024"
    assert {"read", "idcard.gone"} <= outcomes
    assert outcomes <= {"read", "idcard.gone", "idcard.no_module"}


async def test_a_module_that_falls_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.drivers.sam_session.FIND_S", 0.05)
    async with bench(tmp_path, baud=115200) as at:
        at.tty.line.mute = True
        await at.until(GONE)
        assert at.sam.trouble is not None
        assert at.sam.trouble.code == "idcard.mute"
        at.tty.line.mute = False
        await at.until(BACK)


async def test_a_port_that_may_not_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = os.open

    def denied(path: object, *more: object) -> int:
        if str(path) == str(tmp_path / "port"):
            raise PermissionError(errno.EACCES, "Permission denied")  # root would not meet it
        return honest(path, *more)  # type: ignore[arg-type]

    monkeypatch.setattr("serial.serialposix.os.open", denied)
    async with driver(IdCardSettings(port=str(tmp_path / "port"))) as sam:
        assert sam.trouble is not None
        assert sam.trouble.code == "idcard.no_permission"


async def test_a_port_that_another_program_holds(tmp_path: Path) -> None:
    async with SamTty(tmp_path / "sam") as tty:
        settings = IdCardSettings(port=str(tty.link))
        async with driver(settings) as first, driver(settings) as second:
            assert first.trouble is None
            assert second.trouble is not None
            assert second.trouble.code == "idcard.port_busy"


@pytest.mark.parametrize("kind", ["file", "folder", "null"])
async def test_a_port_that_is_none(tmp_path: Path, kind: str) -> None:
    port = Path("/dev/null") if kind == "null" else tmp_path / "port"
    if kind == "file":
        port.write_bytes(b"thesis")
    elif kind == "folder":
        port.mkdir()
    async with driver(IdCardSettings(port=str(port))) as sam:
        assert sam.trouble is not None
        assert sam.trouble.code == "idcard.no_module"
        assert not sam.provenance.simulated


# --- ends -------------------------------------------------------------------------------------------------------


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name == "id card"}


@pytest.mark.parametrize("mute", [False, True])
async def test_leaving_ends_the_thread_whatever_it_waits_for(tmp_path: Path, mute: bool) -> None:
    async with bench(tmp_path) as at:
        at.tty.line.mute = mute
        await at.lay()
        asked = asyncio.create_task(at.sam.read())
        await asyncio.sleep(0)
        assert threads()
        await at.sam.__aexit__(None, None, None)
        assert not threads(), "it does not wait for the module's time to be up"
        if mute:
            with pytest.raises(DeviceGoneError):
                await asked
        else:
            with suppress(DeviceGoneError):
                await asked
        with pytest.raises(DeviceGoneError):
            await at.sam.read()


async def test_a_cancelled_reading_ends_at_once_and_the_next_one_is_good(tmp_path: Path) -> None:
    async with bench(tmp_path, module=SamModule(reads_once=False), line=Line(piece=50, pause_s=0.002)) as at:
        await at.lay()
        for turns in (0, 1, 5, 30):
            asked = asyncio.create_task(at.sam.read())
            for _ in range(turns):
                await asyncio.sleep(0.001)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
        assert (await at.sam.read()).data.document_number.reveal() == "911124198108030024"


async def test_entering_that_is_cancelled_leaves_no_thread(tmp_path: Path) -> None:
    async with SamTty(tmp_path / "sam", line=Line(mute=True)) as tty:
        sam = driver(IdCardSettings(port=str(tty.link)))
        entering = asyncio.create_task(sam.__aenter__())
        await asyncio.sleep(0.01)
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        assert not threads()


# --- leaks ------------------------------------------------------------------------------------------------------


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    with logging_state.restored():
        stream = io.StringIO()
        log.configure("debug", stream=stream)
        yield stream


async def test_nothing_of_a_card_is_logged_raised_or_shown(
    tmp_path: Path, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sam_wire, "GAP_S", 0.05)
    card = CARDS["resident-2023"]
    known = parse_id_card(card.text, card.photo, today=TODAY).data
    scanner = LeakScanner.for_documents((), [known])
    said: list[str] = []
    damages = [
        bytes,
        lambda a: a[:900],
        lambda a: a[:400] + b"x" + a[401:],
        lambda a: a[:7] + b"\x32" + a[8:],
    ]
    async with bench(tmp_path) as at:
        for damage in damages:
            for name in ("resident-2023", "resident-2023-wrong-number", "resident-2023-contradiction"):
                at.tty.line.damage = lambda answer, damage=damage: (
                    damage(answer) if len(answer) > 99 else answer
                )
                await at.lay(name)
                try:
                    reading = await at.sam.read()
                except DeviceError as error:
                    said += [str(error), repr(error), repr(error.__context__), repr(error.args)]
                else:
                    said += [repr(reading), repr(reading.data), repr(vars(reading.data)), str(reading.checks)]
                    said += [repr(reading.data.field_checks), repr(reading.data.check_digits)]
        await at.tty.unplug()
        await at.until(GONE)
        said += [repr(at.sam), repr(at.sam.provenance), repr(at.sam.trouble), repr(at.told)]
    written = (lines.getvalue() + "\n".join(said)).encode()
    assert "ID-card module" in lines.getvalue()
    assert not scanner.scan(written)
    assert not any(card.photo[at : at + 8] in written for at in range(0, 1024, 64))
    for leak in ("证件样本", "yangben", "CAN110081080310", "911124 19810803 0024", "1981-08-03"):
        assert scanner.scan(written + leak.encode()), "a leak would be found"
    assert re.search(r"idcard\.answer_damaged", written.decode())


async def test_the_buffers_of_a_reading_are_overwritten(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    held = []
    honest = _sam_wire.Wire.run

    def run(self: _sam_wire.Wire, session: object) -> object:
        content = honest(self, session)  # type: ignore[arg-type,var-annotated]
        held.extend([self._buffer, self._parser._held])
        if hasattr(content, "wipe"):
            assert content.text.startswith("证件样本".encode("utf-16-le"))
            held.extend([content.text, content.photo])
        return content

    monkeypatch.setattr(_sam_wire.Wire, "run", run)
    await at.lay()
    await at.sam.read()
    await until(lambda: len(held) > 4)
    assert not any(any(one) for one in held)

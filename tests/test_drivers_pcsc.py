"""The PC/SC driver with a real pcscd: several readers, other programs, a service that comes and goes; and what of it
can be told without one."""

from __future__ import annotations

import asyncio
import builtins
import functools
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from edged import messages
from edged.core.emrtd.access_keys import mrz_key
from edged.core.emrtd.chip_reading import ChipReading
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.reader import ReadPlan, read_chip
from edged.core.emrtd.steps import Phase
from edged.drivers import _pcsc_api as api
from edged.drivers._pcsc_names import choose, is_sam, is_virtual
from edged.drivers.pcsc import PcscChip, list_readers
from edged.emulator.faults import FaultyCard, Injected
from edged.emulator.office import Office
from edged.emulator.profiles import profiles
from edged.errors import ChipError, ChipGoneError, DeviceError, DeviceGoneError
from edged.events import ChipRemoved, DeviceBack, DeviceGone
from tests import pcsc_stack
from tests.chip_bench import READ, digest, pcsc_bench, salvage, talk
from tests.emulated_reading import ON, PASSPORT

KEY = mrz_key("L898902C3", "740812", "310415")


@pytest.fixture
def pcscd() -> Iterator[pcsc_stack.Pcscd]:
    if why := pcsc_stack.missing():
        pytest.skip(why)
    with pcsc_stack.running() as made:
        yield made


# --- which reader -------------------------------------------------------------------------------------------------

OMNIKEY = "HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422CL Smartcard Reader] (KP00600047) 01 00"
OMNIKEY_CONTACT = (
    "HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422 Smartcard Reader] (KP00600047) 00 00"
)
ACR_PICC = "ACS ACR1281 1S Dual Reader [ACR1281 Dual Reader PICC] 00 01"
ACR_ICC = "ACS ACR1281 1S Dual Reader [ACR1281 Dual Reader ICC] 00 00"
ACR_SAM = "ACS ACR1281 1S Dual Reader [ACR1281 Dual Reader SAM] 00 02"
CLOUD_CL = "Identive CLOUD 4700 F Dual Interface Reader [CLOUD 4700 F Contactless Reader] (53201513) 01 00"
CLOUD_CONTACT = "Identive CLOUD 4700 F Dual Interface Reader [CLOUD 4700 F Contact Reader] (53201513) 00 00"
GEMALTO = "Gemalto Prox-DU [Prox-DU Contactless_08A00218] (08A00218) 00 00"
GEMALTO_CONTACT = "Gemalto Prox-DU [Prox-DU Contact_08A00218] (08A00218) 00 01"
PLAIN = "Alcor Micro AU9540 00 00"


@pytest.mark.parametrize(
    ("names", "wanted", "chosen"),
    [
        ([], "", None),
        ([PLAIN], "", PLAIN),
        ([PLAIN, OMNIKEY], "", OMNIKEY),
        ([OMNIKEY_CONTACT, OMNIKEY], "", OMNIKEY),
        ([ACR_ICC, ACR_PICC, ACR_SAM], "", ACR_PICC),
        ([ACR_SAM], "", None),
        ([ACR_SAM], "acr1281", None),
        ([ACR_ICC, ACR_SAM], "", ACR_ICC),
        ([CLOUD_CONTACT, CLOUD_CL], "", CLOUD_CL),
        ([GEMALTO_CONTACT, GEMALTO], "", GEMALTO),
        ([CLOUD_CL, OMNIKEY], "", CLOUD_CL),
        ([CLOUD_CL, OMNIKEY], "omnikey", OMNIKEY),
        ([CLOUD_CL, OMNIKEY], "KP00600047", OMNIKEY),
        ([CLOUD_CL, PLAIN], "alcor", PLAIN),
        ([CLOUD_CONTACT, PLAIN], "", PLAIN),
        ([CLOUD_CL, OMNIKEY], "gemalto", None),
    ],
)
def test_the_reader_that_is_used(names: list[str], wanted: str, chosen: str | None) -> None:
    assert choose(names, wanted) == chosen


def test_readers_made_of_software_are_told_from_real_ones() -> None:
    real = [OMNIKEY, ACR_PICC, ACR_ICC, CLOUD_CL, GEMALTO, PLAIN]
    assert not any(is_virtual(name) for name in real)
    assert is_virtual("Virtual PCD 00 00")
    assert [name for name in [*real, ACR_SAM] if is_sam(name)] == [ACR_SAM]


# --- what the driver of a reader tells ------------------------------------------------------------------------------


def features(answers: dict[int, bytes]) -> int | None:
    return api._longest_apdu(lambda code: answers.get(code, b""))


@pytest.mark.parametrize(
    ("properties", "octets"),
    [
        ("0A0400000100", 65536),
        ("0A04FFFF0000", 65535),
        ("0A0400000000", 256),
        ("0A0400010000", 256),
        ("0A04FFFFFFFF", 65536),
        ("01020000 0A04 00000100", 65536),
        ("01020000", None),
        ("0A040000", None),
        ("0A", None),
        ("", None),
    ],
)
def test_the_longest_apdu_is_what_the_driver_tells(properties: str, octets: int | None) -> None:
    table = bytes.fromhex("0604 42330006 1204 42330012")
    assert features({0x42003400: table, 0x42330012: bytes.fromhex(properties)}) == octets


@pytest.mark.parametrize("table", ["", "12", "1204", "1202 4233", "0604 42330006"])
def test_a_driver_without_properties_tells_nothing(table: str) -> None:
    assert features({0x42003400: bytes.fromhex(table)}) is None


@pytest.mark.parametrize(
    ("code", "error", "told"),
    [
        (0x80100013, DeviceGoneError, "chip.no_service"),
        (0x8010001D, DeviceGoneError, "chip.no_service"),
        (0x80100009, DeviceGoneError, "chip.no_reader"),
        (0x80100003, DeviceGoneError, "chip.no_reader"),
        (0x8010006A, DeviceGoneError, "chip.not_allowed"),
        (0x80100001, DeviceError, "chip.reader_failed"),
        (0x8010006A - (1 << 32), DeviceGoneError, "chip.not_allowed"),
    ],
)
def test_what_pcsc_reports_becomes_a_sentence(code: int, error: type[DeviceError], told: str) -> None:
    with pytest.raises(error) as caught:
        api._expect(code)
    assert caught.value.code == told
    assert messages.known(told)


class Wire:
    """pyscard in place of which a scripted answer stands: what no virtual reader can be made to say."""

    def __init__(self, code: int, answer: bytes = b"") -> None:
        self.code, self.answer = code, answer
        self.dispositions: list[int] = []
        self.api = self
        self.handle = 1

    def SCardTransmit(self, card: int, protocol: int, apdu: list[int]) -> tuple[int, list[int]]:
        return self.code, list(self.answer)

    def SCardDisconnect(self, card: int, disposition: int) -> int:
        self.dispositions.append(disposition)
        return 0

    def SCardReleaseContext(self, handle: int) -> int:
        return 0


SHORT = bytes.fromhex("00B0000010")
EXTENDED = bytes.fromhex("00B00000001000")
RESET, LEAVE = 1, 0


@pytest.mark.parametrize(
    ("code", "apdu", "error", "told", "lost", "left"),
    [
        (0x80100016, SHORT, ChipGoneError, "chip.gone", None, LEAVE),
        (0x80100016, EXTENDED, ChipError, "chip.too_long", None, RESET),
        (0x80100008, EXTENDED, ChipError, "chip.too_long", None, RESET),
        (0x80100069, EXTENDED, ChipGoneError, "chip.gone", None, LEAVE),
        (0x80100068, SHORT, ChipGoneError, "chip.gone", None, LEAVE),
        (0x80100003, SHORT, ChipGoneError, "chip.gone", "chip.no_reader", LEAVE),
        (0x80100017, EXTENDED, ChipGoneError, "chip.gone", "chip.no_reader", LEAVE),
        (0x80100013, SHORT, ChipGoneError, "chip.gone", "chip.no_service", LEAVE),
        (0, SHORT, ChipGoneError, "chip.gone", None, LEAVE),
        (0, EXTENDED, ChipGoneError, "chip.gone", None, LEAVE),
    ],
)
def test_what_a_failed_command_means(
    code: int, apdu: bytes, error: type[ChipError], told: str, lost: str | None, left: int
) -> None:
    """A long command that the reader doesn't take leaves the chip as it is; anything else is the end of it."""
    wire: Any = Wire(code)
    link = api.PcscLink(PLAIN)
    link._context, link._card = wire, 7
    with pytest.raises(error) as caught:
        link.transmit(apdu)
    link.disconnect()
    assert (type(caught.value), caught.value.code, link.lost) == (error, told, lost)
    assert wire.dispositions == [left]


async def test_without_pyscard_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **more: Any) -> Any:
        if name == "smartcard":
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DeviceError) as caught:
        await PcscChip().__aenter__()
    assert "edged[pcsc]" in messages.text(caught.value.code, "en")
    assert not isinstance(caught.value, DeviceGoneError)


# --- with the real service ------------------------------------------------------------------------------------------


async def test_two_readers_do_not_get_in_each_others_way(pcscd: pcsc_stack.Pcscd) -> None:
    async with pcsc_bench(pcscd, 0) as one, pcsc_bench(pcscd, 1) as other:
        left = await one.lay(lambda apdu: b"\x01" + digest(apdu))
        assert not other.chip.card_present
        right = await other.lay(lambda apdu: b"\x02" + digest(apdu))
        first, second = await asyncio.gather(
            one.chip.read(talk([READ] * 20)), other.chip.read(talk([READ] * 20))
        )
        assert {answer.data[0] for answer in first} == {1}
        assert {answer.data[0] for answer in second} == {2}
        left.remove()
        assert await one.next() == ChipRemoved()
        assert other.chip.card_present
        right.remove()
        names = {one.chip.provenance.identity, other.chip.provenance.identity}
        assert names == {"Virtual PCD 00 00", "Virtual PCD 00 01"}


async def test_readers_are_listed_for_a_technician(pcscd: pcsc_stack.Pcscd) -> None:
    async with pcsc_bench(pcscd, 1) as bench:
        card = await bench.lay(digest)
        listed = await asyncio.to_thread(list_readers, "00 01")
        card.remove()
    assert [(reader.name, reader.kind, reader.card_present) for reader in listed] == [
        ("Virtual PCD 00 00", "free", False),
        ("Virtual PCD 00 01", "used", True),
    ]
    assert all(reader.simulated for reader in listed)


class Program:
    """Some other program that holds the reader for itself."""

    def __init__(self, share: int = 1) -> None:
        from smartcard import scard

        self._scard = scard
        result, self._context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
        assert result == 0
        result, self._card, _ = scard.SCardConnect(self._context, "Virtual PCD 00 00", share, 3)
        assert result == 0

    def let_go(self) -> None:
        self._scard.SCardDisconnect(self._card, LEAVE)
        self._scard.SCardReleaseContext(self._context)


@pytest.mark.parametrize("share", [1, pytest.param(2, marks=pytest.mark.slow)], ids=["exclusive", "shared"])
async def test_another_program_holds_the_reader(
    pcscd: pcsc_stack.Pcscd, share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "BUSY_S", 0.3)
    async with pcsc_bench(pcscd) as bench:
        card = await bench.lay(digest)
        program = await asyncio.to_thread(Program, share)
        with pytest.raises(DeviceError) as caught:
            await bench.chip.read(talk([READ]))
        assert caught.value.code == "chip.busy"
        program.let_go()
        assert len(await bench.chip.read(talk([READ]))) == 1
        card.remove()


async def test_a_reader_that_is_let_go_meanwhile_is_waited_for(pcscd: pcsc_stack.Pcscd) -> None:
    async with pcsc_bench(pcscd) as bench:
        card = await bench.lay(digest)
        program = await asyncio.to_thread(Program)
        waited = threading.Event()
        connect = api.PcscLink.connect

        def slow(link: api.PcscLink, given_up: threading.Event) -> None:
            waited.set()
            connect(link, given_up)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(api.PcscLink, "connect", slow)
            reading = asyncio.create_task(bench.chip.read(talk([READ])))
            await asyncio.to_thread(waited.wait)
            program.let_go()
            assert len(await reading) == 1
        card.remove()


async def test_while_it_reads_nobody_else_gets_in(pcscd: pcsc_stack.Pcscd) -> None:
    refused: list[bool] = []

    def intrude(apdu: bytes) -> bytes:
        with suppress(AssertionError):
            Program(share=2)
            refused.append(False)
        refused.append(True)
        return digest(apdu)

    async with pcsc_bench(pcscd) as bench:
        card = await bench.lay(intrude)
        await bench.chip.read(talk([READ]))
        card.remove()
    assert refused == [True]


async def test_a_service_that_does_not_run_is_waited_for(pcscd: pcsc_stack.Pcscd) -> None:
    pcscd.kill()
    async with pcsc_bench(pcscd) as bench:
        assert await bench.next() == DeviceGone("chip")
        assert bench.chip.trouble is not None
        assert bench.chip.trouble.code == "chip.no_service"
        assert "pcscd.socket" in messages.reason(bench.chip.trouble, "en")
        with pytest.raises(DeviceGoneError):
            await bench.chip.read(talk([READ]))
        await bench.plug()
        assert await bench.next() == DeviceBack("chip")
        (await bench.lay(digest)).remove()


async def test_a_service_that_hangs_does_not_hang_the_daemon(
    pcscd: pcsc_stack.Pcscd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.drivers.pcsc.LOOK_S", 0.2)
    monkeypatch.setattr("edged.drivers.pcsc.STOP_S", 0.1)
    with pcscd.frozen():
        async with pcsc_bench(pcscd) as bench:
            assert await bench.next() == DeviceGone("chip")
            with pytest.raises(DeviceGoneError):
                await bench.chip.read(talk([READ]))


async def test_a_service_that_hangs_later_ends_a_reading_in_time(
    pcscd: pcsc_stack.Pcscd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.drivers.pcsc.STOP_S", 0.1)
    monkeypatch.setattr("edged.drivers._chip_worker.CLOSE_S", 0.1)
    monkeypatch.setattr("edged.drivers._chip_worker.CONNECT_S", 0.2)
    async with pcsc_bench(pcscd) as bench:
        card = await bench.lay(digest)
        with pcscd.frozen():
            with pytest.raises(ChipError, match=r"chip\.mute"):
                await bench.chip.read(talk([READ]))
            await bench.chip.__aexit__(None, None, None)
        card.remove()


async def test_a_bug_of_the_watching_thread_is_told_and_survived(
    pcscd: pcsc_stack.Pcscd, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = api.Context.readers
    broken = [ZeroDivisionError("secret")]

    def readers(context: api.Context) -> list[str]:
        if broken:
            raise broken.pop()
        return real(context)

    monkeypatch.setattr(api.Context, "readers", readers)
    async with pcsc_bench(pcscd) as bench:
        assert await bench.next() == DeviceGone("chip")
        assert await bench.next() == DeviceBack("chip")
        (await bench.lay(digest)).remove()


async def test_a_reader_by_another_name_is_not_taken(pcscd: pcsc_stack.Pcscd) -> None:
    async with PcscChip("omnikey") as chip:
        assert chip.trouble is not None
        assert chip.trouble.code == "chip.no_such_reader"
        assert chip.provenance.identity is None


async def test_a_service_that_refuses_is_told_from_one_that_is_away(pcscd: pcsc_stack.Pcscd) -> None:
    """polkit: pcscd is there and hangs up, which the client library reports as a broken connection."""
    assert api._absence(0x80100013) == "chip.not_allowed"
    pcscd.kill()
    assert api._absence(0x80100013) == "chip.no_service"
    assert api._absence(0x8010006A) == "chip.not_allowed"


@pytest.mark.slow
async def test_the_service_is_restarted_again_and_again(pcscd: pcsc_stack.Pcscd) -> None:
    async with pcsc_bench(pcscd) as bench:
        for _ in range(3):
            await bench.unplug()
            assert await bench.next() == DeviceGone("chip")
            await bench.plug()
            assert await bench.next() == DeviceBack("chip")
        card = await bench.lay(digest)
        assert len(await bench.chip.read(talk([READ] * 2))) == 2
        card.remove()


# --- a whole passport through the whole stack -----------------------------------------------------------------------


@functools.cache
def the_office() -> Office:
    """One for all, because its keys take longer than any test."""
    return Office("UT", on=ON, seed="chip readers")


def laid(name: str, fault: str | None = None) -> FaultyCard:
    return the_office().lay(profiles()[name], PASSPORT, Injected.parse(fault) if fault else None)


def answering(card: FaultyCard) -> pcsc_stack.Answer:
    def answer(apdu: bytes) -> bytes | None:
        said, whole = card.say(apdu)
        return said if whole else None

    return answer


@pytest.mark.parametrize("name", ["pace-gm", pytest.param("bac", marks=pytest.mark.slow)])
async def test_a_whole_passport(pcscd: pcsc_stack.Pcscd, name: str) -> None:
    card = laid(name)
    async with pcsc_bench(pcscd) as bench:
        lies = await bench.lay(answering(card))
        phases: list[object] = []
        reading: ChipReading = await bench.chip.read(
            read_chip(ReadPlan(KEY, max_apdu=bench.chip.max_apdu)), watch=phases.append
        )
        lies.remove()
    assert reading.aborted is None
    assert reading.unread.keys() <= {ElementaryFile.DG3, ElementaryFile.DG4}  # left alone
    for file, octets in reading.files.items():
        assert octets == card.card.personalised.files[file], file
    assert {ElementaryFile.SOD, ElementaryFile.DG1, ElementaryFile.DG2} <= reading.files.keys()
    assert phases


@pytest.mark.parametrize(
    "fault",
    [
        "torn:1500",
        *(
            pytest.param(f"{kind}:{at}", marks=pytest.mark.slow)
            for kind, places in (("removed", range(1, 40, 3)), ("torn", (1, 9, 120, 700, 2500, 5000, 9000)))
            for at in places
        ),
    ],
)
async def test_a_passport_taken_away(pcscd: pcsc_stack.Pcscd, fault: str) -> None:
    card = laid("pace-gm", fault)
    async with pcsc_bench(pcscd) as bench:
        await bench.lay(answering(card))
        reading = await bench.chip.read(read_chip(ReadPlan(KEY, max_apdu=bench.chip.max_apdu)))
        assert reading.aborted is not None
        assert reading.aborted.code == "chip.gone"
        assert await bench.next() == ChipRemoved()
        again = await bench.lay(answering(laid("pace-gm")))
        complete = await bench.chip.read(read_chip(ReadPlan(KEY, max_apdu=None)))
        assert complete.aborted is None
        again.remove()


async def test_a_passport_too_slow(pcscd: pcsc_stack.Pcscd) -> None:
    """The portrait's time is up at once: everything before it stands."""
    card = laid("pace-gm")
    async with pcsc_bench(pcscd) as bench:
        lies = await bench.lay(answering(card))
        reading = await bench.chip.read(read_chip(ReadPlan(KEY)), budget_s={Phase.PORTRAIT: -1.0})
        lies.remove()
    assert reading.unread[ElementaryFile.DG2].code == "chip.too_slow"
    assert ElementaryFile.DG1 in reading.files


async def test_a_card_exchanged_while_a_reading_is_given_up(pcscd: pcsc_stack.Pcscd) -> None:
    asked, let_go = threading.Event(), threading.Event()

    def hold(apdu: bytes) -> None:
        asked.set()
        let_go.wait()

    async with pcsc_bench(pcscd) as bench:
        await bench.lay(hold)
        given_up = await bench.chip.read(salvage([READ]), budget_s={Phase.DATA: 0.1})
        assert given_up == (0, "chip.too_slow")
        assert asked.is_set()
        let_go.set()
        assert await bench.next() == ChipRemoved()
        card = await bench.lay(digest)
        assert len(await bench.chip.read(talk([READ]))) == 1
        card.remove()

"""Receipts through the driver to an emulated printer: what comes out as paper, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import usb.core
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

pytest.importorskip("escpos", reason="printing needs the extra edged[printer]")

from edged.config import PrinterSettings
from edged.core.vision import cv2
from edged.device_checks import check_printer
from edged.drivers import escpos, escpos_drawing, escpos_status, escpos_ways
from edged.drivers.escpos_bytes import DOTS, MAX_HEIGHT, Paper, encode, wrapped
from edged.drivers.print_job import Align, Cut, Feed, Line, Picture, PrinterStatus, PrintJob, Qr
from edged.emulator.escpos_printer import MODEL, EscposEmulator, pty, tcp
from edged.errors import ConfigError, DeviceError, DeviceGoneError
from tests.waiting import until

DEJAVU = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
RECEIPT = PrintJob((Line("edged", large=True, align=Align.CENTRE), Line("Result: OK"), Feed(2), Cut()))


def printer(port: Path | str, **more: Any) -> escpos.EscposPrinter:
    return escpos.open(PrinterSettings(port=str(port), **more))


def printed(job: PrintJob, emulator: EscposEmulator | None = None, **paper: Any) -> EscposEmulator:
    """What a printer makes of the bytes."""
    emulator = emulator or EscposEmulator()
    emulator.taken(bytes(encode(job.elements(), Paper(**paper))))
    return emulator


async def test_a_receipt_comes_out_over_a_tty(tmp_path: Path) -> None:
    emulator = EscposEmulator()
    async with pty(emulator, tmp_path / "lp"), printer(tmp_path / "lp") as driver:
        await driver.print(RECEIPT)
        assert emulator.texts == ["edged", "Result: OK"]
        assert emulator.cuts == 1
        assert emulator.picture().shape[1] == DOTS[58]
        assert driver.provenance.simulated


async def test_a_receipt_comes_out_over_the_network() -> None:
    emulator = EscposEmulator()
    async with tcp(emulator) as (port, _), printer(f"tcp:127.0.0.1:{port}") as driver:
        await driver.print(RECEIPT)
        assert emulator.texts == ["edged", "Result: OK"]
        assert driver.provenance.simulated


async def test_status_says_paper_cover_and_model(tmp_path: Path) -> None:
    emulator = EscposEmulator()
    async with pty(emulator, tmp_path / "lp"), printer(tmp_path / "lp") as driver:
        assert await driver.status() == PrinterStatus(True, True, False, True, MODEL)
        emulator.paper_low = True
        assert (await driver.status()).paper_low is True
        emulator.cover_closed = False
        assert await driver.status() == PrinterStatus(True, True, True, False)
        emulator.cover_closed, emulator.paper = True, False
        assert (await driver.status()).paper is False


async def test_a_printer_that_says_nothing_of_itself_prints_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(escpos, "ANSWER_S", 0.05)
    emulator = EscposEmulator()
    emulator.answers = False
    async with pty(emulator, tmp_path / "lp"), printer(tmp_path / "lp") as driver:
        assert await driver.status() == PrinterStatus(answers=True)
        await driver.print(RECEIPT)
        await until(lambda: emulator.cuts)


@pytest.mark.parametrize(
    ("what", "code"), [("paper", "printer.no_paper"), ("cover_closed", "printer.cover_open")]
)
async def test_nothing_is_sent_to_a_printer_that_can_not_print(tmp_path: Path, what: str, code: str) -> None:
    emulator = EscposEmulator()
    setattr(emulator, what, False)
    async with pty(emulator, tmp_path / "lp"), printer(tmp_path / "lp") as driver:
        with pytest.raises(DeviceError) as raised:
            await driver.print(RECEIPT)
    assert raised.value.code == code
    assert emulator.texts == []


async def test_a_printer_that_never_says_it_is_done_is_not_waited_for(tmp_path: Path) -> None:
    emulator = EscposEmulator()
    emulator.says_when_done = False
    async with pty(emulator, tmp_path / "lp"), printer(tmp_path / "lp") as driver:
        await driver.print(RECEIPT)
        await until(lambda: emulator.cuts)


async def test_paper_that_ends_in_the_middle_is_no_receipt(tmp_path: Path) -> None:
    emulator = EscposEmulator()
    emulator.rows_left = 40
    async with pty(emulator, tmp_path / "lp"), printer(tmp_path / "lp") as driver:
        with pytest.raises(DeviceError) as raised:
            await driver.print(RECEIPT)
    assert raised.value.code == "printer.no_paper"
    assert emulator.cuts == 0


async def test_a_printer_pulled_out_in_the_middle_is_gone_and_its_return_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator = EscposEmulator()
    long = PrintJob((Picture(np.ones((4000, 384), np.bool_)), Cut()))
    async with printer(tmp_path / "lp") as driver:
        with pytest.raises(DeviceGoneError):
            await driver.print(RECEIPT)
        async with pty(emulator, tmp_path / "lp") as pull:
            taken, emulator_taken = 0, emulator.taken

            def take(data: bytes) -> bytes:
                nonlocal taken
                taken += len(data)
                if taken > 20_000:
                    asyncio.get_running_loop().call_soon(pull)
                return emulator_taken(data)

            monkeypatch.setattr(emulator, "taken", take)
            with pytest.raises(DeviceGoneError):
                await driver.print(long)
        assert not (await driver.status()).answers
        again = EscposEmulator()
        async with pty(again, tmp_path / "lp"):
            await driver.print(RECEIPT)
            assert again.cuts == 1


async def test_a_connection_that_breaks_in_the_middle_is_gone() -> None:
    emulator = EscposEmulator()
    async with tcp(emulator) as (port, cut), printer(f"tcp:127.0.0.1:{port}") as driver:
        emulator.rows_left = 1000  # it stops, and answers questions
        job = asyncio.create_task(driver.print(PrintJob((Picture(np.ones((8000, 384), np.bool_)),) * 8)))
        await until(lambda: not emulator.paper)
        cut()
        with pytest.raises(DeviceError) as raised:
            await job
        assert raised.value.code in {"printer.gone", "printer.no_paper"}
    assert not (await driver.status()).answers


async def test_cancelling_ends_at_once_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())

    over = asyncio.Event()
    answered: list[asyncio.Task[Any] | None] = []

    async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answered.append(asyncio.current_task())
        await over.wait()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with printer(f"tcp:127.0.0.1:{port}") as driver:
        job = asyncio.create_task(driver.print(RECEIPT))
        await until(lambda: any(one.name == "printer" for one in threading.enumerate()))
        job.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await job
        assert job.cancelled()
    server.close()
    over.set()
    await asyncio.gather(*(task for task in answered if task is not None))
    assert not [one for one in set(threading.enumerate()) - before if one.name == "printer"]


async def test_nothing_of_a_job_is_logged_or_stays_in_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytearray] = []

    def remembered(*arguments: Any) -> bytearray:
        sent.append(encode(*arguments))
        return sent[-1]

    monkeypatch.setattr(escpos, "encode", remembered)
    emulator = EscposEmulator()
    emulator.rows_left = 10
    job = PrintJob((Line("ERIKSSON"), Qr("ERIKSSON"), Cut()))
    assert "ERIKSSON" not in repr(job.elements())
    with capture_logs() as logs:
        async with pty(emulator, tmp_path / "lp"), printer(tmp_path / "lp") as driver:
            with pytest.raises(DeviceError) as raised:
                await driver.print(job)
    assert len(sent) == 1
    assert not any(sent[0])
    assert "ERIKSSON" not in repr((logs, job, driver, raised.value))


def test_chinese_goes_out_in_gbk_between_its_switches() -> None:
    data = bytes(encode((Line("结果: 通过"),), Paper()))
    assert b"\x1c&" + "结果: 通过".encode("gbk") + b"\x1c." in data
    assert printed(PrintJob((Line("结果: 通过"),))).texts == ["结果: 通过"]


@pytest.mark.skipif(not DEJAVU.exists(), reason="needs fonts-dejavu-core")
def test_what_the_printer_has_no_character_for_is_drawn() -> None:
    emulator = printed(PrintJob((Line("čšž", align=Align.RIGHT),)), font=DEJAVU)
    ink = emulator.picture() == 0
    assert emulator.texts == []
    assert not ink[:, : DOTS[58] // 2].any()
    assert ink[:, DOTS[58] // 2 :].any()


def test_without_a_font_chinese_can_not_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(DeviceError) as raised:
        encode((Line("通过"),), Paper(chinese="picture", font=tmp_path / "none"))
    assert raised.value.code == "printer.no_font"


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("width", [58, 80])
def test_a_qr_code_can_be_read(width: int, native: bool) -> None:
    data = "https://example.org/s?" + "A1b2" * 30
    emulator = printed(PrintJob((Qr(data),)), EscposEmulator(DOTS[width]), width_mm=width, native_qr=native)
    page = np.pad(emulator.picture(), 40, constant_values=255)
    assert cv2.QRCodeDetector().detectAndDecode(page)[0] == data


@pytest.mark.parametrize("data", ["", "A" * 3000])
def test_what_fits_no_qr_code_is_refused(data: str) -> None:
    with pytest.raises(DeviceError, match="qr_too_long"):
        encode((Qr(data),), Paper())


def test_a_picture_comes_out_dot_by_dot() -> None:
    dots = np.random.default_rng(7).random((50, 381)) > 0.5
    ink = printed(PrintJob((Picture(dots),))).picture() == 0
    assert np.array_equal(ink[:, :381], dots)


@pytest.mark.parametrize(("shape", "code"), [((8, 385), "too_wide"), ((MAX_HEIGHT + 1, 8), "too_long")])
def test_a_picture_that_does_not_fit_is_refused(shape: tuple[int, int], code: str) -> None:
    with pytest.raises(DeviceError, match=code):
        encode((Picture(np.zeros(shape, np.bool_)),), Paper())


def test_a_long_line_is_broken_between_words_and_control_characters_are_none() -> None:
    emulator = printed(PrintJob((Line("The quick brown fox jumps over the lazy dog\x1b@\x10\x04\x02"),)))
    assert [text.rstrip() for text in emulator.texts] == ["The quick brown fox jumps over", "the lazy dog @"]
    assert wrapped("护照号码" * 5, 32) == ["护照号码" * 4, "护照号码"]
    assert wrapped("", 32) == [""]


def test_without_a_cutter_paper_is_fed() -> None:
    assert printed(PrintJob((Cut(),)), cutter=False).cuts == 0
    assert printed(PrintJob((Cut(),)), cutter=False).picture().shape[0] > 60


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters(max_codepoint=0x7F), max_size=200), st.integers(1, 48))
def test_wrapping_loses_nothing_but_spaces(text: str, columns: int) -> None:
    lines = wrapped(text, columns)
    assert all(len(line) <= columns for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_answer_is_a_name_or_none(answer: bytes) -> None:
    name = escpos_status.model_name(answer)
    assert name is None or (name.isprintable() and len(name) <= 80)


@pytest.mark.parametrize("port", ["usb", "usb:04b8:0202", "tcp:10.0.0.5:9100", "/dev/usb/lp0"])
def test_ports_that_are_taken(port: str) -> None:
    check_printer(PrinterSettings(port=port))


@pytest.mark.parametrize(
    "port", ["usb:1", "usb:xxxx:0202", "tcp:host", "tcp::9100", "tcp:host:0", "lp0", "COM1"]
)
def test_ports_that_are_refused(port: str) -> None:
    with pytest.raises(ConfigError, match="bad_port"):
        check_printer(PrinterSettings(port=port))


async def test_what_is_no_printer_is_gone_and_never_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    async with printer(tmp_path / "file") as driver:
        with pytest.raises(DeviceGoneError):
            await driver.print(RECEIPT)
    assert (tmp_path / "file").read_text() == "x"


def test_fonts_are_looked_for_where_debian_puts_them(tmp_path: Path) -> None:
    assert all(name.startswith("/usr/share/fonts/") for name in escpos_drawing.FONTS)
    (tmp_path / "mine.ttf").touch()
    assert escpos_drawing.font_file(tmp_path / "mine.ttf") == tmp_path / "mine.ttf"


class _Slow:
    """A printer's endpoint that takes a few octets of a chunk at a time, and now and then nothing."""

    def __init__(self, takes: list[int]) -> None:
        self.takes = takes
        self.got = b""

    def write(self, data: bytes, timeout: int) -> int:
        assert timeout <= 250, "an abandoned job would be waited for"
        taken = self.takes.pop(0) if self.takes else len(data)
        if not taken:
            raise usb.core.USBTimeoutError("timed out", errno=errno.ETIMEDOUT)
        self.got += data[:taken]
        return min(taken, len(data))


def over_usb(out: _Slow, abort: escpos_ways.Abort) -> escpos_ways._UsbWay:
    way = object.__new__(escpos_ways._UsbWay)
    way._out, way._abort = out, abort
    return way


def test_a_usb_printer_that_takes_a_job_piece_by_piece_gets_all_of_it() -> None:
    out = _Slow([100, 0, 0, 512, 1])
    over_usb(out, escpos_ways.Abort()).write(memoryview(bytes(range(256)) * 8))
    assert out.got == bytes(range(256)) * 8


def test_a_usb_printer_that_takes_nothing_is_stuck_and_can_be_abandoned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    abort = escpos_ways.Abort()
    monkeypatch.setattr(escpos_ways, "STUCK_S", 0.0)
    with pytest.raises(TimeoutError):
        over_usb(_Slow([0]), abort).write(memoryview(b"job"))
    abort.set()
    with pytest.raises(escpos_ways.AbandonedError):
        over_usb(_Slow([0]), abort).write(memoryview(b"job"))


def test_what_a_printer_said_to_somebody_else_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Late letters of a model's name look like "everything has been printed"."""

    class Talkative:
        said: ClassVar = [b"EM", b"U-58\0"]

        def read(self, seconds: float) -> bytes:
            return self.said.pop(0) if self.said else b""

        def close(self) -> None:
            pass

    monkeypatch.setattr(escpos, "open_way", lambda *_: Talkative())
    assert escpos._operate("usb", 9600, escpos_ways.Abort(), lambda way: way.read(1)) == b""


def test_loopback_is_simulated_and_a_printer_on_the_network_is_not() -> None:
    assert escpos_ways.simulated("tcp:127.0.0.1:9100")
    assert escpos_ways.simulated("tcp:[::1]:9100")
    assert not escpos_ways.simulated("tcp:192.0.2.7:9100")

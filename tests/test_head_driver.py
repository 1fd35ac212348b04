"""The head's driver against a head by another hand, through a socket and through a serial port."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

from edged.device_settings import HeadSettings
from edged.drivers import Head
from edged.drivers.facts import Described
from edged.drivers.head import LinkedHead, SerialHead, UsbHead, open_head
from edged.drivers.head_events import Lamp
from edged.drivers.head_frame import Capability
from edged.drivers.head_messages import Counter, Expose, Indicate, LightUp, Ping, ReadStatus, Shown, Step
from edged.drivers.head_serial import SerialTransport
from edged.drivers.head_threads import ThreadedLine
from edged.drivers.head_traits import WelcomeFlag
from edged.drivers.head_usb import UsbPort
from edged.errors import DeviceError, DeviceGoneError, HeadRefusedError
from edged.events import (
    ButtonPressed,
    DeviceBack,
    DeviceGone,
    DocumentPlaced,
    DocumentRemoved,
    DocumentTurned,
    HeadEvent,
    Indication,
    Light,
    TroubleBegan,
    TroubleOver,
)
from edged.messages import known
from tests.head_line import MANNERS
from tests.head_peer import Event, PeerHead
from tests.head_peers import PeerAtWork, SocketPeer, TtyPeer
from tests.waiting import until

WAYS: dict[str, type[PeerAtWork]] = {"socket": SocketPeer, "tty": TtyPeer}


class Heard:
    """What the driver tells, in order."""

    def __init__(self, head: Head) -> None:
        self.events: list[HeadEvent] = []
        self._task = asyncio.create_task(self._listen(head))

    async def _listen(self, head: Head) -> None:
        async for event in head.events():
            self.events.append(event)

    async def told(self, *events: HeadEvent) -> None:
        """Wait until exactly these have been told since the last time."""
        await until(lambda: len(self.events) >= len(events), 10, so_far=lambda: self.events)
        assert self.events == list(events)
        self.events.clear()

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.wait((self._task,))


@asynccontextmanager
async def attached(peer: PeerAtWork) -> AsyncIterator[tuple[LinkedHead, Heard]]:
    async with peer, SerialHead(peer.port) as head:
        heard = Heard(head)
        yield head, heard
        await heard.end()


@pytest.fixture(params=WAYS)
def peer(request: pytest.FixtureRequest, tmp_path: Path) -> PeerAtWork:
    return WAYS[request.param](tmp_path / "head")


@pytest.fixture
def socket_peer(tmp_path: Path) -> SocketPeer:
    return SocketPeer(tmp_path / "head")


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Any:
    yield
    left = [thread for thread in threading.enumerate() if thread.name.startswith("head ")]
    for thread in left:
        thread.join(60)  # one that has said that it has ended may have an instruction to go
    assert not [thread for thread in left if thread.is_alive()]


async def test_what_happens_at_the_head_is_told_in_order(peer: PeerAtWork) -> None:
    async with attached(peer) as (head, heard):
        assert not head.document_present
        peer.lay(1)
        peer.press()
        peer.lay(0)
        peer.lay(2)
        peer.lay(0)
        await heard.told(
            DocumentPlaced(), ButtonPressed(), DocumentRemoved(), DocumentTurned(), DocumentRemoved()
        )
        assert not head.document_present


async def test_it_does_what_it_is_told(peer: PeerAtWork) -> None:
    async with attached(peer) as (head, _):
        peer.head.asked.clear()
        await head.illuminate(Light.WHITE, 120)
        await head.illuminate(Light.IR, 130)
        await head.indicate(Indication.UNDETERMINED)
        await head.beep()
        assert [message[:1] + message[2:] for message in peer.head.asked] == [
            b"\x10\x01\x64\x78\x00",
            b"\x12",  # one lamp at a time
            b"\x10\x02\x64\x82\x00",
            b"\x20\x08",
            b"\x21\x01",
        ]


async def test_who_it_is(socket_peer: SocketPeer) -> None:
    async with attached(socket_peer) as (head, _):
        assert head.trouble is None
        assert head.provenance.identity == b"peer-head-01".hex()
        assert (head.provenance.driver, head.provenance.simulated) == ("serial", True)
        facts = head.identity
        assert facts is not None
        assert isinstance(head, Described)
        assert (facts.board, facts.firmware, facts.protocol, facts.boots) == ("peer", "1.2.3", 1, 7)
        assert Capability.UV_365 in facts.capabilities
        told = head.facts()
        assert (told.present, told.model, told.port, told.trouble) == (True, "peer", socket_peer.port, None)
        assert told.versions == {"firmware": "1.2.3", "security": "1", "protocol": "1"}
        assert (told.counters["sessions"], told.counters["boots"]) == (1, 7)
        assert (await head.status()).temperature_c == 21.5
        assert (await head.counters())[Counter.PRESSES] == 0
        assert await head.client.request(Ping()) > 0


async def test_a_head_that_calls_itself_simulated_is_believed(tmp_path: Path) -> None:
    transport = SocketPeer(tmp_path / "head", PeerHead(simulated=False))
    async with attached(transport) as (head, _):
        assert head.provenance.simulated, "behind a socket is a program, whatever it says"
    assert not SerialTransport("/dev/ttyS0").simulated


@pytest.mark.parametrize(
    ("capabilities", "lights", "infrared"),
    [
        (Capability.WHITE | Capability.IR_850 | Capability.IR_940, {Light.WHITE, Light.IR}, Lamp.IR_850),
        (Capability.WHITE | Capability.IR_940 | Capability.UV_365, set(Light), Lamp.IR_940),
        (Capability.WHITE, {Light.WHITE}, None),
    ],
)
async def test_infrared_is_what_the_board_has(
    socket_peer: SocketPeer, capabilities: Capability, lights: set[Light], infrared: Lamp | None
) -> None:
    socket_peer.head.capabilities = capabilities
    async with attached(socket_peer) as (head, _):
        assert head.lights == lights
        assert head.lamp(Light.IR) is infrared
        if infrared is None:
            with pytest.raises(DeviceError, match="no_such_lamp"):
                await head.illuminate(Light.IR, 100)
        else:
            await head.illuminate(Light.IR, 100)
            assert socket_peer.head.asked[-1][2] == infrared


async def test_unplugging_at_any_moment_and_plugging_back(peer: PeerAtWork) -> None:
    async with attached(peer) as (head, heard):
        await head.indicate(Indication.TURN_OVER)
        peer.head.mute.add(Ping.type)
        waiting = asyncio.create_task(head.client.request(Ping()))
        await until(lambda: peer.head.took is not None and head.client._answers)
        await peer.unplug()
        with pytest.raises(DeviceGoneError):
            await waiting
        await heard.told(DeviceGone("head"))
        with pytest.raises(DeviceGoneError):
            await head.beep()
        with pytest.raises(DeviceGoneError):
            await head.indicate(Indication.REMOVE)
        await until(lambda: head.trouble is not None and head.trouble.code == "reader_head.no_port")
        peer.reset()
        peer.head.lay(1, peer.now)
        peer.head.shown = 0
        await peer.plug()
        await heard.told(DeviceBack("head"))
        assert head.trouble is None
        assert head.document_present
        assert peer.head.shown == Shown.REMOVE
        peer.press()
        await heard.told(ButtonPressed())


async def test_a_head_that_starts_again_is_gone_and_back(socket_peer: SocketPeer) -> None:
    async with attached(socket_peer) as (head, heard):
        await head.indicate(Indication.READING)
        socket_peer.reset()
        await heard.told(DeviceGone("head"), DeviceBack("head"))
        assert socket_peer.head.shown == Shown.READING


async def test_a_press_that_was_held_back_comes_after_the_head_is_back(socket_peer: SocketPeer) -> None:
    async with attached(socket_peer) as (_, heard):
        await socket_peer.unplug()
        await heard.told(DeviceGone("head"))
        socket_peer.head.press(socket_peer.now)
        await socket_peer.plug()
        await heard.told(DeviceBack("head"), ButtonPressed())


async def test_a_press_of_long_ago_is_not_told(socket_peer: SocketPeer) -> None:
    async with attached(socket_peer) as (head, heard):
        await socket_peer.unplug()
        await heard.told(DeviceGone("head"))
        socket_peer.head.presses = 1
        socket_peer.head.events.append(Event(0x81, socket_peer.now - 3_500, bytes((1, 1, 0))))
        await socket_peer.plug()
        await heard.told(DeviceBack("head"))
        await until(lambda: head.client.counts.stale_presses == 1)
        assert heard.events == []


async def test_a_head_that_is_not_there_is_no_reason_not_to_enter(socket_peer: SocketPeer) -> None:
    async with SerialHead(socket_peer.port) as head:
        heard = Heard(head)
        await heard.told(DeviceGone("head"))
        assert head.trouble is not None
        assert head.trouble.code == "reader_head.no_port"
        assert head.provenance.identity is None
        assert (head.facts().present, head.facts().trouble, head.facts().versions) == (
            False,
            head.trouble,
            {},
        )
        async with socket_peer:
            await heard.told(DeviceBack("head"))
        await heard.end()


async def test_troubles_begin_and_end(socket_peer: SocketPeer) -> None:
    socket_peer.head.faults = 1
    async with attached(socket_peer) as (head, heard):
        await heard.told(TroubleBegan("head", "reader_head.lamp_fault"))
        assert head.trouble is not None
        assert head.trouble.code == "reader_head.lamp_fault"
        socket_peer.open_cover(True)
        await heard.told(TroubleBegan("head", "reader_head.cover_open"))
        socket_peer.fault(1, True)
        await heard.told(TroubleBegan("head", "reader_head.overheated"))
        await socket_peer.unplug()
        await heard.told(DeviceGone("head"))
        socket_peer.head.faults = 1 << 6
        await socket_peer.plug()
        await heard.told(
            DeviceBack("head"),
            TroubleBegan(
                "head", "reader_head.cover_open"
            ),  # still: whoever heard that it is gone has forgotten
            TroubleBegan("head", "reader_head.watchdog"),
            TroubleOver("head", "reader_head.watchdog"),
        )
        socket_peer.open_cover(False)
        await heard.told(TroubleOver("head", "reader_head.cover_open"))
        assert head.trouble is None, "what happened before the start hinders nothing"


@pytest.mark.parametrize(
    ("answer", "code", "number"),
    [
        (b"\x03", "reader_head.busy", None),
        (b"\x04\xe8\x03\x00\x00", "reader_head.lamp_rests", 1000),
        (b"\x05", "reader_head.overheated", None),
        (b"\x06", "reader_head.cover_open", None),
        (b"\x07\x00", "reader_head.lamp_fault", 0),
        (b"\x01", "reader_head.unsupported", None),
    ],
)
async def test_what_the_head_refuses_says_why(
    socket_peer: SocketPeer, monkeypatch: pytest.MonkeyPatch, answer: bytes, code: str, number: int | None
) -> None:
    monkeypatch.setattr("edged.drivers.head.BUSY_S", 0.0)
    socket_peer.head.statuses[LightUp.type] = answer
    async with attached(socket_peer) as (head, _):
        with pytest.raises(HeadRefusedError) as refused:
            await head.illuminate(Light.UV, 10)
        assert (refused.value.code, refused.value.number, refused.value.device) == (code, number, "head")


async def test_a_light_waits_for_a_step_of_an_update(socket_peer: SocketPeer) -> None:
    """A document that is laid down while a sector is written is photographed."""
    async with attached(socket_peer) as (head, _):
        socket_peer.head.asked.clear()
        socket_peer.head.statuses |= {LightUp.type: b"\x03", Expose.type: b"\x03"}
        lighting = asyncio.create_task(head.illuminate(Light.WHITE, 100))
        exposing = asyncio.create_task(head.expose((Step(None, 0, 0, 10),)))
        for kind in (LightUp.type, Expose.type):
            await until(lambda kind=kind: sum(said[0] == kind for said in socket_peer.head.asked) > 1)  # type: ignore[misc]
        assert not lighting.done()
        assert not exposing.done()
        socket_peer.head.statuses.clear()
        await lighting
        assert len(await exposing) == 1


async def test_a_lamp_that_rests_for_long_is_refused_at_once_and_one_that_soon_may_is_lit(
    socket_peer: SocketPeer,
) -> None:
    async with attached(socket_peer) as (head, _):
        socket_peer.head.statuses[LightUp.type] = b"\x04\x10\x27\x00\x00"
        with pytest.raises(HeadRefusedError, match="lamp_rests"):
            await head.illuminate(Light.UV, 10)
        assert sum(said[0] == LightUp.type for said in socket_peer.head.asked) == 1
        socket_peer.head.statuses[LightUp.type] = b"\x04\x0a\x00\x00\x00"
        lighting = asyncio.create_task(head.illuminate(Light.UV, 10))
        await until(lambda: sum(said[0] == LightUp.type for said in socket_peer.head.asked) > 2)
        socket_peer.head.statuses.clear()
        await lighting


async def test_a_reply_that_says_nothing_sensible_is_a_coded_error(socket_peer: SocketPeer) -> None:
    socket_peer.head.statuses[Ping.type] = b"\x00123456"
    async with attached(socket_peer) as (head, heard):
        with pytest.raises(DeviceError, match="bad_message"):
            await head.client.request(Ping())
        await head.beep()
        assert heard.events == []


async def test_exposures_come_back_measured(socket_peer: SocketPeer) -> None:
    async with attached(socket_peer) as (head, _):
        steps = (
            Step(None, 0, 0, 1000),
            Step(Lamp.WHITE, 80, 500, 20_000),
            Step(Lamp.IR_850, 100, 500, 30_000),
        )
        seen: list[int] = []
        windows = await head.expose(steps, on_step=lambda window: seen.append(window.step))
        assert [window.lamp for window in windows] == [None, Lamp.WHITE, Lamp.IR_850]
        assert [window.window_us for window in windows] == [1000, 20_000, 30_000]
        assert seen == [1, 2, 3]
        assert all(window.complete and window.began_s < window.ended_s for window in windows)


async def test_an_exposure_ends_with_the_head(socket_peer: SocketPeer) -> None:
    socket_peer.head._expose = lambda steps, now: None  # type: ignore[method-assign]
    async with attached(socket_peer) as (head, _):
        exposing = asyncio.create_task(head.expose((Step(Lamp.WHITE, 1, 0, 2_000_000),)))
        await until(lambda: any(message[0] == Expose.type for message in socket_peer.head.asked))
        await socket_peer.unplug()
        with pytest.raises(DeviceGoneError):
            await exposing


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (PeerHead(version=(2, 3)), "reader_head.too_new"),
        (PeerHead(flags=4), "reader_head.no_application"),
    ],
)
async def test_a_head_that_cannot_be_used_is_gone_and_says_why(
    tmp_path: Path, head: PeerHead, code: str
) -> None:
    async with attached(SocketPeer(tmp_path / "head", head)) as (driver, heard):
        await heard.told(DeviceGone("head"))
        assert driver.trouble is not None
        assert driver.trouble.code == code
        if head.flags:
            assert await driver.client.request(Ping()) > 0, "its firmware can still be updated"


async def test_presses_at_a_head_that_never_gets_ready_are_not_kept_for_ever(socket_peer: SocketPeer) -> None:
    socket_peer.head.flags = WelcomeFlag.BOOT_LOADER
    async with attached(socket_peer) as (head, heard):
        for _ in range(5):
            for _ in range(8):
                socket_peer.press()
            await until(lambda: not socket_peer.head.events)
        await head.client.request(Ping())
        assert len(head._held) == 16
        assert heard.events == [DeviceGone("head")]


@pytest.mark.parametrize(
    ("answer", "code"), [(b"\x01", "reader_head.unsupported"), (b"\x00odd", "reader_head.bad_message")]
)
async def test_a_head_that_cannot_say_how_it_is_is_gone_and_says_why(
    socket_peer: SocketPeer, answer: bytes, code: str
) -> None:
    socket_peer.head.statuses[ReadStatus.type] = answer
    async with attached(socket_peer) as (head, heard):
        await heard.told(DeviceGone("head"))
        assert head.trouble is not None
        assert head.trouble.code == code


async def test_a_board_that_shows_nothing_can_do_the_rest(socket_peer: SocketPeer) -> None:
    socket_peer.head.statuses[Indicate.type] = b"\x01"
    async with attached(socket_peer) as (head, heard):
        await head.beep()
        assert head.trouble is None
        assert heard.events == []


async def test_many_requests_at_a_time_are_all_answered(socket_peer: SocketPeer) -> None:
    async with attached(socket_peer) as (head, _):
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(head.client.request(Ping())) for _ in range(60)]
        assert len({task.result() for task in asking}) >= 1
        socket_peer.head.mute.add(Ping.type)
        tasks = [asyncio.create_task(head.client.request(Ping())) for _ in range(65)]
        await until(lambda: any(task.done() for task in tasks))
        assert [task.exception().code for task in tasks if task.done()] == ["reader_head.too_many_requests"]  # type: ignore[union-attr]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.mark.parametrize(
    "manners", ["one octet at a time", "loses", pytest.param("everything", marks=pytest.mark.slow)]
)
async def test_on_a_line_that_misbehaves(tmp_path: Path, manners: str) -> None:
    async with attached(SocketPeer(tmp_path / "head", manners=MANNERS[manners], seed=5)) as (head, heard):
        await until(lambda: head.trouble is None)
        for _ in range(10):
            async with asyncio.timeout(60):
                while True:
                    try:
                        await head.client.request(Ping())
                        break
                    except DeviceGoneError:
                        await asyncio.sleep(0.01)
        assert {type(event) for event in heard.events} <= {DeviceGone, DeviceBack}


async def test_leaving_while_it_connects_leaves_nothing(tmp_path: Path) -> None:
    async with TtyPeer(tmp_path / "head") as peer:
        for _ in range(5):
            entering = asyncio.create_task(SerialHead(peer.port).__aenter__())
            await asyncio.sleep(0)
            entering.cancel()
            await asyncio.wait((entering,))
            assert entering.cancelled()
        async with SerialHead(peer.port) as head:
            await until(
                lambda: head.trouble is None, 10, so_far=lambda: head.trouble
            )  # the port is free again


class QuickPort:
    """A port whose threads end the moment that somebody wants them to; it must not be closed before it is stopped."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.ending = threading.Event()

    def read(self) -> bytes:
        self.ending.wait(0.001)
        return b""

    def write(self, data: bytes) -> None:
        pass

    def stop(self) -> None:
        self.ending.set()
        time.sleep(0.002)  # the others run on
        self.done.append("stop")

    def close(self) -> None:
        self.done.append("close")


async def test_a_port_is_stopped_before_it_is_closed() -> None:
    for _ in range(20):
        port = QuickPort()
        line = ThreadedLine(port, lambda _: None, "head quick")
        await line.close()
        assert port.done == ["stop", "close"]


class BrokenPort(QuickPort):
    """Fails as no port may: a library that met what it hadn't thought of."""

    def read(self) -> bytes:
        raise ValueError


async def test_a_port_that_fails_in_any_way_has_ended() -> None:
    port = BrokenPort()
    with structlog.testing.capture_logs() as logged:
        line = ThreadedLine(port, lambda _: None, "head broken")
        async with asyncio.timeout(60):
            await line.ended()
    await line.close()
    assert port.done == ["stop", "close"]
    assert [entry["event"] for entry in logged] == ["the head's port failed; please report this"]


@pytest.mark.parametrize("started", [0, 1])
async def test_without_threads_there_is_no_line_and_no_open_port(
    monkeypatch: pytest.MonkeyPatch, started: int
) -> None:
    start, tried = threading.Thread.start, []

    def some(thread: threading.Thread) -> None:
        tried.append(thread)
        if len(tried) > started:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", some)
    port = QuickPort()
    with pytest.raises(DeviceError, match="port_failed"):
        ThreadedLine(port, lambda _: None, "head many")
    await until(lambda: port.done == ["stop", "close"])


async def test_what_was_read_through_a_pseudo_terminal_stays_simulated(tmp_path: Path) -> None:
    """Also once its path is gone, or leads to hardware: what was read before is judged now."""
    async with attached(TtyPeer(tmp_path / "head", PeerHead(simulated=False))) as (head, heard):
        assert head.provenance.simulated
        (tmp_path / "head").unlink()
        (tmp_path / "head").symlink_to("/dev/null")
        assert head.provenance.simulated
        assert heard.events == []


async def test_a_port_that_another_program_uses_says_so(tmp_path: Path) -> None:
    async with (
        TtyPeer(tmp_path / "head") as peer,
        SerialHead(peer.port) as first,
        SerialHead(peer.port) as second,
    ):
        assert first.trouble is None
        assert second.trouble is not None
        assert second.trouble.code == "reader_head.port_busy"


async def test_what_is_no_serial_port_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path, code in (
        (tmp_path / "file", "reader_head.port_failed"),
        (tmp_path / "none", "reader_head.no_port"),
    ):
        async with SerialHead(str(path)) as head:
            assert head.trouble is not None
            assert head.trouble.code == code


async def test_a_port_without_a_head_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.drivers.head_client.SILENT_S", 0.05)
    async with attached(SocketPeer(tmp_path / "head")) as (head, heard):
        monkeypatch.setattr(PeerHead, "receive", lambda *_: None)
        monkeypatch.setattr(PeerHead, "tick", lambda *_: None)
        head.client._link._anew("reader_head.lost", asyncio.get_running_loop().time())
        head.client._pump()
        await heard.told(DeviceGone("head"))
        assert head.trouble is not None
        assert head.trouble.code == "reader_head.lost"
        async with SerialHead(f"unix:{tmp_path / 'head'}") as other:
            await until(lambda: other.trouble is not None and other.trouble.code == "reader_head.silent")


def test_the_usb_selector_is_checked() -> None:
    with pytest.raises(DeviceError) as refused:
        UsbPort("not:hex")
    assert refused.value.code in ("reader_head.bad_usb", "reader_head.no_libusb")


async def test_no_head_on_usb_says_so() -> None:
    async with UsbHead("1209:ffff") as head:
        assert head.trouble is not None
        assert head.trouble.code in ("reader_head.not_attached", "reader_head.no_libusb")
        assert known(head.trouble.code)
        assert head.provenance.driver == "usb"


def test_the_boot_file_names_the_way() -> None:
    assert open_head(HeadSettings("serial", port="unix:/x")).provenance.simulated
    assert isinstance(open_head(HeadSettings("usb")), UsbHead)


def test_every_indication_is_shown_differently() -> None:
    from edged.drivers.head import SHOWN

    assert set(SHOWN) == set(Indication)
    assert len(set(SHOWN.values())) == len(SHOWN)

"""The driver of the ID-card module on USB: pyusb above a bus made of Python. The kernel's own bus: tests/qemu."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edged.device_settings import IdCardSettings
from edged.drivers import sam
from edged.drivers.sam import Sam
from edged.drivers.sam_session import SIMULATED_SAM
from edged.emulator.sam_module import SamModule
from edged.errors import DeviceGoneError
from edged.events import DeviceBack, DeviceGone, IdCardPlaced
from tests.fake_usb import FakeUsb
from tests.sam_bench import CARDS, POLL_S, TODAY
from tests.waiting import until

REAL = (5, 1, 20101129, 1228293, 296863149)


@asynccontextmanager
async def attached(bus: FakeUsb, **settings: object) -> AsyncIterator[Sam]:
    named = IdCardSettings(**settings)  # type: ignore[arg-type]
    async with Sam(lambda: sam._ports(named, bus), today=lambda: TODAY, poll_s=POLL_S) as made:
        yield made


@pytest.mark.parametrize(
    ("out", "into"),
    [((0x02, 0x06), (0x81, 0x85)), ((0x02,), (0x81,)), ((0x01,), (0x82, 0x83)), ((0x01, 0x02), (0x83,))],
    ids=["split", "whole frames", "split answers", "split requests"],
)
@pytest.mark.parametrize("packet", [1, 5, 64, 4096])
async def test_a_card_is_read_through_any_endpoints(
    out: tuple[int, ...], into: tuple[int, ...], packet: int
) -> None:
    bus = FakeUsb(SamModule(card=CARDS["resident-2023"]), out=out, into=into)
    bus.packet = packet
    async with attached(bus, usb_out=out, usb_in=into) as module:
        assert module.trouble is None
        reading = await module.read()
        assert reading.data.document_number.reveal() == "911124198108030024"
        assert bus.claimed == {0}
        assert bus.detached == [0]
    assert bus.claimed == set(), "and let go of it"


async def test_a_request_is_parted_behind_its_header() -> None:
    bus = FakeUsb(SamModule())
    async with attached(bus):
        pass
    assert bus.written[:2] == [
        (0x02, bytes.fromhex("AA AA AA 96 69 00 03")),
        (0x06, bytes.fromhex("11 FF ED")),
    ]


async def test_only_the_reserved_number_is_simulated() -> None:
    async with attached(FakeUsb(SamModule())) as module:
        assert (module.provenance.identity, module.provenance.simulated) == (SIMULATED_SAM, True)
    async with attached(FakeUsb(SamModule(numbers=REAL))) as module:
        assert module.provenance.identity == "05.01-20101129-0001228293-0296863149"
        assert not module.provenance.simulated


async def test_a_program_behind_the_kernels_own_bus_is_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        "edged.drivers._usb_device.is_simulated_usb", lambda sysfs: bool(asked.append(sysfs)) or True
    )
    async with attached(FakeUsb(SamModule(numbers=REAL))) as module:
        assert module.provenance.simulated
    assert [path.name for path in asked] == ["1-2"]


@pytest.mark.parametrize(
    ("wanted", "there"),
    [("0400:c35a", True), ("0400:C35A:A1", True), ("0400:c35a:B2", False), ("0400:c35b", False)],
)
async def test_the_device_that_was_named_is_taken(
    wanted: str, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "1-2").mkdir()
    (tmp_path / "1-2" / "serial").write_text("A1\n")
    monkeypatch.setattr("edged.drivers._usb_device.SYSFS", tmp_path)
    async with attached(FakeUsb(SamModule()), usb=wanted) as module:
        assert (module.trouble is None) == there
        if module.trouble is not None:
            assert module.trouble.code == "idcard.no_module"


@pytest.mark.parametrize(
    ("refuse", "code"),
    [
        (errno.EACCES, "idcard.no_permission"),
        (errno.EBUSY, "idcard.port_busy"),
        (errno.EIO, "idcard.gone"),
    ],
)
async def test_why_a_device_can_not_be_opened(refuse: int, code: str) -> None:
    bus = FakeUsb(SamModule())
    bus.refuse = refuse
    async with attached(bus) as module:
        assert module.trouble is not None
        assert module.trouble.code == code
        bus.refuse = 0
        await until(lambda: module.trouble is None)


async def test_other_endpoints_are_said_to_be_other_ones() -> None:
    async with attached(FakeUsb(SamModule(), out=(0x01,), into=(0x82,))) as module:
        assert module.trouble is not None
        assert module.trouble.code == "idcard.other_endpoints"


async def test_a_mute_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.drivers.sam_session.ANSWER_S", 0.05)
    bus = FakeUsb(SamModule())
    bus.mute = True
    async with attached(bus) as module:
        assert module.trouble is not None
        assert module.trouble.code == "idcard.mute"


@pytest.mark.parametrize("octets", [0, 3, 7, 8, 500, 1294])
async def test_the_plug_is_pulled_in_the_middle_of_a_reading(octets: int) -> None:
    bus = FakeUsb(SamModule(card=CARDS["resident-2023"]))
    async with attached(bus) as module:
        events = module.events()
        assert await anext(events) == IdCardPlaced()
        bus.cut = octets
        with pytest.raises(DeviceGoneError) as gone:
            await module.read()
        assert gone.value.code == "idcard.gone"
        while await anext(events) != DeviceGone("id_card"):
            pass
        bus.unplug()
        await until(lambda: module.trouble is not None)
        bus.plug()
        bus.module.lay(CARDS["citizen"])
        while await anext(events) != DeviceBack("id_card"):
            pass
        assert (await module.read()).data.never_expires


async def test_no_libusb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("usb.backend.libusb1.get_backend", lambda *_, **__: None)
    monkeypatch.setattr("usb.backend.libusb0.get_backend", lambda *_, **__: None)
    monkeypatch.setattr("usb.backend.openusb.get_backend", lambda *_, **__: None)
    async with Sam(lambda: sam._ports(IdCardSettings()), poll_s=POLL_S) as module:
        assert module.trouble is not None
        assert module.trouble.code == "idcard.no_libusb"

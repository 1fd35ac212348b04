"""The boot loader on an emulated Cortex-M: the same images, the same power cuts, a reset for each of them."""

from __future__ import annotations

import random
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edged.drivers import head_image
from edged.drivers.head_client import HeadClient
from edged.drivers.head_frame import Capability, ResetCause, WelcomeFlag
from edged.drivers.head_image import Version
from edged.drivers.head_messages import Reboot
from edged.drivers.head_update import HeadUpdate
from edged.drivers.head_update_messages import NO_SLOT, SlotState
from edged.errors import DeviceError
from tests.head_boot import FIRMWARE, KEY, NEW, NEWER, OLD, Mps2, client, make, restarted
from tests.waiting import until

pytestmark = pytest.mark.hardware

BUILT = FIRMWARE / "build" / "mps2-an385"
LOAD_ADDRESS = 0x00100000
CUTS = 12
"""Sampled of about two hundred operations of an update; on the host every one of them is cut."""


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    for needed in ("qemu-system-arm", "arm-none-eabi-gcc"):
        if shutil.which(needed) is None:
            pytest.skip(
                f"{needed} is missing: apt install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"
            )
    make("mps2-an385", "mps2-an385-tests", BOOT_KEY=head_image.point(KEY.public_key()).hex())


@pytest.fixture
async def board(tmp_path: Path) -> AsyncIterator[Mps2]:
    async with Mps2(tmp_path) as board:
        yield board


def image(version: Version, security: int, name: str = "head-cuts.bin") -> bytes:
    payload = (BUILT / name).read_bytes()
    return head_image.build(
        payload,
        board="mps2-an385",
        version=version,
        security_version=security,
        load_address=LOAD_ADDRESS,
        key=KEY,
    )


async def states(line: HeadClient) -> list[SlotState]:
    return [slot.state for slot in (await line.slots()).slots]


async def test_from_the_bare_loader_to_an_image_and_back_from_a_bad_one(board: Mps2) -> None:
    async with client(board.port) as line:
        assert line.welcome is not None
        assert WelcomeFlag.BOOT_LOADER in line.welcome.flags
        assert (line.welcome.board, line.welcome.capabilities) == ("mps2-an385", Capability.UPDATE)
        assert (await line.slots()).running == NO_SLOT
        assert (await HeadUpdate(line, image(OLD, 1)).run()).outcome == "confirmed"
        assert line.welcome.reset_cause is ResetCause.UPDATE
        assert (await HeadUpdate(line, image(NEW, 2)).run()).before == "1.0.0"
        boots = line.welcome.boots
        await line.request(Reboot())
        await restarted(line, boots)
        assert await states(line) == [SlotState.CONFIRMED] * 2
        with pytest.raises(DeviceError) as refused:  # it hangs at once: the watchdog, then the one before
            await HeadUpdate(line, image(NEWER, 3, "head-hangs.bin")).run()
        assert refused.value.code == "head_update.not_started"
        assert await states(line) == [SlotState.BAD, SlotState.CONFIRMED]
        assert line.welcome.reset_cause is ResetCause.WATCHDOG
        assert line.welcome.security_version == 2


@pytest.mark.timeout(600)
async def test_power_cuts_in_the_middle_of_an_update(board: Mps2) -> None:
    """Each cut is a reset in one write or erasure; the loader starts what is good, the host goes on, and gets there."""
    chance, security = random.Random(5), 1
    async with client(board.port) as line:
        await HeadUpdate(line, image(OLD, security)).run()
        for number in range(CUTS):
            security += 1
            version = Version(2, 0, number)
            await board.cut(chance.randint(1, 150), chance.choice((0, 1, 16, 100, 255, 4000, 1 << 16)))
            for _ in range(3):
                try:
                    updated = await HeadUpdate(line, image(version, security)).run()
                except DeviceError as error:  # cut as it restarted or was confirmed: it has gone back
                    assert error.code in (
                        "head_update.not_started",
                        "reader_head.gone",
                        "reader_head.lost",
                        "reader_head.restarted",
                    )
                    await until(lambda: line.welcome is not None)
                    slots = await line.slots()
                    assert slots.slots[slots.running].state is SlotState.CONFIRMED
                    continue
                assert updated.version == str(version)
                break
            slots = await line.slots()
            running = slots.slots[slots.running]
            assert (running.state, running.version, running.security_version) == (
                SlotState.CONFIRMED,
                version,
                security,
            )
        await board.cut(0, 0)

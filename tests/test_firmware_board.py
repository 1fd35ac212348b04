"""The firmware on its emulated Cortex-M3, through the machine's own pins and its line."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edged.drivers.head_events import (
    Action,
    Button,
    Cover,
    Document,
    Exposed,
    Fault,
    FaultChanged,
    Lamp,
    Presence,
)
from edged.drivers.head_frame import Capability, ResetCause, WelcomeFlag
from edged.drivers.head_link import Opened
from edged.drivers.head_messages import (
    Beep,
    Counter,
    CoverState,
    Dark,
    Expose,
    Indicate,
    LightUp,
    Limits,
    Pattern,
    Ping,
    ReadCounters,
    ReadStatus,
    Reboot,
    Shown,
    Status,
    Step,
)
from edged.drivers.head_update_messages import (
    Slots,
    UpdateBegin,
    UpdateBoot,
    UpdateConfirm,
    UpdateData,
    UpdateEnd,
)
from edged.drivers.ports import is_simulated
from edged.emulator import qemu_head
from edged.emulator.qemu_head import QemuHead
from edged.errors import StateError
from tests.board_link import BoardLink
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edged.emulator.head_board import HeadBoard

pytestmark = [
    pytest.mark.hardware,
    pytest.mark.skipif(qemu_head.missing() is not None, reason=str(qemu_head.missing())),
]

STANDS_STILL = ("B", 0)
STANDS_STILL_SHUT = ("B", 1)
NO_INSTRUCTION = ("B", 4)
STACK_RUNS_OVER = ("B", 5)
NO_TRIGGER = ("B", 6)
"""firmware/board/lm3s6965/misbehaving/main.c."""

PYTHON = str(Path(sys.executable).absolute())

CRASH_BUS, CRASH_USAGE, CRASH_WATCHDOG = 5, 6, 0x101
"""firmware/board/lm3s6965/crash.h."""


@pytest.fixture(scope="module")
def image() -> Path:
    """What the product is, built as far as it is out of date."""
    return qemu_head.build()


@pytest.fixture
async def head(image: Path, tmp_path: Path) -> AsyncIterator[QemuHead]:
    async with QemuHead(tmp_path / "store", image=image) as board:
        yield board


@pytest.fixture
async def link(head: QemuHead) -> AsyncIterator[BoardLink]:
    async with BoardLink(head.port) as line:
        await line.opened()
        yield line


def misbehaving(image: Path) -> Path:
    return image.with_name("edged-head-misbehaving.elf")


def address_of(image: Path, symbol: str) -> int:
    listed = subprocess.run(["arm-none-eabi-nm", image], capture_output=True, text=True, check=True).stdout
    return next(int(line.split()[0], 16) for line in listed.splitlines() if line.split()[-1] == symbol)


def function_at(image: Path, address: int) -> str:
    """The function that has code at this address."""
    said = subprocess.run(
        ["arm-none-eabi-addr2line", "-f", "-e", image, hex(address)],
        capture_output=True,
        text=True,
        check=True,
    )
    return said.stdout.splitlines()[0]


async def shows(head: QemuHead, what: str, how: str) -> None:
    await until(lambda: head.outputs[what] == how, so_far=lambda: head.outputs)


# --- what it is --------------------------------------------------------------------------------------------------


async def test_it_boots_and_says_what_it_is(head: QemuHead) -> None:
    board: HeadBoard = head
    async with BoardLink(board.port) as link:
        welcome = await link.opened()
    assert welcome.board == "lm3s6965"
    assert welcome.reset_cause is ResetCause.POWER
    assert welcome.boots == 1
    assert welcome.flags == WelcomeFlag.SIMULATED
    assert is_simulated(board.port)
    assert Capability.UV_365 in welcome.capabilities
    assert Capability.IR_940 not in welcome.capabilities


async def test_two_heads_are_two_devices(image: Path, tmp_path: Path) -> None:
    found = set()
    for number in (1, 0x1234):
        async with (
            QemuHead(tmp_path / str(number), image=image, number=number) as head,
            BoardLink(head.port) as link,
        ):
            found.add((await link.opened()).unique_id)
    assert len(found) == 2


async def test_every_request_is_answered(head: QemuHead, link: BoardLink) -> None:
    assert await link.ask(Ping()) < 3_600_000
    status = await link.ask(ReadStatus())
    assert not status.document_present
    assert status.cover is CoverState.CLOSED
    assert not status.button_down
    assert not status.faults
    assert status.temperature_c is not None
    assert 20 < status.temperature_c < 50
    assert status.supply_mv is not None
    assert 4500 < status.supply_mv < 5500
    assert {limit.lamp for limit in await link.ask(Limits())} == {Lamp.WHITE, Lamp.IR_850, Lamp.UV_365}
    assert set(await link.ask(ReadCounters())) == set(Counter)
    for shown in Shown:
        await link.ask(Indicate(shown))
    for pattern in Pattern:
        await link.ask(Beep(pattern))
    await link.ask(Dark())
    image = bytes(32)
    for update in (
        Slots(),
        UpdateBegin(1000, image),
        UpdateData(0, image),
        UpdateEnd(),
        UpdateBoot(),
        UpdateConfirm(),
    ):
        assert (await link.reply(update)).status is Status.UNSUPPORTED, update  # this board has no slots


async def test_lamps_strobe_led_and_buzzer_are_at_the_pins(head: QemuHead, link: BoardLink) -> None:
    lines: list[str] = []

    async def listen() -> None:
        async for line in head.lines():
            lines.append(line)  # noqa: PERF401 - others look at it meanwhile

    async with asyncio.TaskGroup() as group:
        listening = group.create_task(listen())
        for lamp, name in ((Lamp.WHITE, "white"), (Lamp.IR_850, "ir850"), (Lamp.UV_365, "uv365")):
            await link.ask(LightUp(lamp, 30, 100))
            await shows(head, "lamp", f"{name} on")
            await shows(head, "lamp", "off")
        assert (await link.reply(LightUp(Lamp.IR_940, 30, 100))).status is Status.UNSUPPORTED
        await link.ask(Indicate(Shown.FAILED))
        await shows(head, "led", "red")
        await link.ask(Indicate(Shown.SUCCESS))
        await shows(head, "led", "green")
        await link.ask(Beep(Pattern.SHORT))
        await until(lambda: {"buzzer 1", "buzzer 0"} <= set(lines), so_far=lambda: lines)
        await head.unplug()
        await listening
    assert [line for line in lines if line.startswith("lamp")] == [
        "lamp white on",
        "lamp off",
        "lamp ir850 on",
        "lamp off",
        "lamp uv365 on",
        "lamp off",
    ]
    assert "buzzer 1" in lines


async def test_an_exposure_is_lamp_strobe_dark(head: QemuHead, link: BoardLink) -> None:
    steps = (
        Step(Lamp.WHITE, 100, 2000, 10_000),
        Step(Lamp.UV_365, 100, 2000, 10_000),
        Step(None, 0, 0, 5000),
    )
    await link.ask(Expose(steps))
    exposed = await link.told(Exposed, 3)
    assert [(one.step, one.lamp, one.complete) for one in exposed] == [
        (1, Lamp.WHITE, True),
        (2, Lamp.UV_365, True),
        (3, None, True),
    ]
    for one, step in zip(exposed, steps, strict=True):
        assert one.window_us >= step.window_us - 50  # never shorter; how much longer is the host's business
    assert exposed[0].strobe_us < exposed[1].strobe_us < exposed[2].strobe_us
    await shows(head, "lamp", "off")
    assert head.outputs["strobe"] == "0"


async def test_uv_goes_off_when_the_cover_opens(head: QemuHead, link: BoardLink) -> None:
    await link.ask(LightUp(Lamp.UV_365, 100, 500))
    await head.cover(opened=True)
    await until(lambda: link.events(Cover)[-1].opened)
    await shows(head, "lamp", "off")
    assert (await link.reply(LightUp(Lamp.UV_365, 100, 100))).status is Status.COVER_OPEN


# --- pins to host ------------------------------------------------------------------------------------------------


async def test_a_press_reaches_the_host(head: QemuHead, link: BoardLink) -> None:
    await head.button(down=True)
    pressed = (await link.told(Button))[0]
    assert (pressed.action, pressed.press) == (Action.PRESSED, 1)
    assert (await link.ask(ReadStatus())).button_down
    await head.button(down=False)
    assert (await link.told(Button, 2))[1].action is Action.RELEASED
    assert (await link.ask(ReadCounters()))[Counter.PRESSES] == 1


async def test_a_document_that_is_laid_in_and_taken_out_is_told(head: QemuHead, link: BoardLink) -> None:
    await head.document(present=True)
    await until(lambda: Presence.IN in [event.presence for event in link.events(Document)])
    assert (await link.ask(ReadStatus())).document_present
    await head.document(present=False)
    await until(lambda: link.events(Document)[-1].presence is Presence.OUT)


def bad_line(seed: int) -> Callable[[bytes], bytes]:
    """Loses, doubles and damages octets, one in thirty, and adds some."""
    chance = random.Random(seed)

    def line(octets: bytes) -> bytes:
        out = bytearray()
        for octet in octets:
            match chance.randrange(120):
                case 0:
                    continue
                case 1:
                    out += bytes((octet, octet))
                case 2:
                    out.append(octet ^ 1 << chance.randrange(8))
                case 3:
                    out += bytes((octet, chance.randrange(256)))
                case _:
                    out.append(octet)
        return bytes(out)

    return line


async def test_presses_arrive_once_and_in_order_over_a_line_that_loses_and_damages(head: QemuHead) -> None:
    async with BoardLink(head.port, out=bad_line(1), into=bad_line(2)) as link:
        await link.opened()

        def told() -> list[tuple[Action, int]]:
            """Without what is held while the line repeats itself, nor what a new session tells again by its number."""
            buttons = [one for one in link.events(Button) if one.action is not Action.HELD]
            return list(dict.fromkeys((one.action, one.press) for one in buttons))

        for number in range(1, 9):
            await head.button(down=True)
            await until(lambda: told()[-1:] == [(Action.PRESSED, number)], so_far=told)  # noqa: B023
            await head.button(down=False)
            await until(lambda: told()[-1:] == [(Action.RELEASED, number)], so_far=told)  # noqa: B023
        link.out = link.into = lambda octets: octets
        await until(lambda: link.link.welcome is not None)
        counters = await link.ask(ReadCounters())
    assert told() == [
        (action, number) for number in range(1, 9) for action in (Action.PRESSED, Action.RELEASED)
    ]
    assert counters[Counter.FRAMES_DAMAGED] > 0
    assert counters[Counter.PRESSES] == 8


async def test_a_press_that_was_lost_on_the_line_is_repeated(head: QemuHead, link: BoardLink) -> None:
    lost: list[bytes] = []

    def deaf(octets: bytes) -> bytes:
        lost.append(octets)
        return b"" if len(lost) < 3 else octets

    link.into = deaf
    await head.button(down=True)
    assert (await link.told(Button))[0].press == 1
    assert len(lost) >= 3
    assert (await link.ask(ReadCounters()))[Counter.FRAMES_REPEATED] > 0


# --- resets ------------------------------------------------------------------------------------------------------


async def test_the_reset_pin_in_the_middle_of_a_frame(head: QemuHead, link: BoardLink) -> None:
    await head.document(present=True)
    await link.told(Document)
    for cut in (1, 5, 11):
        sessions = len(link.every(Opened))
        link.writer.write(
            b"\x00\x0b\x10\x02\x01\x01\x01\x01\x01\x01\x01\x01"[:cut]
        )  # DATA that goes no further
        await link.writer.drain()
        await head.reset()
        welcome = await link.opened(sessions + 1)
        assert welcome.reset_cause is ResetCause.PIN
        assert (await link.ask(ReadStatus())).document_present  # the pin has kept its level
    assert welcome.boots == 4


async def test_a_restart_that_was_asked_for_says_so(link: BoardLink) -> None:
    await link.ask(Reboot())
    assert (await link.opened(2)).reset_cause is ResetCause.SOFTWARE


async def test_a_reset_costs_no_patience(head: QemuHead, link: BoardLink) -> None:
    """What the lamps have been on is in memory that a reset keeps; without that all would be shut for 10 s."""
    await link.ask(LightUp(Lamp.WHITE, 100, 50))
    await shows(head, "lamp", "off")
    await head.reset()
    await link.opened(2)
    await link.ask(LightUp(Lamp.UV_365, 100, 500))
    await shows(head, "lamp", "uv365 on")


async def test_what_the_store_keeps_outlives_the_power(head: QemuHead, link: BoardLink) -> None:
    await head.button(down=True)
    await link.told(Button)
    await head.button(down=False)
    await link.told(Button, 2)
    await link.ask(Reboot())  # which writes it down at once
    await link.opened(2)
    await head.unplug()
    await head.plug()
    async with BoardLink(head.port) as anew:
        welcome = await anew.opened()
        assert (welcome.boots, welcome.reset_cause) == (3, ResetCause.POWER)
        assert (await anew.ask(ReadCounters()))[Counter.PRESSES] == 1


async def test_a_store_full_of_rubbish_is_a_fault_and_no_more(image: Path, tmp_path: Path) -> None:
    (tmp_path / "eeprom.bin").write_bytes(random.Random(3).randbytes(qemu_head.STORE_SIZE))
    async with QemuHead(tmp_path, image=image) as head, BoardLink(head.port) as link:
        assert (await link.opened()).boots == 1
        assert Fault.STORE_DAMAGED in (await link.ask(ReadStatus())).faults


@pytest.mark.parametrize(
    ("pin", "number", "function"),
    [
        (STANDS_STILL, CRASH_WATCHDOG, "stand_still"),
        (STANDS_STILL_SHUT, 0, ""),  # nothing runs any more that could write it down
        (NO_INSTRUCTION, CRASH_USAGE, "no_instruction"),
        (STACK_RUNS_OVER, CRASH_BUS, ""),  # its stack can't be read
    ],
    ids=["stands-still", "stands-still-with-interrupts-shut", "no-instruction", "stack-runs-over"],
)
async def test_what_goes_wrong_in_the_program_darkens_the_window_and_restarts(
    image: Path, tmp_path: Path, pin: tuple[str, int], number: int, function: str
) -> None:
    program = misbehaving(image)
    crash = address_of(program, "crash_last")
    async with QemuHead(tmp_path, image=program) as head, BoardLink(head.port) as link:
        await link.opened()
        assert await head.peek(crash) == 0
        await link.ask(LightUp(Lamp.WHITE, 100, 5000))
        await shows(head, "lamp", "white on")
        await head.pin(pin, 1)
        await until(lambda: head.resets, so_far=lambda: head.outputs)
        assert head.outputs["lamp"] == "off"
        welcome = await link.opened(2)
        assert welcome.reset_cause is ResetCause.WATCHDOG
        assert Fault.WATCHDOG in (await link.ask(ReadStatus())).faults
        assert (await link.ask(ReadCounters()))[Counter.WATCHDOG_RESETS] == 1
        refused = await link.reply(LightUp(Lamp.WHITE, 100, 1000))
        assert refused.status is Status.LIMIT  # nobody counted for how long it was on
        assert await head.peek(crash) == number
        if function:
            assert function_at(program, await head.peek(crash + 4)) == function


async def test_a_converter_that_says_nothing_more_keeps_no_lamp_on(image: Path, tmp_path: Path) -> None:
    async with QemuHead(tmp_path, image=misbehaving(image)) as head, BoardLink(head.port) as link:
        await link.opened()
        await link.ask(LightUp(Lamp.WHITE, 100, 5000))
        await shows(head, "lamp", "white on")
        await head.pin(NO_TRIGGER, 1)
        await until(lambda: [event.fault for event in link.events(FaultChanged)] == [Fault.OVERHEATED])
        await shows(head, "lamp", "off")
        status = await link.ask(ReadStatus())
        assert (status.temperature_c, status.supply_mv) == (None, None)
        assert (await link.reply(LightUp(Lamp.WHITE, 100, 100))).status is Status.HOT


# --- the emulator ------------------------------------------------------------------------------------------------


async def test_an_idle_head_sleeps(head: QemuHead, link: BoardLink) -> None:
    """A main loop without WFI takes four fifths of a core and more; this one's share is some per cent."""
    await link.ask(Indicate(Shown.READY))

    def cpu_s() -> float:
        fields = Path(f"/proc/{head.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    began, used = time.monotonic(), cpu_s()
    uptime = await link.ask(Ping())
    while await link.ask(Ping()) < uptime + 2000:
        await asyncio.sleep(0.25)
    assert (cpu_s() - used) / (time.monotonic() - began) < 0.4


async def test_it_dies_with_its_owner(image: Path, tmp_path: Path) -> None:
    owner = subprocess.Popen(  # noqa: ASYNC220 - it prints one line
        [PYTHON, "-c", OWNER, str(tmp_path / "store"), str(image)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    with owner.stdout:
        pid = int(owner.stdout.readline())
    assert _alive(pid)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    await until(lambda: not _alive(pid))


OWNER = """
import asyncio, sys
from pathlib import Path
from edged.emulator.qemu_head import QemuHead

async def main():
    async with QemuHead(Path(sys.argv[1]), image=Path(sys.argv[2])) as head:
        print(head.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def _alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


async def test_whoever_uses_it_when_it_is_gone_hears_so(image: Path, tmp_path: Path) -> None:
    async with QemuHead(tmp_path, image=image) as head:
        os.kill(head.pid, signal.SIGKILL)
        with pytest.raises(StateError, match=r"qemu_head\.gone"):
            for _ in range(1000):
                await head.button(down=True)
    with pytest.raises(StateError, match=r"qemu_head\.gone"):
        await head.reset()


async def test_an_image_that_is_none_is_a_clear_error(tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.elf"
    with pytest.raises(StateError, match=r"qemu_head\.not_started"):
        await QemuHead(tmp_path / "store", image=rubbish).__aenter__()


# --- the image ---------------------------------------------------------------------------------------------------


def test_nothing_of_a_heap_is_linked(image: Path) -> None:
    listed = subprocess.run(["arm-none-eabi-nm", image], capture_output=True, text=True, check=True).stdout
    assert " board_store_write" in listed
    assert not re.search(r" _?_?(malloc|calloc|realloc|free|sbrk)(_r)?$", listed, re.MULTILINE)
    members = image.with_suffix(".map").read_text().partition("Memory Configuration")[0]
    assert not re.search(r"lib(c|nosys)\S*\((\S*malloc\S*|\S*sbrk\S*)\.o\)", members)


def test_images_fit_their_budget_and_the_budget_is_kept(image: Path, tmp_path: Path) -> None:
    def size(budget: Path, name: str) -> Any:
        command = [PYTHON, "mk/size.py", budget, "arm-none-eabi-size", f"{name}={image}"]
        return subprocess.run(command, cwd=qemu_head.SOURCE, capture_output=True, text=True)

    assert size(qemu_head.SOURCE / "budget.toml", "lm3s6965").returncode == 0
    tight = tmp_path / "tight.toml"
    tight.write_text("[lm3s6965]\nflash = 4096\nram = 4096\n")
    assert "over its budget" in size(tight, "lm3s6965").stdout
    assert size(tight, "lm3s6965").returncode == 1
    assert size(tight, "another").returncode == 1

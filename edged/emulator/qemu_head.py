"""The head's firmware on an emulated Cortex-M3 (QEMU's lm3s6965evb), with hands at the machine's own pins.

QEMU leaves some of the silicon out; this module does it in its place, and nothing else: the cause of a reset stands in
the chip's register, and pins keep their levels while it restarts. For that the machine stands still at each reset until
both are right.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import edged
from edged.drivers.ports import SOCKET
from edged.emulator.head_outputs import Outputs
from edged.emulator.powered import Powered
from edged.emulator.qemu_monitor import Monitor, Pins
from edged.errors import StateError
from edged.leash import leashed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PROGRAM: Final = "qemu-system-arm"
SOURCE: Final = Path(edged.__file__).parents[1] / "firmware"
_IMAGE: Final = Path("lm3s6965", "edged-head.elf")
_BUILD_S: Final = 240.0  # some 35 small files, on a machine with other things to do
_START_S: Final = 30.0  # a tenth of a second on an idle machine
_RESTART_S: Final = 20.0

STORE_SIZE: Final = 4096
_STORE: Final = "eeprom.bin"

PORTS: Final = {"B": 0x40005000, "D": 0x40007000, "E": 0x40024000, "F": 0x40025000}
BUTTON: Final = ("F", 1)
DOCUMENT: Final = ("E", 0)
COVER: Final = ("E", 1)
"""firmware/board/lm3s6965/sensors.c: the button is low when down; presence and an open cover are high."""

_DATA, _DIRECTION = 0x3FC, 0x400
"""Of a GPIO port: all its pins, and which of them are outputs."""

RESC: Final = 0x400FE05C
"""The register that says why the chip was reset; QEMU keeps what is written there and never writes it."""
_PIN, _POWER, _WATCHDOG, _SOFTWARE = 1, 2, 8, 16


def find() -> Path | None:
    """The built image of the checkout; None when there is none."""
    image = SOURCE / "build" / _IMAGE
    return image if image.is_file() else None


def missing() -> str | None:
    """Why it can't be started here, as a code of the message catalogue; None when it can."""
    if shutil.which(PROGRAM) is None:
        return "qemu_head.no_qemu"
    return None if find() is not None else _unbuildable()


def _unbuildable() -> str | None:
    if not (SOURCE / "Makefile").is_file():
        return "qemu_head.no_source"
    if any(shutil.which(name) is None for name in ("make", "arm-none-eabi-gcc")):
        return "qemu_head.no_compiler"
    return None


def build(directory: Path | None = None) -> Path:
    """Build the image, in `firmware/build` or elsewhere, as far as it is out of date; its path. Blocks for seconds.

    Raises `StateError` when there is no source, no compiler, or the compiler refuses.
    """
    if (code := _unbuildable()) is not None:
        raise StateError(code)
    directory = SOURCE / "build" if directory is None else directory
    command = ["make", "-s", "-C", str(SOURCE), f"BUILD={directory}", "lm3s6965"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_BUILD_S)
    except (OSError, subprocess.TimeoutExpired):
        raise StateError("qemu_head.build_failed") from None
    if done.returncode != 0:
        raise StateError("qemu_head.build_failed")
    return directory / _IMAGE


class QemuHead(Powered):
    """One such machine; implements `edged.emulator.head_board.HeadBoard`.

    Each method of a pin returns when the pin has its level; the firmware believes it some milliseconds later.

    Attributes:
        resets: how often it has been reset, by whoever it was.
    """

    def __init__(
        self,
        store: Path | None = None,
        *,
        port: Path | None = None,
        image: Path | None = None,
        number: int = 1,
    ) -> None:
        """Keep what survives a reset in the directory `store`, and listen at `port`, or both in places of its own.

        `image` is built when it isn't given and isn't there. Of two heads with the same `number` (0…65535) the host
        thinks that they are one.
        """
        assert 0 <= number < 1 << 16
        self._given_store, self._given_port, self._image, self._number = store, port, image, number
        self._levels: dict[tuple[str, int], int] = {BUTTON: 1, DOCUMENT: 0, COVER: 0}
        self._hand = asyncio.Lock()
        self._restarted = asyncio.Event()
        self._bitten = False
        self.resets = 0
        self._restarts: set[asyncio.Task[None]] = set()
        self._power = contextlib.AsyncExitStack()
        self._shown = Outputs()
        self._devices: dict[str, str] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._monitor: Monitor | None = None
        self._pins: Pins | None = None

    @property
    def port(self) -> str:
        """What the daemon's `[head] port` is; known once it has been entered."""
        return f"{SOCKET}{self._given_port or self._place / 'port'}"

    @property
    def outputs(self) -> dict[str, str]:
        """What the outputs are now: `{"lamp": "white on", "strobe": "0", "led": "red", "buzzer": "0"}`."""
        return dict(self._shown.now)

    @property
    def pid(self) -> int:
        """Of QEMU."""
        if self._process is None:
            raise StateError("qemu_head.gone")
        return self._process.pid

    async def plug(self) -> None:
        """Start the machine (power comes). Raises `StateError` when it can't be started."""
        if shutil.which(PROGRAM) is None:
            raise StateError("qemu_head.no_qemu")
        image = self._image if self._image is not None else await asyncio.to_thread(_found_or_built)
        store = self._given_store or self._place
        _make_store(store / _STORE)
        async with contextlib.AsyncExitStack() as power:
            await self._start(power, image, store / _STORE)
            self._power = power.pop_all()

    async def unplug(self) -> None:
        """End the machine (power goes); the store is kept, `plug` starts it again."""
        await self._power.aclose()
        self._shown.ended()

    async def button(self, *, down: bool) -> None:
        """Press it or let it go."""
        await self.pin(BUTTON, 0 if down else 1)

    async def document(self, *, present: bool) -> None:
        """Lay something in front of the presence sensor, or take it away."""
        await self.pin(DOCUMENT, int(present))

    async def cover(self, *, opened: bool) -> None:
        """Open or close the cover."""
        await self.pin(COVER, int(opened))

    async def pin(self, pin: tuple[str, int], level: int) -> None:
        """Put any input pin (port's letter, number) to a level, for as long as nobody puts it to another."""
        async with self._hand:
            self._levels[pin] = level
            await self._drive(pin)

    async def peek(self, address: int) -> int:
        """A word of the chip's memory, as a debugger would see it."""
        return await self._qtest.read(address)

    async def reset(self) -> None:
        """Pull the reset pin; returns when the firmware runs again."""
        async with self._hand:
            await self._qmp.execute("stop")
            await self._restart(_PIN)

    async def lines(self) -> AsyncIterator[str]:
        """What the outputs do (`head_outputs`), and "reset" for each reset. One consumer; ends with the machine."""
        async for line in self._shown.lines():
            yield line

    # --- starting and stopping ---

    async def _start(self, power: contextlib.AsyncExitStack, image: Path, store: Path) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *leashed(self._command(image, store)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        power.push_async_callback(self._kill)
        try:
            async with asyncio.timeout(_START_S):
                self._monitor = await self._until_it_listens(power)
                self._pins = await Pins.open(self._place / "pins", self._shown.changed)
        except (OSError, StateError, TimeoutError) as error:
            raise StateError("qemu_head.not_started", type(error).__name__) from error
        power.push_async_callback(self._pins.close)
        power.callback(self._forget_restarts)
        self._shown.begin()
        self._devices = await self._find_ports()
        await self._pins.watch(self._devices["D"])
        async with self._hand:
            await self._go(_POWER)

    def _command(self, image: Path, store: Path) -> tuple[str, ...]:
        mac = f"52:54:00:ed:{self._number >> 8:02x}:{self._number & 0xFF:02x}"
        # Commas are doubled where QEMU reads a list.
        eeprom, line, monitor, pins = (
            str(path).replace(",", ",,")
            for path in (
                store,
                self.port.removeprefix(SOCKET),
                self._place / "monitor",
                self._place / "pins",
            )
        )
        return (
            *(PROGRAM, "-M", "lm3s6965evb", "-S", "-nodefaults", "-display", "none", "-accel", "tcg"),
            *("-kernel", str(image), "-net", f"nic,macaddr={mac}"),
            *("-action", "reboot=shutdown,shutdown=pause"),
            *("-serial", f"unix:{line},server=on,wait=off"),
            *("-qmp", f"unix:{monitor},server=on,wait=off"),
            *("-qtest", f"unix:{pins},server=on,wait=off", "-qtest-log", "/dev/null"),
            *("-drive", f"if=none,id=store,format=raw,file={eeprom}"),
            *("-device", f"at24c-eeprom,address=0x50,rom-size={STORE_SIZE},drive=store"),
        )

    async def _until_it_listens(self, power: contextlib.AsyncExitStack) -> Monitor:
        assert self._process is not None
        while True:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                monitor = await Monitor.open(self._place / "monitor", self._event)
                power.push_async_callback(monitor.close)
                return monitor
            if self._process.returncode is not None:
                raise StateError("qemu_head.not_started")
            await asyncio.sleep(0.02)

    async def _kill(self) -> None:
        process, self._process = self._process, None
        self._monitor = self._pins = None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        _remove(Path(self.port.removeprefix(SOCKET)), self._place / "monitor", self._place / "pins")

    def _forget_restarts(self) -> None:
        for task in self._restarts:
            task.cancel()

    async def _find_ports(self) -> dict[str, str]:
        """Paths of the GPIO ports, by their addresses: their order differs between versions of QEMU."""
        found = {}
        letters = {address: letter for letter, address in PORTS.items()}
        root = "/machine/unattached"
        for device in await self._qmp.execute("qom-list", path=root):
            if "pl061" in device["type"]:
                path = f"{root}/{device['name']}"
                address = await self._qmp.execute("qom-get", path=f"{path}/pl061[0]", property="addr")
                if address in letters:
                    found[letters[address]] = path
        if len(found) != len(PORTS):
            raise StateError("qemu_head.refused", "qom-list")
        return found

    # --- resets ---

    def _event(self, name: str, data: dict[str, Any]) -> None:
        if name == "WATCHDOG":
            self._bitten = True
        elif name == "RESET":
            self.resets += 1
            self._shown.reset()
            self._restarted.set()
        elif name == "SHUTDOWN" and data.get("guest"):
            task = asyncio.get_running_loop().create_task(self._restart_itself(), name="qemu restart")
            self._restarts.add(task)
            task.add_done_callback(self._restarts.discard)

    async def _restart_itself(self) -> None:
        """The firmware, or its watchdog, has reset the chip."""
        with contextlib.suppress(StateError):
            async with self._hand:
                await self._restart(_WATCHDOG if self._bitten else _SOFTWARE)

    async def _restart(self, cause: int) -> None:
        self._bitten = False
        self._restarted.clear()
        await self._qmp.execute("set-action", reboot="reset")
        await self._qmp.execute("system_reset")
        try:
            async with asyncio.timeout(_RESTART_S):
                await self._restarted.wait()
        except TimeoutError as error:
            raise StateError("qemu_head.gone") from error
        await self._qmp.execute("set-action", reboot="shutdown")
        await self._go(cause)

    async def _go(self, cause: int) -> None:
        """From a reset that is held to the first instruction."""
        await self._lower_outputs()
        for pin in self._levels:
            await self._drive(pin)
        await self._qtest.write(RESC, cause)
        await self._qmp.execute("cont")

    async def _lower_outputs(self) -> None:
        """Silicon lets go of its outputs when it is reset; QEMU forgets the register and leaves the lines alone."""
        self._shown.deaf = True
        port = PORTS["D"]
        for register, value in ((_DIRECTION, 0xFF), (_DATA, 0xFF), (_DATA, 0), (_DIRECTION, 0)):
            await self._qtest.write(port + register, value)
        self._shown.deaf = False

    async def _drive(self, pin: tuple[str, int]) -> None:
        port, number = pin
        await self._qtest.drive(self._devices[port], number, self._levels[pin])

    @property
    def _place(self) -> Path:
        if self._home is None:
            raise StateError("qemu_head.gone")
        return self._home

    @property
    def _qmp(self) -> Monitor:
        if self._monitor is None:
            raise StateError("qemu_head.gone")
        return self._monitor

    @property
    def _qtest(self) -> Pins:
        if self._pins is None:
            raise StateError("qemu_head.gone")
        return self._pins


def _found_or_built() -> Path:
    return find() or build()


def _remove(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _make_store(path: Path) -> None:
    """A fresh EEPROM reads as ones."""
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"\xff" * STORE_SIZE)

"""The head's firmware on an emulated Cortex-M3 (QEMU's lm3s6965evb), with hands at the machine's own pins.

QEMU leaves some of the silicon out; this module does it in its place, and nothing else: the cause of a reset stands in
the chip's register, and pins keep their levels while it restarts. For that the machine stands still at each reset until
both are right. What `board/lm3s6965` keeps in its EEPROM is in `store`, and outlives QEMU.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import edged
from edged.emulator.head_outputs import Outputs
from edged.emulator.qemu_monitor import Monitor, Pins
from edged.errors import StateError
from edged.leash import leashed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

PROGRAM: Final = "qemu-system-arm"
FIRMWARE: Final = Path(edged.__file__).parents[1] / "firmware"
IMAGE: Final = FIRMWARE / "build" / "lm3s6965" / "edged-head.elf"
"""Where `make -C firmware lm3s6965` puts it; only a checkout has it."""

START_S: Final = 30.0
"""Until QEMU listens: half a second on an idle machine."""
RESTART_S: Final = 20.0

STORE_SIZE: Final = 4096

PORTS: Final = {"B": 0x40005000, "D": 0x40007000, "E": 0x40024000, "F": 0x40025000}
BUTTON: Final = ("F", 1)
DOCUMENT: Final = ("E", 0)
COVER: Final = ("E", 1)
"""firmware/board/lm3s6965/inputs.c: the button is low when down, presence and open cover are high."""

RESC: Final = 0x400FE05C
"""The register that says why the chip was reset; QEMU keeps what is written there and never writes it."""
_PIN, _POWER, _WATCHDOG, _SOFTWARE = 1, 2, 8, 16


def missing(image: Path = IMAGE) -> str | None:
    """Why it can't be started here, as a code of the message catalogue; None when it can."""
    if shutil.which(PROGRAM) is None:
        return "head_emulator.no_qemu"
    if not image.is_file():
        return "head_emulator.no_image"
    return None


class QemuHead:
    """A `HeadBoard` (edged.emulator.head_board). `store` is the EEPROM's file, made when it isn't there.

    `watch` is told each change of an output as a line (`head_outputs`), and `reset` for each reset. Of two heads with
    the same `number` the host thinks that they are one.
    """

    def __init__(
        self,
        store: Path,
        *,
        image: Path = IMAGE,
        number: int = 1,
        watch: Callable[[str], None] = lambda _: None,
    ) -> None:
        assert 0 <= number < 1 << 16
        self._store, self._image, self._number, self._watch = store, image, number, watch
        self._levels: dict[tuple[str, int], int] = {BUTTON: 1, DOCUMENT: 0, COVER: 0}
        self._hand = asyncio.Lock()
        self._restarted = asyncio.Event()
        self._bitten = False
        self._restarts: set[asyncio.Task[None]] = set()
        self._exits = contextlib.AsyncExitStack()
        self._sockets: Path | None = None
        self._devices: dict[str, str] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._monitor: Monitor | None = None
        self._pins: Pins | None = None

    @property
    def port(self) -> str:
        """What the daemon's `[head] port` is."""
        return f"unix:{self._socket('line')}"

    @property
    def pid(self) -> int:
        """Of QEMU."""
        if self._process is None:
            raise StateError("head_emulator.gone")
        return self._process.pid

    async def __aenter__(self) -> Self:
        """Raises `StateError` when it can't be started."""
        if (code := missing(self._image)) is not None:
            raise StateError(code)
        async with contextlib.AsyncExitStack() as exits:
            # A socket's path has a hundred characters, and a test's directory may be longer.
            self._sockets = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="edged-head-")))
            exits.callback(self._no_sockets)
            _make_store(self._store)
            await self._start(exits)
            self._exits = exits.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exits.aclose()

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
        """Put any input pin (port's letter, number) to a level, for as long as the machine is."""
        async with self._hand:
            self._levels[pin] = level
            await self._drive(pin)

    async def read(self, address: int) -> int:
        """A word of the chip's memory, as a debugger would."""
        return await self._qtest.read(address)

    async def reset(self) -> None:
        """Pull the reset pin."""
        async with self._hand:
            await self._qmp.execute("stop")
            await self._restart(_PIN)

    # --- starting and stopping ---

    async def _start(self, exits: contextlib.AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        self._process = await asyncio.create_subprocess_exec(
            *leashed(self._command()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        exits.push_async_callback(self._kill)
        try:
            async with asyncio.timeout(START_S):
                self._monitor = await self._until_it_listens(exits)
        except TimeoutError as error:
            raise StateError("head_emulator.no_start") from error
        outputs = Outputs(loop.call_later, self._watch)
        self._pins = await Pins.open(self._socket("pins"), outputs.changed)
        exits.push_async_callback(self._pins.close)
        exits.callback(self._forget_restarts)
        self._devices = await self._find_ports()
        await self._pins.watch(self._devices["D"])
        async with self._hand:
            await self._go(_POWER)

    def _command(self) -> tuple[str, ...]:
        mac = f"52:54:00:ed:{self._number >> 8:02x}:{self._number & 0xFF:02x}"
        # Commas are doubled where QEMU reads a list.
        store, line, monitor, pins = (
            str(path).replace(",", ",,")
            for path in (self._store, *map(self._socket, ("line", "monitor", "pins")))
        )
        return (
            *(PROGRAM, "-M", "lm3s6965evb", "-S", "-nodefaults", "-display", "none", "-accel", "tcg"),
            *("-kernel", str(self._image), "-net", f"nic,macaddr={mac}"),
            *("-action", "reboot=shutdown,shutdown=pause"),
            *("-serial", f"unix:{line},server=on,wait=off"),
            *("-qmp", f"unix:{monitor},server=on,wait=off"),
            *("-qtest", f"unix:{pins},server=on,wait=off", "-qtest-log", "/dev/null"),
            *("-drive", f"if=none,id=store,format=raw,file={store}"),
            *("-device", f"at24c-eeprom,address=0x50,rom-size={STORE_SIZE},drive=store"),
        )

    async def _until_it_listens(self, exits: contextlib.AsyncExitStack) -> Monitor:
        assert self._process is not None
        while True:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                monitor = await Monitor.open(self._socket("monitor"), self._event)
                exits.push_async_callback(monitor.close)
                return monitor
            if self._process.returncode is not None:
                raise StateError("head_emulator.no_start")
            await asyncio.sleep(0.02)

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        self._monitor = self._pins = None

    def _socket(self, name: str) -> Path:
        if self._sockets is None:
            raise StateError("head_emulator.gone")
        return self._sockets / name

    def _no_sockets(self) -> None:
        self._sockets = None

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
            raise StateError("head_emulator.refused", "qom-list")
        return found

    # --- resets ---

    def _event(self, name: str, data: dict[str, Any]) -> None:
        if name == "WATCHDOG":
            self._bitten = True
        elif name == "RESET":
            self._watch("reset")
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
            async with asyncio.timeout(RESTART_S):
                await self._restarted.wait()
        except TimeoutError as error:
            raise StateError("head_emulator.gone") from error
        await self._qmp.execute("set-action", reboot="shutdown")
        await self._go(cause)

    async def _go(self, cause: int) -> None:
        """From a reset that is held to the first instruction."""
        for pin in self._levels:
            await self._drive(pin)
        await self._qtest.write(RESC, cause)
        await self._qmp.execute("cont")

    async def _drive(self, pin: tuple[str, int]) -> None:
        port, number = pin
        await self._qtest.drive(self._devices[port], number, self._levels[pin])

    @property
    def _qmp(self) -> Monitor:
        if self._monitor is None:
            raise StateError("head_emulator.gone")
        return self._monitor

    @property
    def _qtest(self) -> Pins:
        if self._pins is None:
            raise StateError("head_emulator.gone")
        return self._pins


def _make_store(path: Path) -> None:
    """A fresh EEPROM reads as ones."""
    if not path.exists():
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"\xff" * STORE_SIZE)

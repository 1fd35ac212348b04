"""The reader head's firmware as a Linux process (`firmware/board/host`): a head for tests and the demo.

The same C code as on the microcontroller; only pins, line and store are a process's. Its unit tests and what it
promises are in `firmware/`.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

import edged
from edged.config import environment
from edged.drivers.ports import SOCKET
from edged.emulator.powered import Powered
from edged.errors import StateError
from edged.leash import leashed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SOURCE: Final = Path(edged.__file__).parents[1] / "firmware"
_PROGRAM: Final = Path("host", "edged-head")
_BUILD_S: Final = 120.0  # some 25 small files
_START_S: Final = (
    30.0  # it takes milliseconds; a machine that is busy with a build takes long to start anything
)
_STOP_S: Final = 5.0
_LINES_KEPT: Final = 4096  # output lines that nobody has taken; an EXPOSE of eight steps makes 32


def find() -> Path | None:
    """The built program: what `EDGED_HEAD` names, else the checkout's; None when there is none."""
    named = environment("EDGED_HEAD")
    program = Path(named) if named is not None else SOURCE / "build" / _PROGRAM
    return program if program.is_file() else None


def build(directory: Path | None = None) -> Path:
    """Build the program, in `firmware/build` or elsewhere, as far as it is out of date; its path. Blocks for seconds.

    Raises `StateError` when there is no source, no compiler, or the compiler refuses.
    """
    if not (SOURCE / "Makefile").is_file():
        raise StateError("head_emulator.no_source")
    if shutil.which("make") is None or all(shutil.which(name) is None for name in ("cc", "gcc", "clang")):
        raise StateError("head_emulator.no_compiler")
    directory = SOURCE / "build" if directory is None else directory
    command = ["make", "-s", "-C", str(SOURCE), f"BUILD={directory}", "host"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_BUILD_S)
    except (OSError, subprocess.TimeoutExpired):
        raise StateError("head_emulator.build_failed") from None
    if done.returncode != 0:
        raise StateError("head_emulator.build_failed")
    return directory / _PROGRAM


class HostHead(Powered):
    """One such process; implements `edged.emulator.head_board.HeadBoard`.

    Each method of a pin returns when the firmware has sampled the new level for long enough to believe it.
    """

    def __init__(
        self, store: Path | None = None, *, port: Path | None = None, program: Path | None = None
    ) -> None:
        """Keep what survives a reset in the directory `store`, and listen at `port`, or both in places of its own."""
        self._given_store = store
        self._given_port = port
        self._program = program
        self._process: asyncio.subprocess.Process | None = None
        self._hands: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._answers: deque[asyncio.Future[bool]] = deque()
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._news = asyncio.Event()
        self._outputs: dict[str, str] = {}

    @property
    def port(self) -> str:
        """What the daemon's `[head] port` is; known once it has been entered."""
        return f"{SOCKET}{self._socket}"

    @property
    def outputs(self) -> dict[str, str]:
        """What the outputs are now: `{"lamp": "white 80", "strobe": "0", "indication": "reading"}`; `beep` the last."""
        return dict(self._outputs)

    async def plug(self) -> None:
        """Start the process (power comes). Raises `StateError` when it can't be started."""
        program = self._program
        if program is None:
            program = await asyncio.to_thread(_find_or_build)
        if self._given_store is None:
            self._store.mkdir(exist_ok=True)
        words = ("--socket", self._socket, "--pins", self._pins, "--store", self._store)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *leashed((str(program), *map(str, words))),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
            )
            assert self._process.stdout is not None
            async with asyncio.timeout(_START_S):
                if await self._process.stdout.readline() != b"ready\n":
                    raise StateError("head_emulator.not_started", program=str(program))
                reader, self._hands = await asyncio.open_unix_connection(self._pins)
        except (OSError, TimeoutError):
            raise StateError("head_emulator.not_started", program=str(program)) from None
        self._reading = asyncio.create_task(self._read(reader), name="host head")

    async def unplug(self) -> None:
        """End the process (power goes); the store is kept, `plug` starts it again."""
        if self._hands is not None:
            self._hands.close()
            self._hands = None
        if self._process is not None:
            await self._end(self._process)
            self._process = None
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None
        for path in (self._socket, self._pins):
            path.unlink(missing_ok=True)

    async def button(self, *, down: bool) -> None:
        """Press the button or let it go."""
        await self.say(f"button {'down' if down else 'up'}")

    async def document(self, *, present: bool) -> None:
        """Lay a document in front of the presence sensor, or take it away."""
        await self.say(f"document {'in' if present else 'out'}")

    async def cover(self, *, opened: bool) -> None:
        """Open or close the cover."""
        await self.say(f"cover {'open' if opened else 'closed'}")

    async def reset(self) -> None:
        """Pull the reset pin; returns when the firmware runs again."""
        await self.say("reset")

    async def temperature(self, tenths: int | None) -> None:
        """Set the temperature in 0.1 °C; None: the sensor is broken."""
        await self.say(f"temperature {'unknown' if tenths is None else tenths}")

    async def supply(self, millivolts: int) -> None:
        """Set the supply in mV."""
        await self.say(f"supply {millivolts}")

    async def hang(self) -> None:
        """Let the main loop hang; returns when the watchdog has reset the head."""
        await self.say("stuck")

    async def say(self, line: str) -> None:
        """Give an order of those in `board/host/hands.c`. Raises `StateError` for others, and when it is gone."""
        if self._hands is None or self._reading is None or self._reading.done():
            raise StateError("head_emulator.gone")
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        self._hands.write(f"{line}\n".encode())
        if not await answer:
            raise StateError("head_emulator.refused")

    async def lines(self) -> AsyncIterator[str]:
        """What the outputs do: "lamp white 80", "lamp off", "strobe 1", "indication reading", "beep short".

        From entering on; who comes late gets the last 4096. One consumer; ends when the head does.
        """
        while True:
            while self._lines:
                yield self._lines.popleft()
            if self._reading is None or self._reading.done():
                return
            self._news.clear()
            await self._news.wait()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Sort what the hands' socket says into answers and outputs."""
        try:
            while line := (await reader.readline()).decode("ascii", "replace").rstrip("\n"):
                first, _, rest = line.partition(" ")
                if first in {"ok", "error"}:
                    self._answer(known=first == "ok")
                    continue
                self._outputs[first] = rest
                self._lines.append(line)
                self._news.set()
        except OSError:
            pass  # as its end
        finally:
            while self._answers:
                future = self._answers.popleft()
                if not future.done():
                    future.set_exception(StateError("head_emulator.gone"))
            self._news.set()

    def _answer(self, *, known: bool) -> None:
        if self._answers and not (future := self._answers.popleft()).done():
            future.set_result(known)

    @staticmethod
    async def _end(process: asyncio.subprocess.Process) -> None:
        """Ask it to end, and make it end."""
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await process.communicate()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    @property
    def _place(self) -> Path:
        if self._home is None:
            raise StateError("head_emulator.gone")
        return self._home

    @property
    def _socket(self) -> Path:
        return self._given_port or self._place / "port"

    @property
    def _pins(self) -> Path:
        return self._place / "pins"

    @property
    def _store(self) -> Path:
        return self._given_store or self._place / "store"


def _find_or_build() -> Path:
    return find() or build()

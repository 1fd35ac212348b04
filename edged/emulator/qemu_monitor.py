"""The two conversations with a running QEMU: QMP, its monitor, and qtest, the hands at its machine's pins.

Both are lines over a Unix socket, answered in order, with lines in between that nobody asked for. Every wait is
bounded; when QEMU is gone, or doesn't answer in time, it is a `StateError`.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from edged.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ANSWER_S: Final = 20.0
"""Answers take a millisecond; a machine with ten times more to do than it can has been seen to take seconds."""
_LINE: Final = 1 << 20
"""The longest line: QMP lists a whole machine in one of some kilobytes."""


class _Lines:
    """Asks and answers over one socket. `unasked` hears the other lines; it must not wait."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._waiting: deque[asyncio.Future[str]] = deque()
        self._gone = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read."""
        self._task = asyncio.get_running_loop().create_task(self._read(), name="qemu lines")

    async def close(self) -> None:
        """Stop reading; whoever still waits hears that it is gone."""
        self._writer.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._end()

    async def ask(self, line: str) -> str:
        """The answer. Raises `StateError`."""
        if self._gone:
            raise StateError("qemu_head.gone")
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        try:
            self._writer.write(line.encode() + b"\n")
            async with asyncio.timeout(ANSWER_S):
                return await answer
        except (OSError, TimeoutError) as error:
            raise StateError("qemu_head.gone", type(error).__name__) from error

    def unasked(self, line: str) -> bool:
        """Whether the line answers nothing; it has been dealt with then."""
        raise NotImplementedError

    async def _read(self) -> None:
        with suppress(OSError, ValueError):
            while raw := await self._reader.readline():
                line = raw.decode(errors="replace").strip()
                if not self.unasked(line) and self._waiting:
                    answer = self._waiting.popleft()
                    if not answer.done():
                        answer.set_result(line)
        self._end()

    def _end(self) -> None:
        self._gone = True
        while self._waiting:
            answer = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(StateError("qemu_head.gone"))


class Monitor(_Lines):
    """QMP. `event` is told the name of each event and what belongs to it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        event: Callable[[str, dict[str, Any]], None],
    ) -> None:
        super().__init__(reader, writer)
        self._event = event

    @classmethod
    async def open(cls, path: Path, event: Callable[[str, dict[str, Any]], None]) -> Monitor:
        """Connect and greet. Raises `OSError` when nobody listens, `StateError`."""
        monitor = cls(*await asyncio.open_unix_connection(path, limit=_LINE), event)
        monitor.start()
        try:
            await monitor.execute("qmp_capabilities")
        except BaseException:
            await monitor.close()
            raise
        return monitor

    async def execute(self, command: str, **arguments: Any) -> Any:
        """What it returns. Raises `StateError`, also when QEMU refuses."""
        answer = json.loads(await self.ask(json.dumps({"execute": command, "arguments": arguments})))
        if "return" not in answer:
            raise StateError("qemu_head.refused", command)
        return answer["return"]

    def unasked(self, line: str) -> bool:
        """Events, and the greeting."""
        said = json.loads(line)
        if "event" in said:
            self._event(said["event"], said.get("data", {}))
        return "return" not in said and "error" not in said


class Pins(_Lines):
    """qtest. `changed` is told the number and the level of each output pin of the port that is watched."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        changed: Callable[[int, bool], None],
    ) -> None:
        super().__init__(reader, writer)
        self._changed = changed

    @classmethod
    async def open(cls, path: Path, changed: Callable[[int, bool], None]) -> Pins:
        """Connect. Raises `OSError` when nobody listens."""
        pins = cls(*await asyncio.open_unix_connection(path, limit=_LINE), changed)
        pins.start()
        return pins

    async def watch(self, device: str) -> None:
        """Hear of all output pins of the device with this path; of one device only, QEMU can no more."""
        await self._do(f"irq_intercept_out {device}")

    async def drive(self, device: str, pin: int, level: int) -> None:
        """Put an input pin of a port to a level."""
        await self._do(f"set_irq_in {device} unnamed-gpio-in {pin} {level}")

    async def read(self, address: int) -> int:
        """A word of the machine's memory."""
        return int((await self._do(f"readl {address:#x}")).split()[1], 16)

    async def write(self, address: int, value: int) -> None:
        """The same, written."""
        await self._do(f"writel {address:#x} {value:#x}")

    async def _do(self, line: str) -> str:
        answer = await self.ask(line)
        if not answer.startswith("OK"):
            raise StateError("qemu_head.refused", line.split(maxsplit=1)[0])
        return answer

    def unasked(self, line: str) -> bool:
        """`IRQ raise 3`, `IRQ lower 3`."""
        match line.split():
            case ["IRQ", "raise" | "lower" as how, pin]:
                self._changed(int(pin), how == "raise")
                return True
        return False

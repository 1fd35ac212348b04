"""A reader of MRZ text made of software, on a pseudo-terminal: what a reader on the counter sends, byte for byte.

    async with SwipeReaderEmulator(Path("swipe"), "elyctis") as reader:
        await reader.swipe(lines)

It can be unplugged and plugged in again, and its line can be bad. Known protocols: `elyctis`, `desko`, `lines`,
`merged` (lines without ends between them), `honeywell`, `newland`.
"""

from __future__ import annotations

import asyncio
import os
import tty
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

_COMMANDS: Final = {"honeywell": (b"\x16T\r", b"\x16U\r"), "newland": (b"\x7e\x010000@SCNTRG1;\x03", b"")}
"""What begins a triggered reading and what ends it."""
_ENABLE: Final = b"\x7e\x010000@SCNTCE1;\x03"
_SODO, _EODO = b"\x1c", b"\x1d"
KINDS: Final = ("elyctis", "desko", "lines", "merged", *_COMMANDS)


class SwipeReaderEmulator:
    """One reader on a pseudo-terminal that `link` points to."""

    def __init__(self, link: Path, kind: str, *, one_by_one: bool = False) -> None:
        """`one_by_one` sends every byte for itself. ValueError for a kind that isn't known."""
        if kind not in KINDS:
            raise ValueError(f"no such reader: {kind}")
        self._link = link
        self._kind = kind
        self._one_by_one = one_by_one
        self._master: int | None = None
        self._slave = -1
        self._heard = bytearray()
        self._waiting: list[asyncio.Future[None]] = []
        self.armed = False
        """Whether it reads when a document comes: Elyctis readers and imagers must be told to."""

    async def __aenter__(self) -> Self:
        self.plug()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()

    @property
    def plugged(self) -> bool:
        """Whether it is there."""
        return self._master is not None

    def plug(self) -> None:
        """Appear: a new terminal under the same name."""
        assert self._master is None, "it is plugged in"
        self._master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(self._master, False)
        name = os.ttyname(slave)
        self._slave = (
            slave  # kept open: the master of a terminal that nobody has open reads nothing but errors
        )
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(name)
        self.armed = self._kind in {"desko", "lines", "merged"}
        self._heard.clear()
        asyncio.get_running_loop().add_reader(self._master, self._hear)

    def unplug(self) -> None:
        """Disappear; whoever has it open reads the end of it."""
        if self._master is None:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)
        self._master = None
        self._link.unlink(missing_ok=True)

    async def ready(self) -> None:
        """Wait until it is told to read."""
        while not self.armed:
            told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(told)
            await told

    async def swipe(self, lines: Sequence[str]) -> bool:
        """Read a document with these lines; whether it was told to, and so did."""
        if not self.armed:
            return False
        if self._kind == "elyctis":
            self.armed = False  # continuous reading ends itself with a good one
        await self.send(framed(self._kind, lines))
        return True

    async def send(self, data: bytes) -> None:
        """Put bytes on the line as they are."""
        pieces = [data[at : at + 1] for at in range(len(data))] if self._one_by_one else [data]
        for piece in pieces:
            assert self._master is not None, "it is unplugged"
            with suppress(BlockingIOError):  # nobody listens: a reader doesn't wait
                os.write(self._master, piece)
            await asyncio.sleep(0)

    def _hear(self) -> None:
        assert self._master is not None
        self._heard += os.read(self._master, 1024)
        if self._kind == "elyctis":
            self._obey_elyctis()
        elif self._kind in _COMMANDS:
            self._obey_trigger()
        else:
            self._heard.clear()
        if self.armed:
            for told in self._waiting:
                if not told.done():
                    told.set_result(None)
            self._waiting.clear()

    def _obey_elyctis(self) -> None:
        while len(self._heard) >= 3 and len(self._heard) >= 3 + self._heard[2]:
            length = 3 + self._heard[2]
            command = bytes(self._heard[:length])
            del self._heard[:length]
            if command[:1] == b"C":
                self.armed = command[3:] == b"\x01"
                self._answer(command)  # echoed
            elif command[:1] == b"V":
                self._answer(b"V\x00\x05EMU01")

    def _obey_trigger(self) -> None:
        begin, end = _COMMANDS[self._kind]
        if _ENABLE in self._heard:
            self._answer(b"\x02\x010000@SCNTCE1\x06;\x03")
            self._heard[:] = self._heard.replace(_ENABLE, b"")
        if begin in self._heard:
            self.armed = True
            self._heard.clear()
        elif end and end in self._heard:
            self.armed = False
            self._heard.clear()

    def _answer(self, data: bytes) -> None:
        assert self._master is not None
        os.write(self._master, data)


def framed(kind: str, lines: Sequence[str]) -> bytes:
    """An MRZ's lines as a reader of this kind sends them."""
    text = [line.encode("latin-1", "replace") for line in lines]
    match kind:
        case "elyctis":
            data = b"".join(line + b"\r" for line in text) + b"\r"
            return b"I" + len(data).to_bytes(2, "big") + data
        case "desko":
            return _SODO + b"\x02" + b"".join(line + b"\r" for line in text) + b"\x03" + _EODO
        case "merged":
            return b"".join(text) + b"\r\n"
        case "honeywell" | "newland":
            return b"\r".join(text)
    return b"".join(line + b"\r\n" for line in text)

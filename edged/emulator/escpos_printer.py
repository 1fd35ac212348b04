"""A receipt printer made of software: it understands ESC/POS, and what it prints is a picture.

It stands on a pseudo-terminal (`pty`) or listens on this machine's own network (`tcp`). Its paper can end, also in the
middle of a job, its cover can be opened, it can be switched off, and it can keep silent about itself.
"""

from __future__ import annotations

import asyncio
import os
import tty
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from numpy.typing import NDArray

MODEL: Final = "EMU-58"
_LINE: Final = 30
_COLUMN: Final = 12
_GS_K: Final = b"\x1d(k"


class EscposEmulator:
    """The printer's mind: bytes in, answers out, paper behind.

    Attributes:
        texts: lines of text as printed, in order.
        cuts: how often it cut.
        jobs: bytes taken while it could print.
    """

    def __init__(self, dots: int = 384) -> None:
        self.dots = dots
        self.paper = True
        self.paper_low = False
        self.cover_closed = True
        self.answers = True
        self.says_when_done = True
        self.rows_left: int | None = None
        """Dots of paper that are left; None: plenty."""
        self.texts: list[str] = []
        self.cuts = 0
        self.jobs = 0
        self._strips: list[NDArray[np.bool_]] = []
        self._buffer = bytearray()
        self._line = bytearray()
        self._chinese = False
        self._large = False
        self._qr = (b"", 3)

    def picture(self) -> NDArray[np.uint8]:
        """What came out, (height, width) grey, black on white."""
        strips = self._strips or [np.zeros((1, self.dots), np.bool_)]
        return np.where(np.concatenate(strips), 0, 255).astype(np.uint8)

    def taken(self, data: bytes) -> bytes:
        """Bytes came; the answers. Real-time questions are answered at once, whatever stands before them."""
        answers = b""
        self._buffer += data
        while (
            (at := self._buffer.find(b"\x10\x04")) >= 0
            and at + 2 < len(self._buffer)
            and not self._in_data(at)
        ):
            answers += self._status(self._buffer[at + 2])
            del self._buffer[at : at + 3]
        while self._ready and (used := self._command(self._buffer)):
            size, answer = used
            self.jobs += size
            answers += answer
            del self._buffer[:size]
        return answers if self.answers else b""

    @property
    def _ready(self) -> bool:
        return self.paper and self.cover_closed and bool(self._buffer)

    def _in_data(self, at: int) -> bool:
        """Whether these bytes are a picture's, not a question."""
        start = self._buffer.find(b"\x1dv0")
        return 0 <= start < at and at < start + 8 + self._picture_size(self._buffer[start:])

    @staticmethod
    def _picture_size(data: bytes | bytearray) -> int:
        if len(data) < 8:
            return 1 << 20
        return int.from_bytes(data[4:6], "little") * int.from_bytes(data[6:8], "little")

    def _status(self, what: int) -> bytes:
        stopped = 0x20 if not self.paper else 0
        match what:
            case 2:
                return bytes((0x12 | stopped | (0 if self.cover_closed else 0x04),))
            case 4:
                low = 0x0C if self.paper_low or not self.paper else 0
                return bytes((0x12 | low | (0 if self.paper else 0x60),))
        return b"\x12"

    def _command(self, data: bytearray) -> tuple[int, bytes] | None:
        """One command off the front: how long it is and its answer; None when it isn't whole."""
        for begin, length, act in self._commands():
            if data.startswith(begin):
                return (length, act(data[:length])) if len(data) >= length else None
            if begin.startswith(data):
                return None
        if data.startswith(b"\x1dv0"):
            length = 8 + self._picture_size(data)
            return (length, self._raster(data[:length])) if len(data) >= length else None
        if data.startswith(_GS_K):
            if len(data) < 5 or len(data) < (length := 5 + int.from_bytes(data[3:5], "little")):
                return None
            return length, self._code(bytes(data[5:length]))
        if data[:1] == b"\n":
            return 1, self._print_line()
        if self._chinese and data[0] >= 0x81:
            if len(data) < 2:
                return None
            self._line += data[:2]
            return 2, b""
        self._line.append(data[0])
        return 1, b""

    def _commands(self) -> list[tuple[bytes, int, Callable[[bytearray], bytes]]]:
        return [
            (b"\x1b@", 2, lambda _: b""),
            (b"\x1ba", 3, lambda _: b""),
            (b"\x1bE", 3, lambda _: b""),
            (b"\x1bM", 3, lambda _: b""),
            (b"\x1bt", 3, lambda _: b""),
            (b"\x1b-", 3, lambda _: b""),
            (b"\x1b!", 3, self._size),
            (b"\x1d!", 3, self._size),
            (b"\x1bd", 3, lambda data: self._feed(data[2])),
            (b"\x1c&", 2, lambda _: self._in_chinese(True)),
            (b"\x1c.", 2, lambda _: self._in_chinese(False)),
            (b"\x1dV", 3, self._cut),
            (b"\x1dr", 3, lambda _: b"\x00" if self.says_when_done else b""),
            (b"\x1dI", 3, lambda data: b"_" + MODEL.encode() + b"\0" if data[2] == 67 else b"_?\0"),
        ]

    def _size(self, data: bytearray) -> bytes:
        self._large = bool(data[2] & (0x30 if data[:1] == b"\x1b" else 0x77))
        return b""

    def _in_chinese(self, on: bool) -> bytes:
        self._chinese = on
        return b""

    def _print_line(self) -> bytes:
        text = self._line.decode("gb18030", "replace")
        self._line.clear()
        if text:
            self.texts.append(text)
        height = _LINE * (2 if self._large else 1)
        strip = np.zeros((height, self.dots), np.bool_)
        for column, character in enumerate(text):  # where ink is, not which: its own font is nobody's concern
            left = column * _COLUMN * (2 if self._large else 1)
            strip[6 : height - 6, left + 2 : left + _COLUMN - 2] = character != " "
        return self._out(strip)

    def _feed(self, lines: int) -> bytes:
        if self._line:
            self._print_line()
        return self._out(np.zeros((_LINE * lines, self.dots), np.bool_))

    def _cut(self, _: bytearray) -> bytes:
        self.cuts += 1
        return b""

    def _raster(self, data: bytearray) -> bytes:
        width = int.from_bytes(data[4:6], "little")
        bits = np.unpackbits(np.frombuffer(bytes(data[8:]), np.uint8)).reshape(-1, 8 * width).astype(np.bool_)
        strip = np.zeros((bits.shape[0], self.dots), np.bool_)
        strip[:, : min(self.dots, bits.shape[1])] = bits[:, : self.dots]
        return self._out(strip)

    def _code(self, data: bytes) -> bytes:
        match data[:2]:
            case b"1C":
                self._qr = (self._qr[0], data[2])
            case b"1P":
                self._qr = (data[3:], self._qr[1])
            case b"1Q":
                import qrcode

                code = qrcode.QRCode(border=4)
                code.add_data(self._qr[0])
                side = np.ones((self._qr[1], self._qr[1]), np.bool_)
                dots = np.kron(np.asarray(code.get_matrix(), np.bool_), side).astype(np.bool_)
                return self._out(
                    np.pad(dots, ((0, 0), (0, max(0, self.dots - dots.shape[1]))))[:, : self.dots]
                )
        return b""

    def _out(self, strip: NDArray[np.bool_]) -> bytes:
        if self.rows_left is not None:
            strip = strip[: self.rows_left]
            self.rows_left -= len(strip)
            self.paper = self.rows_left > 0
        self._strips.append(strip)
        return b""


@asynccontextmanager
async def pty(printer: EscposEmulator, link: Path) -> AsyncIterator[Callable[[], None]]:
    """The printer on a pseudo-terminal that `link` points to; what is yielded pulls it out."""
    master, slave = os.openpty()
    tty.setraw(slave)
    link.symlink_to(os.ttyname(slave))  # noqa: ASYNC240 - in a directory of this machine
    os.set_blocking(master, False)
    loop = asyncio.get_running_loop()
    out = False

    def heard() -> None:
        if answer := printer.taken(os.read(master, 4096)):
            os.write(master, answer)

    def pull() -> None:
        nonlocal out
        if not out:
            out = True
            loop.remove_reader(master)
            os.close(master)
            os.close(slave)
            link.unlink(missing_ok=True)

    loop.add_reader(master, heard)
    try:
        yield pull
    finally:
        pull()


@asynccontextmanager
async def tcp(printer: EscposEmulator) -> AsyncIterator[tuple[int, Callable[[], None]]]:
    """The printer on this machine's own network: its port, and what cuts the connection."""
    open_: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_.add(writer)
        try:
            while data := await reader.read(4096):
                writer.write(printer.taken(data))
        except ConnectionError:
            pass
        finally:
            open_.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)

    def cut() -> None:
        for writer in open_:
            writer.transport.abort()

    try:
        yield server.sockets[0].getsockname()[1], cut
    finally:
        server.close()
        cut()

"""An emulated SAM module on a kernel tty: what a daemon opens as its `[id_card] port`, with the real driver."""

from __future__ import annotations

import asyncio
import os
import termios
import tty
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from edged.emulator.sam_module import SamModule

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from edged.emulator.id_cards import EmulatedIdCard

_SPEEDS: Final = {
    9600: termios.B9600,
    19200: termios.B19200,
    38400: termios.B38400,
    57600: termios.B57600,
    115200: termios.B115200,
}
_FULL_S: Final = 0.005
"""The tty's buffer holds three answers; who doesn't read is waited for."""


@dataclass
class Line:
    """How the tty misbehaves.

    Attributes:
        baud: the module's speed; at any other one of the host's it hears only noise, and is silent.
        piece: octets written at once; 0: all of them.
        pause_s: before each piece.
        mute: nothing is answered.
        damage: what is done to an answer on its way; a text's or photo's octets may be among it.
    """

    baud: int = 115200
    piece: int = 0
    pause_s: float = 0.0
    mute: bool = False
    damage: Callable[[bytes], bytes] = bytes


class SamTty:
    """A `SamModule` on a pseudo-terminal, which `link` leads to: a stable name, as udev gives one.

    Entering plugs it in, leaving takes everything away. Everything happens in the event loop's own thread.
    """

    def __init__(self, link: Path, module: SamModule | None = None, line: Line | None = None) -> None:
        self.link = link
        self.module = module or SamModule()
        self.line = line or Line()
        self._master: int | None = None
        self._slave: int | None = None
        self._answers: asyncio.Queue[bytes] = asyncio.Queue()
        self._writing: asyncio.Task[None] | None = None

    @property
    def plugged(self) -> bool:
        """Whether the tty is there."""
        return self._master is not None

    async def __aenter__(self) -> Self:
        self.plug()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.unplug()

    def lay(self, card: EmulatedIdCard) -> None:
        """Lay a card on the module."""
        self.module.lay(card)

    def lift(self) -> None:
        """Take it away."""
        self.module.lift()

    def plug(self) -> None:
        """Plug the module in. The name of its tty is another one each time; `link` leads to it."""
        assert self._master is None, "it is plugged in"
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        new = self.link.with_name(f"{self.link.name}.new")
        with suppress(FileNotFoundError):
            new.unlink()
        new.symlink_to(os.ttyname(slave))
        new.replace(self.link)
        self._master, self._slave = master, slave
        self.module.power()
        self._answers = asyncio.Queue()
        asyncio.get_running_loop().add_reader(master, self._hear)
        self._writing = asyncio.create_task(self._write())

    async def unplug(self) -> None:
        """Pull the plug, in the middle of whatever is going on; the link is gone, too."""
        if self._master is None or self._slave is None or self._writing is None:
            return
        master, slave, writing = self._master, self._slave, self._writing
        self._master = self._slave = self._writing = None
        with suppress(FileNotFoundError):
            self.link.unlink()
        asyncio.get_running_loop().remove_reader(master)
        os.close(master)
        os.close(slave)
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing

    def _hear(self) -> None:
        """The host has written something."""
        assert self._master is not None
        assert self._slave is not None
        try:
            came = os.read(self._master, 4096)
        except BlockingIOError:
            return
        if termios.tcgetattr(self._slave)[4] not in {_SPEEDS[self.line.baud], termios.B0}:
            return
        for answer in self.module.hear(came):
            if not self.line.mute:
                self._answers.put_nowait(self.line.damage(answer))

    async def _write(self) -> None:
        while True:
            answer = memoryview(await self._answers.get())
            while answer and self._master is not None:
                if self.line.pause_s:
                    await asyncio.sleep(self.line.pause_s)
                piece = answer[: self.line.piece or len(answer)]
                try:
                    answer = answer[os.write(self._master, piece) :]
                except BlockingIOError:
                    await asyncio.sleep(_FULL_S)
                if self.line.piece:
                    await asyncio.sleep(0)  # so that a pull of the plug can come in between

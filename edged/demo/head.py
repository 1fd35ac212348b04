"""The demo's reader head: our own firmware, as a Linux process or on an emulated Cortex-M, over its real protocol.

Where it can't be had (no compiler, no firmware beside this package) the hand takes its place, and the demo says so.
"""

from __future__ import annotations

import asyncio
import contextlib
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

from edged.demo.hand import Hand
from edged.emulator import host_head, qemu_head
from edged.errors import DeviceGoneError, StateError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from edged.emulator.head_board import HeadBoard

PRESS_S: Final = 0.05
"""How long a finger stays on the button; it is debounced for 8 ms."""

LIFT_S: Final = 0.6
"""How long a document is off the window while it is turned over. Debounced for 60 ms, of a clock that stands still
whenever an emulator loses the processor; after 2 s it would be another document to the firmware."""

_LOOK_S: Final = 0.05
"""Between two looks at the glass: shorter than the presence sensor is debounced."""

SIMULATED: Final = """
[head]
driver = "simulated"
socket = "glass.sock"
"""
_FIRMWARE: Final = """
[head]
driver = "serial"
port = "{port}"

[camera]
driver = "simulated"
socket = "glass.sock"
"""


class Board(StrEnum):
    """What runs the firmware."""

    HOST = "host"
    QEMU = "qemu"
    NONE = "none"
    """Nothing does: a simulated head."""


class DemoHead:
    """The head of one demo; `home` is a directory of its own.

    Attributes:
        missing: why there is no firmware here (a code of the catalogue); None when it runs.
    """

    def __init__(self, home: Path, board: Board) -> None:
        self.board: HeadBoard | None = None
        self.missing: str | None = None
        self._home = home
        self._wanted = board

    async def __aenter__(self) -> Self:
        """Power up. Raises `StateError`."""
        self.board, self.missing = await asyncio.to_thread(self._made)
        if self.board is not None:
            await self.board.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Power down."""
        if self.board is not None:
            await self.board.__aexit__(None, None, None)

    def _made(self) -> tuple[HeadBoard | None, str | None]:
        """Building the firmware takes a second or two the first time."""
        if self._wanted is Board.NONE:
            return None, None
        if self._wanted is Board.QEMU:
            missing = qemu_head.missing()
            return (None, missing) if missing else (qemu_head.QemuHead(self._home / "store"), None)
        try:
            program = host_head.find() or host_head.build()
        except StateError as error:
            return None, error.code
        return host_head.HostHead(self._home, program=program), None

    @property
    def config(self) -> str:
        """The box's sections for head and camera."""
        return SIMULATED if self.board is None else _FIRMWARE.format(port=self.board.port)

    async def place(self, *, present: bool) -> None:
        """The presence sensor sees a document, or none any more. Raises `StateError`."""
        if self.board is not None:
            await self.board.document(present=present)

    async def turn(self) -> None:
        """A document is lifted and laid down again. Raises `StateError`."""
        if self.board is not None:
            await self.board.document(present=False)
            await asyncio.sleep(LIFT_S)
            await self.board.document(present=True)

    async def press(self) -> None:
        """The scan button. Raises `StateError`."""
        assert self.board is not None
        await self.board.button(down=True)
        await asyncio.sleep(PRESS_S)
        await self.board.button(down=False)

    async def follow(self, glass: Path) -> None:
        """Until cancelled, let the presence sensor see what somebody else's hand lays on the glass or takes away.

        For `--watch`, where people talk to the glass alone.
        """
        if self.board is None:
            return
        seen: bool | None = None
        while True:
            with contextlib.suppress(DeviceGoneError, ConnectionError, StateError):
                async with Hand(glass) as hand:
                    while True:
                        present = (await hand.do("look"))["document_present"]
                        if present is not seen:
                            await self.place(present=present)
                            seen = present
                        await asyncio.sleep(_LOOK_S)
            await asyncio.sleep(_LOOK_S)

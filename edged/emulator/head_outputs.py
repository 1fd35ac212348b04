"""What the outputs of the emulated head do, as lines for people and tests: `lamp white on`, `strobe 1`, `led red`.

Pins show less than the host build can say: neither a lamp's brightness nor which indication an LED's colour belongs to.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LAMPS: Final = {0: "white", 1: "ir850", 2: "uv365"}
STROBE: Final = 3
BUZZER: Final = 4
COLOURS: Final = {5: "red", 6: "green", 7: "blue"}
"""Pins of port D (firmware/board/lm3s6965/outputs.c)."""

SETTLE_S: Final = 0.02
"""A dimmed lamp is off for less than a millisecond at a time, and pins of one port change one after another: what
lasts shorter than this is no change of lamp or LED. The emulated time of a busy machine isn't exact."""

_LINES_KEPT: Final = 4096  # that nobody has taken
_OFF: Final = {"lamp": "off", "strobe": "0", "led": "off", "buzzer": "0"}


class Outputs:
    """Pins in, lines out.

    Attributes:
        now: first word of a line → the rest of the last one.
        deaf: what pins do now isn't the firmware's doing.
    """

    def __init__(self) -> None:
        self.now = dict(_OFF)
        self.deaf = False
        self._up: set[int] = set()
        self._flashed: set[int] = set()
        self._settling: asyncio.TimerHandle | None = None
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._news = asyncio.Event()
        self._running = False

    def begin(self) -> None:
        """The machine has been switched on: all pins are low."""
        self._running, self.deaf = True, False

    def reset(self) -> None:
        """The machine has been reset: pins are low until the firmware says otherwise."""
        self._up.clear()
        self._flashed.clear()
        self.say("reset")
        for what, how in _OFF.items():
            self._show(what, how)

    def ended(self) -> None:
        """It has been switched off, and the pins with it."""
        self._running = False
        self._up.clear()
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        self.now = dict(_OFF)
        self._news.set()

    async def lines(self) -> AsyncIterator[str]:
        """Each line; ends when the machine does."""
        while True:
            while self._lines:
                yield self._lines.popleft()
            if not self._running:
                return
            self._news.clear()
            await self._news.wait()

    def say(self, line: str) -> None:
        """A line of its own."""
        self._lines.append(line)
        self._news.set()

    def changed(self, pin: int, high: bool) -> None:
        """A pin has changed."""
        if self.deaf:
            return
        (self._up.add if high else self._up.discard)(pin)
        if pin == STROBE:
            self._show("strobe", str(int(high)))
        elif pin == BUZZER:
            self._show("buzzer", str(int(high)))
        elif high and pin in LAMPS:
            self._flashed.add(pin)
            self._show("lamp", f"{LAMPS[pin]} on")
        if self._settling is None:
            self._look_again()

    def _show(self, what: str, how: str) -> None:
        if self.now[what] != how:
            self.now[what] = how
            self.say(f"{what} {how}")

    def _look_again(self) -> None:
        self._settling = asyncio.get_running_loop().call_later(SETTLE_S, self._settled)

    def _settled(self) -> None:
        """Say what has stayed."""
        self._settling = None
        flashed, self._flashed = self._flashed, set()
        if not flashed and not self._up & LAMPS.keys():
            self._show("lamp", "off")
        elif flashed:
            self._look_again()
        colours = [name for pin, name in COLOURS.items() if pin in self._up]
        self._show("led", " ".join(colours) or "off")

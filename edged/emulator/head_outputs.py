"""What the outputs of the emulated head show, as lines for people and tests: `lamp white on`, `strobe 1`, `led red`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

LAMPS: Final = {0: "white", 1: "ir850", 2: "uv365"}
STROBE: Final = 3
BUZZER: Final = 4
COLOURS: Final = {5: "red", 6: "green", 7: "blue"}
"""Pins of port D (firmware/board/lm3s6965/outputs.c)."""

SETTLE_S: Final = 0.02
"""A dimmed lamp is off for less than a millisecond at a time, and pins of one port change one after another: what
lasts shorter than this is no change of lamp or LED. The emulated time of a busy machine isn't exact."""


class Outputs:
    """Pins in, lines out. `later` calls something after so many seconds; `say` is told each line.

    Attributes:
        up: pins that are high now.
    """

    def __init__(
        self, later: Callable[[float, Callable[[], None]], object], say: Callable[[str], None]
    ) -> None:
        self.up: set[int] = set()
        self._later = later
        self._say = say
        self._lamp: str | None = None
        self._led: tuple[str, ...] = ()
        self._due = False
        self._seen: set[str] = set()

    def changed(self, pin: int, high: bool) -> None:
        """A pin has changed."""
        (self.up.add if high else self.up.discard)(pin)
        if pin == STROBE:
            self._say(f"strobe {int(high)}")
        elif pin == BUZZER:
            self._say(f"buzzer {int(high)}")
        elif high and pin in LAMPS:
            self._seen.add(LAMPS[pin])
            self._lit(LAMPS[pin])
        if not self._due:
            self._due = True
            self._later(SETTLE_S, self._settled)

    def _lit(self, lamp: str) -> None:
        if lamp != self._lamp:
            self._dark()
            self._lamp = lamp
            self._say(f"lamp {lamp} on")

    def _dark(self) -> None:
        if self._lamp is not None:
            self._say(f"lamp {self._lamp} off")
            self._lamp = None

    def _settled(self) -> None:
        """Say what has stayed."""
        self._due = False
        led = tuple(name for pin, name in COLOURS.items() if pin in self.up)
        if led != self._led:
            self._led = led
            self._say(" ".join(("led", *(led or ("off",)))))
        seen, self._seen = self._seen, set()
        if self._lamp is not None and self._lamp not in seen | {LAMPS.get(pin) for pin in self.up}:
            self._dark()
        elif self._lamp is not None and seen:
            self._due = True  # dimmed, or lit just now: look again
            self._later(SETTLE_S, self._settled)

"""Which presses of the button are news: not those of long ago, and none twice. Sans-IO; firmware/PROTOCOL.md §6.2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.drivers.head_events import Action

if TYPE_CHECKING:
    from edged.drivers.head_events import Button
    from edged.drivers.head_frame import Welcome

STALE_MS: Final = 3_000
"""A press that is older must not start a scan: nobody stands there any more."""

REMEMBERED_S: Final = 20.0
"""A head holds a press for 5 s beyond the loss of a session, which it notices within 3 s, and may need some HELLOs."""

REMEMBERED: Final = 64
"""More than a head can hold back (16 events)."""


class Presses:
    """Remembers the last presses, by the head, its start and their numbers.

    Attributes:
        stale: presses that came too late.
        repeated: presses that came again in a new session.
    """

    def __init__(self) -> None:
        self.stale = 0
        self.repeated = 0
        self._of: tuple[bytes, int] | None = None
        self._known: dict[tuple[int, Action], float] = {}

    def begin(self, welcome: Welcome) -> None:
        """A session with this head begins: another one, or one that started again, counts its presses anew."""
        of = welcome.unique_id, welcome.boots
        if of != self._of:
            self._known.clear()
        self._of = of

    def is_news(self, button: Button, now: float) -> bool:
        """Whether to tell of it."""
        key = button.press, button.action
        known = self._known.pop(key, None)
        self._known[key] = now
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
        if known is not None and now < known + REMEMBERED_S:
            self.repeated += button.action is Action.PRESSED
            return False
        if button.age_ms > STALE_MS:
            self.stale += button.action is Action.PRESSED
            return False
        return True

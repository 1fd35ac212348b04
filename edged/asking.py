"""An inspection's commands at work beside the loop: only what the last of them answers still counts."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from edged.events import DeviceGone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edged.events import Event
    from edged.inbox import Inbox


class Asking:
    """Does one command after another; their answers go to `inbox`."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._last = 0
        self._at_work: set[asyncio.Future[Event]] = set()
        self._picture: asyncio.Future[Event] | None = None

    def awaits(self, answers: int | None) -> bool:
        """Whether a fact counts: it answers the last command, or none (`edged.inbox.Fact`)."""
        return answers is None or answers == self._last

    def none(self) -> None:
        """Nothing is waited for any more."""
        self._last += 1

    def ask(self, work: Awaitable[Event]) -> asyncio.Future[Event]:
        """Do `work`; what it returns is the answer to the command that asked for it."""
        self._last += 1
        task = asyncio.ensure_future(work)
        self._at_work.add(task)
        task.add_done_callback(partial(self._answered, self._last))
        return task

    def picture(self, capture: Callable[[Callable[[], bool]], Awaitable[Event]]) -> None:
        """Have a picture taken; `capture` is given what says whether it is still wanted. The one before is given up."""
        self.leave_picture()
        number = self._last + 1
        self._picture = self.ask(capture(lambda: self._last == number))

    def leave_picture(self) -> None:
        """Give up the picture that is being taken, if one is: its lamp would light the next document."""
        if self._picture is not None:
            self._picture.cancel()
            self._picture = None

    def _answered(self, number: int, task: asyncio.Future[Event]) -> None:
        self._at_work.discard(task)
        if task.cancelled():
            return
        event = task.result()
        # A lost device concerns whatever inspection runs by now.
        self._inbox.tell(event, answers=None if isinstance(event, DeviceGone) else number)

"""A command of the operator's that hears of alarms: each reported one as a JSON object on standard input.

The alarm itself, with its evidence, is in the archive; this only wakes somebody. One at a time, bounded in rate and
time, so that who causes alarms can't fork a machine to death; what was left out is counted in the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING, Final

import msgspec

from edged import log
from edged.central.events import AlarmCommandFailed
from edged.uplink.streams import Alarm
from edged.uplink.token_bucket import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PER_S: Final = 1 / 30
BURST: Final = 5
"""Five at once and then one in half a minute: nobody reads pages faster, and each says how many were left out."""

WAITING: Final = 5
"""Alarms that wait while the command runs."""

TIMEOUT_S: Final = 10.0
"""A command that takes longer is killed, with what it has started."""


class Heard(msgspec.Struct, frozen=True):
    """What the command gets."""

    fleet: str
    collector: str
    alarm: Alarm
    left_out: int
    """Alarms that were reported since the last and didn't reach the command, because there were too many."""


class AlarmCommand:
    """Runs `command` for alarms. `run` is a task; `tell` never waits."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        fleet: str,
        collector: str,
        on_event: Callable[[AlarmCommandFailed], None],
        clock: Callable[[], float],
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._command = command
        self._fleet = fleet
        self._collector = collector
        self._on_event = on_event
        self._clock = clock
        self._timeout_s = timeout_s
        self._bucket = TokenBucket(PER_S, BURST, clock())
        self._waiting: asyncio.Queue[Heard] = asyncio.Queue(WAITING)
        self._left_out = 0
        self._log = log.get("alarm_command")

    def tell(self, alarm: Alarm) -> None:
        """Have the command hear of `alarm`, unless there are too many."""
        now = self._clock()
        if self._waiting.full() or self._bucket.wait(now) > 0:
            self._left_out += 1
            return
        self._bucket.spend(1, now)
        self._waiting.put_nowait(Heard(self._fleet, self._collector, alarm, self._left_out))
        self._left_out = 0

    async def run(self) -> None:
        """Run the command for one alarm after another, until cancelled."""
        while True:
            heard = await self._waiting.get()
            failure = await self._one(msgspec.json.encode(heard))
            if failure is not None:
                self._log.error("alarm command failed", code=failure.code, status=failure.status)
                self._on_event(failure)

    async def _one(self, told: bytes) -> AlarmCommandFailed | None:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # so that what it starts can be ended with it
            )
        except (OSError, ValueError):
            return AlarmCommandFailed("central.alarm_command_missing", None)
        try:
            async with asyncio.timeout(self._timeout_s):
                await process.communicate(told)
        except TimeoutError:
            return AlarmCommandFailed("central.alarm_command_slow", None)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                with contextlib.suppress(TimeoutError):  # what has become another user (sudo) can't be killed
                    async with asyncio.timeout(self._timeout_s):
                        await process.wait()
        if process.returncode:
            return AlarmCommandFailed("central.alarm_command_failed", process.returncode)
        return None

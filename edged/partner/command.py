"""A command that takes verdicts: one process each, the verdict as a line of JSON on its standard input."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT_S: Final = 30.0
"""How long a command may take unless the operator says otherwise: a database's commit and a slow network's answer."""

_STANDARD_ERROR: Final = 2


class Untaken(msgspec.Struct, frozen=True):
    """Why something wasn't taken: a code, and the command's exit status where it had one (negative for a signal)."""

    code: str
    exit: int | None = None


class Command:
    """A program and its arguments, started anew for each verdict, without a shell.

    Exit status 0 means: taken, for good. What it prints goes to our standard error.
    """

    def __init__(self, arguments: Sequence[str], timeout_s: float = TIMEOUT_S) -> None:
        self._arguments = tuple(arguments)
        self._timeout_s = timeout_s

    async def take(self, line: bytes) -> Untaken | None:
        """Give it one line; None when it has taken it. Cancelled or out of time, it and its children are killed."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=_STANDARD_ERROR,
                start_new_session=True,  # a group of its own, to be killed whole; and Ctrl-C is for us
            )
        except OSError:
            return Untaken("partner.command_unusable")
        try:
            async with asyncio.timeout(self._timeout_s):
                await process.communicate(line)  # one that ends without reading is no error
        except TimeoutError:
            return Untaken("partner.command_too_slow")
        finally:
            await _kill(process)
        return None if process.returncode == 0 else Untaken("partner.command_failed", process.returncode)


async def _kill(process: asyncio.subprocess.Process) -> None:
    """End it and its group, unless it has ended by itself: what it left running in the background is its own."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

"""One process of the demo: started, watched, restarted when it dies, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from edged.errors import CodedError
from edged.leash import leashed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

STOP_TIMEOUT_S = 20.0
"""What a unit's TimeoutStopSec would give it."""
MAX_RESTARTS = 20
"""A party that dies this often isn't being killed, it is broken."""
EDGED = (sys.executable, "-m", "edged")
_MAX_LINE = 1 << 20


class PartyError(CodedError):
    """A process of the demo doesn't stay up; its log says why."""


class Party:
    """A process of the `edged` command, with its log file.

    `command` is how the `edged` command is started, `environment` is added to this process's own; `order` sends a
    line to one that `takes_orders`.

    Attributes:
        name: what the demo calls it.
        restarts: how often it died and was started again.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        log: Path,
        *,
        command: Sequence[str] = EDGED,
        environment: Mapping[str, str] | None = None,
        takes_orders: bool = False,
        on_line: Callable[[dict[str, Any]], None] | None = None,
        on_restart: Callable[[str], None] | None = None,
    ) -> None:
        self.name = name
        self.restarts = 0
        self._arguments = (*command, *arguments)
        self._log = log
        self._environment = environment
        self._takes_orders = takes_orders
        self._on_line = on_line
        self._on_restart = on_restart
        self._process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """Process id; None when it isn't running."""
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def failure(self) -> BaseException | None:
        """Why it was given up, or None."""
        if self._watching is None or not self._watching.done() or self._watching.cancelled():
            return None
        return self._watching.exception()

    async def start(self) -> None:
        """Start it and keep it up until `stop`."""
        await self._spawn()
        self._watching = asyncio.create_task(self._watch(), name=f"watch {self.name}")

    def kill(self) -> None:
        """`kill -9`; it is started again by itself."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def stop(self) -> int | None:
        """Ask it to stop, wait, return its exit code."""
        self._stopping = True
        if self._process is None or self._watching is None:
            return None
        self._terminate()
        # The watch is waited for, not the process: it may be replacing a dead one this very moment.
        _, late = await asyncio.wait([self._watching], timeout=STOP_TIMEOUT_S)
        if late:
            self.kill()
            await asyncio.wait([self._watching])
        return self._process.returncode

    async def order(self, **order: Any) -> None:
        """Send it one line of JSON. Raises `PartyError` when it doesn't listen."""
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            await self._process.stdin.drain()
        except ConnectionError as error:
            raise PartyError(
                "demo.party_silent", party=f"demo.party_{self.name}", log=str(self._log)
            ) from error

    def _is_stopping(self) -> bool:
        return self._stopping

    def _terminate(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    async def _spawn(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *leashed(self._arguments),
                stdin=asyncio.subprocess.PIPE if self._takes_orders else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if self._on_line else log,
                stderr=log,
                limit=_MAX_LINE,
                env=None if self._environment is None else {**os.environ, **self._environment},
                start_new_session=True,  # Ctrl-C on the terminal is for the demo, which stops all in order
            )

    async def _watch(self) -> None:
        while True:
            assert self._process is not None
            if self._process.stdout is not None:
                await self._listen(self._process.stdout)
            code = await self._process.wait()
            if self._is_stopping():
                return
            self.restarts += 1
            if code > 0 or self.restarts > MAX_RESTARTS:
                raise PartyError(
                    "demo.party_failed", party=f"demo.party_{self.name}", exit=str(code), log=str(self._log)
                )
            if self._on_restart is not None:
                self._on_restart(self.name)
            await self._spawn()
            if self._is_stopping():  # `stop` came in between and asked the dead one
                self._terminate()

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        assert self._on_line is not None
        while line := await stream.readline():
            with contextlib.suppress(ValueError):  # a line cut off by a kill
                self._on_line(json.loads(line))

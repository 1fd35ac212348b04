"""A misbehaving line between the driver and a head that listens on a Unix socket, in real time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.head_line import Line, Manners

_TICK_S = 0.002


class Proxy:
    """Listens at `path`; every connection is passed on to `target`, with `manners` both ways."""

    def __init__(self, path: Path, target: str, manners: Manners, seed: int) -> None:
        self._path = path
        self._target = target.removeprefix("unix:")
        self.to_head, self.to_host = Line(manners, seed), Line(manners, seed + 1)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> str:
        return f"unix:{self._path}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        head_reader, head_writer = await asyncio.open_unix_connection(self._target)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, self.to_head, head_writer))
                group.create_task(self._pass(head_reader, self.to_host, writer))
        except* (ConnectionError, _EndedError):
            pass
        finally:
            self._tasks.discard(task)
            for end in (writer, head_writer):
                end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, line: Line, writer: asyncio.StreamWriter) -> None:
        async def deliver() -> None:
            while True:
                for data in line.take(self._now()):
                    writer.write(data)
                await asyncio.sleep(_TICK_S)

        delivering = asyncio.create_task(deliver())
        try:
            while data := await reader.read(4096):
                line.put(data, self._now())
            raise _EndedError
        finally:
            delivering.cancel()
            with suppress(asyncio.CancelledError):
                await delivering

    @staticmethod
    def _now() -> int:
        return int(asyncio.get_running_loop().time() * 1000)


class _EndedError(Exception):
    """One side hung up."""

"""The local control socket: what the command line and the counter's console talk to.

A Unix socket, one JSON object a line. A request `{"id": 1, "method": "scan", "params": {…}}` is answered
`{"id": 1, "result": …}` or `{"id": 1, "error": {"code": …, "params": {…}}}`; after the method `subscribe`
the daemon also sends `{"event": …}` lines. The file's mode (0660) is the permission. Nothing that goes
through here holds raw identity.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

from edged import listener, log
from edged.errors import CodedError, ControlError, StateError
from edged.listener import Bounds, Listener

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

MAX_LINE_BYTES = 256 * 1024
"""Longer than any status; a longer line is not a request of ours."""
MAX_CLIENTS = 32
"""A counter has a console, a few applications and a technician; more is a runaway loop."""
MAX_REQUESTS_PER_CLIENT = 8
"""Requests one client may have open; a scan is one for as long as it runs."""
MAX_QUEUED_EVENTS = 1000
"""A subscriber this far behind isn't reading; it is disconnected rather than remembered."""

MAX_TOLD = 8
"""Clients beyond `MAX_CLIENTS` that are told so at a time; what comes then is turned away without a word."""

LAST_WORDS_S = 5.0
"""How long a client that has hung up its sending side may take to read its answers."""

Method = Callable[[Mapping[str, Any]], Awaitable[Any]]
"""Answers one method; raises `ControlError` to refuse."""


class ControlServer:
    """Serves `methods` on `path`, and events to those who subscribed."""

    def __init__(self, path: Path, methods: Mapping[str, Method]) -> None:
        self._path = path
        self._methods = methods
        self._clients: set[_Connection] = set()
        self._listener: Listener | None = None

    async def __aenter__(self) -> Self:
        try:
            # Readable for the group by its own word, whatever the umask: the socket's mode is the permission.
            listening = await asyncio.to_thread(
                listener.at_path, self._path, mode=0o660, directory=0o750, backlog=MAX_CLIENTS
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ControlError("control.socket_in_use", str(self._path)) from error
            raise StateError("control.unusable", f"{self._path}: {error.strerror or error}") from error
        most = MAX_CLIENTS + MAX_TOLD
        self._listener = Listener(
            listening,
            self._serve,
            Bounds(most, most, MAX_LINE_BYTES),
            caller=lambda *_: "local",
            log=log.get("control"),
        )
        self._listener.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._listener is not None
        await self._listener.close()
        self._path.unlink(missing_ok=True)

    def publish(self, event: Mapping[str, Any]) -> None:
        """Send `event` to every subscriber."""
        for client in tuple(self._clients):
            if client.subscribed:
                client.send(event)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Connection(reader, writer, self._methods)
        if len(self._clients) >= MAX_CLIENTS:
            writer.write(_line({"error": {"code": "control.too_many_clients"}}))
            await listener.leave(reader, writer)
            return
        self._clients.add(client)
        try:
            await client.run()
        finally:
            self._clients.discard(client)


class _Connection:
    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, methods: Mapping[str, Method]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._methods = methods
        self._outgoing: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_QUEUED_EVENTS)
        self._open: set[asyncio.Task[None]] = set()
        self.subscribed = False

    def send(self, message: Mapping[str, Any]) -> None:
        try:
            self._outgoing.put_nowait(_line(message))
        except asyncio.QueueFull:
            self.abort()

    def abort(self) -> None:
        """Drop a client that doesn't read, with all that waits for it: closing in order would wait for it, too."""
        self._writer.transport.abort()

    def close(self) -> None:
        self._writer.close()

    async def run(self) -> None:
        writing = asyncio.create_task(self._write())
        try:
            with contextlib.suppress(ConnectionError):
                await self._listen()
            if self._open:
                await asyncio.wait(self._open)  # a client may close its sending side and wait for the answer
            await self._finish(writing)
        finally:
            writing.cancel()
            for task in self._open:
                task.cancel()
            self.close()

    async def _finish(self, writing: asyncio.Task[None]) -> None:
        with contextlib.suppress(asyncio.QueueFull, TimeoutError):
            self._outgoing.put_nowait(None)
            async with asyncio.timeout(LAST_WORDS_S):
                await writing

    async def _listen(self) -> None:
        while True:
            try:
                line = await self._reader.readline()
            except ValueError:  # longer than the limit
                self.send({"error": {"code": "control.request_too_long"}})
                return
            if not line:
                return
            if len(self._open) >= MAX_REQUESTS_PER_CLIENT:
                self.send({"id": _number_of(line), "error": {"code": "control.too_many_requests"}})
                continue
            task = asyncio.create_task(self._answer(line))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    async def _answer(self, line: bytes) -> None:
        number: Any = None
        try:
            number, method, params = _request(line)
            if method == "subscribe":
                self.subscribed = True
                result: Any = True
            elif method in self._methods:
                result = await self._methods[method](params)
            else:
                raise ControlError("control.unknown_method")
        except CodedError as error:
            self.send({"id": number, "error": {"code": error.code}})
        except Exception as error:  # noqa: BLE001 - whoever asked must not wait for ever
            log.get("control").error("a request failed; please report this", exc_info=error)
            self.send({"id": number, "error": {"code": "control.internal_error"}})
        else:
            self.send({"id": number, "result": result})

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionError):
            while (line := await self._outgoing.get()) is not None:
                self._writer.write(line)
                await self._writer.drain()


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _number_of(line: bytes) -> Any:
    """The request's id, where it has one."""
    try:
        return _request(line)[0]
    except ControlError:
        return None


def _request(line: bytes) -> tuple[Any, str, Mapping[str, Any]]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ControlError("control.not_json") from error
    if not isinstance(request, dict):
        raise ControlError("control.not_a_request")
    number, method, params = request.get("id"), request.get("method"), request.get("params", {})
    if (
        not isinstance(method, str)
        or not isinstance(params, dict)
        or not isinstance(number, int | str | None)
    ):
        raise ControlError("control.not_a_request")
    return number, method, params


class ControlClient:
    """Talks to a running daemon. One client, any number of calls at a time; events after `subscribe`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._next = 0

    async def __aenter__(self) -> Self:
        """Connect. Raises `ControlError("control.no_daemon")` when nobody listens."""
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(
                str(self._path), limit=MAX_LINE_BYTES
            )
        except PermissionError as error:
            raise ControlError("control.no_permission", str(self._path)) from error
        except OSError as error:
            raise ControlError("control.no_daemon", str(self._path)) from error
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        self._listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listening

    async def call(self, method: str, **params: Any) -> Any:
        """One request. Raises `ControlError` with the daemon's code, or `control.lost` when it goes away."""
        self._next += 1
        number = self._next
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        line = json.dumps({"id": number, "method": method, "params": params}).encode() + b"\n"
        try:
            self._writer.write(line)
            await self._writer.drain()
        except ConnectionError as error:
            raise ControlError("control.lost") from error
        return await future

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Events as they come, until the connection ends. Call `subscribe` first."""
        while (event := await self._events.get()) is not None:
            yield event

    async def _listen(self) -> None:
        try:
            while line := await self._reader.readline():
                self._take(json.loads(line))
        except (OSError, ValueError):
            pass
        finally:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ControlError("control.lost"))
            self._events.put_nowait(None)

    def _take(self, message: dict[str, Any]) -> None:
        if "event" in message:
            self._events.put_nowait(message)
            return
        future = self._waiting.pop(message.get("id", -1) or -1, None)
        if future is None or future.done():
            return
        if "error" in message:
            future.set_exception(ControlError(message["error"]["code"]))
        else:
            future.set_result(message.get("result"))

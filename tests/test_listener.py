"""The listener that everybody shares: bounded by connections, callers and seconds; one that fails costs no other."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edged import listener, log
from edged.demo.fleet import DemoFleet
from edged.listener import Bounds, Listener, at_path, leave, on_network
from tests.logging_state import restored
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST = "127.0.0.1"
BOUNDS = Bounds(connections=4, each=3, line=64)


class Echo:
    """Sends each line back. Attributes: served: connections so far; failed: what TLS refused."""

    def __init__(self) -> None:
        self.served = 0
        self.cancelled = 0
        self.failed: list[ssl.SSLError] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.served += 1
        try:
            while line := await reader.readline():
                if line == b"bug\n":
                    raise AssertionError("a bug")
                writer.write(line)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    @asynccontextmanager
    async def open(
        self, bounds: Bounds = BOUNDS, context: ssl.SSLContext | None = None
    ) -> AsyncIterator[Listener]:
        served = Listener(
            on_network(HOST, 0, backlog=8),
            self.serve,
            bounds,
            caller=lambda _, address: str(address[0]),
            log=log.get("test"),
            context=context,
            tls_failed=self.failed.append,
        )
        served.open()
        try:
            yield served
        finally:
            async with asyncio.timeout(5):
                await served.close()


async def said(reader: asyncio.StreamReader) -> bytes:
    """All there is until the connection ends, however it ends."""
    try:
        return await reader.read()
    except OSError:  # reset, or TLS says why
        return b""


def server_context(directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For the listener, which wants a certificate, and for a client that has none."""
    fleet = DemoFleet(directory / "pki", fleet="demo-fleet", now=datetime.now(UTC))
    files = fleet.issue_server("box", (HOST,))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(fleet.ca)
    context.load_cert_chain(files.certificate, files.key)
    return context, ssl.create_default_context(cafile=str(fleet.ca))


async def test_what_was_written_is_sent_when_serving_ends() -> None:
    async with Echo().open() as served:
        reader, writer = await asyncio.open_connection(HOST, served.port)
        writer.write(b"x" * 50 + b"\n")
        writer.write_eof()
        assert await said(reader) == b"x" * 50 + b"\n"
        writer.close()
        await until(lambda: served.busy(HOST) == 0)


async def test_one_caller_does_not_keep_the_others_out_and_all_together_are_bounded() -> None:
    echo = Echo()
    async with echo.open() as served:
        crowd = [await asyncio.open_connection(HOST, served.port) for _ in range(3)]
        await until(lambda: served.busy(HOST) == 3)
        reader, one = await asyncio.open_connection(HOST, served.port)
        assert await said(reader) == b""  # turned away
        other = await asyncio.open_connection(HOST, served.port, local_addr=("127.0.0.2", 0))
        await until(lambda: served.busy("127.0.0.2") == 1)
        reader, two = await asyncio.open_connection(HOST, served.port, local_addr=("127.0.0.3", 0))
        assert await said(reader) == b""  # four are all
        crowd[0][1].close()
        await until(lambda: served.busy(HOST) == 2)
        reader, three = await asyncio.open_connection(HOST, served.port)
        three.write(b"again\n")
        assert await reader.readline() == b"again\n"
        for writer in (one, two, three, other[1], *(writer for _, writer in crowd)):
            writer.close()
        await until(lambda: not served._busy)  # and no caller is remembered


async def test_a_failure_costs_its_connection_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with restored():
        log.configure("info")
        async with Echo().open() as served:
            for bad in (b"bug\n", b"x" * 100_000):
                reader, writer = await asyncio.open_connection(HOST, served.port)
                writer.write(bad)
                assert await said(reader) == b""
                writer.close()
            reader, writer = await asyncio.open_connection(HOST, served.port)
            writer.write(b"fine\n")
            assert await reader.readline() == b"fine\n"
            writer.close()
    assert "a connection failed; please report this" in capsys.readouterr().err


async def test_an_accept_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "ACCEPT_AGAIN_S", 0.0)
    loop, failures = asyncio.get_running_loop(), [errno.EMFILE, errno.ECONNABORTED]
    accept = loop.sock_accept

    async def failing(sock: socket.socket) -> Any:
        if failures:
            raise OSError(failures.pop(), "no more")
        return await accept(sock)

    monkeypatch.setattr(loop, "sock_accept", failing)
    async with Echo().open() as served:
        reader, writer = await asyncio.open_connection(HOST, served.port)
        writer.write(b"here\n")
        assert await reader.readline() == b"here\n"
        writer.close()


async def test_closing_ends_everybody_at_once() -> None:
    echo = Echo()
    async with echo.open() as served:
        port = served.port
        held = [await asyncio.open_connection(HOST, port) for _ in range(2)]
        await until(lambda: echo.served == 2)
        await served.close()
        assert echo.cancelled == 2
        for reader, writer in held:
            assert await said(reader) == b""
            writer.close()
        with pytest.raises(OSError):
            await asyncio.open_connection(HOST, port)


async def test_whoever_only_holds_the_line_is_cut_off(tmp_path: Path) -> None:
    echo = Echo()
    context, _ = server_context(tmp_path)
    for bounds, tls in ((BOUNDS._replace(handshake_s=0.05), context), (BOUNDS._replace(whole_s=0.05), None)):
        async with echo.open(bounds, tls) as served:
            reader, writer = await asyncio.open_connection(HOST, served.port)
            assert await said(reader) == b""
            writer.close()
            await until(lambda served=served: served.busy(HOST) == 0)  # type: ignore[misc]
    assert echo.served == 1  # no handshake, no service


async def test_a_handshake_that_fails_is_told_and_not_raised(tmp_path: Path) -> None:
    echo = Echo()
    context, client = server_context(tmp_path)
    async with echo.open(context=context) as served:
        reader, writer = await asyncio.open_connection(HOST, served.port, ssl=client)  # without a certificate
        assert await said(reader) == b""
        writer.close()
        plain, two = await asyncio.open_connection(HOST, served.port)
        two.write(b"GET / HTTP/1.1\r\n\r\n")
        await said(plain)
        two.close()
        await until(lambda: len(echo.failed) == 2)
        assert echo.served == 0


async def test_a_close_in_the_middle_of_a_handshake(tmp_path: Path) -> None:
    echo = Echo()
    context, _ = server_context(tmp_path)
    async with echo.open(context=context) as served:
        reader, writer = await asyncio.open_connection(HOST, served.port)
        await until(lambda: served.busy(HOST) == 1)
        await served.close()
        assert await said(reader) == b""
        writer.close()
    assert (echo.served, echo.failed) == (0, [])


async def test_last_words_are_read_by_whoever_still_talks() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"no\n")
        await leave(reader, writer)

    echo = Echo()
    echo.serve = refuse  # type: ignore[method-assign]
    async with echo.open() as served:
        reader, writer = await asyncio.open_connection(HOST, served.port)
        writer.write(b"x" * 200_000)
        writer.write_eof()
        assert await said(reader) == b"no\n"
        writer.close()


def test_a_socket_at_a_path(tmp_path: Path) -> None:
    path = tmp_path / "run" / "a.sock"
    before = os.umask(0o077)
    try:
        with at_path(path, mode=0o666, directory=0o755, backlog=1):
            assert path.stat().st_mode & 0o777 == 0o666
            assert path.parent.stat().st_mode & 0o777 == 0o755
            with pytest.raises(OSError) as caught:
                at_path(path, mode=0o666, directory=0o755, backlog=1)
            assert caught.value.errno == errno.EADDRINUSE
        at_path(path, mode=0o600, directory=0o700, backlog=1).close()  # left over by nobody
        assert path.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)
    file = tmp_path / "precious"
    file.write_text("no socket")
    with pytest.raises(FileExistsError):
        at_path(file, mode=0o666, directory=0o755, backlog=1)
    assert file.read_text() == "no socket"


def test_a_port_that_is_taken_and_an_address_that_is_not_there() -> None:
    with on_network(HOST, 0, backlog=1) as first:
        with pytest.raises(OSError) as caught:
            on_network(HOST, first.getsockname()[1], backlog=1)
        assert caught.value.errno == errno.EADDRINUSE
    with pytest.raises(OSError):
        on_network("192.0.2.77", 0, backlog=1)
    on_network("192.0.2.77", 0, backlog=1, may_come_later=True).close()

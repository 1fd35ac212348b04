"""The control socket: answers, refusals, events, and clients that misbehave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edged.control import (
    MAX_CLIENTS,
    MAX_LINE_BYTES,
    MAX_REQUESTS_PER_CLIENT,
    ControlClient,
    ControlServer,
)
from edged.errors import ControlError, StateError


async def echo(params: Mapping[str, Any]) -> Any:
    return dict(params)


async def refuse(params: Mapping[str, Any]) -> Any:
    raise ControlError("control.bad_parameter")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ControlServer]:
    started = asyncio.Event()

    async def slow(params: Mapping[str, Any]) -> Any:
        started.set()
        await asyncio.sleep(0.2)
        return "slept"

    async with ControlServer(
        tmp_path / "control.sock", {"echo": echo, "refuse": refuse, "slow": slow}
    ) as served:
        yield served


async def raw(path: Path, *lines: bytes) -> list[dict[str, Any]]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    for line in lines:
        writer.write(line)
    writer.write_eof()
    answers = [json.loads(line) for line in (await reader.read()).splitlines()]
    writer.close()
    return answers


async def test_calls_are_answered_and_refused(server: ControlServer, tmp_path: Path) -> None:
    async with ControlClient(tmp_path / "control.sock") as client:
        assert await client.call("echo", a=1) == {"a": 1}
        with pytest.raises(ControlError, match="bad_parameter"):
            await client.call("refuse")
        with pytest.raises(ControlError, match="unknown_method"):
            await client.call("dance")


async def test_a_slow_call_holds_up_no_other(server: ControlServer, tmp_path: Path) -> None:
    async with ControlClient(tmp_path / "control.sock") as client:
        slow = asyncio.create_task(client.call("slow"))
        assert await client.call("echo") == {}
        assert not slow.done()
        assert await slow == "slept"


async def test_events_reach_subscribers_alone(server: ControlServer, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with ControlClient(path) as listening, ControlClient(path) as other:
        await listening.call("subscribe")
        await other.call("echo")
        server.publish({"event": "stage", "stage": "read"})
        async with asyncio.timeout(60):
            async for event in listening.events():
                assert event == {"event": "stage", "stage": "read"}
                break
        assert other._events.empty()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"not json\n", "control.not_json"),
        (b"[" * 5000 + b"\n", "control.not_json"),
        (b"[]\n", "control.not_a_request"),
        (b'{"id": 1}\n', "control.not_a_request"),
        (b'{"id": {}, "method": "echo"}\n', "control.not_a_request"),
        (b'{"id": 1, "method": "echo", "params": []}\n', "control.not_a_request"),
        (b"x" * (MAX_LINE_BYTES + 2) + b"\n", "control.request_too_long"),
        (b"\xff\xfe\n", "control.not_json"),
    ],
)
async def test_what_is_no_request_is_refused(
    server: ControlServer, tmp_path: Path, line: bytes, code: str
) -> None:
    answers = await raw(tmp_path / "control.sock", line)
    assert answers[-1]["error"]["code"] == code


async def test_an_answer_reaches_a_client_that_closed_its_sending_side(
    server: ControlServer, tmp_path: Path
) -> None:
    answers = await raw(tmp_path / "control.sock", b'{"id": 7, "method": "slow"}\n')
    assert answers == [{"id": 7, "result": "slept"}]


async def test_nobody_listening_is_said(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="no_daemon"):
        async with ControlClient(tmp_path / "none.sock"):
            pass


async def test_a_stale_socket_is_replaced_and_a_served_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    stale = await asyncio.start_unix_server(lambda r, w: None, path=str(path))
    stale.close()
    async with ControlServer(path, {"echo": echo}):
        assert path.stat().st_mode & 0o777 == 0o660
        with pytest.raises(ControlError, match="socket_in_use"):
            async with ControlServer(path, {}):
                pass
        async with ControlClient(path) as client:
            assert await client.call("echo") == {}


async def test_a_method_that_breaks_answers_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(params: Mapping[str, Any]) -> Any:
        raise RuntimeError("P<UTOERIKSSON")

    async def full(params: Mapping[str, Any]) -> Any:
        raise StateError("state.disk_full")

    path = tmp_path / "control.sock"
    async with ControlServer(path, {"broken": broken, "full": full}), ControlClient(path) as client:
        with pytest.raises(ControlError, match=r"control\.internal_error"):
            await client.call("broken")
        with pytest.raises(ControlError, match=r"state\.disk_full"):
            await client.call("full")


async def test_an_odd_id_is_answered(server: ControlServer, tmp_path: Path) -> None:
    answers = await raw(tmp_path / "control.sock", b'{"id": "\\ud800", "method": "echo"}\n')
    assert answers == [{"id": "\ud800", "result": {}}]


async def test_a_client_with_too_many_requests_is_told_for_each(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def waits(params: Mapping[str, Any]) -> Any:
        await release.wait()
        return "done"

    path = tmp_path / "control.sock"
    async with ControlServer(path, {"waits": waits}), ControlClient(path) as client, asyncio.timeout(60):
        calls = [asyncio.create_task(client.call("waits")) for _ in range(MAX_REQUESTS_PER_CLIENT + 2)]
        refused = [await call for call in [asyncio.create_task(_code(call)) for call in calls[-2:]]]
        assert refused == ["control.too_many_requests"] * 2
        release.set()
        assert [await call for call in calls[:-2]] == ["done"] * MAX_REQUESTS_PER_CLIENT


async def _code(call: asyncio.Task[Any]) -> str:
    with pytest.raises(ControlError) as caught:
        await call
    return caught.value.code


async def test_a_subscriber_that_does_not_read_is_dropped_and_its_place_is_free(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with ControlServer(path, {"echo": echo}) as server:
        deaf = []
        for _ in range(MAX_CLIENTS):
            _, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b'{"id": 1, "method": "subscribe"}\n')
            deaf.append(writer)
        async with asyncio.timeout(60):
            while sum(client.subscribed for client in server._clients) < MAX_CLIENTS:
                await asyncio.sleep(0.01)
        answers = await raw(path, b'{"id": 1, "method": "echo"}\n')
        assert answers == [{"error": {"code": "control.too_many_clients"}}]
        for _ in range(20):
            for _ in range(200):
                server.publish({"event": "noise", "text": "x" * 1000})
            await asyncio.sleep(0.01)
        async with asyncio.timeout(60), ControlClient(path) as client:
            assert await client.call("echo") == {}
        for writer in deaf:
            writer.transport.abort()


async def test_a_socket_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    file = tmp_path / "precious"
    file.write_text("not a socket")
    for path in (file, tmp_path / ("x" * 200), Path("/proc/no/where.sock")):
        with pytest.raises(StateError, match=r"control\.unusable") as caught:
            async with ControlServer(path, {}):
                pass
        assert str(path) in str(caught.value)
    assert file.read_text() == "not a socket"


async def test_a_daemon_that_goes_away_ends_the_call(tmp_path: Path) -> None:
    async def never(params: Mapping[str, Any]) -> Any:
        await asyncio.sleep(60)

    path = tmp_path / "control.sock"
    async with ControlServer(path, {"never": never}) as server, ControlClient(path) as client:
        waiting = asyncio.create_task(client.call("never"))
        await asyncio.sleep(0.05)
        for connection in tuple(server._clients):
            connection.close()
        with pytest.raises(ControlError, match="lost"):
            await waiting

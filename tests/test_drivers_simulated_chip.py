"""The simulated chip reader's socket: whoever connects may be anything."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edged.drivers.simulated_chip import SimulatedChip
from edged.errors import ChipError, ChipGoneError, DeviceGoneError, StateError
from edged.events import ChipPlaced, ChipRemoved
from tests.chip_bench import READ, SocketBench, digest, salvage, socket_bench, talk


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[SocketBench]:
    async with socket_bench(tmp_path) as made:
        yield made


async def raw(bench: SocketBench) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_unix_connection(str(bench.path))


async def test_the_socket_is_for_this_user_alone(bench: SocketBench) -> None:
    assert bench.path.stat().st_mode & 0o777 == 0o600


async def test_a_socket_left_by_a_killed_daemon_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "chip.sock"))
    async with socket_bench(tmp_path) as bench:
        (await bench.lay(digest)).remove()
    assert not bench.path.exists()


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_what_is_not_a_socket_is_kept(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "chip.sock"
    if kind == "file":
        path.write_text("thesis")
    elif kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.mkdir()
    with pytest.raises(StateError, match="unusable"):
        asyncio.run(SimulatedChip(path).__aenter__())
    assert os.path.lexists(path)


async def test_a_second_card_is_sent_away(bench: SocketBench) -> None:
    card = await bench.lay(digest)
    reader, writer = await raw(bench)
    assert await reader.read() == b""
    writer.close()
    assert len(await bench.chip.read(talk([READ]))) == 1
    card.remove()
    assert await bench.next() == ChipRemoved()
    (await bench.lay(digest)).remove()


async def test_what_speaks_without_being_asked_is_no_card(bench: SocketBench) -> None:
    reader, writer = await raw(bench)
    assert await bench.next() == ChipPlaced()
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await bench.next() == ChipRemoved()
    assert await _ended(reader)
    writer.close()


async def _ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize(
    ("atr", "code"),
    [
        (b"\x00\x00", "chip.mute"),
        (b"\x00\x01\x3b", "chip.mute"),
        (b"\x00\x22" + bytes(34), "chip.mute"),
        (b"\x00\x05\x3b", "chip.gone"),
        (b"", "chip.gone"),
        (b"\x00", "chip.gone"),
    ],
    ids=["empty", "short", "long", "cut", "silent", "half a length"],
)
async def test_a_peer_that_is_no_card_is_mute_or_gone(bench: SocketBench, atr: bytes, code: str) -> None:
    reader, writer = await raw(bench)
    assert await bench.next() == ChipPlaced()
    reading = asyncio.create_task(bench.chip.read(talk([READ])))
    assert await reader.readexactly(6) == b"\x00\x01\x01\x00\x01\x04"
    writer.write(atr)
    writer.write_eof() if code == "chip.gone" else None
    with pytest.raises(ChipError) as caught:
        await reading
    assert caught.value.code == code
    writer.close()


async def test_a_silent_peer_is_mute(bench: SocketBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.drivers._chip_worker.CONNECT_S", 0.1)
    _, writer = await raw(bench)
    assert await bench.next() == ChipPlaced()
    with pytest.raises(ChipError, match=r"chip\.mute"):
        await bench.chip.read(talk([READ]))
    writer.close()
    assert await bench.next() == ChipRemoved()


async def test_an_answer_cut_at_any_octet_is_a_card_taken_away(bench: SocketBench) -> None:
    whole = b"\x00\x12" + digest(READ.encode())
    for octets in range(len(whole)):
        reader, writer = await raw(bench)
        assert await bench.next() == ChipPlaced()
        reading = asyncio.create_task(bench.chip.read(salvage([READ])))
        await reader.readexactly(6)
        writer.write(b"\x00\x05\x3b\x80\x80\x01\x01")
        await reader.readexactly(2 + len(READ.encode()))
        writer.write(whole[:octets])
        writer.close()
        assert await reading == (0, "chip.gone"), octets
        assert await bench.next() == ChipRemoved()


async def test_answers_that_come_octet_by_octet(bench: SocketBench) -> None:
    reader, writer = await raw(bench)
    assert await bench.next() == ChipPlaced()
    reading = asyncio.create_task(bench.chip.read(talk([READ])))
    await reader.readexactly(6)
    for octet in b"\x00\x05\x3b\x80\x80\x01\x01":
        writer.write(bytes((octet,)))
        await writer.drain()
        await asyncio.sleep(0)
    await reader.readexactly(2 + len(READ.encode()))
    for octet in b"\x00\x12" + digest(READ.encode()):
        writer.write(bytes((octet,)))
        await writer.drain()
        await asyncio.sleep(0)
    (answer,) = await reading
    assert answer.encode() == digest(READ.encode())
    writer.close()


@pytest.mark.parametrize("seed", range(20))
async def test_noise_never_does_more_than_fail_a_reading(bench: SocketBench, seed: int) -> None:
    noise = random.Random(seed).randbytes(400)
    _, writer = await raw(bench)
    assert await bench.next() == ChipPlaced()
    reading = asyncio.create_task(bench.chip.read(salvage([READ] * 5)))
    await asyncio.sleep(0)
    writer.write(b"\x00\x05\x3b\x80\x80\x01\x01" + noise)
    writer.write_eof()
    answered, code = await reading
    assert 0 <= answered <= 5
    assert code in {None, "chip.gone", "chip.not_an_answer"}
    writer.close()
    assert await bench.next() == ChipRemoved()
    card = await bench.lay(digest)
    assert len(await bench.chip.read(talk([READ]))) == 1
    card.remove()


async def test_a_command_that_does_not_fit_the_protocol(bench: SocketBench) -> None:
    from edged.core.emrtd.apdu import Command

    card = await bench.lay(digest)
    code = (await bench.chip.read(salvage([Command(0xB0, data=bytes(65535))])))[1]
    assert code == "chip.too_long"
    assert len(await bench.chip.read(talk([READ]))) == 1
    card.remove()


async def test_unplugged_it_takes_no_card(bench: SocketBench) -> None:
    await bench.unplug()
    await bench.next()
    reader, writer = await raw(bench)
    assert await reader.read() == b""
    writer.close()
    with pytest.raises(DeviceGoneError):
        await bench.chip.read(talk([READ]))
    await bench.plug()
    await bench.next()
    with pytest.raises(ChipGoneError):
        await bench.chip.read(talk([READ]))


async def test_without_descriptors_it_waits_for_some(
    bench: SocketBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And does not spin meanwhile, which a listener that can't accept otherwise makes the loop do."""
    tried: list[float] = []
    accept = socket.socket.accept

    def starved(listener: socket.socket) -> tuple[socket.socket, object]:
        tried.append(0)
        if len(tried) == 1:
            raise OSError(24, "Too many open files")
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", starved)
    card = await bench.lay(digest)
    assert len(tried) == 2
    card.remove()


async def test_closing_leaves_no_task_and_no_card(tmp_path: Path) -> None:
    async with socket_bench(tmp_path) as bench:
        await bench.lay(digest)
        reader, writer = await raw(bench)
    assert await _ended(reader)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    writer.close()

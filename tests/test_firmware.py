"""The reader head's firmware: its own tests, the vectors, and the host build as a head that is pressed and unplugged.

Built into a directory that is kept between runs, so that only the first one compiles everything.
"""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from edged.emulator.head_board import HeadBoard
from edged.emulator.host_head import SOURCE, HostHead, build, find
from edged.errors import StateError
from tests.waiting import until

ROOT = Path(__file__).parents[1]
BUILD = SOURCE / "build" / "pytest"
HAS_COMPILER = shutil.which("make") is not None and any(map(shutil.which, ("cc", "gcc", "clang")))

needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="make or a C compiler is not installed")


@pytest.fixture(scope="module")
def program() -> Path:
    return build(BUILD)


# --- the firmware's own tests ---


def makes(*words: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "-s", "-C", str(SOURCE), f"BUILD={BUILD}", f"PYTHON={sys.executable}", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=110)


@needs_compiler
def test_unit_tests_and_vectors_pass_under_the_sanitizers() -> None:
    done = makes("test", "-j2")
    if "cannot find" in done.stderr and "asan" in done.stderr:
        pytest.skip("the compiler's sanitizers are not installed")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert all(line.startswith("ok ") for line in lines)
    assert "ok talks_go_as_the_vectors_say" in lines
    assert len(lines) >= len(list((SOURCE / "tests").glob("test_*.c"))) * 4


def test_the_vectors_are_what_their_writer_writes() -> None:
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        spec = importlib.util.spec_from_file_location("head_vectors", ROOT / "tools" / "head_vectors.py")
        assert spec is not None
        assert spec.loader is not None
        writer = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(writer)
    finally:
        sys.path.remove(str(ROOT / "tools"))
    assert (SOURCE / "vectors.json").read_text(encoding="utf-8") == writer.text()


def test_the_readme_shows_the_rhythms_as_they_are_in_the_code() -> None:
    source = (SOURCE / "src" / "indicator.c").read_text(encoding="utf-8")
    page = (SOURCE / "README.md").read_text(encoding="utf-8")
    table = source[
        source.index("rhythms[INDICATIONS]") : source.index("};", source.index("rhythms[INDICATIONS]"))
    ]
    beats = [int(line.split("0x")[1][:4], 16) for line in table.splitlines() if "0x" in line]
    assert len(beats) == 13
    drawn = ["".join("█" if value >> beat & 1 else "·" for beat in range(16)) for value in beats]
    shown = [
        line.split("`")[1]
        for line in page.splitlines()
        if line.startswith("| ") and ("█" in line or "····" in line)
    ]
    assert shown == drawn


# --- the host build, as a head ---


def frame(kind: int, session: int, seq: int = 0, ack: int = 0, payload: bytes = b"") -> bytes:
    content = bytes([kind, session, seq, ack]) + payload
    content += struct.pack("<I", zlib.crc32(content))
    return b"\0" + b"".join(bytes([len(run) + 1]) + run for run in content.split(b"\0")) + b"\0"


class Host:
    """The smallest host there is: it takes what comes in order and acknowledges it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.session = self.seq = self.expected = 0
        self.welcome: bytes | None = None
        self.messages: list[bytes] = []
        self.task = asyncio.create_task(self.listen())

    @classmethod
    async def at(cls, head: HostHead, session: int) -> Host:
        host = cls(*await asyncio.open_unix_connection(head.port.removeprefix("unix:")))
        await host.open(session)
        return host

    async def open(self, session: int) -> None:
        self.session, self.seq, self.expected, self.welcome = session, 0, 0, None
        self.writer.write(frame(0x01, session, payload=bytes([1, 1, 8])))
        await until(lambda: self.welcome is not None)

    def ask(self, message: bytes) -> None:
        self.writer.write(frame(0x10, self.session, self.seq, self.expected, message))
        self.seq += 1

    async def close(self) -> None:
        self.writer.close()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def listen(self) -> None:
        while True:
            raw = (await self.reader.readuntil(b"\0"))[:-1]
            content, at = bytearray(), 0
            while at < len(raw):
                content += raw[at + 1 : at + raw[at]] + b"\0"
                at += raw[at]
            if raw and content[1] == self.session:
                self.take(bytes(content[:-1]))

    def take(self, content: bytes) -> None:
        assert struct.pack("<I", zlib.crc32(content[:-4])) == content[-4:]
        if content[0] == 0x02:
            self.welcome = content[4:-4]
        elif content[0] == 0x10 and content[2] == self.expected:
            self.expected = (self.expected + 1) % 256
            self.messages.append(content[4:-4])
            self.writer.write(frame(0x11, self.session, ack=self.expected))

    def said(self, kind: int) -> list[bytes]:
        return [message for message in self.messages if message[0] == kind]


@needs_compiler
async def test_a_press_and_a_document_are_told_and_acknowledged(program: Path) -> None:
    async with HostHead(program=program) as head:
        board: HeadBoard = head  # it is one
        host = await Host.at(head, 7)
        assert host.welcome is not None
        assert host.welcome[2] == 1
        assert host.welcome[32:] == b"host"
        await board.document(present=True)
        await board.button(down=True)
        await board.button(down=False)
        await board.cover(opened=True)
        await until(lambda: len(host.said(0x83)) == 2)
        assert [message[5:] for message in host.said(0x81)] == [b"\1\1\0", b"\2\1\0"]
        assert [message[5] for message in host.said(0x82)] == [0, 1]
        await host.close()


@needs_compiler
async def test_outputs_are_told_as_lines(program: Path) -> None:
    async with HostHead(program=program) as head:
        host = await Host.at(head, 3)
        host.ask(b"\x20\1\3")
        host.ask(b"\x21\2\1")
        host.ask(b"\x11\3\1" + struct.pack("<BBII", 4, 70, 1000, 2000))
        seen: list[str] = []
        async for line in head.lines():
            seen.append(line)
            if line == "lamp off" and "strobe 1" in seen:
                break
        for wanted in ("indication reading", "beep short"):
            assert wanted in seen
        lit = seen.index("lamp uv365 70")
        assert [line for line in seen[lit:] if line.startswith(("lamp", "strobe"))] == [
            "lamp uv365 70", "strobe 1", "strobe 0", "lamp off",
        ]  # fmt: skip
        await host.close()


@needs_compiler
async def test_a_press_while_nobody_listens_is_told_to_the_next_host(program: Path) -> None:
    async with HostHead(program=program) as head:
        await head.button(down=True)
        host = await Host.at(head, 9)
        await until(lambda: host.said(0x81))
        assert host.said(0x81)[0][5:] == b"\1\1\0"
        await host.close()


@needs_compiler
async def test_a_reset_keeps_counts_and_forgets_the_session(program: Path, tmp_path: Path) -> None:
    async with HostHead(tmp_path, program=program) as head:
        host = await Host.at(head, 1)
        first = host.welcome
        await head.reset()
        await host.open(2)
        await head.hang()
        await host.open(3)
        third = host.welcome
        await host.close()
        assert first is not None
        assert third is not None
        assert (first[3], third[3]) == (1, 3)  # power, watchdog
        assert struct.unpack_from("<I", third, 4)[0] == struct.unpack_from("<I", first, 4)[0] + 2
        await head.unplug()
        with pytest.raises(StateError):
            await head.button(down=True)
        await head.plug()
        host = await Host.at(head, 4)
        assert host.welcome is not None
        assert host.welcome[8:20] == first[8:20]
        await host.close()


@needs_compiler
async def test_it_ends_when_it_is_told_to(program: Path, tmp_path: Path) -> None:
    words = ("--pty", str(tmp_path / "tty"), "--store", str(tmp_path))
    head = await asyncio.create_subprocess_exec(program, *words, stdout=asyncio.subprocess.PIPE)
    assert head.stdout is not None
    assert await head.stdout.readline() == b"ready\n"
    assert (tmp_path / "tty").is_symlink()
    head.terminate()
    await head.communicate()
    assert head.returncode == 0


@needs_compiler
@pytest.mark.parametrize(
    "words", [(), ("--socket",), ("--pins", "x"), ("--socket", "a", "--pty", "b"), ("--what", "x")]
)
def test_a_command_line_that_makes_no_sense_is_refused(program: Path, words: tuple[str, ...]) -> None:
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=30)
    assert done.returncode == 64
    assert done.stderr.startswith("usage: ")


@needs_compiler
async def test_what_cannot_be_started_says_so(tmp_path: Path, program: Path) -> None:
    with pytest.raises(StateError, match=r"head_emulator\.not_started"):
        async with HostHead(program=tmp_path / "missing"):
            pass
    with pytest.raises(StateError, match=r"head_emulator\.not_started"):
        async with HostHead(tmp_path / "no" / "store", program=program):
            pass


@needs_compiler
async def test_an_order_it_does_not_know_is_refused(program: Path) -> None:
    async with HostHead(program=program) as head:
        with pytest.raises(StateError, match=r"head_emulator\.refused"):
            await head.say("button sideways")
        await head.button(down=True)  # and it goes on


def test_the_environment_may_name_another_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGED_HEAD", str(tmp_path / "head"))
    assert find() is None
    (tmp_path / "head").touch()
    assert find() == tmp_path / "head"

"""The head's link: round trips, and how long after a press the daemon has it.

    python -m benchmarks.head [--pings 3000] [--presses 200] [--only socket] [--without-qemu]

- **Round trip**: PING through the whole driver (client, link, transport) and back, one at a time, against a bare echo
  of as many octets through the same kind of line: what the line itself costs on this machine.
- **Button to daemon**: from the pin being pulled until the driver tells `ButtonPressed`. 7 to 8 ms of it are
  debouncing (eight equal samples, one a millisecond, PROTOCOL.md §6.1); what is beyond is the link's and the driver's.
- **Idle**: processor time of the driver with a session open, in per cent of a core.

The head is the firmware: built for this machine, behind a Unix socket and behind a pseudo-terminal, and on an emulated
Cortex-M3 where QEMU and its compiler are installed. A UART of 115 200 baud adds 87 µs an octet, 2.5 ms to a round trip.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import multiprocessing
import os
import socket
import statistics
import sys
import tempfile
import time
import tty
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from edged import log
from edged.drivers.head import SerialHead
from edged.drivers.head_frame import Data, encode_frame
from edged.drivers.head_messages import Ping, encode_request
from edged.drivers.head_transport import transport_of
from edged.emulator.host_head import HostHead
from edged.errors import EdgedError
from edged.events import ButtonPressed
from tests.head_tty import TtyHost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

DEBOUNCED_MS: Final = 7.5
"""Eight samples, the first of them up to a millisecond after the press."""
IDLE_S: Final = 5.0
PATIENCE_S: Final = 10.0
"""For one answer; a measurement with a hole in it is none."""

REST_S: Final = 0.1
"""Between two presses: longer than the button is debounced, by an emulated clock that lags behind, too."""

ECHOED: Final = encode_frame(Data(1, 1, 1, encode_request(1, Ping())))


class Board(Protocol):
    """What is measured of `edged.emulator.head_board.HeadBoard`."""

    @property
    def port(self) -> str: ...

    async def __aenter__(self) -> Any: ...

    async def __aexit__(self, *error: object) -> None: ...

    async def button(self, *, down: bool) -> None: ...


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def echo_socket(path: str) -> None:
    """A process that sends back what it gets."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1)
    line, _ = listener.accept()
    while data := line.recv(4096):
        line.sendall(data)


def echo_terminal(path: str) -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    Path(path).symlink_to(os.ttyname(slave))
    while data := os.read(master, 4096):
        os.write(master, data)


@contextlib.contextmanager
def echo(kind: str) -> Iterator[str]:
    """A port of that kind which echoes."""
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/echo"
        target = echo_terminal if kind == "tty" else echo_socket
        process = multiprocessing.get_context("fork").Process(target=target, args=(path,), daemon=True)
        process.start()
        while not os.path.lexists(path):
            time.sleep(0.01)
        yield path if kind == "tty" else f"unix:{path}"
        process.kill()
        process.join()


async def bare(kind: str, times: int) -> list[float]:
    """Round trips of as many octets through a line of that kind, in ms."""
    back = asyncio.Event()
    held = bytearray()

    def hear(data: bytes) -> None:
        held.extend(data)
        if len(held) >= len(ECHOED):
            held.clear()
            back.set()

    took = []
    with echo(kind) as port:
        line = await transport_of(port).connect(hear)
        for _ in range(times):
            back.clear()
            began = time.perf_counter()
            line.send(ECHOED)
            async with asyncio.timeout(PATIENCE_S):
                await back.wait()
            took.append((time.perf_counter() - began) * 1000)
        await line.close()
    return took


async def pings(head: SerialHead, times: int) -> list[float]:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        await head.client.request(Ping())
        took.append((time.perf_counter() - began) * 1000)
    return took


async def presses(board: Board, head: SerialHead, times: int) -> list[float]:
    pressed = asyncio.Event()

    async def listen() -> None:
        async for event in head.events():
            if isinstance(event, ButtonPressed):
                pressed.set()

    listening = asyncio.create_task(listen())
    took = []
    for _ in range(times):
        pressed.clear()
        began = time.perf_counter()
        pulling = asyncio.create_task(board.button(down=True))
        async with asyncio.timeout(PATIENCE_S):
            await pressed.wait()
        took.append((time.perf_counter() - began) * 1000)
        await pulling
        await board.button(down=False)
        await asyncio.sleep(REST_S)
    listening.cancel()
    await asyncio.wait((listening,))
    return took


async def idle() -> float:
    began, used = time.perf_counter(), time.process_time()
    await asyncio.sleep(IDLE_S)
    return (time.process_time() - used) / (time.perf_counter() - began) * 100


def line(what: str, values: list[float], beside: str = "") -> None:
    print(f"  {what:34}{statistics.median(values):9.3f} ms {percentile(values, 0.99):9.3f} ms   {beside}")


async def measure(name: str, board: Board, kind: str, arguments: argparse.Namespace) -> None:
    print(f"\n{name:36}{'p50':>12}{'p99':>13}")
    echoed = await bare(kind, arguments.pings)
    line(f"echo of {len(ECHOED)} octets, same line", echoed)
    async with opened(board) as head:
        took = await pings(head, arguments.pings)
        ratio = statistics.median(took) / statistics.median(echoed)
        line("PING", took, f"{ratio:.1f} times the echo")
        late = await presses(board, head, arguments.presses)
        line("button to daemon", late, f"{statistics.median(late) - DEBOUNCED_MS:.3f} ms beyond debouncing")
        print(f"  {'idle, driver':34}{await idle():9.2f} % of a core")
        counts = head.client.counts
        if counts.repeated or counts.damaged:
            print(f"  repeated {counts.repeated}, damaged {counts.damaged}")


@contextlib.asynccontextmanager
async def opened(board: Board) -> AsyncIterator[SerialHead]:
    async with board, SerialHead(board.port) as head:
        if head.trouble is not None:
            raise SystemExit(f"no head: {head.trouble.code}")
        yield head


def boards(arguments: argparse.Namespace) -> Iterator[tuple[str, Board, str]]:
    yield "host build, Unix socket", HostHead(), "socket"
    yield "host build, pseudo-terminal", TtyHost(), "tty"
    if arguments.without_qemu:
        return
    try:
        emulated = importlib.import_module("edged.emulator.qemu_head")
    except ImportError:
        print("no emulated Cortex-M here", file=sys.stderr)
        return
    yield "lm3s6965 under QEMU, Unix socket", emulated.QemuHead(), "socket"


async def run(arguments: argparse.Namespace) -> None:
    for name, board, kind in boards(arguments):
        if arguments.only not in name:
            continue
        try:
            await measure(name, board, kind, arguments)
        except (EdgedError, TimeoutError) as error:
            print(f"{name}: not measured: {error!r}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pings", type=int, default=3000)
    parser.add_argument("--presses", type=int, default=200)
    parser.add_argument("--only", default="", help="boards whose name contains this")
    parser.add_argument("--without-qemu", action="store_true", help="only the host build")
    log.configure("error")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()

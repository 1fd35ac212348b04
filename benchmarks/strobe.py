"""How exact the strobe line is: what EXPOSE asked for against what the head measured, on the boards that run here.

    python -m benchmarks.strobe [--exposures 200] [--window-us 10000] [--lead-us 2000] [--without-qemu]

- **Window**: how much longer the strobe line was up than asked (EXPOSED, PROTOCOL.md §6), by the head's own clock.
- **Gap**: between the strobe's rise in two steps of one EXPOSE, against lead and window asked; both edges' errors.
- **Longest error**: what the head itself counts (counter 10), over everything.

Both clocks are emulated: they run on a computer that does other things meanwhile, and say nothing about silicon, where
the error is the length of a turn of one loop. `docs/testing-firmware.md` has what was measured.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import sys
from typing import TYPE_CHECKING, Final, Protocol

from edged.drivers.head_events import Exposed, Lamp
from edged.drivers.head_messages import Counter, Expose, ReadCounters, Status, Step
from edged.emulator import qemu_head
from edged.emulator.host_head import HostHead
from edged.emulator.qemu_head import QemuHead
from edged.errors import EdgedError
from tests.board_link import BoardLink

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STEPS: Final = 4
DUTY: Final = 0.4
"""Below white's half, so that the limit is never asked."""


class Board(Protocol):
    @property
    def port(self) -> str: ...

    async def __aenter__(self) -> object: ...

    async def __aexit__(self, *error: object) -> None: ...


async def exposures(link: BoardLink, arguments: argparse.Namespace) -> list[Exposed]:
    """All that the head told of so many exposures."""
    step = Step(Lamp.WHITE, 100, arguments.lead_us, arguments.window_us)
    for turn in range(-(-arguments.exposures // STEPS)):
        while (reply := await link.reply(Expose((step,) * STEPS))).status is not Status.OK:
            if reply.status is not Status.LIMIT:
                raise SystemExit(f"the head refuses to expose: {reply.status.name}")
            await asyncio.sleep((reply.detail or 0) / 1000)
        await link.told(Exposed, (turn + 1) * STEPS)
        await asyncio.sleep(STEPS * (step.lead_us + step.window_us) / 1e6 * (1 / DUTY - 1))
    return link.events(Exposed)


def line(what: str, values: Sequence[float]) -> None:
    ordered = sorted(values)
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * part))] for part in (0.5, 0.9, 0.99)]
    print(
        f"  {what:20}" + "".join(f"{value:10.0f}" for value in (*at, ordered[-1], statistics.pstdev(values)))
    )


async def measure(name: str, board: Board, arguments: argparse.Namespace) -> None:
    async with board, BoardLink(board.port) as link:
        await link.opened()
        told = await exposures(link, arguments)
        longest = (await link.ask(ReadCounters()))[Counter.LONGEST_STROBE_ERROR_US]
    print(
        f"\n{name:22}{'p50':>10}{'p90':>10}{'p99':>10}{'longest':>10}{'deviation':>10}  µs, {len(told)} exposures"
    )
    line("window too long by", [one.window_us - arguments.window_us for one in told])
    step_us = arguments.lead_us + arguments.window_us
    pairs = [(a, b) for a, b in itertools.pairwise(told) if b.step == a.step + 1]
    line("gap too long by", [b.strobe_us - a.strobe_us - step_us for a, b in pairs])
    print(f"  {'longest error':20}{longest:10d}  as the head counts")


def boards(arguments: argparse.Namespace) -> Iterator[tuple[str, Board]]:
    yield "host build", HostHead()
    if arguments.without_qemu:
        return
    if (code := qemu_head.missing()) is not None:
        print(f"\nlm3s6965 in QEMU: left out ({code})", file=sys.stderr)
        return
    yield "lm3s6965 in QEMU", QemuHead()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--exposures", type=int, default=200)
    parser.add_argument("--window-us", type=int, default=10_000)
    parser.add_argument("--lead-us", type=int, default=2000)
    parser.add_argument("--without-qemu", action="store_true")
    arguments = parser.parse_args()
    try:
        for name, board in boards(arguments):
            asyncio.run(measure(name, board, arguments))
    except EdgedError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

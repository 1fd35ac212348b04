"""Soak: `python -m tests.proof.soak --minutes 60`: scan after scan, and nothing grows.

The whole demo: daemon, broker, collector, partners. Every few seconds each process's resident memory and open
descriptors are noted. After the warm-up (a quarter of the time: caches fill, allocators settle) a line is laid through
the samples by Theil and Sen's rule (the median of all slopes: no single peak moves it). A process is flat when that
line rises over the time observed by no more than 2 MiB or 3 % of its median, whichever is more, and by less than one
descriptor. Exit 1 when one isn't flat, or when the ledger doesn't balance in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edged.demo.present import JsonPresenter
from edged.demo.show import Plan, Show
from edged.specimens import FIXED_TODAY, shipped
from tests.proof.parties import resources

WARM_UP = 0.25
MEBIBYTE = 1 << 20
SLACK_BYTES = 2 * MEBIBYTE
SLACK_SHARE = 0.03
MAX_POINTS = 300
"""Of a series, evenly spread: Theil and Sen compare every pair."""


def theil_sen(points: Sequence[tuple[float, float]]) -> float:
    """The median slope of all pairs; 0 for fewer than two points."""
    step = max(len(points) // MAX_POINTS, 1)
    kept = points[::step]
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for index, earlier in enumerate(kept)
        for later in kept[index + 1 :]
        if later[0] > earlier[0]
    ]
    return statistics.median(slopes) if slopes else 0.0


@dataclass
class Series:
    """One process's samples: (seconds, bytes resident, descriptors)."""

    name: str
    samples: list[tuple[float, int, int]] = field(default_factory=list)

    def _after(self) -> list[tuple[float, int, int]]:
        begin, end = self.samples[0][0], self.samples[-1][0]
        return [one for one in self.samples if one[0] >= begin + WARM_UP * (end - begin)]

    @property
    def seconds(self) -> float:
        """How long it was observed after the warm-up."""
        kept = self._after()
        return kept[-1][0] - kept[0][0]

    @property
    def slope(self) -> float:
        """Resident bytes a second."""
        return theil_sen([(moment, rss) for moment, rss, _ in self._after()])

    @property
    def descriptor_slope(self) -> float:
        """Descriptors a second."""
        return theil_sen([(moment, count) for moment, _, count in self._after()])

    @property
    def median(self) -> float:
        """Resident bytes."""
        return statistics.median(rss for _, rss, _ in self._after())

    @property
    def flat(self) -> bool:
        """See the module."""
        return (
            self.slope * self.seconds <= max(SLACK_BYTES, SLACK_SHARE * self.median)
            and self.descriptor_slope * self.seconds < 1
        )

    def __str__(self) -> str:
        kept = self._after()
        rss = [one[1] / MEBIBYTE for one in kept]
        descriptors = [one[2] for one in kept]
        return (
            f"{self.name:12} {rss[0]:8.1f} {rss[-1]:8.1f} {max(rss):8.1f} {self.slope * 3600 / MEBIBYTE:+9.2f}"
            f" {descriptors[0]:6} {descriptors[-1]:6} {max(descriptors):6}"
            f" {self.descriptor_slope * 3600:+8.2f}  {'flat' if self.flat else 'GROWS'}"
        )


HEAD = (
    f"{'process':12} {'MiB':>8} {'at end':>8} {'most':>8} {'MiB/h':>9}"
    f" {'fds':>6} {'end':>6} {'most':>6} {'fds/h':>8}"
)


class Quiet(JsonPresenter):
    """Tells nothing."""

    def _print(self, **fields: Any) -> None:
        """Nothing: a soak says its own lines."""


class Soak(Show):
    """The demo, its documents over and over until the time is up."""

    def __init__(
        self, directory: Path, *, seconds: float, pause_s: float, every_s: float, tell: Callable[[str], None]
    ) -> None:

        plan = Plan(shipped(), FIXED_TODAY, "en", practice=False)
        super().__init__(plan, directory, Quiet())
        self._seconds, self._pause_s, self._every_s, self._tell = seconds, pause_s, every_s, tell
        self.series: dict[str, Series] = {}
        self.scans = 0

    async def _documents(self) -> None:
        end = time.monotonic() + self._seconds
        sampling = asyncio.create_task(self._sample())
        try:
            while time.monotonic() < end:
                for specimen in self._plan.specimens:
                    await self._press(specimen, f"soak-{self.scans:06d}")
                    self.scans += 1
                    self._verdicts.clear()
                    self._stage.check()
                    if time.monotonic() >= end:
                        break
                    await asyncio.sleep(self._pause_s)
        finally:
            sampling.cancel()
            await asyncio.gather(sampling, return_exceptions=True)

    async def _sample(self) -> None:
        while True:
            for name, pid in self._pids().items():
                if pid is not None:
                    rss, descriptors = resources(pid)
                    self.series.setdefault(name, Series(name)).samples.append(
                        (time.monotonic(), rss, descriptors)
                    )
            told = "  ".join(
                f"{one.name} {one.samples[-1][1] / MEBIBYTE:.0f}" for one in self.series.values()
            )
            self._tell(f"{self.scans} scans; MiB: {told}")
            await asyncio.sleep(self._every_s)

    def _pids(self) -> dict[str, int | None]:
        parties = {name: party.pid for name, party in self._stage.parties.items()}
        return {**parties, "broker": self._stage._broker.pid}


def soak(
    directory: Path,
    *,
    seconds: float,
    pause_s: float = 0.2,
    every_s: float = 2.0,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[Soak, bool]:
    """Run it; the samples, and whether the ledger balanced."""
    made = Soak(directory, seconds=seconds, pause_s=pause_s, every_s=every_s, tell=tell)
    return made, asyncio.run(made.run())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--pause", type=float, default=0.2, help="seconds between two scans")
    options = parser.parse_args()
    last = 0.0

    def tell(line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= (2 if sys.stderr.isatty() else 60):
            last = time.monotonic()
            print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as directory:
        made, balanced = soak(
            Path(directory), seconds=options.minutes * 60, pause_s=options.pause, every_s=5.0, tell=tell
        )
    print(
        f"{made.scans} scans in {options.minutes:g} minutes; ledger {'balanced' if balanced else 'NOT balanced'}"
    )
    print(HEAD)
    for series in made.series.values():
        print(series)
    return int(not balanced or not all(series.flat for series in made.series.values()))


if __name__ == "__main__":
    sys.exit(main())

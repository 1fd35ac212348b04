"""Inside the virtual machine: let a database work on a recorded disk, then cut the power all along the record.

    python -m tests.qemu.power_cuts WORKLOAD --steps 60 --share 0.2 --seed 1 [--synchronous NORMAL]

/dev/vda is the disk, /dev/vdb the record. Two processes look at every other cut: each has a RAM disk as the cuts leave
the disk, and another for what a look at it changes.
Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.errors import StateError
from tests.qemu import guest, log_writes, mapper
from tests.qemu.workloads import WORKLOADS, Picture, RepairedError, Workload, picture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DISK, RECORD = "/dev/vda", "/dev/vdb"
REPLAYED, SCRATCH = ("/dev/ram0", "/dev/ram1"), ("/dev/ram2", "/dev/ram3")
POINT = Path("/run/disk")
EXAMPLES = 5


def record(workload: Workload, steps: int, chance: random.Random, synchronous: str | None) -> list[Picture]:
    """Work; the pictures after each step that had returned when its mark was set."""
    guest.make_ext4(DISK)
    with guest.mounted(DISK, POINT):
        (POINT / "state").mkdir()
    for replayed in REPLAYED:
        guest.copy(DISK, replayed)
    promised: list[Picture] = []
    recorded = mapper.mapped("recorded", guest.size(DISK), "log-writes", f"{DISK} {RECORD}")
    with recorded as device, guest.mounted(device, POINT):

        def promise() -> None:
            promised.append(picture(workload.connection()))
            mapper.message("recorded", f"mark {len(promised) - 1}")

        workload.open(POINT / "state")
        if synchronous:
            workload.connection().execute(f"PRAGMA synchronous={synchronous}")
        promise()
        work = workload.steps(chance)
        for _ in range(steps):
            next(work)()
            promise()
        workload.close()
    return promised


class Findings:
    """What the cuts left behind."""

    def __init__(self, promised: Sequence[Picture], make: Callable[[], Workload]) -> None:
        self.promised = promised
        self.make = make
        self.kinds: Counter[str] = Counter()
        self.lost = 0
        self.torn = 0
        self.unusable = 0
        self.in_flight = 0
        self.examples: list[str] = []

    def look(self, cut: log_writes.Cut, directory: Path) -> None:
        self.kinds[cut.kind] += 1
        last = -1 if cut.mark is None else int(cut.mark)
        try:
            found = self._look(directory)
        except (sqlite3.Error, StateError, RepairedError, OSError) as error:
            self.unusable += 1
            self._example(cut, f"unusable: {error!r}")
            return
        if last < 0 or found == self.promised[last]:
            return
        if last + 1 < len(self.promised) and found == self.promised[last + 1]:
            self.in_flight += 1  # its commit was on the disk, and its caller hadn't heard yet
        elif found in self.promised[:last]:
            self.lost += 1
            self._example(cut, f"is as it was after step {self.promised.index(found)}")
        else:
            self.torn += 1
            self._example(cut, "is as it was after no step")

    def _look(self, directory: Path) -> Picture:
        """The product opens what is left, and works on."""
        workload = self.make()
        workload.open(directory)
        try:
            found = picture(workload.connection())
            work = workload.steps(random.Random(1))
            for _ in range(2):
                next(work)()
        finally:
            workload.close()
        return found

    def _example(self, cut: log_writes.Cut, what: str) -> None:
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{cut.kind}, after step {cut.mark}: {what}")


def entries() -> int:
    with Path(RECORD).open("rb") as log:
        return sum(1 for _ in log_writes.entries(log))


def replay(findings: Findings, worker: int, chance: random.Random, share: float) -> Findings:
    """Look at the disks that this worker's cuts leave behind."""
    replayed, scratch = REPLAYED[worker], SCRATCH[worker]
    sectors = guest.size(replayed)
    point = Path(f"{POINT}-{worker}")
    with Path(RECORD).open("rb") as log:
        for number, cut in enumerate(log_writes.cuts(log_writes.entries(log), chance, share)):
            guest.put(replayed, cut.lasting)
            if number % len(REPLAYED) != worker:
                continue
            with mapper.mapped(f"cut-{worker}", sectors, "snapshot", f"{replayed} {scratch} N 8") as device:
                guest.put(device, cut.kept)
                with guest.mounted(device, point):
                    findings.look(cut, point / "state")
    return findings


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--synchronous")
    chosen = parser.parse_args(arguments)
    chance = random.Random(chosen.seed)
    guest.write_back_soon()
    make = WORKLOADS[chosen.workload]
    began = time.monotonic()
    promised = record(make(), chosen.steps, chance, chosen.synchronous)
    recorded = time.monotonic()
    with multiprocessing.get_context("fork").Pool(len(REPLAYED)) as pool:
        found = pool.starmap(
            replay,
            [
                (Findings(promised, make), worker, random.Random(chosen.seed), chosen.share)
                for worker in range(len(REPLAYED))
            ],
        )
    result: dict[str, Any] = {
        "steps": len(promised) - 1,
        "entries": entries(),
        "cuts": sum(one.kinds.total() for one in found),
        "kinds": sum((one.kinds for one in found), Counter()),
        **{
            name: sum(getattr(one, name) for one in found)
            for name in ("in_flight", "lost", "torn", "unusable")
        },
        "examples": [example for one in found for example in one.examples],
        "record_s": round(recorded - began, 1),
        "replay_s": round(time.monotonic() - recorded, 1),
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

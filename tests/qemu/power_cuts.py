"""Inside the virtual machine: let a database work on a recorded disk, then cut the power all along the record.

    python -m tests.qemu.power_cuts WORKLOAD --steps 100 --share 0.2 --seed 1 [--synchronous NORMAL]

/dev/vda is the disk, /dev/vdb the record, /dev/ram0 the disk as the cuts leave it, /dev/ram1 what a look at it changes.
Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.errors import StateError
from tests.qemu import guest, log_writes, mapper
from tests.qemu.workloads import WORKLOADS, Picture, Workload, left_behind, picture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DISK, RECORD, REPLAYED, SCRATCH = "/dev/vda", "/dev/vdb", "/dev/ram0", "/dev/ram1"
POINT = Path("/run/disk")
EXAMPLES = 5


def record(workload: Workload, steps: int, chance: random.Random, synchronous: str | None) -> list[Picture]:
    """Work; the pictures after each step that had returned when its mark was set."""
    guest.make_ext4(DISK)
    with guest.mounted(DISK, POINT):
        (POINT / "state").mkdir()
    guest.copy(DISK, REPLAYED)
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
        path = directory / self.make().FILE
        last = -1 if cut.mark is None else int(cut.mark)
        try:
            if last >= 0 and not path.exists():
                raise FileNotFoundError(path.name)
            found = left_behind(path) if path.exists() else {}
            self._goes_on(directory)
        except (sqlite3.Error, StateError, OSError) as error:
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

    def _goes_on(self, directory: Path) -> None:
        """The product opens what is left, and works."""
        workload = self.make()
        workload.open(directory)
        try:
            work = workload.steps(random.Random(1))
            for _ in range(2):
                next(work)()
        finally:
            workload.close()

    def _example(self, cut: log_writes.Cut, what: str) -> None:
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{cut.kind}, after step {cut.mark}: {what}")


def replay(findings: Findings, chance: random.Random, share: float) -> int:
    """Look at the disk of every cut; how many entries the record has."""
    sectors = guest.size(REPLAYED)
    with open(RECORD, "rb") as log:
        count = sum(1 for _ in log_writes.entries(log))
        log.seek(0)
        for cut in log_writes.cuts(log_writes.entries(log), chance, share):
            guest.put(REPLAYED, cut.lasting)
            with mapper.mapped("cut", sectors, "snapshot", f"{REPLAYED} {SCRATCH} N 8") as device:
                guest.put(device, cut.kept)
                with guest.mounted(device, POINT):
                    findings.look(cut, POINT / "state")
    return count


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
    findings = Findings(promised, make)
    count = replay(findings, chance, chosen.share)
    result: dict[str, Any] = {
        "steps": len(promised) - 1,
        "entries": count,
        "cuts": findings.kinds.total(),
        "kinds": findings.kinds,
        "in_flight": findings.in_flight,
        "lost": findings.lost,
        "torn": findings.torn,
        "unusable": findings.unusable,
        "examples": findings.examples,
        "record_s": round(recorded - began, 1),
        "replay_s": round(time.monotonic() - recorded, 1),
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

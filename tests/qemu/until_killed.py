"""Inside the virtual machine: say what the disk holds, then work and say every step, until somebody pulls the plug.

    python -m tests.qemu.until_killed WORKLOAD --seed 1 [--steps 1000] [--synchronous NORMAL]

/dev/vda is the disk. Lines: `found FACT` for what is there, `ready`, `promised FACT` after the step that made it true,
`step` after each.
"""

from __future__ import annotations

import argparse
import fcntl
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.qemu import guest
from tests.qemu.workloads import WORKLOADS, picture

if TYPE_CHECKING:
    from collections.abc import Sequence

DISK = "/dev/vda"
POINT = Path("/run/disk")
PIPE = 4096
EXT4_MAGIC = b"\x53\xef"


def is_ext4(device: str) -> bool:
    with Path(device).open("rb") as disk:
        disk.seek(1024 + 56)
        return disk.read(2) == EXT4_MAGIC


def say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--synchronous")
    chosen = parser.parse_args(arguments)
    chance = random.Random(chosen.seed)
    guest.write_back_never()
    # What is said and not heard yet lies in this pipe: a small one keeps the work from running far ahead of it.
    fcntl.fcntl(sys.stdout, fcntl.F_SETPIPE_SZ, PIPE)
    if not is_ext4(DISK):
        guest.make_ext4(DISK)
    workload = WORKLOADS[chosen.workload]()
    with guest.mounted(DISK, POINT):
        workload.open(POINT)
        picture(workload.connection())  # and whether it is sound
        if chosen.synchronous:
            workload.connection().execute(f"PRAGMA synchronous={chosen.synchronous}")
        known = workload.facts()
        for fact in sorted(known):
            say("found", fact)
        say("ready")
        work = workload.steps(chance)
        for _ in range(chosen.steps):
            next(work)()
            facts = workload.facts()
            for fact in sorted(facts - known):
                say("promised", fact)
            known = facts
            say("step")
        workload.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

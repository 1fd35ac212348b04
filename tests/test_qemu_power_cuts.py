"""Power cuts under Debian's own kernel: at every moment that a recorded disk knows of, and by pulling the plug."""

from __future__ import annotations

import json
import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.qemu.machine import Machine, blank_disk, missing

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

PYTHON = ".venv/bin/python -m"
LIMIT_S = 1200.0
KILLS = int(os.environ.get("EDGED_QEMU_KILLS", "3"))
THOROUGHNESS = float(os.environ.get("EDGED_QEMU_STEPS", "1"))
"""Times as many steps, and so as many cuts, as in CI."""


def cuts(directory: Path, workload: str, steps: int, *more: str) -> dict[str, Any]:
    disks = [blank_disk(directory / "disk", 64), blank_disk(directory / "record", 4096)]
    with Machine(directory, disks) as machine:
        command = " ".join([PYTHON, "tests.qemu.power_cuts", workload, "--steps", str(steps), *more])
        result: dict[str, Any] = json.loads(machine.run(command, LIMIT_S)[-1])
    print(f"{workload} {' '.join(more)}: {json.dumps(result)}")
    return result


@pytest.mark.parametrize(("workload", "steps"), [("outbox", 50), ("archive", 16), ("inbox", 16)])
def test_nothing_that_was_promised_is_lost_wherever_the_power_goes(
    tmp_path: Path, workload: str, steps: int
) -> None:
    found = cuts(tmp_path, workload, round(steps * THOROUGHNESS))
    assert found["cuts"] > 5 * steps, "the record shows fewer writes than the steps must have made"
    assert {"after a mark", "after a flush", "after a lasting write"} < set(found["kinds"])
    assert found["in_flight"], "no cut fell between a commit and its promise: then none was close enough"
    assert (found["lost"], found["torn"], found["unusable"]) == (0, 0, 0), found["examples"]


def test_of_the_test_without_syncing_promises_are_broken(tmp_path: Path) -> None:
    """`synchronous=NORMAL`: the one-line change that a killed process never notices."""
    found = cuts(tmp_path, "outbox", 12, "--synchronous", "NORMAL", "--share", "0")
    assert found["lost"] > 0
    assert found["unusable"] == 0, "SQLite promises that much even so"


def test_of_the_test_half_an_inspection_is_found(tmp_path: Path) -> None:
    found = cuts(tmp_path, "outbox-in-halves", 4, "--share", "0")
    assert found["torn"] > 0
    assert (found["lost"], found["unusable"]) == (0, 0)


def pull_the_plug(directory: Path, kills: int, workload: str, *more: str) -> int:
    """Work, kill, start again, see what is there, work on; how many promised facts were missing."""
    chance = random.Random(7)
    disk = blank_disk(directory / "disk", 64)
    promised: set[str] = set()
    said = lost = 0
    for life in range(kills + 1):
        last = life == kills
        steps = chance.randint(3, 12)
        command = f"{PYTHON} tests.qemu.until_killed {workload} --seed {life} {' '.join(more)}"
        with Machine(directory, [disk]) as machine:
            found: set[str] = set()
            for line in machine.stream(command + (" --steps 0" if last else ""), LIMIT_S):
                word, _, fact = line.partition(" ")
                if word == "found":
                    found.add(fact)
                elif word == "ready":
                    lost += len(promised - found)
                    promised = found
                elif word == "promised":
                    promised.add(fact)
                    said += 1
                else:
                    assert line == "step", line
                    steps -= 1
                    if not steps:
                        break  # out of the machine: SIGKILL, in the middle of the steps that follow
    assert said, "it never got to work"
    print(f"{kills} kills, {workload} {' '.join(more)}: {said} facts promised, {lost} lost")
    return lost


def test_nothing_that_was_promised_is_lost_when_the_plug_is_pulled(tmp_path: Path) -> None:
    assert pull_the_plug(tmp_path, KILLS, "outbox") == 0


def test_of_the_test_without_syncing_the_plug_takes_promises_with_it(tmp_path: Path) -> None:
    # A workload that only commits: a receipt folds the log into the database, and that syncs whatever the setting.
    assert pull_the_plug(tmp_path, 1, "outbox-in-halves", "--synchronous", "NORMAL") > 0

"""A box behind a line with delay, loss, duplicates, reordering and corruption (netem), under Debian's own kernel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.qemu.machine import Machine, missing

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.timeout(600),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

BACKLOG = 12
LIMIT_S = 300


def over(directory: Path, netem: str) -> dict[str, Any]:
    with Machine(directory) as machine:
        command = (
            f".venv/bin/python -m tests.qemu.bad_line --backlog {BACKLOG} --netem '{netem}' --limit {LIMIT_S}"
        )
        found: dict[str, Any] = json.loads(machine.run(command, LIMIT_S + 60)[-1])
    print(f"{netem}: {json.dumps(found)}")
    return found


@pytest.mark.parametrize(
    "netem",
    ["delay 300ms 100ms loss 5%", "delay 20ms 10ms 25% duplicate 5% corrupt 2% reorder 25% 50%"],
    ids=["satellite", "garbled"],
)
def test_every_verdict_arrives_once_over_a_bad_line(tmp_path: Path, netem: str) -> None:
    found = over(tmp_path, netem)
    assert found["committed"] == 2 * BACKLOG + 3
    assert found["same"], "the archive isn't what the box committed"
    assert found["alarms"] == 0
    assert found["handed_once"]
    assert found["handed"] == BACKLOG + 3
    assert found["backlog_behind"] > 0, "fresh verdicts waited for the whole backlog"

"""Run as a process of its own: what the first of everything costs. A task comes in as JSON, seconds go out.

Nothing of the emulator is loaded here: the chip's answers were taken down before and are given again.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path


class Seeded:
    """The same random values every time, so that a conversation can be repeated."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def octets(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def scalar(self, below: int) -> int:
        return self._random.randrange(1, below)


def main() -> None:
    task = json.load(sys.stdin)
    found = {}
    mark = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal mark
        now = time.perf_counter()
        found[name] = now - mark
        mark = time.perf_counter()

    from edged.trust.loading import load_anchors

    lap("import of edged.trust")
    anchors = load_anchors(Path(task["store"]))
    lap("load")
    assert len(anchors) == task["certificates"]

    mark = time.perf_counter()
    from edged.core.emrtd.reader import ReadPlan, read_chip
    from edged.core.emrtd.steps import drive

    lap("import of the reader")
    from edged.core.emrtd.judging import judge_chip

    lap("import of the judges")
    from edged.core.emrtd.access_keys import key_of_mrz
    from edged.core.mrz import parse_mrz

    at = _moment(task["at"])
    printed = parse_mrz(task["lines"], today=at.date())
    answers = iter([bytes.fromhex(one) for one in task["answers"]])
    plan = ReadPlan(key_of_mrz(printed), max_apdu=task["longest"], draw=Seeded())
    mark = time.perf_counter()
    reading = drive(read_chip(plan), lambda _: next(answers))
    lap("first reading")
    checks = judge_chip(
        reading, anchors=anchors, at=at, today=at.date(), printed=printed, printed_is_sure=True
    )
    lap("first judging")
    assert {check.name: check.result for check in checks}["chip"].value == "successful"
    print(json.dumps(found))


def _moment(text: str):  # type: ignore[no-untyped-def]
    from datetime import datetime

    return datetime.fromisoformat(text)


if __name__ == "__main__":
    main()

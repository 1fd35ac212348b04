"""What one box costs: cold start, idle memory and CPU, and press of scan to committed, against their limits.

    python -m benchmarks.box [--scans N]

The daemon is a real process with a simulated head; no broker is in reach. Limits are the project's goals.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.processes import processor_seconds, resident_mib
from tests.box import Box

GOALS = {
    "cold start, s": 1.0,
    "idle RSS, MiB": 80.0,
    "idle CPU, %": 1.0,
    "press to committed, median ms": 250.0,
    "press to committed, p95 ms": 250.0,
}
IDLE_S = 10.0
SCANNED = ("passport", "identity-card", "visa-a", "permit-one-line", "upside-down", "sideways", "expired")


async def measure(scans: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as directory:
        # The demo knocks at its broker every second; a box in the field waits up to a minute.
        box = Box(Path(directory), edit=("reconnect_max_s = 1.0", "reconnect_max_s = 60.0"))
        began = time.monotonic()
        async with box:
            await box.control.call("status")
            start = time.monotonic() - began
            await asyncio.sleep(8)
            before = processor_seconds(box.process.pid)
            await asyncio.sleep(IDLE_S)
            idle_cpu = (processor_seconds(box.process.pid) - before) / IDLE_S * 100
            idle_rss = resident_mib(box.process.pid)
            stages = [(await box.scan(SCANNED[number % len(SCANNED)]))["stages"] for number in range(scans)]
            committed = sorted(stage["committed"] for stage in stages)
            return {
                "cold start, s": start,
                "idle RSS, MiB": idle_rss,
                "idle CPU, %": idle_cpu,
                "press to committed, median ms": statistics.median(committed),
                "press to committed, p95 ms": committed[int(len(committed) * 0.95)],
                "of it reading, median ms": statistics.median(s["read"] - s["captured"] for s in stages),
                "of it judging and committing, median ms": statistics.median(
                    s["committed"] - s["read"] for s in stages
                ),
                f"RSS after {scans} scans, MiB": resident_mib(box.process.pid),
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=70)
    for name, value in asyncio.run(measure(parser.parse_args().scans)).items():
        goal = GOALS.get(name)
        print(f"{name:42}{value:10.2f}" + (f"   goal ≤ {goal:g}  ({value / goal:.2f} of it)" if goal else ""))


if __name__ == "__main__":
    main()

"""Power cuts at every write: `python -m tests.proof.power_cut [--subject NAME] [--seeds N] [--drawn N]`."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edged.errors import StateError
from tests.proof import journal
from tests.proof.subjects import SUBJECTS, Keys, make_fleet


@dataclass
class Report:
    """What was tried and what went wrong."""

    records: int = 0
    cuts: int = 0
    promises: int = 0
    failures: list[str] | None = None

    def __post_init__(self) -> None:
        self.failures = []


def memory() -> Path | None:
    """A directory in memory, where a sync costs nothing: the disk is a model here anyway."""
    shared = Path("/dev/shm")
    return shared if shared.is_dir() else None


def try_out(
    subject: str,
    seed: int,
    *,
    drawn: int,
    every: int = 1,
    sample: float = 1.0,
    environment: Mapping[str, str] | None = None,
    stop_at: int = 1,
    tell: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Record one workload and open every disk its power cuts may leave (of the strictest, a `sample`)."""
    report = Report()
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=memory(), prefix="edged-cut-") as name:
        place = Path(name)
        make_fleet(place / "fleet")
        home = place / "live"
        home.mkdir()
        tester = SUBJECTS[subject](Keys(place / "fleet"))
        before = tester.prepare(home)
        disk = _beginning(home)
        faithful = _beginning(home)
        arguments = (subject, str(seed), str(place / "fleet"))
        found = journal.recorded(
            journal.build(place), home, "tests.proof.subjects", *arguments, environment=environment
        )
        _faithful(found, faithful, home)
        report.records = len(found)
        for cut in journal.cuts(found, disk, chance, drawn=drawn, every=every):
            if cut.how.startswith("only") and chance.random() >= sample:
                continue
            image = place / "image"
            journal.write_image(cut.image, image)
            promises = before + [json.loads(line) for line in cut.promises.splitlines()]
            report.cuts += 1
            report.promises = max(report.promises, len(promises))
            try:
                tester.check(image, promises)
            except (AssertionError, StateError) as error:
                assert report.failures is not None
                report.failures.append(f"record {cut.at} of {len(found)}, {cut.how}: {error!r:.300}")
                if len(report.failures) >= stop_at:
                    break
            tell(report)
    return report


def _beginning(home: Path) -> journal.Disk:
    disk = journal.Disk(journal.read_image(home))
    disk.learn(home)
    return disk


def _faithful(found: list[journal.Record], disk: journal.Disk, home: Path) -> None:
    """The journal followed to its end gives exactly the files that are there: nothing escaped the shim."""
    for record in found:
        disk.follow(record)
    kept = {name: content for name, content in disk.now().items() if not name.endswith("-shm")}
    real = {name: content for name, content in journal.read_image(home).items() if not name.endswith("-shm")}
    assert kept == real, f"the journal and the directory differ: {sorted(kept)}, {sorted(real)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject", choices=SUBJECTS, action="append")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument(
        "--drawn", type=int, default=2, help="disks drawn at every write, beside the strictest"
    )
    options = parser.parse_args()
    failed = False
    for subject in options.subject or SUBJECTS:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            began = time.monotonic()

            def tell(report: Report, subject: str = subject, seed: int = seed) -> None:
                if report.cuts % 100 == 0 and sys.stderr.isatty():
                    print(f"\r{subject} {seed}: {report.cuts} power cuts", end="", file=sys.stderr)

            report = try_out(subject, seed, drawn=options.drawn, stop_at=10, tell=tell)
            failed |= bool(report.failures)
            print(
                f"{subject:8} seed {seed}: {report.records} records, {report.promises} promises,"
                f" {report.cuts} power cuts, {len(report.failures or ())} failed"
                f" ({time.monotonic() - began:.1f} s)",
                flush=True,
            )
            for line in report.failures or ():
                print("   ", line)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

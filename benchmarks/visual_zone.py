"""How the visual zone's checks come out on real specimens, and how long they take.

    python benchmarks/visual_zone.py [CORPUS]

CORPUS is a folder with images and a `corpus.json` of their verified lines (default: ../shared/corpus). Prints one line
an image and the totals: no content of any document.
"""

from __future__ import annotations

import argparse
import collections
import datetime
import json
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edged.core.reading import read_page
from edged.core.vision import cv2
from edged.core.viz import CHECK_NAMES, read_visual_zone, visual_zone_checks
from edged.verdict import Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edged.verdict import Check

TODAY = datetime.date(2026, 6, 15)
LARGE = 1_500_000  # pixels
_SIGNS = {Result.SUCCESSFUL: "+", Result.FAILED: "FAILED", Result.UNDETERMINED: "?"}


class Examined(NamedTuple):
    """One image: its resolution at the MRZ, and what came out."""

    file: str
    pixels: int
    per_mm: float
    milliseconds: float
    lines: int
    checks: tuple[Check, ...]


def examine(corpus: Path, runs: int = 3) -> Iterator[Examined]:
    """Every image of the corpus in which an MRZ is read; processor time is the least of some runs."""
    for entry in json.loads((corpus / "corpus.json").read_text()):
        image = cv2.imread(str(corpus / entry["file"]))
        reading = read_page(image, today=TODAY)
        if reading.mrz is None:
            continue
        best = float("inf")
        for _ in range(runs):
            began = time.thread_time()
            zone = read_visual_zone(image, reading)
            checks = visual_zone_checks(reading, [zone])
            best = min(best, (time.thread_time() - began) * 1000)
        per_mm = reading.rows[0].length / (len(reading.mrz.lines.reveal()[0]) * 2.54)
        lines = len(zone.lines) if zone is not None else 0
        yield Examined(entry["file"], image.shape[0] * image.shape[1], per_mm, best, lines, checks)


def counts(examined: Iterable[Examined]) -> dict[str, collections.Counter[str]]:
    """How often each check had each result."""
    found: dict[str, collections.Counter[str]] = {name: collections.Counter() for name in CHECK_NAMES}
    for one in examined:
        for check in one.checks:
            found[check.name][check.result.value] += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path, nargs="?", default=Path("../shared/corpus"))
    args = parser.parse_args()
    if not (args.corpus / "corpus.json").is_file():
        raise SystemExit(f"{args.corpus / 'corpus.json'} is missing: name a corpus")
    print(f"{'image':44} {'px/mm':>5} {'ms':>6}  {'birth':7} {'expiry':7} {'number':7} lines")
    examined = []
    for one in examine(args.corpus):
        signs = " ".join(f"{_SIGNS[check.result]:7}" for check in one.checks)
        print(f"{one.file:44} {one.per_mm:5.1f} {one.milliseconds:6.1f}  {signs} {one.lines}")
        examined.append(one)
    for name, found in counts(examined).items():
        print(f"{name}: " + ", ".join(f"{found[result.value]} {result.value}" for result in _SIGNS))
    print("processor time, the least of three runs each:")
    times = [one.milliseconds for one in examined]
    print(f"all pages: median {statistics.median(times):.1f} ms, most {max(times):.1f} ms")
    large = [one.milliseconds for one in examined if one.pixels > LARGE]
    if large:
        print(f"pages over 1.5 megapixels: median {statistics.median(large):.1f} ms of {len(large)}")


if __name__ == "__main__":
    main()

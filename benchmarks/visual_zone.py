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

from edged.core.reading import read_page
from edged.core.vision import cv2
from edged.core.viz import CHECK_NAMES, read_visual_zone, visual_zone_checks
from edged.verdict import Result

TODAY = datetime.date(2026, 6, 15)
_SIGNS = {Result.SUCCESSFUL: "+", Result.FAILED: "FAILED", Result.UNDETERMINED: "?"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path, nargs="?", default=Path("../shared/corpus"))
    args = parser.parse_args()
    if not (args.corpus / "corpus.json").is_file():
        raise SystemExit(f"{args.corpus / 'corpus.json'} is missing: name a corpus")
    entries = json.loads((args.corpus / "corpus.json").read_text())
    counts: dict[str, collections.Counter[str]] = {name: collections.Counter() for name in CHECK_NAMES}
    times, large = [], []
    print(f"{'image':44} {'px/mm':>5} {'ms':>6}  {'birth':7} {'expiry':7} {'number':7} lines")
    for entry in entries:
        image = cv2.imread(str(args.corpus / entry["file"]))
        reading = read_page(image, today=TODAY)
        if reading.mrz is None:
            continue
        best = float("inf")
        for _ in range(3):
            began = time.thread_time()
            zone = read_visual_zone(image, reading)
            checks = visual_zone_checks(reading, [zone])
            best = min(best, (time.thread_time() - began) * 1000)
        times.append(best)
        if image.shape[0] * image.shape[1] > 1_500_000:
            large.append(best)
        for check in checks:
            counts[check.name][check.result.value] += 1
        row = reading.rows[0]
        per_mm = row.length / (len(reading.mrz.lines.reveal()[0]) * 2.54)
        signs = " ".join(f"{_SIGNS[check.result]:7}" for check in checks)
        print(f"{entry['file']:44} {per_mm:5.1f} {best:6.1f}  {signs} {len(zone.lines) if zone else 0}")
    for name, found in counts.items():
        print(f"{name}: " + ", ".join(f"{found[result.value]} {result.value}" for result in _SIGNS))
    print("processor time, the least of three runs each:")
    print(f"all pages: median {statistics.median(times):.1f} ms, most {max(times):.1f} ms")
    if large:
        print(f"pages over 1.5 megapixels: median {statistics.median(large):.1f} ms of {len(large)}")


if __name__ == "__main__":
    main()

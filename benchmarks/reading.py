"""How well MRZs are read: exact, wrong-as-valid and time, by format and kind, on a folder of images.

The folder holds images and a `corpus.json`: a list of {"file", "format", "kind", "lines" (null where there is
nothing to be read), "check_ok"}. `--degrade` adds copies as a camera at a counter would take them: turned,
tilted, small, blurred, glaring, compressed. `--specimens` reads the package's own specimens instead.

    python benchmarks/reading.py CORPUS [--degrade N] [--json] [--failures]
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

TODAY = datetime.date(2026, 11, 21)
"""Fixed, so that a run next year judges the same dates alike."""


def items(folder: Path) -> list[dict[str, Any]]:
    """What a corpus folder holds."""
    entries: list[dict[str, Any]] = json.loads((folder / "corpus.json").read_text())
    return [{**entry, "path": folder / entry["file"]} for entry in entries]


def specimen_items() -> list[dict[str, Any]]:
    """The shipped specimens in the shape of a corpus: each side is an item, only the last one has the lines."""
    import edged.specimens

    folder = Path(str(edged.specimens.__path__[0]))
    found = []
    for path in sorted(folder.glob("*.json")):
        specimen = json.loads(path.read_text())
        for side in specimen["sides"]:
            lines = specimen["expected"]["lines"] if side == specimen["sides"][-1] else None
            good = specimen["expected"]["checks"].get("mrz_check_digits") == "successful"
            found.append(
                {
                    "file": side,
                    "path": folder / side,
                    "format": specimen["expected"]["format"] if lines else None,
                    "kind": "specimen",
                    "lines": lines,
                    "check_ok": good,
                }
            )
    return found


def degrade(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy as a counter camera might take it: any right angle, a tilt, some perspective, and one or two faults."""
    import cv2

    image = np.ascontiguousarray(np.rot90(image, int(rng.integers(4))))
    height, width = image.shape[:2]
    margin = rng.uniform(0.03, 0.25)
    canvas = (int(width * (1 + 2 * margin)), int(height * (1 + 2 * margin)))
    tilt = np.radians(rng.normal(0, 3.0))
    centre = np.array([width, height]) / 2
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float) - centre
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    target = corners @ turn.T + np.array(canvas) / 2 + rng.normal(0, 0.012, (4, 2)) * max(width, height)
    matrix = cv2.getPerspectiveTransform((corners + centre).astype(np.float32), target.astype(np.float32))
    backdrop = tuple(int(v) for v in rng.integers(0, 255, 3))
    image = cv2.warpPerspective(image, matrix, canvas, flags=cv2.INTER_CUBIC, borderValue=backdrop)
    picture = image.astype(np.float32)
    fault = int(rng.integers(6))
    if fault == 0:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.6) * max(canvas) / 1000)
    elif fault == 1:  # glare
        y, x = np.mgrid[0 : canvas[1], 0 : canvas[0]].astype(np.float32)
        spot = rng.uniform(0, 1, 2) * canvas
        spread = rng.uniform(0.08, 0.3) * max(canvas)
        light = np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / (2 * spread**2))
        picture += light[..., None] * rng.uniform(60, 220)
    elif fault == 2:
        picture = picture * rng.uniform(0.25, 0.7) + rng.normal(0, rng.uniform(2, 9), picture.shape)
    elif fault == 3:  # a shadow across
        ramp = np.linspace(rng.uniform(0.35, 1.0), rng.uniform(0.35, 1.0), canvas[0])
        picture *= ramp[None, :, None]
    elif fault == 4:
        small = rng.uniform(0.75, 1.0)
        picture = cv2.resize(picture, None, fx=small, fy=small, interpolation=cv2.INTER_AREA)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(45, 96))]
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR))


def examine(entries: list[dict[str, Any]], degraded: int) -> list[dict[str, Any]]:
    """Read everything; one record for each picture."""
    from edged.core.image import decode_image
    from edged.core.reading import read_page

    records = []
    for entry in entries:
        original = decode_image(entry["path"].read_bytes())
        for copy in range(degraded + 1):
            seed = [copy, *entry["file"].encode()]
            image = original if not copy else degrade(original, np.random.default_rng(seed))
            began = time.perf_counter()
            reading = read_page(image, today=TODAY)
            ms = (time.perf_counter() - began) * 1000
            got = None if reading.mrz is None else list(reading.mrz.lines.reveal())
            expected = entry["lines"]
            records.append(
                {
                    "file": entry["file"],
                    "copy": copy,
                    "format": entry["format"],
                    "kind": entry["kind"] + (" degraded" if copy else ""),
                    "expected": expected,
                    "got": got,
                    "exact": expected is not None and got == expected,
                    "valid": reading.valid,
                    "false_valid": reading.valid and (got != expected or not entry.get("check_ok", True)),
                    "missed_valid": not reading.valid and got == expected and bool(entry.get("check_ok")),
                    "reasons": [reason.code for reason in reading.reasons],
                    "confidence": round(reading.confidence, 3),
                    "ms": ms,
                }
            )
    return records


def confusions(records: list[dict[str, Any]]) -> Counter[str]:
    """Which characters were read as which, where lines were found and of the right length."""
    found: Counter[str] = Counter()
    for record in records:
        if record["got"] and record["expected"] and len(record["got"]) == len(record["expected"]):
            for got, expected in zip("".join(record["got"]), "".join(record["expected"]), strict=False):
                if got != expected:
                    found[f"{expected}→{got}"] += 1
    return found


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Rates of one set of records."""
    positives = [r for r in records if r["expected"] is not None]
    times = sorted(r["ms"] for r in records)
    return {
        "pictures": len(records),
        "positives": len(positives),
        "exact": sum(r["exact"] for r in positives),
        "wrong_lines": sum(r["got"] is not None and not r["exact"] for r in records),
        "valid": sum(r["valid"] for r in records),
        "wrong_as_valid": sum(r["false_valid"] for r in records),
        "right_but_not_valid": sum(r["missed_valid"] for r in positives),
        "ms_median": round(statistics.median(times), 1),
        "ms_p95": round(times[min(len(times) - 1, int(len(times) * 0.95))], 1),
        "ms_max": round(times[-1], 1),
    }


def report(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole table: all, by format, by kind, and the confusions."""
    groups: dict[str, dict[str, list[dict[str, Any]]]] = {
        "format": defaultdict(list),
        "kind": defaultdict(list),
    }
    for record in records:
        groups["format"][record["format"] or "none"].append(record)
        groups["kind"][record["kind"]].append(record)
    table: dict[str, Any] = {"all": summary(records)}
    for name, members in groups.items():
        table[name] = {key: summary(members[key]) for key in sorted(members)}
    table["confusions"] = dict(confusions(records).most_common(20))
    return table


def show(table: dict[str, Any]) -> None:
    """The table for people."""
    head = (
        f"{'':28}{'pictures':>9}{'exact':>13}{'not valid':>11}{'WRONG VALID':>13}{'median ms':>11}{'p95':>8}"
    )
    print(head)

    def line(name: str, s: dict[str, Any]) -> None:
        exact = f"{s['exact']}/{s['positives']}"
        print(
            f"{name:28}{s['pictures']:>9}{exact:>13}{s['right_but_not_valid']:>11}{s['wrong_as_valid']:>13}"
            f"{s['ms_median']:>11}{s['ms_p95']:>8}"
        )

    line("all", table["all"])
    for group in ("format", "kind"):
        for name, values in table[group].items():
            line(f"  {name}", values)
    print("'not valid': read exactly and right, but not sure enough to be called valid")
    print("confusions:", ", ".join(f"{k} {v}" for k, v in table["confusions"].items()) or "none")


def main() -> int:
    """Run the benchmark; exits 1 when a wrong MRZ was presented as valid."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("EDGED_CORPUS", str(Path(__file__).parents[2] / "shared" / "corpus"))
    parser.add_argument("corpus", nargs="?", type=Path, default=Path(default))
    parser.add_argument(
        "--specimens", action="store_true", help="the package's specimens instead of a folder"
    )
    parser.add_argument(
        "--degrade", type=int, default=0, metavar="N", help="N degraded copies of each picture"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--failures", action="store_true", help="list what was not read or not sure")
    args = parser.parse_args()
    if not args.specimens and not (args.corpus / "corpus.json").exists():
        print(f"no corpus.json in {args.corpus}", file=sys.stderr)
        return os.EX_NOINPUT
    records = examine(specimen_items() if args.specimens else items(args.corpus), args.degrade)
    table = report(records)
    if args.json:
        print(json.dumps(table))
    else:
        show(table)
    if args.failures:
        for record in records:
            if record["false_valid"] or record["got"] != record["expected"] or record["missed_valid"]:
                mark = "WRONG VALID " if record["false_valid"] else ""
                print(f"{mark}{record['file']} #{record['copy']} {record['confidence']} {record['reasons']}")
                for got, expected in zip(record["got"] or (), record["expected"] or (), strict=False):
                    if got != expected:
                        print(f"    {got}\n  = {expected}")
    return int(table["all"]["wrong_as_valid"] > 0)


if __name__ == "__main__":
    raise SystemExit(main())

"""How long a decoded page of two megapixels takes on one core, and what it needs: measured in a process of its own.

`measure` starts `python -m benchmarks.accuracy.speed` pinned to one core, so that neither the parent's memory nor
its threads count. Time is the least of several readings of the same page: what the machine does when it is left
alone. The processor time beside it is the same on an idle machine, and tells how far others disturbed this one.
Memory is the kernel's high-water mark of resident memory, reset before a page is read.
"""

from __future__ import annotations

import ctypes
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .examine import TODAY
from .scoring import percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .sources import Item

ROOT = Path(__file__).resolve().parents[2]
PIXELS = 2_000_000
REPEATS = 5
_LOADS = 3


def two_megapixels(image: NDArray[np.uint8], quarters: int) -> NDArray[np.uint8]:
    """The page at two megapixels, turned by so many right angles."""
    import cv2

    scale = (PIXELS / (image.shape[0] * image.shape[1])) ** 0.5
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(image, None, fx=scale, fy=scale, interpolation=method)
    return np.ascontiguousarray(np.rot90(resized, quarters))


def models_mb() -> float:
    """Megabytes of everything shipped under `edged/core/models`."""
    folder = files("edged.core").joinpath("models")
    return sum(len(entry.read_bytes()) for entry in folder.iterdir() if entry.is_file()) / 1e6


def _memory(name: str) -> float:
    """A size from /proc/self/status in MiB; `VmHWM` is the high-water mark."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    raise OSError(f"no {name} in /proc/self/status")


def _extra(image: NDArray[np.uint8]) -> tuple[float, float]:
    """(MiB above what was resident before, milliseconds) of one reading."""
    from edged.core.reading import read_page

    ctypes.CDLL(None).malloc_trim(0)  # what drawing the pages left in the heap would hide what reading takes
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    began = time.perf_counter()
    read_page(image, today=TODAY)
    ms = (time.perf_counter() - began) * 1000
    return _memory("VmHWM") - before, ms


def _pages(items: Sequence[Item]) -> list[tuple[str, NDArray[np.uint8]]]:
    return [(item.set, two_megapixels(item.load().image, place % 4)) for place, item in enumerate(items)]


def child(items: Sequence[Item], *, only_load: bool) -> dict[str, Any]:
    """What the measuring process does; the parent is `measure`."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import cv2

    import edged.core.reading as reader

    cv2.setNumThreads(1)
    pages = _pages(items)
    extra, first = _extra(pages[0][1])
    second = min(_extra(pages[0][1])[1] for _ in range(3))
    found: dict[str, Any] = {"load_ms": max(0.0, first - second)}
    if only_load:
        return found
    times: dict[str, list[float]] = defaultdict(list)
    work: list[float] = []
    stages: dict[str, list[float]] = defaultdict(list)
    for set_name, image in pages:
        extra = max(extra, _extra(image)[0])
        best, least, laps = float("inf"), float("inf"), {}
        for _ in range(REPEATS):
            began, busy = time.perf_counter(), time.process_time()
            reading = reader.read_page(image, today=TODAY)
            took = (time.perf_counter() - began) * 1000
            least = min(least, (time.process_time() - busy) * 1000)
            if took < best:
                best, laps = took, reading.timings_ms
        times[set_name].append(best)
        work.append(least)
        for stage, ms in laps.items():
            stages[stage].append(ms)
    return {**found, "extra_mib": extra, "times": times, "work": work, "stages": stages}


def _start(items: Sequence[Item], *, only_load: bool) -> dict[str, Any]:
    request = {
        "only_load": only_load,
        "items": [{**item._asdict(), "path": item.path and str(item.path)} for item in items],
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.accuracy.speed"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if done.returncode:
        raise RuntimeError(f"the measuring process failed:\n{done.stderr}")
    return dict(json.loads(done.stdout))


def measure(items: Sequence[Item]) -> dict[str, Any]:
    """Median, p95 and stages of the pages at two megapixels; memory; the models' size and loading time."""
    found = _start(items, only_load=False)
    loads = [found["load_ms"], *(_start(items[:1], only_load=True)["load_ms"] for _ in range(_LOADS - 1))]
    every = [ms for values in found["times"].values() for ms in values]
    return {
        "pages": len(every),
        "ms_median": round(statistics.median(every), 1),
        "ms_p95": round(percentile(every, 0.95), 1),
        "ms_max": round(max(every), 1),
        "work_median": round(statistics.median(found["work"]), 1),
        "work_p95": round(percentile(found["work"], 0.95), 1),
        "by_set": {
            name: {
                "pages": len(v),
                "median": round(statistics.median(v), 1),
                "p95": round(percentile(v, 0.95), 1),
            }
            for name, v in found["times"].items()
        },
        "stages": {
            name: {"median": round(statistics.median(v), 2), "p95": round(percentile(v, 0.95), 2)}
            for name, v in found["stages"].items()
        },
        "extra_mib": round(found["extra_mib"], 1),
        "load_ms": round(min(loads), 1),
        "model_mb": round(models_mb(), 2),
        "text": text_rates(),
    }


def text_rates() -> dict[str, float]:
    """Zones a second, by what is done with them, as `benchmarks/mrz_text.py` measures it."""
    command = [sys.executable, str(ROOT / "benchmarks" / "mrz_text.py"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return dict(json.loads(done.stdout)["per_second"])


def main() -> None:
    """The child: items as JSON on standard input, results on standard output."""
    from .sources import Item

    request = json.loads(sys.stdin.read())
    items = [
        Item(**{**entry, "path": Path(entry["path"]) if entry["path"] else None})
        for entry in request["items"]
    ]
    print(json.dumps(child(items, only_load=request["only_load"])))


if __name__ == "__main__":
    main()

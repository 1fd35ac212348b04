"""What looking at a page costs besides reading it: image quality, portrait, optical features.

    .venv/bin/python benchmarks/looks.py [IMAGE...]

Milliseconds of processor time on one core, the least of many runs, for each image (default: three shipped specimens).
Optical features are measured with the picture itself as the infrared and ultraviolet frame: the time is the same.
"""

from __future__ import annotations

import sys
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from edged.core import portrait, quality
from edged.core.image import decode_image
from edged.core.optical import measure
from edged.core.reading import read_page
from edged.events import Light

if TYPE_CHECKING:
    from collections.abc import Callable

SPECIMENS = Path(__file__).parents[1] / "edged" / "specimens"
DEFAULT = ("passport.jpg", "identity-card.jpg", "permit-two-sides-1.jpg")
RUNS = 30


def least(work: Callable[..., object], *arguments: object) -> float:
    """Milliseconds of this thread's processor time: other programs don't count."""
    best = float("inf")
    for _ in range(RUNS):
        began = time.thread_time()
        work(*arguments)
        best = min(best, time.thread_time() - began)
    return best * 1000


def main() -> None:
    files = [Path(name) for name in sys.argv[1:]] or [SPECIMENS / name for name in DEFAULT]
    heads = ("MP", "measure", "of_page", "of_rows", "portrait", "its grey", "optical")
    print(f"{'image':<34}" + "".join(f"{head:>10}" for head in heads))
    for file in files:
        page = decode_image(file.read_bytes())
        grey = cv2.cvtColor(page, cv2.COLOR_BGR2GRAY)
        reading = read_page(page, today=date(2026, 6, 15))
        rows, layout = reading.rows, None if reading.mrz is None else reading.mrz.format
        times: list[float | None] = [
            grey.size / 1e6,
            least(quality.measure, grey),
            least(quality.of_page, grey),
            least(quality.of_rows, grey, rows) if rows else None,
            least(portrait.look_for_portrait, page, rows, layout),
            least(portrait.look_for_portrait, grey, rows, layout),
            None,
        ]
        if layout is not None:
            frames = dict.fromkeys(Light, page)
            times[-1] = least(measure, frames, rows, layout)
        print(f"{file.name:<34}" + "".join(f"{'–' if t is None else f'{t:.2f}':>10}" for t in times))


if __name__ == "__main__":
    main()

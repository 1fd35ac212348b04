"""What a slip costs, and how it survives: sign, draw, PDF, printer's bytes; photographs decoded, false alarms.

    python -m benchmarks.slip [--photos 100]

Times are the least of several; rates are of made-up photographs (`tests/photographs.py`), by zxing-cpp as `edged slip
verify` uses it and by zbar, which knows nothing of us. Exit status 1: a genuine slip was called altered.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pyzbar import pyzbar

from edged.drivers.escpos_bytes import Paper, encode
from edged.slip import content, finding, looking, pdf, picture, verifying
from edged.slip.faces import installed
from edged.slip.receipt import print_job
from tests.broker import Town
from tests.photographs import KINDS, photograph
from tests.slip_paper import facts, longest, page, printed, signed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.slip_paper import Signed


def least_ms(work: Callable[[], Any], times: int = 7) -> float:
    took = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return 1000 * min(took)


def costs(place: Town) -> None:
    slip, faces = signed(place, facts()), installed()
    lines, mark = content.lines(slip.facts), content.watermark(slip.facts)
    a6 = page(slip, "a6", faces)
    rows: list[tuple[str, Callable[[], Any]]] = [
        ("sign", lambda: signed(place, facts())),
        ("verify the signature (no directory)", lambda: verifying.verify(slip.url, None, at=place_now())),
        ("lay out (with the QR code)", lambda: page(slip, "58", faces)),
        ("draw 58 mm in dots", lambda: picture.dots(page(slip, "58", faces), faces)),
        ("draw 80 mm in dots", lambda: picture.dots(page(slip, "80", faces), faces)),
        (
            "58 mm to ESC/POS bytes",
            lambda: encode(print_job(lines, slip.url, mark, 58).elements(), Paper(58)),
        ),
        ("PDF", lambda: pdf.pdf(a6, faces)),
        ("PNG", lambda: picture.png(a6, faces)),
    ]
    print("| step | ms |\n|---|---|")
    for name, work in rows:
        print(f"| {name} | {least_ms(work):.1f} |", flush=True)


def place_now() -> Any:
    from tests.broker import NOW

    return NOW


def survival(place: Town, photos: int) -> int:
    alarms, faces = 0, installed()
    print(
        "\n| slip, paper, photograph | zxing-cpp | zbar | lines same | to be compared by eye | false alarms |"
    )
    print("|---|---|---|---|---|---|")
    for name, said in (("ordinary", facts()), ("longest", longest())):
        slip: Signed = signed(place, said)
        lines, mark = content.lines(slip.facts), content.watermark(slip.facts)
        for width in (58, 80):
            dots = printed(slip, width)
            for kind, shot in KINDS.items():
                rng = np.random.default_rng(9303)
                read = zbar = same = unsure = wrong = 0
                for _ in range(photos):
                    photo = photograph(dots, shot(rng), rng)
                    codes = pyzbar.decode(photo, symbols=[pyzbar.ZBarSymbol.QRCODE])
                    zbar += any(one.data.decode() == slip.url for one in codes)
                    found = [one for one in finding.find(photo) if one.text == slip.url]
                    if not found:
                        continue
                    read += 1
                    seen = looking.look(photo, found[0], lines, mark, faces)
                    same += sum(one is looking.Look.SAME for one in seen.looks.values())
                    unsure += sum(one is looking.Look.UNSURE for one in seen.looks.values())
                    wrong += bool(seen.differing)
                every = max(1, read * len(lines))
                print(
                    f"| {name}, {width} mm, {kind} | {read}/{photos} | {zbar}/{photos} | {same / every:.1%} "
                    f"| {unsure / every:.1%} | {wrong} |",
                    flush=True,
                )
                alarms += wrong
    return alarms


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = Town(Path(directory))
        costs(place)
        return int(survival(place, options.photos) > 0)


if __name__ == "__main__":
    sys.exit(main())

"""How fast MRZ text is judged and parsed: `python benchmarks/mrz_text.py`. One core, one process, one run.

Over the published specimens: classify and check digits in the batch call, typed fields (`parse_mrz` and every
field of the result), and plain Python that only judges check digits, as the measure of the machine.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from edged.core.layouts import KERNEL  # noqa: E402
from edged.core.mrz import Mrz, parse_mrz  # noqa: E402
from tests import mrz_oracle  # noqa: E402
from tests.mrz_specimens import SPECIMENS, TODAY  # noqa: E402

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable

ROUNDS = 5
FIELDS = (
    *(
        "lines",
        "surname",
        "given_names",
        "document_number",
        "nationality",
        "sex",
        "optional_data",
        "birth_date",
    ),
    *("expiry_date", "valid", "reasons"),
)


def best_rate(work: Callable[[], int]) -> float:
    """MRZs a second in the best of `ROUNDS` rounds: what the machine can do when left alone."""
    rates = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        count = work()
        rates.append(count / (time.perf_counter() - start))
    return max(rates)


def batch(repeat: int) -> Callable[[], int]:
    texts = ["".join(entry["lines"]) for entry in SPECIMENS] * repeat
    data = "\n".join(texts).encode()

    def work() -> int:
        assert not any(KERNEL.check_many(data)[1::2])
        return len(texts)

    return work


def single(repeat: int) -> Callable[[], int]:
    texts = ["".join(entry["lines"]).encode() for entry in SPECIMENS] * repeat

    def work() -> int:
        for text in texts:
            KERNEL.check(text)
        return len(texts)

    return work


def typed(repeat: int, today: datetime.date, judge: Callable[[Mrz], object]) -> Callable[[], int]:
    records = [entry["lines"] for entry in SPECIMENS] * repeat

    def work() -> int:
        for lines in records:
            judge(parse_mrz(lines, today=today))
        return len(records)

    return work


def every_field(mrz: Mrz) -> None:
    for name in FIELDS:
        getattr(mrz, name)


def oracle(repeat: int) -> Callable[[], int]:
    records = [entry["lines"] for entry in SPECIMENS] * repeat

    def work() -> int:
        for lines in records:
            mrz_oracle.judge(lines)
        return len(records)

    return work


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    json_wanted = parser.parse_args().json
    rates = {
        "classify + check digits, batch call": best_rate(batch(5000)),
        "classify + check digits + alphabets, one call each": best_rate(single(1000)),
        "parse_mrz, valid or not": best_rate(typed(200, TODAY, lambda mrz: mrz.valid)),
        "parse_mrz, every typed field": best_rate(typed(200, TODAY, every_field)),
        "check digits in plain Python (oracle)": best_rate(oracle(20)),
    }
    slowest = rates["check digits in plain Python (oracle)"]
    if json_wanted:
        print(json.dumps({"python": platform.python_version(), "per_second": rates}))
        return 0
    print(f"{len(SPECIMENS)} specimens of every layout, Python {platform.python_version()}, one core")
    for what, rate in rates.items():
        print(f"{what:52} {rate:12,.0f} /s {rate / slowest:8.1f} x oracle")
    return 0


if __name__ == "__main__":
    sys.exit(main())

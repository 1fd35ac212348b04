"""How fast MRZ text is judged and parsed: `python benchmarks/mrz_text.py [--peers] [--json]`. One core, one process.

Over the published specimens: classify and check digits in the batch call, typed fields (`parse_mrz` and every field of
the result), and plain Python as the measure of the machine. With `--peers`, other projects' text parsers in the same
run, over the specimens of the layouts that they know; each is installed into an environment of its own, once.

Rates are per second of processor time in the best round, so that other work on the machine disturbs them little.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import mrz_text_peers as peers  # noqa: E402
from edged import __version__  # noqa: E402
from edged.core.countries import COUNTRIES  # noqa: E402
from edged.core.layouts import KERNEL  # noqa: E402
from edged.core.mrz import Mrz, parse_mrz  # noqa: E402
from tests import mrz_fields_oracle, mrz_oracle  # noqa: E402
from tests.mrz_specimens import SPECIMENS, TODAY  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 7
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
BATCH = "classify + check digits, batch call"
TYPED = "parse_mrz, every typed field"
ORACLE = "check digits in plain Python (oracle)"
GOALS = {BATCH: 2_000_000, TYPED: 500_000}
"""MRZs a second on one core; the fastest peer known when they were set did 60 000."""


def best_rate(work: Callable[[], int]) -> float:
    """MRZs a second in the best of `ROUNDS` rounds: what the machine can do when left alone."""
    rates = []
    for _ in range(ROUNDS):
        start = time.process_time()
        count = work()
        rates.append(count / (time.process_time() - start))
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


def each(
    repeat: int, judge: Callable[[list[str]], object], entries: list[dict[str, Any]]
) -> Callable[[], int]:
    records = [entry["lines"] for entry in entries] * repeat

    def work() -> int:
        for lines in records:
            judge(lines)
        return len(records)

    return work


def every_field(lines: list[str]) -> None:
    mrz = parse_mrz(lines, today=TODAY)
    for name in FIELDS:
        getattr(mrz, name)


def every_value(lines: list[str]) -> tuple[Any, ...]:
    """What somebody who shows a document touches: strings and dates out of their fences."""
    mrz = parse_mrz(lines, today=TODAY)
    birth, expiry = mrz.birth_date, mrz.expiry_date
    return (
        *(mrz.lines.reveal(), mrz.surname.reveal(), mrz.given_names.reveal(), mrz.document_number.reveal()),
        *(mrz.nationality.reveal(), mrz.sex.reveal(), mrz.optional_data.reveal(), birth and birth.date),
        *(expiry and expiry.date, mrz.valid, mrz.reasons),
    )


def own_rates() -> dict[str, float]:
    known = COUNTRIES.keys()
    return {
        BATCH: best_rate(batch(5000)),
        "classify + check digits + alphabets, one call each": best_rate(single(1000)),
        "parse_mrz, valid or not": best_rate(
            each(500, lambda lines: parse_mrz(lines, today=TODAY).valid, SPECIMENS)
        ),
        TYPED: best_rate(each(500, every_field, SPECIMENS)),
        "parse_mrz, every value out of its fence": best_rate(each(500, every_value, SPECIMENS)),
        ORACLE: best_rate(each(20, mrz_oracle.judge, SPECIMENS)),
        "every field in plain Python (oracle)": best_rate(
            each(10, lambda lines: mrz_fields_oracle.parse(lines, TODAY, known), SPECIMENS)
        ),
    }


def beside_peers() -> tuple[int, dict[str, dict[str, Any]]]:
    """(how many specimens, who: version, rate, how many found valid, how many with the right number and surname)."""
    entries = [entry for entry in SPECIMENS if entry["format"] in peers.FORMATS]
    found: dict[str, dict[str, Any]] = {}
    parsed: list[tuple[dict[str, Any], Mrz]] = [
        (entry, parse_mrz(entry["lines"], today=TODAY)) for entry in entries
    ]
    found["edged"] = {
        "version": __version__,
        "per_second": best_rate(each(500, every_value, entries)),
        "valid": sum(mrz.valid for _, mrz in parsed),
        "right": sum(
            mrz.valid
            and mrz.document_number.reveal() == entry["fields"]["document_number"]
            and mrz.surname.reveal() == entry["fields"]["surname"]
            for entry, mrz in parsed
        ),
    }
    wanted = [
        {
            "lines": entry["lines"],
            "number": entry["fields"]["document_number"],
            "surname": entry["fields"]["surname"],
        }
        for entry in entries
    ]
    for name in peers.PEERS:
        found[name] = peers.measure(name, wanted)
    return len(entries), found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--peers", action="store_true", help="measure other projects' parsers, too")
    options = parser.parse_args()
    rates = own_rates()
    count, others = beside_peers() if options.peers else (0, {})
    if options.json:
        told = {"python": platform.python_version(), "per_second": rates, "goals": GOALS, "peers": others}
        print(json.dumps(told))
        return 0
    print(f"{len(SPECIMENS)} specimens of every layout, Python {platform.python_version()}, one core")
    for what, rate in rates.items():
        goal = GOALS.get(what)
        verdict = "" if goal is None else f"  goal {goal:,}: {'reached' if rate >= goal else 'MISSED'}"
        print(f"{what:52} {rate:12,.0f} /s {rate / rates[ORACLE]:8.1f} x oracle{verdict}")
    if others:
        print(f"\n{count} specimens of the layouts that peers know; every value of each")
    for name, one in others.items():
        if "error" in one:
            print(f"{name:20} not measured: {one['error']}")
            continue
        print(
            f"{name + ' ' + one['version']:20} {one['per_second']:12,.0f} /s"
            f" {others['edged']['per_second'] / one['per_second']:8.1f} x slower than edged"
            f"   valid {one['valid']}, all of it right {one['right']} of {count}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

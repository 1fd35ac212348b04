"""Rates with their intervals, groups, confusions, and the goals they are held against."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .examine import Record

GROUPS = ("set", "format", "light", "kind", "issuer", "fault")
Z95 = 1.959964
"""The normal distribution's 97.5th percentile."""


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """95 % interval of a rate (Wilson's score interval): honest near 0 and 1, where the rates here are."""
    if trials == 0:
        return 0.0, 1.0
    rate, z2 = hits / trials, Z95 * Z95
    middle = (rate + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z95 * math.sqrt(rate * (1 - rate) / trials + z2 / (4 * trials * trials)) / (1 + z2 / trials)
    return max(0.0, middle - half), min(1.0, middle + half)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def summary(records: Sequence[Record]) -> dict[str, Any]:
    """Counts and rates of one group. `positives` have lines that a person can read; others are counted apart."""
    positives = [r for r in records if r["expected"] is not None and r["legible"]]
    hidden = [r for r in records if r["expected"] is not None and not r["legible"]]
    negatives = [r for r in records if r["expected"] is None]
    exact = sum(r["exact"] for r in positives)
    low, high = wilson(exact, len(positives))
    times = [r["ms"] for r in records if r.get("ms") is not None]
    return {
        "pictures": len(records),
        "positives": len(positives),
        "exact": exact,
        "exact_low": round(low, 4),
        "exact_high": round(high, 4),
        "key": sum(r["key"] for r in positives),
        "refused": sum(r["got"] is None for r in positives),
        "wrong_lines": sum(r["got"] is not None and not r["exact"] for r in records),
        "valid": sum(r["valid"] for r in records),
        "wrong_as_valid": sum(r["false_valid"] for r in records),
        "right_but_not_valid": sum(r["missed_valid"] for r in positives),
        "hidden": len(hidden),
        "hidden_exact": sum(r["exact"] for r in hidden),
        "negatives": len(negatives),
        "ms_median": round(statistics.median(times), 1) if times else None,
        "ms_p95": round(percentile(times, 0.95), 1) if times else None,
        "ms_max": round(max(times), 1) if times else None,
    }


def confusions(records: Sequence[Record]) -> Counter[str]:
    """Which characters were read as which, where lines of the right length were found."""
    found: Counter[str] = Counter()
    for record in records:
        if record["got"] and record["expected"] and len(record["got"]) == len(record["expected"]):
            for got, expected in zip("".join(record["got"]), "".join(record["expected"]), strict=False):
                if got != expected:
                    found[f"{expected}→{got}"] += 1
    return found


def refusals(records: Sequence[Record]) -> Counter[str]:
    """Why legible zones came to nothing: the first reason given."""
    return Counter(
        (r["reasons"] or ["(none)"])[0]
        for r in records
        if r["expected"] is not None and r["legible"] and r["got"] is None
    )


def report(records: Sequence[Record]) -> dict[str, Any]:
    """The whole table: all, by every group, the confusions and the refusals."""
    members: dict[str, dict[str, list[Record]]] = {group: defaultdict(list) for group in GROUPS}
    for record in records:
        for group in GROUPS[:-1]:
            if record[group]:
                members[group][record[group]].append(record)
        for fault in record["faults"]:
            members["fault"][fault].append(record)
    table: dict[str, Any] = {"all": summary(records)}
    for group, found in members.items():
        table[group] = {key: summary(found[key]) for key in sorted(found)}
    table["confusions"] = dict(confusions(records).most_common(40))
    table["refusals"] = dict(refusals(records).most_common())
    stages: dict[str, list[float]] = defaultdict(list)
    for record in records:
        for stage, ms in record.get("stages", {}).items():
            stages[stage].append(ms)
    table["stages"] = {stage: round(statistics.median(ms), 2) for stage, ms in stages.items()}
    return table


class Goal(NamedTuple):
    """A promise, what was measured, and whether it holds: True, False, or None where it wasn't shown."""

    name: str
    goal: str
    measured: str
    met: bool | None


_EXACT_GOALS = (
    ("corpus", 0.95, 1, "real pictures, exact"),
    ("reader-window", 0.999, 3000, "reader window, exact"),
    ("counter-camera", 0.995, 600, "counter camera, exact"),
    ("harsh", 0.95, 200, "harsh, exact"),
)
"""(set, rate, fewest positives that show it, name). A rate is claimed only on enough pictures to tell it."""


def goals(table: dict[str, Any], speed: dict[str, Any] | None = None) -> list[Goal]:
    """The issue's numbers against this run's."""
    found = []
    for set_name, rate, fewest, name in _EXACT_GOALS:
        values = table["set"].get(set_name)
        if values is None or not values["positives"]:
            found.append(Goal(name, f"≥ {rate:.1%}", "not measured", None))
            continue
        share = values["exact"] / values["positives"]
        text = f"{share:.2%} of {values['positives']} ({values['exact_low']:.2%}–{values['exact_high']:.2%})"
        met: bool | None = share >= rate
        if met and values["positives"] < fewest:
            met, text = None, f"{text}; claimed from {fewest} on"
        found.append(Goal(name, f"≥ {rate:.1%}", text, met))
    wrong, pictures = table["all"]["wrong_as_valid"], table["all"]["pictures"]
    found.append(Goal("wrong, presented as valid", "0", f"{wrong} of {pictures} pictures", wrong == 0))
    limits = (
        ("2 megapixels, one core, median", "ms_median", 25.0, "ms"),
        ("2 megapixels, one core, p95", "ms_p95", 60.0, "ms"),
        ("peak extra memory of a reading", "extra_mib", 64.0, "MiB"),
        ("shipped models", "model_mb", 2.0, "MB"),
        ("models load in", "load_ms", 50.0, "ms"),
    )
    for name, key, limit, unit in limits:
        if speed is None:
            found.append(Goal(name, f"≤ {limit:g} {unit}", "not measured", None))
        else:
            found.append(Goal(name, f"≤ {limit:g} {unit}", f"{speed[key]:g} {unit}", speed[key] <= limit))
    text = speed["text"] if speed else {}
    for name, start, least in (
        ("text: classified, all check digits", "classify + check digits, batch", 2e6),
        ("text: every typed field", "parse_mrz, every typed field", 5e5),
    ):
        rate = next((rate for what, rate in text.items() if what.startswith(start)), None)
        measured = "not measured" if rate is None else f"{rate:,.0f} a second"
        found.append(
            Goal(name, f"≥ {least:,.0f} a second", measured, None if rate is None else rate >= least)
        )
    return found

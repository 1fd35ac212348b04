"""Tables for people: on a terminal, and as Markdown for the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .scoring import GROUPS, wilson

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .examine import Record
    from .scoring import Goal

_TITLES = {
    "set": "By set",
    "format": "By format",
    "light": "By light",
    "kind": "By kind of picture",
    "issuer": "By issuing state",
    "fault": "By fault",
}
_MET = {True: "met", False: "**not met**", None: "not shown"}


def share(hits: int, trials: int) -> str:
    """A rate with its 95 % interval."""
    if not trials:
        return "–"
    low, high = wilson(hits, trials)
    return f"{hits / trials:.1%} ({low:.1%}–{high:.1%})"


def terminal(table: dict[str, Any], goals: Sequence[Goal], speed: dict[str, Any] | None) -> str:
    """Everything, for a terminal."""
    lines = [
        (
            f"{'':30}{'pictures':>9}{'exact':>12}{'rate':>8}{'95 % interval':>16}{'refused':>9}{'not valid':>11}"
            f"{'WRONG VALID':>13}{'hidden':>8}{'median ms':>11}{'p95':>8}"
        )
    ]

    def line(name: str, s: dict[str, Any]) -> str:
        exact = f"{s['exact']}/{s['positives']}" if s["positives"] else "–"
        rate = f"{s['exact'] / s['positives']:.1%}" if s["positives"] else ""
        interval = f"{s['exact_low']:.1%}–{s['exact_high']:.1%}" if s["positives"] else ""
        return (
            f"{name:30}{s['pictures']:>9}{exact:>12}{rate:>8}{interval:>16}{s['refused']:>9}"
            f"{s['right_but_not_valid']:>11}{s['wrong_as_valid']:>13}{s['hidden']:>8}{s['ms_median']:>11}{s['ms_p95']:>8}"
        )

    lines.append(line("all", table["all"]))
    for group in GROUPS:
        if group == "issuer" or (group == "set" and len(table["set"]) < 2):
            continue
        lines.append(f"{group}:")
        lines += [line(f"  {name}", values) for name, values in table[group].items()]
    lines.append(
        "refused: no lines although a person can read them · not valid: exact and right, but not sure enough ·\n"
        "hidden: pages on which some character can't be told by eye; they may be refused and are left out of the rates"
    )
    lines.append("confusions: " + (_counts(table["confusions"]) or "none"))
    lines.append("refusals: " + (_counts(table["refusals"]) or "none"))
    lines.append("median ms by stage: " + _counts(table["stages"]))
    if speed:
        lines.append(
            f"2 megapixels, one core: median {speed['ms_median']} ms, p95 {speed['ms_p95']} ms, "
            f"max {speed['ms_max']} ms over {speed['pages']} pages (processor time {speed['work_median']} and "
            f"{speed['work_p95']} ms); extra memory {speed['extra_mib']} MiB; "
            f"models {speed['model_mb']} MB, loaded in {speed['load_ms']} ms"
        )
        lines += [
            f"  {name:28}{v['median']:>8} ms median{v['p95']:>8} ms p95"
            for name, v in speed["by_set"].items()
        ]
        lines += [
            f"  {name:28}{v['median']:>8} ms median{v['p95']:>8} ms p95"
            for name, v in speed["stages"].items()
        ]
    lines.append("goals:")
    lines += [f"  {g.name:36}{g.goal:>12}  {g.measured:60}{_MET[g.met].strip('*')}" for g in goals]
    return "\n".join(lines)


def _counts(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return [*lines, ""]


def accuracy(
    table: dict[str, Any],
    goals: Sequence[Goal],
    speed: dict[str, Any] | None,
    peers: dict[str, Any] | None,
    how: str,
) -> str:
    """`docs/reading-accuracy.md`: accuracy, speed, peers, what is still misread."""
    lines = [
        "# Reading: accuracy, speed, peers",
        "",
        "Written by `benchmarks/reading.py`; don't edit. Rates are of pages a person can read, with 95 % intervals",
        f"(Wilson). Made with `{how}`.",
        "",
        "## Goals",
        "",
        *_table(
            ("what", "goal", "measured", ""),
            ((g.name, g.goal, g.measured, _MET[g.met]) for g in goals),
        ),
        "## Accuracy",
        "",
        "![Accuracy by set, format, light, kind and issuer](reading-accuracy.svg)",
        "",
        "*Exact*: every character of every line. *Refused*: nothing returned, with a reason. *Not valid*: exact and",
        "right, but not sure enough to be called valid. *Hidden*: glare, dirt or blur leaves some character without",
        "contrast; such pages may be refused and are left out of the rates, but never of *wrong as valid*.",
        "",
    ]
    for group in GROUPS:
        lines += _group(table, group)
    if speed:
        lines += _speed(speed)
    lines += ["## Peers", ""]
    lines += (
        peers_table(peers)
        if peers
        else ["Not run: `python -m benchmarks.peers --install`, then `--peers`.", ""]
    )
    lines += ["## What is still misread", ""]
    if table["confusions"]:
        lines += ["Characters, printed → read, in lines of the right length (valid or not):", ""]
        lines += _table(("printed → read", "times"), table["confusions"].items())
    else:
        lines += ["No line of the right length has a wrong character.", ""]
    if table["refusals"]:
        lines += ["Legible pages that were refused, by the first reason given:", ""]
        lines += _table(("reason", "pages"), table["refusals"].items())
    return "\n".join(lines)


def _group(table: dict[str, Any], group: str) -> list[str]:
    rows = [
        (
            name,
            s["pictures"],
            f"{s['exact']}/{s['positives']}",
            share(s["exact"], s["positives"]),
            s["refused"],
            s["right_but_not_valid"],
            f"{s['hidden_exact']}/{s['hidden']}",
            s["wrong_as_valid"],
        )
        for name, s in table[group].items()
        if group != "issuer" or s["exact"] < s["positives"] or s["wrong_as_valid"]
    ]
    if not rows:
        return []
    lines = [f"### {_TITLES[group]}", ""]
    if group == "issuer":
        perfect = len(table["issuer"]) - len(rows)
        lines += [
            f"{perfect} states without a miss are left out here; all are in [coverage.md](coverage.md).",
            "",
        ]
    head = (group, "pictures", "exact", "rate", "refused", "not valid", "hidden, exact", "wrong as valid")
    return [*lines, *_table(head, rows)]


def _speed(speed: dict[str, Any]) -> list[str]:
    lines = [
        "## Speed",
        "",
        f"{speed['pages']} pages rescaled to two megapixels, in all four directions, decoded, one core, the least of",
        "several readings of each page.",
        "",
    ]
    rows: list[tuple[object, ...]] = [("all", speed["pages"], speed["ms_median"], speed["ms_p95"])]
    rows.append(("all, processor time", speed["pages"], speed["work_median"], speed["work_p95"]))
    rows += [(name, v["pages"], v["median"], v["p95"]) for name, v in speed["by_set"].items()]
    lines += _table(("pages of", "pages", "median ms", "p95 ms"), rows)
    lines += _table(
        ("stage", "median ms", "p95 ms"), ((n, v["median"], v["p95"]) for n, v in speed["stages"].items())
    )
    lines += [
        (
            f"Peak extra memory {speed['extra_mib']} MiB (resident high-water mark of a process of its own, models "
            f"included); models {speed['model_mb']} MB, loaded in {speed['load_ms']} ms."
        ),
        "",
    ]
    return lines


def peers_table(peers: dict[str, Any]) -> list[str]:
    """Us and every peer on the same pictures in the same run."""
    lines = [
        "The same pictures for everyone in turn, each engine in a process of its own on one core, from the file to",
        "the answer. *Key lines*: every line but the name's. *Wrong as valid*: the engine says valid, and the text is",
        "wrong or its check digits are; one that doesn't judge its text is judged by the check digits.",
        "",
    ]
    for set_name, found in peers["sets"].items():
        lines += [
            f"### {set_name}: {found['pictures']} pictures, {found['positives']} with a legible zone",
            "",
        ]
        ours = found["engines"]["edged"]["ms_median"]
        rows = []
        for engine, s in found["engines"].items():
            if s["ms_median"] is None:
                rows.append((engine, "–", "–", "–", "–", "–", s["failed"]))
                continue
            times = "" if engine == "edged" else f"{s['ms_median'] / ours:.0f} ×"
            rows.append(
                (
                    engine,
                    f"{s['exact']} ({s['exact'] / max(1, s['positives']):.1%})",
                    s["key"],
                    s["wrong_as_valid"],
                    f"{s['ms_median']} / {s['ms_p95']}",
                    times,
                    s["failed"] or "",
                )
            )
        head = (
            "engine",
            "exact",
            "key lines",
            "wrong as valid",
            "median / p95 ms",
            "time against ours",
            "failed",
        )
        lines += _table(head, rows)
    lines += [
        "Versions: " + "; ".join(dict.fromkeys(peers["versions"].values())) + ".",
        "",
    ]
    if peers["missing"]:
        lines += [
            "Not run: " + "; ".join(f"{name} ({why})" for name, why in peers["missing"].items()) + ".",
            "",
        ]
    return lines


def failures(records: Sequence[Record]) -> str:
    """What was not read, or not sure: test material only, so its lines may be shown."""
    lines = []
    for record in records:
        if not record["legible"] and not record["false_valid"] and record["expected"] is not None:
            continue
        misread = record["expected"] is not None and not record["exact"]
        if not (record["false_valid"] or misread or record["missed_valid"]):
            continue
        mark = "WRONG VALID " if record["false_valid"] else ""
        faults = ", ".join(record["faults"])
        lines.append(
            f"{mark}{record['name']} {record['format']} {faults} {record['confidence']} {record['reasons']}"
        )
        for got, expected in zip(record["got"] or (), record["expected"] or (), strict=False):
            if got != expected:
                lines.append(f"    {got}\n  = {expected}")
    return "\n".join(lines)

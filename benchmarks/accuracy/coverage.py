"""`docs/coverage.md`: which states' documents were tried, on what material, with what rate. No line of any zone."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from edged.core.countries import COUNTRIES, name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .examine import Record

MATERIALS = {
    "corpus": "real",
    "degraded": "real, made worse",
    "specimens": "shipped specimens",
    "reader-window": "drawn, reader window",
    "counter-camera": "drawn, counter camera",
    "harsh": "drawn, harsh",
}


def coverage(records: Sequence[Record]) -> str:
    """The table: a row for each state and document, a column for each material, exact / tried."""
    cells: dict[tuple[str, str], dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    wrong = 0
    for record in records:
        wrong += record["false_valid"]
        if record["expected"] is None or not record["legible"] or record["set"] not in MATERIALS:
            continue
        cells[record["issuer"], record["document"]][record["set"]].append(record["exact"])
    used = [set_name for set_name in MATERIALS if any(set_name in row for row in cells.values())]
    states = {state for state, _ in cells}
    real = {state for (state, _), row in cells.items() if "corpus" in row}
    untried = sorted(code for code in COUNTRIES if code not in states and not COUNTRIES[code].specimen)
    lines = [
        "# Coverage by issuing state and document",
        "",
        "Written by `benchmarks/reading.py`; don't edit. Each cell: zones read exactly / legible zones tried. *Real*",
        "are pictures of specimen documents; *drawn* pages come from `tools/render_pages`, which knows a state's code",
        "and the layout its document has, not its own design. The state is the one in the zone's first line.",
        "",
        f"{len(states)} states and organisations, {len(real)} of them on real pictures. Wrong readings presented as",
        f"valid: {wrong}.",
        "",
        "| code | state | document | " + " | ".join(MATERIALS[s] for s in used) + " |",
        "|---|---|---|" + "---|" * len(used),
    ]
    for (state, document), row in sorted(cells.items()):
        counts = (f"{sum(row[s])}/{len(row[s])}" if row.get(s) else "" for s in used)
        known = state in COUNTRIES
        title = name(state, "en") if known else "not a code of the table"
        lines.append(f"| {state} | {title} | {document} | " + " | ".join(counts) + " |")
    lines += ["", f"Not tried on anything: {', '.join(untried) or 'none'}.", ""]
    return "\n".join(lines)

"""The picture of the accuracy: bars with intervals by set, format, light, kind and issuer, as an SVG by hand."""

from __future__ import annotations

from html import escape
from typing import Any

_WIDTH, _ROW, _LEFT, _BAR = 900, 20, 250, 480
_SECTIONS = (
    ("set", "Set"),
    ("format", "Format"),
    ("light", "Light"),
    ("kind", "Kind"),
    ("issuer", "Issuing state"),
)
_MOST_ISSUERS = 30


def _rows(table: dict[str, Any], group: str) -> list[tuple[str, dict[str, Any]]]:
    found = [(name, values) for name, values in table[group].items() if values["positives"]]
    if group == "issuer":  # the most misread first, then those with most pictures
        found.sort(key=lambda row: (row[1]["exact"] - row[1]["positives"], -row[1]["positives"]))
        found = found[:_MOST_ISSUERS]
    return found


def accuracy_svg(table: dict[str, Any]) -> str:
    """Exactly read pages of each group: the bar is the rate, the whisker its 95 % interval, the number the pages."""
    parts: list[str] = []
    y = 34
    for group, title in _SECTIONS:
        rows = _rows(table, group)
        if not rows:
            continue
        note = f" (at most {_MOST_ISSUERS}, the most misread first)" if group == "issuer" else ""
        parts.append(f'<text x="10" y="{y + 14}" class="title">{escape(title + note)}</text>')
        y += 24
        for name, values in rows:
            parts += _bar(name, values, y)
            y += _ROW
        y += 14
    scale = [
        f'<line x1="{_x(s)}" x2="{_x(s)}" y1="30" y2="{y}" class="grid"/>'
        f'<text x="{_x(s)}" y="26" class="axis">{s:.0%}</text>'
        for s in (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
    ]
    y += 10
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{y}" viewBox="0 0 {_WIDTH} {y}">',
            (
                "<style>text{font:12px sans-serif;fill:#222}.title{font-weight:bold}.axis{text-anchor:middle;fill:#666}"
                ".grid{stroke:#ddd}.bar{fill:#4878a8}.whisker{stroke:#111;stroke-width:1.5}.wrong{fill:#b00020}"
                ".back{fill:#fff}</style>"
            ),
            f'<rect class="back" width="{_WIDTH}" height="{y}"/>',
            '<text x="10" y="16" class="title">Exactly read, every character of every line</text>',
            *scale,
            *parts,
            "</svg>",
            "",
        ]
    )


def _x(share: float) -> float:
    return round(_LEFT + _BAR * share, 1)


def _bar(name: str, values: dict[str, Any], y: int) -> list[str]:
    rate = values["exact"] / values["positives"]
    middle = y + _ROW / 2
    low, high = _x(values["exact_low"]), _x(values["exact_high"])
    label = f"{values['exact']}/{values['positives']}  {rate:.1%}"
    parts = [
        f'<text x="24" y="{y + 14}">{escape(name)}</text>',
        f'<rect class="bar" x="{_LEFT}" y="{y + 4}" width="{round(_x(rate) - _LEFT, 1)}" height="{_ROW - 8}"/>',
        f'<line class="whisker" x1="{low}" x2="{high}" y1="{middle}" y2="{middle}"/>',
        f'<text x="{_LEFT + _BAR + 12}" y="{y + 14}">{label}</text>',
    ]
    if values["wrong_as_valid"]:
        wrong = f"{values['wrong_as_valid']} wrong as valid"
        parts.append(f'<text class="wrong" x="{_LEFT + _BAR + 120}" y="{y + 14}">{wrong}</text>')
    return parts

"""docs/scale.md: its table follows from its formulas, and its figures of ours are ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import fields

from edged.central.mosquitto import QUEUE_BYTES, QUEUE_LENGTH, Access, access_list
from edged.central.settings import ReplaySettings
from edged.uplink.mqtt_client import MAX_PACKET
from edged.uplink.publisher import SPREAD_S, UplinkSettings

PAGE = (Path(__file__).parents[1] / "docs" / "scale.md").read_text(encoding="utf-8")

VERDICTS, AUDIENCES, PEAK = 200, 1.5, 5
ENVELOPE, RECEIPT, ROW, LEDGER = 4400, 1400, 6000, 500


def table(name: str) -> list[list[float]]:
    (found,) = re.findall(rf"<!-- table: {name} -->\n((?:\|.*\n)+)", PAGE)
    return [
        [float(cell.replace(" ", "")) for cell in row.strip("|\n").split("|")]
        for row in found.splitlines()[2:]
    ]


def test_the_table_follows_from_the_formulas() -> None:
    rows = table("fleet")
    assert [row[0] for row in rows] == [1e3, 1e4, 1e5, 1e6]
    for boxes, mean, peak, mb_in, mb_out, pings, handshakes, yearly, kept, kept_90, ledger in rows:
        a_day = boxes * VERDICTS * AUDIENCES
        at_peak = a_day / 86_400 * PEAK
        wanted = {
            "mean": (mean, a_day / 86_400),
            "peak": (peak, at_peak),
            "in": (mb_in, at_peak * (ENVELOPE + RECEIPT) / 1e6),
            "out": (mb_out, at_peak * (2 * ENVELOPE + RECEIPT) / 1e6),
            "pings": (pings, boxes / 30),
            "handshakes": (handshakes, boxes / SPREAD_S),
            "rows": (yearly, a_day * 365),
            "kept": (kept, a_day * 365 * ROW / 1e12),
            "kept 90": (kept_90, a_day * 90 * ROW / 1e12),
            "ledger": (ledger, a_day * 365 * LEDGER / 1e12),
        }
        for what, (said, is_) in wanted.items():
            # As many digits as the page shows: at least half of the last one.
            assert said == pytest.approx(is_, rel=0.03, abs=0.05), (boxes, what)


def test_the_days_backlog_of_the_whole_fleet() -> None:
    spare = 2 * PEAK - 1
    assert f"{24 / spare:.1f} hours" in PAGE


def test_figures_of_ours_are_ours() -> None:
    assert f"{ROW / 1000} kB with the envelope, {LEDGER / 1000} kB when retention has taken it" in PAGE
    (longest,) = (one.default for one in fields(UplinkSettings) if one.name == "reconnect_max_s")
    assert f"| N / {SPREAD_S:.0f} handshakes a second |" in PAGE
    assert f"| N / {0.75 * longest:.0f} attempts a second | waits double up to {longest:.0f} s" in PAGE
    assert f"packets of {MAX_PACKET:_} bytes".replace("_", " ") in PAGE
    assert f"holds {QUEUE_LENGTH:_} messages or {QUEUE_BYTES >> 20} MB".replace("_", " ") in PAGE
    per_second = int(ReplaySettings().messages_per_s)
    assert f"{per_second} a second from each worker" in PAGE
    assert f"{per_second * 3600 / 1e6:.1f} million an hour" in PAGE


def test_rights_on_emqx_are_those_on_mosquitto() -> None:
    """Topic by topic: what the generated list allows is in the page's list, and nothing else."""
    ours: set[tuple[str, str, str]] = set()
    user = ""
    access = Access("north", collectors=("one",), audiences=("bank",), admins=("ops",), helpdesk=("desk",))
    for line in access_list(access).splitlines():
        match line.split():
            case ["user", user]:
                pass
            case ["pattern", right, topic]:
                ours.add(("all", right, topic.replace("%u", "${username}")))
            case ["topic", "readwrite", topic]:
                ours |= {(user, "read", topic), (user, "write", topic)}
            case ["topic", right, topic]:
                ours.add((user, right, topic))
    theirs: set[tuple[str, str, str]] = set()
    (text,) = re.findall(r"```erlang\n(.*?)```", PAGE, re.DOTALL)
    for who, action, topics in re.findall(
        r"\{allow, (all|\{username, \"[\w.]+\"\}), (publish|subscribe), \[(.*?)\]\}\.", text, re.DOTALL
    ):
        name = who if who == "all" else re.findall(r'"(.*)"', who)[0]
        right = {"publish": "write", "subscribe": "read"}[action]
        theirs |= {(name, right, topic) for topic in re.findall(r'"([^"]+)"', topics)}
    assert theirs == ours
    assert text.rstrip().endswith("{deny, all}.")

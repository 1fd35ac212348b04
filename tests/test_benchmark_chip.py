"""The benchmark of the chip: its model of a link, and that a small run says everything. No times are judged here."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from benchmarks import chip
from benchmarks.emrtd import peers
from benchmarks.emrtd.link import Link
from benchmarks.emrtd.reading import PHASES
from edged.emulator.profiles import profiles

NOWHERE = Path("no-such-folder")
CERTIFICATES = 20


@cache
def told() -> dict[str, Any]:
    return chip.measure(NOWHERE, 1, CERTIFICATES, with_peers=False)


@pytest.mark.parametrize(("kbit", "seconds"), [(106, 1.98), (424, 0.79), (848, 0.59)])
def test_a_portrait_of_15_000_octets_in_short_reads(kbit: int, seconds: float) -> None:
    """68 reads of 223 octets: 24 octets of command, 245 of response, 5 ms each; figures worked out elsewhere."""
    assert 68 * Link(kbit).exchange_s(24, 245) == pytest.approx(seconds, abs=0.006)


def test_a_link_is_slower_than_its_bits_and_needs_no_more_than_the_fewest_apdus() -> None:
    link = Link(424)
    assert link.bits_s(15_000) == pytest.approx(0.318, abs=0.001)
    assert link.bits_s(15_000) < link.clear_file_s(15_000, 4096) < link.clear_file_s(15_000, 256)
    assert link.exchange_s(7, 254) > link.exchange_s(7, 253), (
        "another block, and the acknowledgement of the first"
    )


def test_every_kind_of_document_is_read_whole_and_judged_genuine() -> None:
    found = told()["readings"]
    assert found.keys() == profiles().keys()
    for name, one in found.items():
        assert one["host_ms"].keys() == set(PHASES)
        assert one["total_ms"] == pytest.approx(sum(one["host_ms"].values()))
        assert one["portrait"] > 14_000
        assert one["link_s"][106] > one["link_s"][424] > one["link_s"][848] > 0.1
        assert all(0 < share < 1 for share in one["idle"].values())
        assert (one["portrait_ratio"] is None) is (not profiles()[name].conduct.extended)
        assert all(ratio > 1 for ratio in (one["portrait_ratio"] or {1: 2.0}).values())


def test_passive_authentication_says_what_it_came_to_and_what_was_not_there() -> None:
    emulated = {f"emulated {name}" for name in profiles()}
    assert told()["passive"].keys() == emulated
    for one in told()["passive"].values():
        assert set(one["checks"].values()) == {"successful"}
        assert one["cold_ms"] > 0
        assert one["warm_ms"] > 0
    assert len(told()["skipped"]) == 4
    assert told()["trust"] == {"genuine": 0, "emulated": 12, "made_up": 8, "certificates": CERTIFICATES}
    assert {"load", "first reading", "first judging"} < told()["first"].keys()


def test_the_tables_have_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    chip.show(told(), 1)
    lines = capsys.readouterr().out.splitlines()
    for name in profiles():
        assert sum(line.split()[:1] == [name] for line in lines) == 2
        assert sum(line.startswith(f"emulated {name} ") for line in lines) == 1
    assert sum(line.startswith("skipped: ") for line in lines) == 4
    assert sum("goal ≤" in line for line in lines) == 5
    assert lines[-1] == "other projects: not asked for (--peers)"
    json.dumps(told())


def test_other_projects_are_told_with_what_they_refused_and_why_one_did_not_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = [
        {"name": "one", "believed": True, "how_far": peers.CHAIN, "ms": 3.0, "ratio": 1.5},
        {"name": "two", "error": "UnsupportedAlgorithm: explicit parameters"},
    ]
    chip.show_peers({"a": {"error": "a: not on the index"}, "b": {"version": "1.0", "results": results}})
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "a: not measured: a: not on the index"
    assert lines[2].split()[:5] == ["b", "1.0", "one", "3.00", "ms"]
    assert "1.5 x edged" in lines[2]
    assert lines[3].endswith("refused: UnsupportedAlgorithm: explicit parameters")

"""What the benchmark of reading says about its records: rates, intervals, goals, tables, picture, coverage."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from benchmarks.accuracy import scoring, show
from benchmarks.accuracy.coverage import coverage
from benchmarks.accuracy.examine import judge
from benchmarks.accuracy.picture import accuracy_svg
from benchmarks.accuracy.sources import Picture, issuer

LINES = ["P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10"]
MISREAD = [LINES[0].replace("MARIA", "HARIA"), LINES[1]]


def picture(**changes) -> Picture:
    made = Picture(
        image=np.zeros((1, 1), np.uint8),
        name="a page",
        set="harsh",
        format="TD3",
        lines=LINES,
        check_ok=True,
        legible=True,
        kind="harsh",
        issuer="UTO",
        light="ambient",
        document="passport",
        faults=("fold",),
    )
    return made._replace(**changes)


def record(got, valid, ms=10.0, **changes):
    return {
        **judge(picture(**changes), got, valid),
        "ms": ms,
        "reasons": ["reading.illegible"],
        "confidence": 0.5,
    }


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962), (2997, 3000, 0.9971, 0.9997)],
)
def test_wilsons_interval_is_the_published_one(hits, trials, low, high):
    found = scoring.wilson(hits, trials)
    assert found == pytest.approx((low, high), abs=6e-5)


def test_no_trials_say_nothing():
    assert scoring.wilson(0, 0) == (0.0, 1.0)


def test_what_an_answer_is_worth():
    right, unsure, wrong = record(LINES, True), record(LINES, False), record(MISREAD, True)
    assert right["exact"]
    assert not right["false_valid"]
    assert unsure["missed_valid"]
    assert wrong["false_valid"]
    assert wrong["key"]
    assert not wrong["exact"]
    assert record(LINES, True, check_ok=False)["false_valid"], (
        "a zone with a wrong check digit is never valid"
    )
    assert record(LINES, True, lines=None)["false_valid"], "nothing may be returned from a negative"
    assert not record(None, False, lines=None)["false_valid"]
    assert not record([LINES[0], LINES[1][:-1] + "1"], False)["key"]


def test_hidden_characters_are_left_out_of_the_rate_but_not_of_the_wrong_ones():
    records = [record(LINES, True), record(None, False, legible=False), record(MISREAD, True, legible=False)]
    found = scoring.summary(records)
    assert (found["exact"], found["positives"], found["hidden"]) == (1, 1, 2)
    assert found["wrong_as_valid"] == 1


def test_the_report_groups_counts_confusions_and_refusals():
    table = scoring.report([record(LINES, True), record(MISREAD, False), record(None, False)])
    assert table["all"]["positives"] == 3
    assert table["fault"]["fold"]["exact"] == 1
    assert table["issuer"]["UTO"]["refused"] == 1
    assert table["confusions"] == {"M→H": 1}
    assert table["refusals"] == {"reading.illegible": 1}


@pytest.mark.parametrize(
    ("pages", "misread", "met"),
    [(3000, 3, True), (3000, 4, False), (2999, 0, None), (0, 0, None), (10, 1, False)],
)
def test_three_nines_are_claimed_on_enough_pages_only(pages, misread, met):
    records = [record(LINES, True, set="reader-window")] * (pages - misread)
    records += [record(None, False, set="reader-window")] * misread
    goal = next(g for g in scoring.goals(scoring.report(records)) if g.name.startswith("reader window"))
    assert goal.met is met


def test_one_wrong_reading_presented_as_valid_misses_the_goal():
    goals = {g.name: g.met for g in scoring.goals(scoring.report([record(MISREAD, True)]))}
    assert goals["wrong, presented as valid"] is False


def test_the_documents_hold_numbers_and_no_zone():
    records = [record(LINES, True, set=name) for name in ("corpus", "harsh")]
    records += [
        record(MISREAD, False),
        record(None, False, lines=None, format=None, set="negatives", issuer=""),
    ]
    table = scoring.report(records)
    page = show.accuracy(table, scoring.goals(table), None, None, "a command")
    covered, drawn = coverage(records), accuracy_svg(table)
    assert "| UTO | " in covered
    assert "| passport | 1/1 | 1/2 |" in covered
    assert ET.fromstring(drawn).tag.endswith("svg")
    for text in (page, covered, drawn, json.dumps(table)):
        assert "ERIKSSON" not in text
        assert "L898902C3" not in text


def test_the_issuer_is_the_first_lines_and_the_prcs_cards_are_chinas():
    assert issuer("TD3", LINES) == "UTO"
    assert issuer("TD1", ["I<D<<"]) == "D"
    assert issuer("PRC_PERMIT", ["CSC000000004<2404200<8108038<6"]) == "CHN"
    assert issuer(None, None) == ""

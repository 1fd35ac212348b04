"""Thresholds of a reader model: how many captures they need, what they promise, and that less decides nothing."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged import messages
from edged.core.optical import Features
from edged.core.optical_fit import (
    CONFIDENCE,
    COVERAGE,
    LEAST_CAPTURES,
    LEAST_ISSUERS,
    OPTICAL_CHECKS,
    SIDES,
    confidence_of,
    decode,
    decode_capture,
    encode,
    fit,
    judge,
    rank_of,
    summary,
)
from edged.errors import DecodeError
from edged.verdict import CHECKS, Check, Reason, Result

STATES = ("UTO", "KAZ", "NZL", "CHN", "FRA", "D")


def captures(count: int, *, states: int = 6, seed: int = 1) -> list[Features]:
    rng = np.random.default_rng(seed)

    def near(middle: float) -> float:
        return round(float(rng.normal(middle, 0.02)), 6)

    return [
        Features(
            "TD3",
            STATES[i % states],
            0.7,
            near(0.65),
            near(0.55),
            near(0.3),
            near(0.7),
            near(0.06),
            near(0.01),
            0.4,
            0.9,
        )
        for i in range(count)
    ]


def test_the_ranks_are_those_of_the_published_tables():
    """Wilks: the least n for the first, second and third outermost value at 95 % coverage and 95 % confidence."""
    assert [rank_of(n) for n in (58, 59, 92, 93, 123, 124)] == [0, 1, 1, 2, 2, 3]
    assert confidence_of(59, 1) == pytest.approx(1 - 0.95**59)
    assert rank_of(100_000) > 4800
    assert rank_of(0) == 0


def test_bounds_cover_what_they_promise():
    """Of many fits to 100 values drawn at random, 95 % bound at least 95 % of all values."""
    rng = np.random.default_rng(7)
    draws = np.sort(rng.random((2000, 100)), axis=1)  # uniform: the limit is the share left outside
    outside = draws[:, rank_of(100) - 1]
    assert (outside <= 1 - COVERAGE).mean() >= CONFIDENCE - 0.015


def test_too_few_captures_or_states_give_no_bounds():
    assert fit(captures(LEAST_CAPTURES - 1), "reader-1").bounds == ()
    assert fit(captures(200, states=LEAST_ISSUERS - 1), "reader-1").bounds == ()
    enough = fit(captures(LEAST_CAPTURES), "reader-1")
    assert {(b.feature, b.high) for b in enough.bounds} == {(s.feature, s.high) for s in SIDES}
    assert enough.bound("mrz_ir", False).limit == min(c.mrz_ir for c in captures(LEAST_CAPTURES))
    assert enough.bound("viz_ir", True).limit == max(c.viz_ir for c in captures(LEAST_CAPTURES))
    assert all(b.confidence >= CONFIDENCE for b in enough.bounds)


def test_the_same_capture_twice_counts_once():
    twice = captures(40) * 3
    assert fit(twice, "reader-1").captures == 40
    assert fit(twice, "reader-1").bounds == ()


def test_a_feature_that_was_seldom_measured_stays_open():
    some = [
        msgspec.structs.replace(c, uv_paper=None, uv_blue=None) if i > 20 else c
        for i, c in enumerate(captures(100))
    ]
    found = fit(some, "reader-1")
    assert found.bound("mrz_ir", False) is not None
    assert found.bound("uv_paper", True) is None
    results = {check.name: check for check in judge(captures(1)[0], found)}
    assert results["optical_uv_paper"].reasons == (Reason("optical.not_calibrated"),)
    assert results["optical_mrz_ir"].result is Result.SUCCESSFUL


def test_a_few_bad_captures_do_not_set_the_bounds():
    good, bad = captures(300), [Features("TD3", "UTO", 0.7, 0.0, 0.0, 1.0, 0.1, 0.9, 0.5)]
    assert fit(good + bad, "reader-1").bound("mrz_ir", False).limit > 0.55
    assert fit(good + bad, "reader-1").bound("uv_paper", True).limit < 0.2


def test_the_order_of_captures_does_not_matter():
    assert fit(captures(100), "r") == fit(captures(100)[::-1], "r")
    assert fit(captures(100), "r").samples_sha256 != fit(captures(99), "r").samples_sha256


def test_without_thresholds_or_frames_nothing_is_judged():
    for features, thresholds, code in (
        (captures(1)[0], None, "optical.not_calibrated"),
        (captures(1)[0], fit(captures(10), "reader-1"), "optical.not_calibrated"),
        (None, fit(captures(100), "reader-1"), "optical.no_frame"),
        (Features("TD3"), fit(captures(100), "reader-1"), "optical.no_frame"),
    ):
        checks = judge(features, thresholds)
        assert [check.name for check in checks] == list(OPTICAL_CHECKS)
        assert {check.result for check in checks} == {Result.UNDETERMINED}
        assert {reason.code for check in checks for reason in check.reasons} == {code}


@pytest.mark.parametrize(
    ("change", "failing", "code"),
    [
        ({"mrz_ir": 0.1, "mrz_ir_least": 0.0}, "optical_mrz_ir", "optical.mrz_ir_faint"),
        ({"mrz_ir_least": 0.1}, "optical_mrz_ir", "optical.mrz_ir_faint"),
        ({"viz_ir": 0.98}, "optical_viz_ir", "optical.viz_ir_stays"),
        ({"uv_paper": 0.8, "uv_blue": 0.4}, "optical_uv_paper", "optical.uv_paper_shines"),
        ({"portrait_ir": 1.0}, "optical_portrait", "optical.portrait_differs"),
        ({"portrait_ir": 0.2}, "optical_portrait", "optical.portrait_differs"),
    ],
)
def test_what_no_genuine_document_showed_fails_its_own_check(change, failing, code):
    thresholds = fit(captures(200), "reader-1")
    genuine = Features("TD3", "UTO", 0.7, 0.65, 0.55, 0.3, 0.7, 0.06, 0.01, 0.4, 0.9)
    assert {check.result for check in judge(genuine, thresholds)} == {Result.SUCCESSFUL}
    results = {check.name: check for check in judge(msgspec.structs.replace(genuine, **change), thresholds)}
    assert results[failing].result is Result.FAILED
    assert results[failing].reasons == (Reason(code),)
    assert all(messages.known(reason.code) for check in results.values() for reason in check.reasons)
    assert {check.result for name, check in results.items() if name != failing} == {Result.SUCCESSFUL}


def test_the_summary_is_as_good_as_its_worst_part():
    thresholds, genuine = fit(captures(200), "reader-1"), captures(1)[0]
    assert summary(judge(genuine, thresholds)) == Check("optical_security", Result.SUCCESSFUL)
    undetermined = summary(judge(genuine, None))
    assert undetermined.result is Result.UNDETERMINED
    assert undetermined.reasons == (Reason("optical.not_calibrated"),)
    fake = msgspec.structs.replace(genuine, viz_ir=1.0, uv_paper=None, uv_blue=None)
    failed = summary(judge(fake, thresholds))
    assert failed.result is Result.FAILED
    assert {reason.code for reason in failed.reasons} == {"optical.viz_ir_stays", "optical.no_frame"}
    assert summary(()).result is Result.UNDETERMINED
    assert failed.name in CHECKS


def test_a_thresholds_file_comes_back_as_it_was_and_a_changed_one_does_not():
    thresholds = fit(captures(120), "reader-1")
    data = encode(thresholds)
    assert decode(data) == thresholds
    bound = thresholds.bounds[0]
    for wrong in (
        msgspec.structs.replace(thresholds, version=2),
        msgspec.structs.replace(thresholds, bounds=(bound, bound)),
        msgspec.structs.replace(thresholds, bounds=(msgspec.structs.replace(bound, captures=12, rank=1),)),
        msgspec.structs.replace(thresholds, bounds=(msgspec.structs.replace(bound, feature="surname"),)),
        msgspec.structs.replace(thresholds, reader_model="../x"),
    ):
        with pytest.raises(DecodeError):
            decode(encode(wrong))
    for bad in (b"", b"{}", data[:-20], b"[" * 100_000, data + b" " * 70_000):
        with pytest.raises(DecodeError):
            decode(bad)


@pytest.mark.parametrize(
    "line",
    [
        b'{"format":"TD3","surname":"X"}',
        b'{"format":"P<UTOERIKSSON<<ANNA"}',
        b'{"format":"TD3","issuer":"ERIKSSON"}',
        b'{"format":"TD3","mrz_ir":1e300}',
        b'{"format":"TD3","mrz_ir":NaN}',
        b"\xff",
    ],
)
def test_a_line_of_features_has_room_for_nothing_else(line):
    with pytest.raises(DecodeError, match="bad_samples"):
        decode_capture(line)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data):
    for reader in (decode, decode_capture):
        with pytest.raises(DecodeError):
            reader(data)

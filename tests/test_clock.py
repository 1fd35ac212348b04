"""When the clock may be believed."""

from __future__ import annotations

import ctypes
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from edged import RELEASED
from edged.clock import STEP_TOLERANCE, read_clock, synchronised

NOW = RELEASED + timedelta(days=100)


def trusted(now: datetime, **facts: object) -> bool:
    known = {"last_commit": None, "last_receipt": None, "synchronised": True} | facts
    return read_clock(now, **known).trusted  # type: ignore[arg-type]


def test_a_sane_clock_is_believed() -> None:
    assert trusted(NOW, last_commit=NOW - timedelta(hours=1), last_receipt=NOW - timedelta(minutes=1))


@pytest.mark.parametrize(
    "now", [datetime(1970, 1, 1, tzinfo=UTC), RELEASED - timedelta(days=1), datetime(2000, 1, 1, tzinfo=UTC)]
)
def test_a_clock_that_was_never_set_is_not(now: datetime) -> None:
    assert not trusted(now)


@pytest.mark.parametrize("witness", ["last_commit", "last_receipt"])
def test_a_clock_that_jumped_back_behind_a_witness_is_not(witness: str) -> None:
    assert not trusted(NOW, **{witness: NOW + timedelta(minutes=1)})


def test_a_time_service_may_step_back_a_little() -> None:
    assert trusted(NOW, last_commit=NOW + STEP_TOLERANCE)
    assert not trusted(NOW, last_commit=NOW + STEP_TOLERANCE + timedelta(milliseconds=1))


def test_an_unsynchronised_clock_is_not_believed() -> None:
    assert not trusted(NOW, synchronised=False)


def test_a_fixed_day_replaces_the_date_but_hides_no_broken_clock() -> None:
    fixed = date(2026, 6, 15)
    reading = read_clock(
        datetime(1970, 1, 1, tzinfo=UTC),
        last_commit=None,
        last_receipt=None,
        synchronised=True,
        fixed_today=fixed,
    )
    assert reading.today == fixed
    assert not reading.trusted


@pytest.mark.parametrize(("answer", "believed"), [(0, True), (4, True), (5, False), (-1, False)])
def test_the_kernel_is_asked(
    answer: int, believed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TIME_OK to TIME_WAIT are states of a synchronised clock; TIME_ERROR (5) and a refusal (-1) are not."""
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: SimpleNamespace(adjtimex=lambda _: answer))
    assert synchronised(tmp_path / "no-marker") is believed


def test_a_lost_clock_judges_no_century_from_before_the_floor() -> None:
    lost = read_clock(
        datetime(1970, 1, 1, tzinfo=UTC),
        last_commit=NOW,
        last_receipt=None,
        synchronised=True,
        fixed_today=None,
    )
    assert lost.today >= NOW.date() - timedelta(days=1)
    assert not lost.trusted


def test_the_time_service_of_systemd_is_believed(tmp_path: Path) -> None:
    (tmp_path / "synchronized").touch()
    assert synchronised(tmp_path / "synchronized")

"""A partner's alarms are counted, not hoarded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.uplink import streams
from edged.uplink.streams import Alarm, StreamStore
from tests.broker import NOW

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_alarms_are_counted_not_hoarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_ALARMS", 5)
    kept = StreamStore.open(tmp_path / "s.sqlite")
    with kept.batch():
        first = kept.raise_alarm("topic.not_ours", "a\x1b[31m" + "é" * 500, now=NOW)
        assert first.topic.startswith("a?[31m????")
        assert len(first.topic) == streams.MAX_TOPIC_KEPT
        for number in range(20):
            kept.raise_alarm("topic.not_ours", f"flood/{number}", now=NOW)
        kept.raise_alarm("topic.not_ours", "flood/1", now=NOW)
    alarms = kept.alarms()
    assert len(alarms) == 6
    assert sum(alarm.count for alarm in alarms) == 22
    assert Alarm("topic.not_ours", "", "", "", "", 0, 16) in alarms
    kept.close()

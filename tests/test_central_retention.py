"""Retention: what may go goes, in portions; what must stay stays, and nobody else's."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edged.central import retention
from edged.central.archive import AudienceCount, open_archive, open_reader
from edged.central.collector import Collector
from edged.central.retention import MIN_DAYS, Pruned, PruningFailed, Retention, Tally, portions, retain
from edged.config import parse_toml
from edged.errors import ConfigError, StateError
from edged.uplink import intake, topics
from edged.uplink.intake import Incoming
from edged.uplink.names import Role
from tests.broker import FLEET, Sealer, stream, town
from tests.delivery import Events, collector_settings, running

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


class Shelf:
    """An archive as far as retention knows one."""

    def __init__(self, bodies: dict[str, list[datetime]], evidence: list[datetime] | None = None) -> None:
        self.bodies = bodies
        self.evidence = evidence or []
        self.calls: list[int] = []
        self.closed = 0
        self.fail_after: int | None = None

    def audiences(self) -> list[AudienceCount]:
        return [
            AudienceCount(name, 1, len(kept), 0, 0, 0, 0, min(kept, default=None))
            for name, kept in self.bodies.items()
        ]

    def _take(self, kept: list[datetime], before: datetime, limit: int) -> int:
        if self.fail_after is not None and len(self.calls) >= self.fail_after:
            raise StateError("state.locked")
        gone = [one for one in kept if one < before][:limit]
        for one in gone:
            kept.remove(one)
        self.calls.append(len(gone))
        return len(gone)

    def forget(self, audience: str, before: datetime, limit: int, now: datetime) -> int:
        assert now == NOW
        return self._take(self.bodies[audience], before, limit)

    def forget_evidence(self, before: datetime, limit: int) -> int:
        return self._take(self.evidence, before, limit)

    def close(self) -> None:
        self.closed += 1


def run_all(shelf: Shelf, settings: Retention) -> Pruned:
    tally = Tally()
    for portion in portions(shelf, settings, NOW):
        tally.add(portion)
    return tally.pruned()


def test_each_audience_has_its_own_time() -> None:
    ages = [1, 29.9, 30.1, 100, 5000]
    shelf = Shelf({name: [days_ago(age) for age in ages] for name in ("bank", "hotel", "clinic")})
    settings = Retention(days=90, audiences={"bank": "forever", "clinic": 30})
    assert run_all(shelf, settings) == Pruned({"hotel": 2, "clinic": 3}, 0)
    assert {name: len(kept) for name, kept in shelf.bodies.items()} == {"bank": 5, "hotel": 3, "clinic": 2}
    assert run_all(shelf, settings) == Pruned({}, 0)


def test_evidence_has_a_time_of_its_own() -> None:
    shelf = Shelf({"bank": [days_ago(100)]}, [days_ago(100), days_ago(800)])
    assert run_all(shelf, Retention(days=30)) == Pruned({"bank": 1}, 0)
    assert run_all(shelf, Retention(days=30, evidence_days=730)) == Pruned({}, 1)
    assert shelf.evidence == [days_ago(100)]


def test_nothing_goes_unless_somebody_said_so() -> None:
    shelf = Shelf({"bank": [days_ago(30_000)]}, [days_ago(30_000)])
    assert not Retention().takes_anything
    assert run_all(shelf, Retention()) == Pruned({}, 0)
    assert shelf.calls == []


def test_it_goes_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PORTION", 4)
    shelf = Shelf({"bank": [days_ago(50)] * 10}, [days_ago(50)] * 4)
    assert run_all(shelf, Retention(days=30, evidence_days=30)) == Pruned({"bank": 10}, 4)
    assert shelf.calls == [4, 4, 2, 4, 0]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", Retention()),
        ("days = 90", Retention(days=90)),
        (
            'days = "forever"\nevidence_days = 730\n[audiences]\nbank = 365\nhotel = "forever"',
            Retention(evidence_days=730, audiences={"bank": 365, "hotel": "forever"}),
        ),
        (f"days = {MIN_DAYS}", Retention(days=MIN_DAYS)),
    ],
)
def test_configuration(text: str, wanted: Retention, tmp_path: Path) -> None:
    assert parse_toml(text.encode(), Retention, base=tmp_path) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "days = 6",
        "days = 0",
        "days = -1",
        "days = 36501",
        'days = "never"',
        "days = true",
        "days = 30.5",
        "[audiences]\nBANK = 30",
        "[audiences]\nbank = 1",
        "evidence_days = 2",
        "day = 30",
    ],
)
def test_a_wrong_configuration_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        parse_toml(text.encode(), Retention, base=tmp_path)


async def test_the_background_task_goes_round_and_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PORTION", 4)
    shelf = Shelf({"bank": [days_ago(50)] * 6})
    events: list[Any] = []
    twice = asyncio.Event()

    def clock() -> datetime:
        if shelf.closed == 2:
            twice.set()
        return NOW

    task = asyncio.create_task(
        retain(lambda: shelf, Retention(days=30), events.append, clock=clock, every_s=0, pause_s=0)
    )
    await asyncio.wait_for(twice.wait(), 60)
    task.cancel()
    await asyncio.wait((task,))
    # Every round opens and closes its own connection, and an empty one says nothing.
    assert events == [Pruned({"bank": 6}, 0)]
    assert shelf.closed >= 2


async def test_a_failing_database_ends_a_round_and_not_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PORTION", 2)
    shelf = Shelf({"bank": [days_ago(50)] * 5})
    shelf.fail_after = 1
    events: list[msgspec.Struct] = []
    whole = asyncio.Event()

    def on_event(event: msgspec.Struct) -> None:
        events.append(event)
        if isinstance(event, PruningFailed):
            shelf.fail_after = None
        elif not shelf.bodies["bank"]:
            whole.set()

    task = asyncio.create_task(
        retain(lambda: shelf, Retention(days=30), on_event, clock=lambda: NOW, every_s=0, pause_s=0)
    )
    await asyncio.wait_for(whole.wait(), 60)
    task.cancel()
    await asyncio.wait((task,))
    assert events[:3] == [PruningFailed("state.locked"), Pruned({"bank": 2}, 0), Pruned({"bank": 3}, 0)]


async def test_kept_forever_needs_no_task() -> None:
    def opener() -> Shelf:
        raise AssertionError

    await asyncio.wait_for(retain(opener, Retention()), 60)


async def test_a_collector_keeps_to_it_without_being_asked(tmp_path: Path) -> None:
    with town(tmp_path) as place:
        files = collector_settings(place, tmp_path / "centre")
        settings = msgspec.structs.replace(files, retention=Retention(days=30))
        sealer = Sealer(place.signer(Role.DEVICE, "box-1"), "log-1")
        now = datetime.now(UTC)
        incoming = [
            Incoming(topics.verdict(FLEET, "box-1", "bank"), one.jws.encode())
            for one in stream(sealer, "bank", 4)
        ]
        checked = intake.check(incoming, anchor=place.anchor, now=now)
        with contextlib.closing(open_archive(settings.archive, place.anchor)) as archive:
            archive.store(checked[:3], now - timedelta(days=31))
            archive.store(checked[3:], now)
        events = Events()
        async with running(Collector(settings, on_event=events.append)):
            assert await events.first(Pruned) == Pruned({"bank": 3}, 0)
        with contextlib.closing(open_reader(settings.archive)) as archive:
            rows = list(archive.rows(audience="bank", since=None, until=None))
        assert [row.jws is None for row in rows] == [True] * 3 + [False]

"""The collector's pure parts: rates, queues, progress, settings, words; and the command that hears of alarms."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edged import RELEASED, messages
from edged.central import alarm_command
from edged.central.alarm_command import BURST, AlarmCommand
from edged.central.collector import Collector
from edged.central.events import AlarmCommandFailed, Batch, Replayed, ReplayFailed
from edged.central.progress import EVERY_S, Progress
from edged.central.replay_queue import LEAST, MAX_WAITING, ReplayQueue
from edged.central.settings import load, location
from edged.central.signing_clock import SigningClock
from edged.commands._central_words import in_words
from edged.errors import ConfigError, StateError
from edged.uplink.mqtt_client import KEPT_FLOOD_BYTES
from edged.uplink.names import Role
from edged.uplink.replay import MAX_PAGE
from edged.uplink.streams import Alarm
from edged.uplink.token_bucket import TokenBucket
from tests.broker import Town
from tests.delivery import collector_settings

ALARM = Alarm("stream.equivocation", "t", "box-1", "log", "bank", 7, 1)


# --- rates ---------------------------------------------------------------------------------------------------------


def test_a_burst_at_once_and_then_the_rate() -> None:
    bucket = TokenBucket(2.0, 10.0, 0.0)
    for _ in range(10):
        assert bucket.wait(0.0) == 0
        bucket.spend(1, 0.0)
    assert bucket.wait(0.0) == pytest.approx(0.0005)
    bucket.spend(9.9, 0.001)  # costs are known afterwards
    assert bucket.wait(0.001) == pytest.approx(9.9 / 2, abs=0.01)
    assert bucket.wait(6.0) == 0
    assert not bucket.full(6.0)
    assert bucket.full(60.0)


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    bucket = TokenBucket(1.0, 1.0, 100.0)
    bucket.spend(5, 100.0)
    assert bucket.wait(50.0) == pytest.approx(bucket.wait(100.0))


def test_audiences_take_turns() -> None:
    queue: ReplayQueue[str] = ReplayQueue(1e9)
    for audience, number in (("bank", 1), ("bank", 2), ("bank", 3), ("hotel", 1)):
        assert queue.offer(audience, f"{audience}-{number}")
    order = []
    while (found := queue.next(0.0)[0]) is not None:
        order.append(found)
        queue.answered(found.split("-")[0], 1, 0.0)
    assert order == ["bank-1", "hotel-1", "bank-2", "bank-3"]
    assert queue.next(0.0) == (None, None)


def test_who_asks_without_waiting_is_bounded() -> None:
    queue: ReplayQueue[int] = ReplayQueue(10.0)
    assert [queue.offer("bank", number) for number in range(MAX_WAITING + 2)] == [True] * MAX_WAITING + [
        False
    ] * 2
    assert queue.offer("hotel", 1), "the others aren't"


def test_an_audience_that_has_had_much_waits_and_others_do_not() -> None:
    queue: ReplayQueue[str] = ReplayQueue(100.0)
    for _ in range(2):
        queue.answered("bank", MAX_PAGE, 0.0)
    queue.offer("bank", "b")
    assert queue.next(0.0) == (None, pytest.approx(MAX_PAGE / 100, abs=0.01))
    queue.offer("hotel", "h")
    assert queue.next(0.0)[0] == "h"
    assert queue.next(MAX_PAGE / 100 + 0.01)[0] == "b"


def test_even_nothing_costs_something_and_what_is_paid_is_forgotten() -> None:
    queue: ReplayQueue[str] = ReplayQueue(1.0)
    for _ in range(MAX_PAGE // LEAST):
        queue.answered("bank", 0, 0.0)
    queue.offer("bank", "b")
    assert queue.next(0.0)[0] is None
    for number in range(1000):
        queue.answered(f"audience-{number}", 0, 1e6 * (number + 1))
    assert len(queue._buckets) == 1


# --- clock ---------------------------------------------------------------------------------------------------------


def test_a_collector_with_an_absurd_clock_signs_nothing(tmp_path: Path) -> None:
    signer = Town(tmp_path).signer(Role.COLLECTOR, "centre")
    for moment in (signer.not_before, signer.not_after):
        assert SigningClock(lambda moment=moment: moment, signer).now() == moment
    for moment, code in (
        (datetime(1970, 1, 1, tzinfo=UTC), "central.clock_before_release"),
        (RELEASED - timedelta(seconds=1), "central.clock_before_release"),
        (signer.not_before - timedelta(seconds=1), "central.certificate_not_begun"),
        (signer.not_after + timedelta(seconds=1), "central.certificate_ended"),
    ):
        with pytest.raises(StateError) as caught:
            SigningClock(lambda moment=moment: moment, signer).now()
        assert caught.value.code == code
        assert messages.known(code)


# --- lines ---------------------------------------------------------------------------------------------------------


def test_few_batches_are_told_at_once_many_together() -> None:
    progress = Progress(100.0)
    assert progress.add(Batch(1, 0, 0), 100.0) == Batch(1, 0, 0)
    assert progress.add(Batch(2, 1, 0, 1), 100.1) is None
    assert progress.add(Batch(3, 0, 1), 102.0) is None
    assert progress.due(100.0 + EVERY_S - 0.01) is None
    assert progress.due(100.0 + EVERY_S) == Batch(5, 1, 1, 1, 4.9)
    assert progress.due(200.0) is None, "nothing came, nothing is said"
    assert progress.add(Batch(7, 0, 0), 200.0) == Batch(7, 0, 0)


EVENTS = [
    Batch(3, 1, 0),
    Batch(5000, 1, 2, 3, 5.0),
    Replayed("bank", 500, True),
    Replayed("bank", 3, False),
    ReplayFailed("bank", "central.replay_too_many"),
    ReplayFailed("bank", "central.replay_nobody_listens"),
    AlarmCommandFailed("central.alarm_command_failed", 3),
    AlarmCommandFailed("central.alarm_command_slow", None),
]


@pytest.mark.parametrize("lang", messages.LANGUAGES)
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_event_has_words(event: msgspec.Struct, lang: str) -> None:
    said = in_words(msgspec.to_builtins(event), lang)
    assert said
    assert "{" not in said
    assert "Unexpected" not in said
    assert said.isprintable()


def test_a_rate_is_said_where_there_is_one() -> None:
    assert "1000 a second" in in_words(msgspec.to_builtins(EVENTS[1]), "en")
    assert "a second" not in in_words(msgspec.to_builtins(EVENTS[0]), "en")


# --- settings ------------------------------------------------------------------------------------------------------

CONFIG = """
fleet_ca = "ca.pem"
signing_key = "key"
signing_certificate = "pem"
archive = "{archive}"
{more}
[broker]
host = "localhost"
ca = "ca.pem"
certificate = "pem"
key = "key"
"""


def configured(tmp_path: Path, archive: str, more: str = "") -> Path:
    path = tmp_path / "central.toml"
    path.write_text(CONFIG.format(archive=archive, more=more))
    return path


def test_a_file_is_relative_to_the_configuration(tmp_path: Path) -> None:
    assert location(load(configured(tmp_path, "archive.sqlite"))) == str(tmp_path / "archive.sqlite")
    assert location(load(configured(tmp_path, "/var/x.sqlite"))) == "/var/x.sqlite"
    assert location(load(configured(tmp_path, "sqlite:x=y.sqlite"))) == str(tmp_path / "x=y.sqlite")
    assert load(configured(tmp_path, "postgresql://db/edged")).archive == "postgresql://db/edged"


@pytest.mark.parametrize(
    "archive",
    [
        "postgresql://edged:secret@db/edged",
        "postgres://edged:secret@db/edged",
        "postgresql://db/edged?user=edged&password=secret",
        "host=db dbname=edged password = secret",
    ],
)
def test_a_password_in_the_configuration_is_refused_and_not_repeated(tmp_path: Path, archive: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(configured(tmp_path, archive))
    assert caught.value.code == "central.password_in_archive"
    assert "secret" not in str(caught.value)


def test_the_password_comes_from_a_file_that_nobody_else_reads(tmp_path: Path) -> None:
    file = tmp_path / "password"
    path = configured(tmp_path, "postgresql://edged@db/edged", 'archive_password_file = "password"')
    for content, mode, code in (
        (None, 0o600, "central.password_unreadable"),
        (b"secret\n", 0o644, "central.password_unreadable"),
        (b"", 0o600, "central.password_malformed"),
        (b"two\nlines\n", 0o600, "central.password_malformed"),
        (b"\xff", 0o600, "central.password_malformed"),
        (b"x" * 5000, 0o600, "central.password_malformed"),
    ):
        if content is not None:
            file.write_bytes(content)
            file.chmod(mode)
        with pytest.raises(ConfigError) as caught:
            location(load(path))
        assert (caught.value.code, "secret" in str(caught.value)) == (code, False)
    file.write_bytes(b"it's secret\n")
    found = location(load(path))
    assert "host=db" in found
    assert r"password='it\'s secret'" in found
    assert "secret" not in repr(load(path))


def test_a_group_that_no_topic_may_carry_is_refused(tmp_path: Path) -> None:
    place = Town(tmp_path / "town")
    settings = msgspec.structs.replace(collector_settings(place, tmp_path / "centre"), group="verdict")
    with pytest.raises(ConfigError) as caught:
        Collector(settings)
    assert (caught.value.where, caught.value.code) == ("group", "topic.reserved_name")


def test_what_is_neither_file_nor_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(configured(tmp_path, ""))
    assert caught.value.code == "archive.bad_location"


# --- the command for alarms ----------------------------------------------------------------------------------------


class Heard:
    """An alarm command that runs a shell script, and what it reported."""

    def __init__(self, script: str, **settings: Any) -> None:
        self.failures: asyncio.Queue[AlarmCommandFailed] = asyncio.Queue()
        self.now = 0.0
        self.command = AlarmCommand(
            ("/bin/sh", "-c", script),
            fleet="north",
            collector="centre",
            on_event=self.failures.put_nowait,
            clock=lambda: self.now,
            **settings,
        )
        self.task = asyncio.create_task(self.command.run())

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def lines_of(path: Path, count: int) -> list[Any]:
    async with asyncio.timeout(60):
        while not path.exists() or path.read_text().count("\n") < count:  # noqa: ASYNC240
            await asyncio.sleep(0.01)
    return [json.loads(line) for line in path.read_text().splitlines()]  # noqa: ASYNC240


async def test_the_command_gets_the_alarm_as_json_and_not_more_than_somebody_reads(tmp_path: Path) -> None:
    out = tmp_path / "out"
    heard = Heard(f"cat >> {out}; echo >> {out}")
    for seq in range(20):
        heard.command.tell(msgspec.structs.replace(ALARM, seq=seq))
        await asyncio.sleep(0)
    told = await lines_of(out, BURST)
    assert told[0] == {
        "fleet": "north",
        "collector": "centre",
        "alarm": msgspec.to_builtins(msgspec.structs.replace(ALARM, seq=0)),
        "left_out": 0,
    }
    heard.now = 31.0
    heard.command.tell(ALARM)
    told = await lines_of(out, BURST + 1)
    assert (told[-1]["alarm"]["seq"], told[-1]["left_out"]) == (7, 20 - BURST)
    await heard.end()
    assert heard.failures.empty()


async def test_a_command_that_fails_is_reported_and_asked_again(tmp_path: Path) -> None:
    heard = Heard("cat > /dev/null; exit 3")
    for _ in range(2):
        heard.command.tell(ALARM)
        failed = await asyncio.wait_for(heard.failures.get(), 60)
        assert failed == AlarmCommandFailed("central.alarm_command_failed", 3)
    await heard.end()


async def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    heard = Heard(f"sleep 600 & echo $! > {tmp_path / 'pid'}; wait", timeout_s=0.5)
    heard.command.tell(ALARM)
    assert (await asyncio.wait_for(heard.failures.get(), 60)).code == "central.alarm_command_slow"
    await heard.end()
    child = int((tmp_path / "pid").read_text())
    async with asyncio.timeout(60):
        while alive(child):
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123
        return stat.read().rpartition(")")[2].split()[0] != "Z"  # a zombie whose parent doesn't wait is dead


async def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    heard = Heard("")
    heard.command._command = (str(tmp_path / "none"),)
    heard.command.tell(ALARM)
    assert await asyncio.wait_for(heard.failures.get(), 60) == AlarmCommandFailed(
        "central.alarm_command_missing", None
    )
    await heard.end()


async def test_a_command_that_may_not_be_killed_ends_no_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """`sudo page-me` is another user's process."""

    def not_allowed(pid: int, number: int) -> None:
        os.kill(pid, number)  # so that none is left behind; ours is told otherwise
        raise PermissionError

    heard = Heard("exec sleep 600", timeout_s=0.2)
    with monkeypatch.context() as patched:
        patched.setattr(os, "killpg", not_allowed)
        for _ in range(2):
            heard.command.tell(ALARM)
            failed = await asyncio.wait_for(heard.failures.get(), 60)
            assert failed.code == "central.alarm_command_slow"
    await heard.end()


def test_the_commands_bounds_are_a_pagers() -> None:
    assert 1 / alarm_command.PER_S >= 10
    assert alarm_command.TIMEOUT_S <= 60


# --- the unit ------------------------------------------------------------------------------------------------------


def test_the_unit_outlasts_a_database_that_comes_late_and_has_room_for_its_own_bound() -> None:
    text = (Path(__file__).parents[1] / "systemd" / "edged-collector@.service").read_text(encoding="utf-8")
    said = dict(line.split("=", 1) for line in text.splitlines() if line[:1].isalpha() and "=" in line)
    assert said["StartLimitIntervalSec"] == "0", "ten failed starts would be the last"
    assert said["Restart"] == "always"
    assert said["MemoryMax"] == "1G"
    assert 2 * KEPT_FLOOD_BYTES <= 1 << 30, "the kernel must not be faster than our own words"

"""A box's ear for commands: what it obeys, refuses, repeats and keeps silent about."""

from __future__ import annotations

import asyncio
import gzip
import json
from datetime import UTC
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from edged.config import load_box
from edged.errors import ControlError, SignatureRefusedError, StateError
from edged.pushed import commands
from edged.pushed.command_journal import CommandJournal
from edged.pushed.command_limits import LOOKED_AT, OF_EACH, PER_MINUTE, TOLD_AGAIN
from edged.pushed.obeying import LONGEST_S, Trial
from edged.uplink import topics
from edged.uplink.command import TYP_COMMAND, Command, Reply, joined, open_reply
from edged.uplink.fields import encode
from edged.uplink.mqtt import PublishRefusedError
from edged.uplink.names import Role
from edged.verdict import CheckClass, JudgedCheck, Kind, Reason, Result, Verdict
from tests.box import Box
from tests.broker import FLEET, NOW, Town
from tests.command_bench import DEVICE, START, Broker, Clock, Told, agent, arrived, command, sealed
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from edged.config import BoxSettings
    from edged.pushed.commands import CommandAgent


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


@pytest.fixture(scope="module")
def settings(place: Town, tmp_path_factory: pytest.TempPathFactory) -> BoxSettings:
    return load_box(Box(tmp_path_factory.mktemp("box"), place.fleet).config)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told(settings: BoxSettings) -> Told:
    return Told(settings)


class Heard(Broker):
    """What came out of an agent, verified as an admin does."""

    def __init__(self, place: Town) -> None:
        super().__init__()
        self._place = place

    @property
    def replies(self) -> list[Reply]:
        found = []
        for topic, payload in self.published:
            device, identifier = topics.parse_reply(topic, FLEET)
            reply = open_reply(payload, anchor=self._place.anchor, at=NOW, device=device)
            assert reply.id == identifier
            found.append(reply)
        return found

    @property
    def codes(self) -> list[str]:
        return [reply.code for reply in self.replies]

    async def until(self, count: int) -> list[Reply]:
        await until(lambda: len(self.published) >= count, 20, so_far=lambda: self.codes)
        return self.replies


def unchecked(place: Town, one: Command) -> str:
    """As the admin's tool would never sign it."""
    return place.signer(Role.ADMIN, "ops").sign(TYP_COMMAND, encode(one))


class Connected:
    """An agent with a connection, for a while."""

    def __init__(self, made: CommandAgent, heard: Any) -> None:
        self._task = asyncio.ensure_future(made.serve(heard))

    async def __aenter__(self) -> asyncio.Future[None]:
        return self._task

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.mark.parametrize(
    ("name", "args", "done", "result"),
    [
        ("status", {}, "status", {"state": "ready"}),
        ("identify", {"seconds": 3}, "identify 3", {"seconds": 3}),
        ("rotate-key", {}, "rotate-key", {"serial": "1f", "not_after": START}),
    ],
)
async def test_a_command_is_obeyed_and_answered(
    place: Town, tmp_path: Path, told: Told, clock: Clock, name: str, args: Any, done: str, result: Any
) -> None:
    heard = Heard(place)
    async with agent(place, tmp_path, told, clock) as made, Connected(made, heard):
        await made.take([arrived(sealed(place, name, args=args), name)])
        (reply,) = await heard.until(1)
    assert told.done == [done]
    assert (reply.code, reply.name, reply.result, reply.part) == ("ok", name, result, None)


async def test_a_scan_is_a_test_or_nothing(place: Town, tmp_path: Path, told: Told, clock: Clock) -> None:
    heard = Heard(place)
    async with agent(place, tmp_path, told, clock) as made, Connected(made, heard):
        await made.take([arrived(sealed(place, "scan"), "scan")])
        (reply,) = await heard.until(1)
        assert reply.result["kind"] == "test"
        assert reply.result["checks"] == [{"name": "mrz_read", "result": "successful", "code": None}]
        told.kind = Kind.LIVE
        await made.take([arrived(sealed(place, "scan", "c-2"), "scan")])
        reply = (await heard.until(2))[1]
    assert (reply.code, reply.result) == ("command.failed", {})
    assert told.done == ["scan test", "scan test"]


@pytest.mark.parametrize("name", ["diagnostics", "collect-logs"])
async def test_a_file_is_answered_in_parts(
    place: Town, tmp_path: Path, told: Told, clock: Clock, name: str
) -> None:
    heard = Heard(place)
    async with agent(place, tmp_path, told, clock) as made, Connected(made, heard):
        await made.take([arrived(sealed(place, name), name)])
        await heard.until(1)
    unpacked = json.loads(gzip.decompress(joined(heard.replies)))
    assert unpacked["format"] == 1
    assert isinstance(unpacked["log"], list)


async def test_a_repeat_gets_the_first_answer_also_after_a_restart(
    place: Town, tmp_path: Path, told: Told, clock: Clock
) -> None:
    heard, compact = Heard(place), sealed(place)
    async with agent(place, tmp_path, told, clock) as made, Connected(made, heard):
        await made.take([arrived(compact), arrived(compact)])
        await heard.until(1)
        told.said = {"state": "other"}
        clock.steady_s += 60
        await made.take([arrived(compact)])
        await heard.until(2)
    clock.set(300)
    async with agent(place, tmp_path, told, clock) as made, Connected(made, heard):
        await made.take([arrived(compact)])
        replies = await heard.until(3)
    assert told.done == ["status"]
    assert {(one.code, one.iat, one.result["state"]) for one in replies} == {("ok", START, "ready")}


async def test_what_was_running_when_the_box_went_down_is_not_run_again(
    place: Town, tmp_path: Path, told: Told, clock: Clock
) -> None:
    heard, compact = Heard(place), sealed(place)
    told.hold = asyncio.Event()
    async with agent(place, tmp_path, told, clock) as made:
        await made.take([arrived(compact)])
        await until(lambda: told.done)
    async with agent(place, tmp_path, told, clock) as made, Connected(made, heard):
        (reply,) = await heard.until(1)
        assert reply.code == "command.interrupted"
        await made.take([arrived(compact)])
        await heard.until(2)
    assert (heard.codes, told.done) == (["command.interrupted"] * 2, ["status"])


async def test_a_restart_is_answered_first_and_completed_after(
    place: Town, tmp_path: Path, told: Told, clock: Clock
) -> None:
    heard = Heard(place)
    async with agent(place, tmp_path, told, clock) as made, Connected(made, heard):
        await made.take([arrived(sealed(place, "restart"), "restart")])
        await until(lambda: told.done)
        assert [one.result for one in heard.replies] == [{"restarted": False}], "before it goes down"
    async with agent(place, tmp_path, told, clock) as made, Connected(made, heard):
        replies = await heard.until(3)
    assert [one.result["restarted"] for one in replies] == [False, False, True]
    assert told.done == ["restart"]


async def test_a_restart_that_cannot_be_is_said_so(
    place: Town, tmp_path: Path, told: Told, clock: Clock
) -> None:
    heard = Heard(place)
    told.error = ControlError("inspection.busy")
    async with agent(place, tmp_path, told, clock) as made, Connected(made, heard):
        await made.take([arrived(sealed(place, "restart"), "restart")])
        await heard.until(2)
    assert heard.codes == ["ok", "inspection.busy"]


async def test_a_failure_is_an_answer_and_the_next_command_is_obeyed(
    place: Town, tmp_path: Path, told: Told, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard(place)
    async with agent(place, tmp_path, told, clock) as made, Connected(made, heard):
        for number, error in enumerate((ControlError("inspection.busy"), RuntimeError("ERIKSSON"), None)):
            told.error = error
            await made.take([arrived(sealed(place, identifier=f"c-{number}"))])
            await heard.until(number + 1)
        told.said = {"text": "x" * 30_000}
        await made.take([arrived(sealed(place, identifier="c-8"))])
        await heard.until(4)
        monkeypatch.setitem(LONGEST_S, "status", 0.01)
        told.hold = asyncio.Event()
        await made.take([arrived(sealed(place, identifier="c-9"))])
        await heard.until(5)
    assert heard.codes == [
        "inspection.busy",
        "command.failed",
        "ok",
        "reply.too_large",
        "command.took_too_long",
    ]
    assert b"ERIKSSON" not in b"".join(payload for _, payload in heard.published)


@pytest.mark.parametrize(
    ("changes", "seconds", "code"),
    [
        ({}, 601, "command.expired"),
        ({}, -301, "command.not_yet_valid"),
        ({"args": {"more": 1}}, 0, "command.bad_argument"),
        ({"name": "dance"}, 0, "command.unknown"),
        ({"exp": START + 9999}, 0, "command.lives_too_long"),
    ],
)
async def test_an_admins_mistake_is_answered_and_not_obeyed(
    place: Town, tmp_path: Path, told: Told, clock: Clock, changes: Any, seconds: int, code: str
) -> None:
    heard = Heard(place)
    clock.set(seconds)
    made_up = command(**changes)
    compact = unchecked(place, made_up)
    async with agent(place, tmp_path, told, clock) as made, Connected(made, heard):
        await made.take([arrived(compact, made_up.name)])
        await heard.until(1)
    assert (heard.codes, told.done, made.refused[code]) == ([code], [], 1)


async def test_nobody_else_is_answered(place: Town, tmp_path: Path, told: Told, clock: Clock) -> None:
    heard = Heard(place)
    strangers = {
        "cert.wrong_role": place.signer(Role.DEVICE, DEVICE).sign(TYP_COMMAND, encode(command(iss=DEVICE))),
        "command.wrong_device": sealed(place, device="box-2"),
        "command.wrong_name": sealed(place, "restart"),
        "command.too_large": b"A" * 30_000,
        "jws.malformed": b"\xff\x00",
        "jws.wrong_type": place.signer(Role.ADMIN, "ops").sign("reply+jws", encode(command())),
    }
    async with agent(place, tmp_path, told, clock) as made, Connected(made, heard):
        await made.take([arrived(compact) for compact in strangers.values()])
        assert set(made.refused) == set(strangers)
        await made.take([arrived(sealed(place))])
        await heard.until(1)
    assert (heard.codes, told.done) == (["ok"], ["status"])


async def test_the_same_id_for_something_else_is_refused(
    place: Town, tmp_path: Path, told: Told, clock: Clock
) -> None:
    heard = Heard(place)
    async with agent(place, tmp_path, told, clock) as made, Connected(made, heard):
        await made.take([arrived(sealed(place)), arrived(sealed(place, "scan"), "scan")])
        await heard.until(2)
    assert sorted((one.code, one.name) for one in heard.replies) == [
        ("command.id_reused", "scan"),
        ("ok", "status"),
    ]
    assert told.done == ["status"]
    assert len({one.command_sha256 for one in heard.replies}) == 2


async def test_without_a_clock_nothing_is_obeyed_and_an_admin_hears_why(
    place: Town, tmp_path: Path, told: Told, clock: Clock
) -> None:
    heard = Heard(place)
    clock.set(-START)
    clock.trusted = False
    stranger = place.signer(Role.DEVICE, DEVICE).sign(TYP_COMMAND, encode(command()))
    async with agent(place, tmp_path, told, clock) as made, Connected(made, heard):
        await made.take([arrived(stranger), arrived(b"a.b.c"), arrived(sealed(place))])
        await heard.until(1)
        clock.set(0)
        clock.trusted = True
        await made.take([arrived(sealed(place))])
        await heard.until(2)
    assert (heard.codes, told.done) == (["command.clock_not_trusted", "ok"], ["status"])


async def test_so_many_a_minute(place: Town, tmp_path: Path, told: Told, clock: Clock) -> None:
    heard = Heard(place)
    async with agent(place, tmp_path, told, clock) as made, Connected(made, heard):
        for number in range(PER_MINUTE + 2):
            await made.take([arrived(sealed(place, identifier=f"c-{number}"))])
            await heard.until(number + 1)
        assert heard.codes == ["ok"] * PER_MINUTE + ["command.too_many"] * 2
        clock.steady_s += 60
        await made.take([arrived(sealed(place, identifier=f"c-{PER_MINUTE}"))])
        await heard.until(PER_MINUTE + 3)
        assert heard.codes[-1] == "ok", "what was refused may be given again"
        clock.steady_s += 120
        for number in range(OF_EACH["scan"] + 1):
            await made.take([arrived(sealed(place, "scan", f"s-{number}"), "scan")])
            await heard.until(PER_MINUTE + 4 + number)
    assert heard.codes[-3:] == ["ok", "ok", "command.too_many"]
    assert told.done.count("scan test") == OF_EACH["scan"]


async def test_those_that_wait_are_bounded(place: Town, tmp_path: Path, told: Told, clock: Clock) -> None:
    async with agent(place, tmp_path, told, clock, run=False) as made:
        await made.take(
            [arrived(sealed(place, identifier=f"c-{n}")) for n in range(commands.MAX_WAITING + 1)]
        )
        assert made.refused == {"command.too_many": 1}


async def test_a_flood_is_counted_and_answered_with_silence(
    place: Town, tmp_path: Path, told: Told, clock: Clock
) -> None:
    heard, good = Heard(place), sealed(place)
    async with agent(place, tmp_path, told, clock) as made, Connected(made, heard):
        await made.take([arrived(unchecked(place, command("dance", f"f-{n}")), "dance") for n in range(50)])
        await heard.until(TOLD_AGAIN)
        await made.take([arrived(good)] * 200)
        await heard.until(TOLD_AGAIN + 1)
        assert made.refused["command.flood"] == 250 - LOOKED_AT
    assert heard.codes == ["command.unknown"] * TOLD_AGAIN + ["ok"]
    assert told.done == ["status"]


async def test_an_answer_waits_for_a_connection(
    place: Town, tmp_path: Path, told: Told, clock: Clock
) -> None:
    heard = Heard(place)
    async with agent(place, tmp_path, told, clock) as made:
        await made.take([arrived(sealed(place))])
        await until(lambda: told.done)
        async with Connected(made, heard):
            await heard.until(1)
    assert heard.codes == ["ok"]


class Refusing(Broker):
    async def publish(self, topic: str, payload: bytes, **_: Any) -> int:
        await super().publish(topic, payload)
        raise PublishRefusedError("mqtt.not_authorized", "PUBACK", 0x87)


async def test_a_broker_that_refuses_an_answer_is_not_asked_for_ever(
    place: Town, tmp_path: Path, told: Told, clock: Clock
) -> None:
    heard, refusing = Heard(place), Refusing()
    async with agent(place, tmp_path, told, clock) as made:
        async with Connected(made, refusing):
            await made.take([arrived(sealed(place))])
            await until(lambda: refusing.published)
        async with Connected(made, heard):
            await made.take([arrived(sealed(place, identifier="c-2"))])
            await heard.until(1)
    assert (len(refusing.published), [one.id for one in heard.replies]) == (1, ["c-2"])


async def test_the_topic_says_whose_it_is(place: Town, tmp_path: Path, told: Told, clock: Clock) -> None:
    async with agent(place, tmp_path, told, clock) as made:
        assert made.filters() == (f"edged/1/{FLEET}/{DEVICE}/command/+",)
        assert made.wants(topics.command(FLEET, DEVICE, "status"))
        for topic in (topics.command(FLEET, "box-2", "status"), topics.desired(FLEET, DEVICE), "junk"):
            assert not made.wants(topic)


async def test_a_full_disk_costs_commands_and_nothing_else(
    place: Town, tmp_path: Path, told: Told, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is the verdicts': whatever happens to the journal, it isn't ended."""

    failed: list[str] = []

    def full(*_: Any, **__: Any) -> None:
        failed.append("state.disk_full")
        raise StateError(failed[-1])

    heard = Heard(place)
    async with agent(place, tmp_path, told, clock) as made, Connected(made, heard) as serving:
        with monkeypatch.context() as broken:
            broken.setattr(CommandJournal, "begin", full)
            await made.take([arrived(sealed(place))])
            await heard.until(1)
        with monkeypatch.context() as broken:
            broken.setattr(CommandJournal, "answer", full)
            await made.take([arrived(sealed(place, identifier="c-2"))])
            await until(lambda: len(failed) == 2)
        with monkeypatch.context() as broken:
            broken.setattr(CommandJournal, "told", full)
            await made.take([arrived(sealed(place, identifier="c-3"))])
            await until(lambda: len(failed) == 3)
        await made.take([arrived(sealed(place, identifier="c-4"))])
        await until(lambda: heard.replies[-1].id == "c-4")
        assert not serving.done()
    assert [(one.id, one.code) for one in heard.replies] == [
        ("c-1", "state.disk_full"),
        *[("c-3", "ok")] * 2,  # what couldn't be noted as told is told once more, and not for ever
        ("c-4", "ok"),
    ]


async def test_a_repeated_file_is_not_sent_for_ever(
    place: Town, tmp_path: Path, told: Told, clock: Clock
) -> None:
    heard, compact = Heard(place), sealed(place, "collect-logs")
    async with agent(place, tmp_path, told, clock) as made, Connected(made, heard):
        await made.take([arrived(compact, "collect-logs")])
        await heard.until(1)
        for number in range(8):
            await made.take([arrived(compact, "collect-logs")])
            await heard.until(min(number + 2, 3))
        await made.take([arrived(sealed(place, identifier="c-2"))])
        await heard.until(4)
    assert [one.name for one in heard.replies] == ["collect-logs"] * 3 + ["status"]


def test_of_a_verdict_only_outcomes_and_codes_are_told() -> None:
    reasons = (Reason("expiry.expired", {"date": "1974-08-12"}), Reason("mrz.other"))
    checks = (
        JudgedCheck("expiry", CheckClass.MANDATORY, Result.FAILED, reasons),
        JudgedCheck("mrz_read", CheckClass.MANDATORY, Result.SUCCESSFUL),
    )
    trial = Trial.of(Verdict("bank", Kind.TEST, Result.FAILED, checks), envelopes=2, ms=180)
    assert [(one.name, one.result, one.code) for one in trial.checks] == [
        ("expiry", Result.FAILED, "expiry.expired"),
        ("mrz_read", Result.SUCCESSFUL, None),
    ]
    assert "1974" not in str(trial)


@settings_of_hypothesis(max_examples=60, deadline=None)
@given(payload=st.binary(max_size=60), iat=st.integers() | st.floats() | st.text(max_size=5))
def test_a_strangers_time_is_a_moment_or_refused(place: Town, payload: bytes, iat: Any) -> None:
    signer = place.signer(Role.ADMIN, "ops")
    for data in (payload or b"-", json.dumps({"iat": iat}).encode()):
        try:
            moment = commands._claimed_time(signer.sign(TYP_COMMAND, data).encode())
        except SignatureRefusedError as error:
            assert error.code == "command.malformed"
        else:
            assert moment.tzinfo is UTC
    with pytest.raises(SignatureRefusedError):
        commands._claimed_time(payload)

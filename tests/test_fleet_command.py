"""`edged fleet command` against a real broker: told, answered, files joined; and who may not tell a box anything."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from edged import log
from edged.cli import main
from edged.config import load_box
from edged.errors import ControlError, SignatureRefusedError
from edged.fleet import commanding
from edged.fleet.answers import MAX_UNPACKED, Answers, Done, Issued, Partly, Unusable, unpacked
from edged.fleet.state import DeviceRecord, FleetFile, FleetState, as_toml
from edged.pushed.obeying import Outcome
from edged.uplink import topics
from edged.uplink.command import PART, Signed, open_command, seal_reply
from edged.uplink.mqtt import PublishRefusedError, connect
from edged.uplink.names import Role, Usage
from edged.uplink.status import Connected
from tests import logging_state
from tests.box import Box
from tests.broker import FLEET, NOW, Town, session, town
from tests.command_bench import DEVICE, START, Clock, Told, agent, command, sealed
from tests.delivery import box
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edged.uplink.mqtt import Connection
    from edged.uplink.mqtt_types import Received


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("town")) as made:
        yield made


@pytest.fixture(autouse=True)
def logging_to_standard_error() -> Iterator[None]:
    with logging_state.restored():
        log.configure("warning", stream=io.StringIO())
        yield


@pytest.fixture
def told(place: Town, tmp_path: Path) -> Told:
    return Told(load_box(Box(tmp_path / "settings", place.fleet).config))


@pytest.fixture
def state(place: Town, tmp_path: Path) -> FleetState:
    """A state directory of the admin `ops`, with three boxes."""
    directory = tmp_path / "fleet"
    (directory / "secrets").mkdir(parents=True, mode=0o700)
    for usage in (Usage.TLS, Usage.SIGNING):
        files = place.fleet.issue(Role.ADMIN, "ops", usage)
        files.key.rename(directory / "secrets" / f"admin-{usage}.key")
        files.certificate.rename(directory / "secrets" / f"admin-{usage}.pem")
    (directory / "authorities.pem").write_bytes(place.fleet.ca.read_bytes())
    file = FleetFile(fleet=FLEET, admin="ops", broker_port=place.broker.port)
    (directory / "fleet.toml").write_text(as_toml(file))
    made = FleetState.open(directory)
    for name, groups in ((DEVICE, ("banks",)), ("box-2", ("banks",)), ("box-3", ())):
        revoked = START if name == "box-3" else None
        made.save_device(DeviceRecord(name=name, groups=groups, added_at=START, revoked_at=revoked))
    return made


async def edged(state: FleetState, *words: str) -> int:
    return await asyncio.to_thread(main, ["fleet", "command", "--state", str(state.directory), *words])


async def test_a_box_is_told_and_answers(
    place: Town, tmp_path: Path, told: Told, state: FleetState, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command through a real broker, as an admin gives it."""
    out = str(tmp_path / "said.json")
    async with (
        agent(place, tmp_path, told, Clock(datetime.now(UTC))) as made,
        box(place, tmp_path / "box", riders=[made]) as one,
    ):
        await one.events.first(Connected)
        for words, done in (
            (["status"], "status"),
            (["identify", "--arg", "seconds=2"], "identify 2"),
            (["scan"], "scan test"),
            (["rotate-key"], "rotate-key"),
            (["diagnostics", "--out", out], "facts"),
            (["collect-logs", "--out", out], None),
        ):
            assert await edged(state, DEVICE, *words, "--json") == os.EX_OK
            said = json.loads(capsys.readouterr().out)
            assert (said["device"], said["command"], said["code"]) == (DEVICE, words[0], "ok")
            if done is not None:
                assert told.done[-1] == done
            if said["file"] is not None:
                assert json.loads((tmp_path / "said.json").read_bytes())["format"] == 1
                assert (tmp_path / "said.json").stat().st_mode & 0o777 == 0o600
        assert await edged(state, DEVICE, "status") == os.EX_OK
        assert capsys.readouterr().out == f"{DEVICE}: done\n  state: ready\n"


async def test_a_refusal_is_told_in_words(
    place: Town, tmp_path: Path, told: Told, state: FleetState, capsys: pytest.CaptureFixture[str]
) -> None:
    told.error = ControlError("inspection.busy")
    async with (
        agent(place, tmp_path, told, Clock(datetime.now(UTC))) as made,
        box(place, tmp_path / "box", riders=[made]) as one,
    ):
        await one.events.first(Connected)
        assert await edged(state, DEVICE, "identify", "--lang", "zh-CN") == os.EX_UNAVAILABLE
    assert "正在" in capsys.readouterr().out


async def test_a_restart_is_waited_for(
    place: Town, tmp_path: Path, told: Told, state: FleetState, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = None
    async with (
        agent(place, tmp_path, told, Clock(datetime.now(UTC))) as made,
        box(place, tmp_path / "box", riders=[made]) as one,
    ):
        await one.events.first(Connected)
        asked = asyncio.create_task(edged(state, DEVICE, "restart"))
        await until(lambda: told.done)
    assert not asked.done(), "the box is down: nobody knows yet"
    async with (
        agent(place, tmp_path, told, Clock(datetime.now(UTC))) as made,
        box(place, tmp_path / "box", riders=[made]),
    ):
        assert await asked == os.EX_OK
    assert told.done == ["restart"]
    assert capsys.readouterr().out == f"{DEVICE}: done\n  restarted: True\n"


async def test_several_boxes_one_of_them_away(
    place: Town, tmp_path: Path, told: Told, state: FleetState, capsys: pytest.CaptureFixture[str]
) -> None:
    async with (
        agent(place, tmp_path, told, Clock(datetime.now(UTC))) as made,
        box(place, tmp_path / "box", riders=[made]) as one,
    ):
        await one.events.first(Connected)
        words = ("collect-logs", "--timeout", "2", "--out", str(tmp_path / "files"))
        assert await edged(state, "--group", "banks", *words) == os.EX_TEMPFAIL
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == ["Device", "box-1", "box-2"]
        assert "done" in lines[1]
        assert "didn't answer" in lines[2]
        (file,) = (tmp_path / "files").iterdir()
        assert json.loads(file.read_bytes())["format"] == 1
        assert await edged(state, "--all", "status", "--timeout", "1", "--json") == os.EX_TEMPFAIL
        said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert {one["device"]: one["code"] for one in said} == {DEVICE: "ok", "box-2": "command.no_answer"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["status"], os.EX_CONFIG),
        ([DEVICE, "status", "--all"], os.EX_CONFIG),
        (["--group", "nobody", "status"], os.EX_CONFIG),
        (["box-9", "status"], os.EX_CONFIG),
        ([DEVICE, "status", "--arg", "seconds=3"], os.EX_DATAERR),
        ([DEVICE, "identify", "--arg", "seconds=300"], os.EX_DATAERR),
    ],
)
async def test_what_makes_no_sense_is_said_before_anything_is_sent(
    state: FleetState, words: list[str], code: int
) -> None:
    assert await edged(state, *words) == code


@pytest.mark.parametrize("words", [["dance"], ["status", "--arg", "x"], ["status", "--timeout", "0"]])
async def test_a_wrong_command_line_says_what_is_right(state: FleetState, words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        await edged(state, DEVICE, *words)
    assert caught.value.code == os.EX_USAGE


async def test_a_dry_run_sends_nothing(
    place: Town, tmp_path: Path, told: Told, state: FleetState, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await edged(state, "--all", "restart", "--dry-run", "--json") == os.EX_OK
    would = json.loads(capsys.readouterr().out)
    assert would == {"would": "restart", "args": {}, "devices": [DEVICE, "box-2"]}
    assert await edged(state, DEVICE, "restart", "--dry-run") == os.EX_OK
    assert DEVICE in capsys.readouterr().out


@pytest.mark.parametrize(
    ("role", "who"), [(Role.HELPDESK, "desk"), (Role.DEVICE, "box-2"), (Role.AUDIENCE, "bank")]
)
async def test_nobody_but_an_admin_gets_a_command_past_the_broker(place: Town, role: Role, who: str) -> None:
    async with connect(place.endpoint(role, who), session(f"{role}.{who}")) as connection:
        for name in ("status", "restart"):
            with pytest.raises(PublishRefusedError) as caught:
                await connection.publish(topics.command(FLEET, DEVICE, name), sealed(place, name).encode())
            assert caught.value.mqtt_reason == 0x87
        with pytest.raises(PublishRefusedError):
            await connection.publish(topics.reply(FLEET, DEVICE, "c-1"), b"forged")


async def test_a_response_topic_is_not_looked_at(place: Town, tmp_path: Path, told: Told) -> None:
    """MQTT 5 lets a sender name where it wants the answer; a box answers where it always does."""
    elsewhere = topics.reply(FLEET, DEVICE, "elsewhere")
    async with (
        agent(place, tmp_path, told, Clock(datetime.now(UTC))) as made,
        box(place, tmp_path / "box", riders=[made]) as one,
        connect(place.endpoint(Role.ADMIN, "ops"), session("admin.ops")) as admin,
    ):
        await one.events.first(Connected)
        await admin.subscribe(topics.every_reply(FLEET, DEVICE))
        await _publish_with_response_topic(admin, elsewhere, sealed(place).encode())
        received = await _received(admin)
        assert received.topic == topics.reply(FLEET, DEVICE, "c-1")
        await admin.publish(topics.command(FLEET, DEVICE, "status"), sealed(place).encode())
        assert (await _received(admin)).topic == received.topic, "nothing came between"


async def _publish_with_response_topic(connection: Connection, where: str, payload: bytes) -> None:
    topic = topics.command(FLEET, DEVICE, "status")
    properties = connection._properties(topic, payload, None)
    properties.ResponseTopic = where
    await connection._client.in_flight.slot()
    answer = connection._client.send(topic, payload, False, properties, reserved=True)
    assert answer is not None
    await answer


async def _received(connection: Connection) -> Received:
    (received,) = await asyncio.wait_for(connection.receive(), 60)
    connection.acknowledge(received)
    return received


# --- what an admin makes of answers, without a broker ---


def issued(place: Town, *devices: str, name: Any = "diagnostics") -> dict[str, Issued]:
    signer = place.signer(Role.ADMIN, "ops")
    return commanding.issue(signer, devices or (DEVICE,), name, {}, now=START, timeout_s=30)


def replies(place: Town, one: Issued, outcome: Outcome) -> list[bytes]:
    opened = open_command(one.compact, anchor=place.anchor, at=NOW, device=one.device, name=one.name)
    assert opened.sha256 == one.sha256
    return _sealed(place, opened, outcome)


def _sealed(place: Town, signed: Signed, outcome: Outcome) -> list[bytes]:
    signer = place.signer(Role.DEVICE, signed.command.device)
    made = seal_reply(
        signed,
        code=outcome.code,
        result=outcome.result,
        attachment=outcome.attachment,
        iat=START,
        signer=signer,
    )
    return [compact.encode() for compact in made]


def take(place: Town, answers: Answers, payload: bytes, device: str, identifier: str) -> Any:
    topic = topics.reply(FLEET, device, identifier)
    return answers.take(topic, payload, anchor=place.anchor, at=NOW)


def test_a_file_is_joined_whatever_the_order_and_repetitions(place: Town) -> None:
    asked = issued(place)
    one, answers = asked[DEVICE], Answers(FLEET, asked)
    whole = json.dumps({"a": random.Random(1).randbytes(3 * PART).hex()}).encode()
    parts = replies(place, one, Outcome("ok", {"bytes": 9}, gzip.compress(whole)))
    assert len(parts) > 3
    random.Random(2).shuffle(parts)
    found = [take(place, answers, part, DEVICE, one.id) for part in (*parts[:-1], *parts[:-1], parts[-1])]
    assert found[len(parts)] == Partly(DEVICE, len(parts) - 1, len(parts))
    assert found[-1] == Done(DEVICE, "ok", {"bytes": 9}, whole)
    assert answers.open == []
    assert take(place, answers, parts[0], DEVICE, one.id) is None


def test_what_is_no_answer_to_us_changes_nothing(place: Town) -> None:
    asked = issued(place, DEVICE, "box-2", name="status")
    answers, one = Answers(FLEET, asked), asked[DEVICE]
    (good,) = replies(place, one, Outcome("ok", {}))
    other = _sealed(place, Signed(command(identifier=one.id), "0" * 64), Outcome("ok", {}))[0]
    for payload, device, code in (
        (b"junk", DEVICE, "jws.malformed"),
        (good, "box-2", "reply.wrong_issuer"),  # another box's words on its topic
        (other, DEVICE, "reply.other_command"),
        (sealed(place).encode(), DEVICE, "jws.wrong_type"),
    ):
        assert take(place, answers, payload, device, one.id) == Unusable(device, code)
    assert take(place, answers, good, DEVICE, "c-2") is None
    assert take(place, answers, good, "box-3", one.id) is None
    assert answers.take("edged/1/north/box-1/status", good, anchor=place.anchor, at=NOW) is None
    assert len(answers.open) == 2
    assert take(place, answers, good, DEVICE, one.id) == Done(DEVICE, "ok")


def test_every_command_is_for_one_box_and_ends_with_the_waiting(place: Town) -> None:
    asked = issued(place, DEVICE, "box-2", name="status")
    assert len({one.id for one in asked.values()}) == 1
    assert issued(place)[DEVICE].id != asked[DEVICE].id
    one = asked["box-2"]
    with pytest.raises(SignatureRefusedError, match=r"command\.wrong_device"):
        open_command(one.compact, anchor=place.anchor, at=NOW, device=DEVICE, name="status")
    opened = open_command(one.compact, anchor=place.anchor, at=NOW, device="box-2", name="status")
    assert opened.command.exp == START + commanding.LIFE_S


def test_a_bomb_is_not_unpacked() -> None:
    assert unpacked(gzip.compress(b"x" * MAX_UNPACKED)) == b"x" * MAX_UNPACKED
    for packed, code in (
        (gzip.compress(bytes(MAX_UNPACKED + 1)), "reply.too_large"),
        (gzip.compress(b"x") + b"more", "reply.malformed"),
        (gzip.compress(b"x" * 100)[:-9], "reply.malformed"),
        (b"plain", "reply.malformed"),
        (b"", "reply.malformed"),
    ):
        with pytest.raises(SignatureRefusedError) as caught:
            unpacked(packed)
        assert caught.value.code == code

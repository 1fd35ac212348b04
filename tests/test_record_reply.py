"""Recipients' answers: what is sealed opens, nothing else does; the box's ear; the partner's way to it."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.cli import main
from edged.errors import SignatureRefusedError, StateError
from edged.partner.checking import check
from edged.partner.replying import Spool, find_record, publish
from edged.uplink import fields, sign, topics
from edged.uplink.names import Role
from edged.uplink.reason_codes import NO_SUBSCRIBERS
from edged.uplink.record_reply import (
    MAX_RECORD_REPLY,
    RECORD_FIELDS,
    SKEW_S,
    TYP_RECORD_REPLY,
    RecordReply,
    open_record_reply,
    seal_record_reply,
)
from edged.uplink.record_rider import RecordReplyRider
from tests.broker import FLEET as NORTH
from tests.broker import town
from tests.delivery import box as delivery_box
from tests.delivery import collector, configuration, follower, partner_settings, signing
from tests.lodging import reply
from tests.trust_support import FLEET, NOW, anchor, signer
from tests.waiting import until

POLICE = signer(Role.AUDIENCE, "police")
SCHEMA = Path(__file__).parents[1] / "docs" / "schemas" / "record-reply.schema.json"
ID = "0123456789abcdef0123"


def opened(compact: str | bytes, **named: Any) -> RecordReply:
    return open_record_reply(
        compact, **({"anchor": anchor(), "at": NOW, "device": "box-1", "audience": "police"} | named)
    )


def signed(made: RecordReply, by: sign.Signer = POLICE, typ: str = TYP_RECORD_REPLY) -> str:
    return by.sign(typ, fields.encode(made))


def refused(compact: str | bytes, **named: Any) -> str:
    with pytest.raises(SignatureRefusedError) as told:
        opened(compact, **named)
    return told.value.code


@pytest.mark.parametrize("made", [reply(ID), reply(ID, verdict="correction", fields=("room", "visa_kind"))])
def test_what_is_sealed_opens_and_obeys_the_published_schema(made: RecordReply) -> None:
    compact = seal_record_reply(made, signer=POLICE)
    assert opened(compact) == made
    assert len(compact) < MAX_RECORD_REPLY
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(json.loads(sign.unverified_payload(compact.encode())))


@pytest.mark.parametrize(
    "changes",
    [
        {"fields": ("room",)},
        {"verdict": "correction"},
        {"verdict": "correction", "fields": ("room", "room")},
        {"received_at": int(NOW.timestamp()) + 61},
    ],
)
def test_answers_that_contradict_themselves_are_neither_made_nor_taken(changes: dict[str, Any]) -> None:
    with pytest.raises(SignatureRefusedError, match=r"record_reply.malformed"):
        seal_record_reply(reply(ID, **changes), signer=POLICE)
    assert refused(signed(reply(ID, **changes))) == "record_reply.malformed"


def test_no_answer_can_carry_a_value() -> None:
    body = json.loads(fields.encode(reply(ID, verdict="correction", fields=("room",))))
    for change in ({"fields": ["MUSTERMANN"]}, {"note": "MUSTERMANN"}, {"verdict": "MUSTERMANN"}):
        compact = POLICE.sign(TYP_RECORD_REPLY, json.dumps(body | change, separators=(",", ":")).encode())
        assert refused(compact) == "record_reply.malformed"


def test_everybody_else_is_refused() -> None:
    assert refused(signed(reply(ID), signer(Role.AUDIENCE, "bank"))) == "record_reply.wrong_issuer"
    assert (
        refused(signed(reply(ID, iss="bank"), signer(Role.AUDIENCE, "bank"))) == "record_reply.wrong_issuer"
    )
    assert refused(signed(reply(ID), signer(Role.COLLECTOR, "police"))) == "cert.wrong_role"
    assert refused(signed(reply(ID), signer(Role.DEVICE, "police"))) == "cert.wrong_role"
    assert refused(signed(reply(ID), typ="replay-request+jws")) == "jws.wrong_type"
    assert refused(signed(reply(ID, fleet="other"))) == "record_reply.wrong_fleet"
    assert refused(signed(reply(ID, device="box-2"))) == "record_reply.wrong_device"
    assert refused(signed(reply(ID)), anchor=anchor("elsewhere")) == "cert.unknown_issuer"
    assert refused("x" * (MAX_RECORD_REPLY + 1)) == "record_reply.too_large"
    for made, by in ((reply(ID), signer()), (reply(ID, iss="bank"), POLICE)):
        with pytest.raises(SignatureRefusedError):
            seal_record_reply(made, signer=by)


def test_an_answer_from_the_future_is_refused() -> None:
    at = int(NOW.timestamp())
    assert opened(signed(reply(ID, iat=at + SKEW_S, received_at=at)))
    late = signed(reply(ID, iat=at + SKEW_S + 1, received_at=at))
    assert refused(late) == "record_reply.wrong_time"
    before = signed(reply(ID, iat=at - 400 * 86_400, received_at=0))
    assert refused(before) == "record_reply.wrong_time"


@settings(max_examples=120, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 255))
def test_no_bytes_of_a_stranger_get_anything_but_a_code(data: bytes, place: int, byte: int) -> None:
    good = bytearray(signed(reply(ID)).encode())
    good[place % len(good)] = byte
    for bad in (data, bytes(good), POLICE.sign(TYP_RECORD_REPLY, data).encode()):
        try:
            assert opened(bad) == reply(ID)
        except SignatureRefusedError as error:
            assert error.code


def test_partner_check_explains_an_answer() -> None:
    compact = signed(reply(ID))
    found = check(compact.encode(), anchor=anchor(), at=NOW, topic=topics.record(FLEET, "box-1", "police"))
    assert found.good
    assert found.kind == "record_reply"
    assert found.place == f"box-1 {ID}"
    elsewhere = check(
        compact.encode(), anchor=anchor(), at=NOW, topic=topics.record(FLEET, "box-2", "police")
    )
    assert elsewhere.code == "record_reply.wrong_device"
    receipt = check(compact.encode(), anchor=anchor(), at=NOW, topic=topics.receipt(FLEET, "box-1"))
    assert receipt.failed == "kind"
    body = json.loads(fields.encode(reply(ID))) | {"extra": 1}
    malformed = POLICE.sign(TYP_RECORD_REPLY, json.dumps(body, separators=(",", ":")).encode())
    assert [hint.code for hint in check(malformed.encode(), anchor=anchor(), at=NOW).hints] == [
        "check.fields_unknown"
    ]


# --- the box's ear ---


class Ear:
    def __init__(self) -> None:
        self.now, self.trusted = NOW, True
        self.heard: list[RecordReply] = []
        self.fails: list[Exception] = []
        self.rider = RecordReplyRider(
            fleet=FLEET,
            device="box-1",
            anchor=anchor,
            time_and_trust=self.time,
            on_reply=self.take,
            again_s=0.01,
        )

    async def time(self) -> tuple[datetime, bool]:
        return self.now, self.trusted

    async def take(self, made: RecordReply) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.heard.append(made)

    async def hear(self, compact: str, audience: str = "police") -> None:
        message: Any = SimpleNamespace(
            topic=topics.record(FLEET, "box-1", audience), payload=compact.encode()
        )
        await self.rider.take([message])

    async def serve_until(self, condition: Any) -> None:
        connection: Any = None
        serving = asyncio.create_task(self.rider.serve(connection))
        await until(condition)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def test_the_ear_hears_its_own_topic_alone() -> None:
    ear = Ear()
    assert ear.rider.filters() == (f"edged/1/{FLEET}/box-1/record/+",)
    assert ear.rider.wants(topics.record(FLEET, "box-1", "police"))
    for topic in (topics.record(FLEET, "box-2", "police"), topics.receipt(FLEET, "box-1"), "x"):
        assert not ear.rider.wants(topic)


async def test_good_answers_are_handed_on_and_bad_ones_counted() -> None:
    ear = Ear()
    await ear.hear(signed(reply(ID)))
    await ear.hear(signed(reply(ID)), "bank")  # on another recipient's topic
    await ear.hear("junk")
    ear.fails = [SignatureRefusedError("record_reply.unknown_record")]
    await ear.hear(signed(reply("f" * 20)))
    assert ear.heard == [reply(ID)]
    assert ear.rider.refused == {
        "record_reply.wrong_issuer": 1,
        "jws.malformed": 1,
        "record_reply.unknown_record": 1,
    }


async def test_answers_wait_for_a_clock_that_can_be_believed() -> None:
    ear = Ear()
    ear.trusted = False
    await ear.hear(signed(reply(ID)))
    ear.now = datetime(1970, 1, 1, tzinfo=UTC)
    await ear.hear(signed(reply("f" * 20)))
    assert ear.heard == []
    assert not ear.rider.refused
    ear.now, ear.trusted = NOW, True
    await ear.serve_until(lambda: len(ear.heard) == 2)


async def test_answers_wait_for_a_journal_that_can_be_written() -> None:
    ear = Ear()
    ear.fails = [StateError("state.disk_full")]
    await ear.hear(signed(reply(ID)))
    assert ear.heard == []
    await ear.serve_until(lambda: ear.heard == [reply(ID)])


# --- the partner's mouth ---


class Line:
    """A connection that answers so."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.published: list[str] = []

    async def publish(self, topic: str, payload: bytes) -> int:
        reason = self.answers.pop(0) if self.answers else 0
        self.published.append(topic)
        return reason


async def test_an_answer_is_kept_until_a_broker_has_taken_it_for_the_box(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "inbox.sqlite")
    path = spool.put(reply(ID), POLICE)
    assert path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0
    (waiting,) = spool.waiting()
    assert waiting.topic == topics.record(FLEET, "box-1", "police")
    assert opened(waiting.compact) == reply(ID)
    (path.parent / f"x{path.suffix}").write_text("junk")
    line: Any = Line(NO_SUBSCRIBERS, 0)
    assert await publish(line, spool) == (0, 1)
    assert len(spool.waiting()) == 1
    assert await publish(line, spool) == (1, 0)
    assert spool.waiting() == []


async def test_from_the_partners_command_over_a_broker_to_the_box(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with town(tmp_path / "town") as place:
        heard: list[RecordReply] = []

        async def take(made: RecordReply) -> None:
            heard.append(made)

        async def time() -> tuple[datetime, bool]:
            return datetime.now(UTC), True

        rider = RecordReplyRider(
            fleet=NORTH, device="box-1", anchor=lambda: place.anchor, time_and_trust=time, on_reply=take
        )
        own = msgspec.structs.replace(
            partner_settings(place, tmp_path / "hotel", "hotel"), **signing(place, "hotel")
        )
        config = configuration(own, tmp_path / "partner.toml")
        command = ["partner", "reply", "--config", str(config), "--record", ID, "--json"]
        async with (
            collector(place, tmp_path / "centre"),
            delivery_box(place, tmp_path / "box", riders=[rider]) as box,
        ):
            await until(lambda: bool(box.events))
            given = [*command, "--device", "box-1", "--accept"]
            assert await asyncio.to_thread(main, given) == os.EX_OK
            assert json.loads(capsys.readouterr().out.splitlines()[-1])["published"] is True
            await until(lambda: len(heard) == 1)
            assert await asyncio.to_thread(main, [*command, "--accept"]) == os.EX_CONFIG
            capsys.readouterr()
            async with follower(place, tmp_path / "hotel", "hotel", **signing(place, "hotel")) as events:
                await until(lambda: any(type(event).__name__ == "Ready" for event in events))
                given = [*command, "--device", "box-1", "--correct", "room", "birth_date"]
                assert await asyncio.to_thread(main, given) == os.EX_OK
                assert json.loads(capsys.readouterr().out.splitlines()[-1])["published"] is False
                await until(lambda: len(heard) == 2)
        assert [(one.verdict, one.fields) for one in heard] == [
            ("accepted", ()),
            ("correction", ("birth_date", "room")),
        ]
        assert heard[0].received_at <= heard[0].iat


async def test_the_inbox_knows_which_box_sealed_a_record_and_when_it_came(tmp_path: Path) -> None:
    with town(tmp_path / "town") as place:
        async with (
            collector(place, tmp_path / "centre"),
            follower(place, tmp_path / "bank") as events,
            delivery_box(place, tmp_path / "box") as box,
        ):
            await until(lambda: any(type(event).__name__ == "Ready" for event in events))
            from tests.broker import draft

            made = msgspec.structs.replace(draft("bank"), record_id=ID)
            await box.state.run(
                lambda state: state.commit_inspection("i", [made], box.sealer, datetime.now(UTC))
            )
            box.uplink.wake()
            inbox = tmp_path / "bank" / "verdicts.sqlite"
            await until(lambda: find_record(inbox, ID) is not None)
        kept = find_record(inbox, ID)
        assert kept is not None
        assert kept.device == "box-1"
        assert abs(kept.received - datetime.now(UTC)) < timedelta(minutes=5)
        assert find_record(inbox, "f" * 20) is None
        assert find_record(tmp_path / "nowhere.sqlite", ID) is None


def test_an_answer_can_name_every_field_of_the_form() -> None:
    made = reply(ID, verdict="correction", fields=RECORD_FIELDS)
    assert opened(seal_record_reply(made, signer=POLICE)) == made

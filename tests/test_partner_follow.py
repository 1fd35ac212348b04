"""A partner that was away, over a real broker and a real archive: it asks, and has everything; nobody else answers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edged import messages
from edged.cli import main
from edged.errors import CertificateError, ConfigError, StateError
from edged.partner.asking import LIST_AGAIN
from edged.partner.catching_up import CatchingUp, CaughtUp, NotArchived, Unanswered
from edged.partner.command import Command
from edged.partner.follow import Follower, GapEvent, PartnerSettings, VerdictEvent
from edged.partner.store import ledger
from edged.uplink import topics
from edged.uplink.envelope import StreamPosition
from edged.uplink.mqtt import Connection, connect
from edged.uplink.names import Role, Usage
from edged.uplink.replay import (
    MAX_PAGE,
    TYP_END,
    ReplayEnd,
    ReplayRequest,
    Span,
    StreamExtent,
    open_request,
    seal_end,
)
from edged.uplink.subscription import Alarmed, Holes, Ready
from tests.broker import FLEET, Sealer, Town, draft, session, stream, town
from tests.delivery import (
    QUICK,
    Box,
    Events,
    box,
    collector,
    configuration,
    follower,
    now,
    partner_settings,
    signing,
)
from tests.test_partner_inbox import gap_record
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from edged.uplink.envelope import Envelope


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path / "town") as made:
        yield made


def verdicts(events: Events) -> list[int]:
    return [event.verdict["seq"] for event in events.of(VerdictEvent)]


def whole(tmp_path: Path, device: Box, count: int) -> bool:
    kept = ledger(tmp_path / "bank" / "verdicts.sqlite")
    return sorted(kept[device.name, device.sealer.log_id, "bank"].hashes) == list(range(1, count + 1))


def wipe(place: Town) -> None:
    """The broker forgets every session and message."""
    place.broker.kill()
    for file in (place.directory / "broker").glob("*.db*"):
        file.unlink()
    place.broker.start()


async def test_a_partner_whose_session_is_gone_asks_and_has_everything(place: Town, tmp_path: Path) -> None:
    asks = signing(place)
    async with collector(place, tmp_path / "centre") as centre, box(place, tmp_path / "box") as device:
        await centre.first(Ready)
        async with follower(place, tmp_path / "bank", options={"patience": QUICK}, **asks) as bank:
            await bank.first(Ready)
            await device.commit("bank")
            await bank.first(VerdictEvent)
        for _ in range(30):
            await device.commit("bank")
        await device.settled()
        await asyncio.to_thread(wipe, place)
        async with follower(place, tmp_path / "bank", options={"patience": QUICK}, **asks) as bank:
            await bank.until(lambda events: len(verdicts(events)) == 30)
            assert not bank.of(Ready)[0].resumed
            assert verdicts(bank) == list(range(2, 32)), "in order of number"
            assert {event.lane for event in bank.of(VerdictEvent)} == {"replay"}
            await bank.first(CaughtUp)
            assert bank.of(CatchingUp)[0].missing == 30
            await device.events.until(lambda _: device.uplink.health.connected)
            await device.commit("bank")
            await bank.until(lambda events: verdicts(events)[-1] == 32)
            assert bank.of(VerdictEvent)[-1].lane == "live"
            assert bank.of(Alarmed) == []
    assert whole(tmp_path, device, 32)


async def test_history_is_fetched_when_it_is_wanted(place: Town, tmp_path: Path) -> None:
    asks = signing(place)
    async with collector(place, tmp_path / "centre"), box(place, tmp_path / "box") as device:
        for _ in range(8):
            await device.commit("bank")
        await device.settled()
        quick = {"patience": QUICK}
        async with follower(place, tmp_path / "bank", options=quick, **asks) as bank:
            await bank.first(Ready)
            await device.commit("bank")
            await bank.first(VerdictEvent)
            await device.commit("bank")
            await bank.until(lambda events: len(verdicts(events)) == 2)
            assert verdicts(bank) == [9, 10], "a new partner begins where its streams stand"
        async with follower(place, tmp_path / "bank", options=quick | {"history": "all"}, **asks) as bank:
            await bank.until(lambda events: len(verdicts(events)) == 8)
            assert verdicts(bank) == list(range(1, 9))
        later = {"history": now() + timedelta(days=1)}
        async with follower(place, tmp_path / "late", options=quick | later, **asks) as late:
            await late.first(CaughtUp)
            assert late.of(VerdictEvent) == []
    assert whole(tmp_path, device, 10)


async def test_without_a_key_holes_are_told_and_nothing_is_asked(place: Town, tmp_path: Path) -> None:
    envelopes = stream(Sealer(place.signer(Role.DEVICE, "box-1"), "log-1", now()), "bank", 4)
    async with follower(place, tmp_path / "bank") as bank:
        await bank.first(Ready)
        async with connect(place.endpoint(Role.COLLECTOR, "centre"), session("centre")) as centre:
            await centre.subscribe(topics.every_replay_request(FLEET))
            await publish(place, envelopes[0], envelopes[3])
            holes = await bank.first(Holes)
            assert [(hole.first, hole.last) for hole in holes.holes] == [(2, 3)]
            await publish(place, *envelopes[1:3])
            await bank.until(lambda events: events.of(Holes)[-1] == Holes(()))
            assert centre.take(9) == []


async def publish(place: Town, *envelopes: Envelope) -> None:
    async with connect(place.endpoint(Role.DEVICE, "box-1"), session("box-1")) as raw:
        for envelope in envelopes:
            await raw.publish(topics.verdict(FLEET, "box-1", envelope.audience), envelope.jws.encode())


async def test_a_gap_record_is_handed_on_and_ends_the_asking(place: Town, tmp_path: Path) -> None:
    sealer = Sealer(place.signer(Role.DEVICE, "box-1"), "log-1", now())
    envelopes = stream(sealer, "bank", 4)
    async with follower(place, tmp_path / "bank") as bank:
        await bank.first(Ready)
        await publish(place, envelopes[0], envelopes[3])
        async with connect(place.endpoint(Role.DEVICE, "box-1"), session("box-1")) as raw:
            await raw.publish(topics.gap(FLEET, "box-1", "bank"), gap_record(sealer, 2, 3))
        gap = await bank.first(GapEvent)
        assert (gap.gap["first"], gap.gap["last"], gap.gap["reason"]) == (2, 3, "too_old")
        await bank.until(lambda events: len(verdicts(events)) == 2)
        assert bank.of(Holes) == []


class Answerer:
    """A collector that answers as a test says."""

    def __init__(self, place: Town, connection: Connection) -> None:
        self.place = place
        self.connection = connection
        self.signer = place.signer(Role.COLLECTOR, "centre")

    async def next(self) -> tuple[ReplayRequest, str]:
        async with asyncio.timeout(60):
            (message,) = await self.connection.receive()
        self.connection.acknowledge(message)
        opened = open_request(message.payload, anchor=self.place.anchor, at=now(), audience="bank")
        assert opened.sha256 == hashlib.sha256(message.payload).hexdigest()
        return opened.request, opened.sha256

    async def send(self, request: ReplayRequest, *payloads: bytes) -> None:
        topic = topics.replay_answer(FLEET, "bank", request.request)
        for payload in payloads:
            await self.connection.publish(topic, payload)

    def end(self, request: ReplayRequest, sha256: str, **changes: Any) -> ReplayEnd:
        content: dict[str, Any] = {
            "iss": "centre",
            "fleet": FLEET,
            "audience": "bank",
            "request": request.request,
            "iat": int(now().timestamp()),
            "request_sha256": sha256,
            "sent": 0,
            "more": (),
            "streams": (),
            "more_streams": False,
        }
        return ReplayEnd(**(content | changes))

    async def finish(self, request: ReplayRequest, sha256: str, **changes: Any) -> None:
        sealed = seal_end(self.end(request, sha256, **changes), signer=self.signer)
        await self.send(request, sealed.encode())

    async def list(self, *extents: StreamExtent) -> None:
        request, sha256 = await self.next()
        assert request.spans == ()
        await self.finish(request, sha256, streams=extents)


@contextlib.asynccontextmanager
async def answerer(place: Town) -> AsyncIterator[Answerer]:
    async with connect(place.endpoint(Role.COLLECTOR, "centre"), session("centre")) as connection:
        await connection.subscribe(topics.every_replay_request(FLEET))
        yield Answerer(place, connection)


async def test_lost_parts_absent_numbers_and_late_ones(place: Town, tmp_path: Path) -> None:
    envelopes = stream(Sealer(place.signer(Role.DEVICE, "box-1"), "log-1", now()), "bank", 6)
    bodies = [envelope.jws.encode() for envelope in envelopes]
    options = {"patience": QUICK, "history": "all"}
    async with (
        answerer(place) as centre,
        follower(place, tmp_path / "bank", options=options, **signing(place)) as bank,
    ):
        await centre.list(StreamExtent("box-1", "log-1", 6, 6))
        request, sha256 = await centre.next()
        assert request.spans == (Span("box-1", "log-1", 1, 6),)
        assert request.limit == MAX_PAGE
        await centre.send(request, *bodies[:2])
        await centre.finish(request, sha256, sent=4)
        assert (await bank.first(Unanswered)).code == "partner.answer_lost"
        request, sha256 = await centre.next()
        assert request.spans == (Span("box-1", "log-1", 3, 6),)
        await centre.send(request, bodies[2], bodies[5])
        await centre.finish(request, sha256, sent=2)
        told = await bank.first(NotArchived)
        assert [(hole.first, hole.last) for hole in told.holes] == [(4, 5)]
        request, sha256 = await centre.next()
        assert request.spans == (Span("box-1", "log-1", 4, 5),)
        await centre.send(request, *bodies[3:5])
        await centre.finish(request, sha256, sent=2)
        await bank.until(lambda events: len(events.of(CaughtUp)) == 2)
        assert sorted(verdicts(bank)) == [1, 2, 3, 4, 5, 6]
        assert bank.of(Alarmed) == []


async def test_a_live_verdict_does_not_wait_for_history(place: Town, tmp_path: Path) -> None:
    envelopes = stream(Sealer(place.signer(Role.DEVICE, "box-1"), "log-1", now()), "bank", 600)
    options = {"patience": QUICK, "history": "all"}
    async with (
        answerer(place) as centre,
        follower(place, tmp_path / "bank", options=options, **signing(place)) as bank,
    ):
        await centre.list(StreamExtent("box-1", "log-1", 599, 599))
        request, sha256 = await centre.next()
        await centre.send(request, *(one.jws.encode() for one in envelopes[:100]))
        await publish(place, envelopes[599])
        await bank.until(lambda events: 600 in verdicts(events))
        assert bank.of(CaughtUp) == [], "the answer hasn't ended"
        await centre.finish(request, sha256, sent=100, more=(Span("box-1", "log-1", 101, 599),))
        request, sha256 = await centre.next()
        assert request.spans == (Span("box-1", "log-1", 101, 599),)


async def test_nobody_but_a_collector_answers_and_nobody_is_answered_twice(
    place: Town, tmp_path: Path
) -> None:
    """The broker would have to be hostile, too: whoever writes there, it is signatures that count."""
    options = {"patience": QUICK, "history": "all"}
    hostile = place.signer(Role.DEVICE, "box-1")
    sealer = Sealer(hostile, "log-1", now())
    first, second = stream(sealer, "bank", 2)
    async with (
        answerer(place) as centre,
        follower(place, tmp_path / "bank", options=options, **signing(place)) as bank,
    ):
        request, sha256 = await centre.next()
        end = centre.end(request, sha256, streams=(StreamExtent("box-1", "log-1", 2, 2),))
        forgeries = {
            "cert.wrong_role": hostile.sign(TYP_END, msgspec.json.encode(end)),
            "replay.wrong_issuer": place.signer(Role.COLLECTOR, "second").sign(
                TYP_END, msgspec.json.encode(end)
            ),
            "replay.wrong_audience": seal_end(
                msgspec.structs.replace(end, audience="hotel"), signer=centre.signer
            ),
            "replay.wrong_request": seal_end(
                msgspec.structs.replace(end, request="r-other"), signer=centre.signer
            ),
            "jws.malformed": "junk",
        }
        for code, compact in forgeries.items():
            await centre.send(request, compact.encode())
            await bank.until(
                lambda events, wanted=code: wanted in [e.alarm.code for e in events.of(Alarmed)]  # type: ignore[misc]
            )
        await centre.send(request, seal_end(end, signer=centre.signer).encode())
        request, sha256 = await centre.next()
        assert request.spans == (Span("box-1", "log-1", 1, 2),), "only then"
        other = sealer(draft("bank", reference="another"), StreamPosition(1, None), jti="other")
        await centre.send(request, first.jws.encode(), second.jws.encode(), other.jws.encode())
        await centre.finish(request, sha256, sent=3)
        await bank.first(CaughtUp)
        assert verdicts(bank) == [1, 2]
        alarms = [event.alarm for event in bank.of(Alarmed)]
        assert (alarms[-1].code, alarms[-1].device, alarms[-1].seq) == ("stream.equivocation", "box-1", 1)


async def test_the_list_is_asked_for_now_and_then(place: Town, tmp_path: Path) -> None:
    """The broker had kept the session, but not everything: of a stream that fell silent nothing else shows it."""
    asks = signing(place)
    first, last = stream(Sealer(place.signer(Role.DEVICE, "box-1"), "log-1", now()), "bank", 2)
    async with answerer(place) as centre:
        async with follower(place, tmp_path / "bank", options={"patience": QUICK}, **asks) as bank:
            await bank.first(Ready)
            await centre.list()
            await bank.until(lambda _: listed(tmp_path))
        async with follower(place, tmp_path / "bank", options={"patience": QUICK}, **asks) as bank:
            await bank.first(Ready)
            await publish(place, first)
            await bank.until(lambda events: verdicts(events) == [1])
            assert centre.connection.take(9) == [], "not for every new connection"
        later = {"patience": QUICK, "clock": lambda: now() + LIST_AGAIN}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("edged.partner.asking.LIST_EVERY", timedelta(milliseconds=300))
            async with follower(place, tmp_path / "bank", options=later, **asks) as bank:
                assert (await bank.first(Ready)).resumed
                await centre.list(StreamExtent("box-1", "log-1", 2, 2))
                request, sha256 = await centre.next()
                await centre.send(request, last.jws.encode())
                await centre.finish(request, sha256, sent=1)
                await bank.until(lambda events: verdicts(events) == [2])
                await centre.list(
                    StreamExtent("box-1", "log-1", 2, 2)
                )  # on the same connection, a "day" later


def listed(tmp_path: Path) -> bool:
    with contextlib.closing(sqlite3.connect(tmp_path / "bank" / "verdicts.sqlite")) as database:
        return database.execute("SELECT 1 FROM note WHERE name = 'listed_at'").fetchone() is not None


async def test_a_second_follower_of_an_inbox_hands_on_nothing(place: Town, tmp_path: Path) -> None:
    async with follower(place, tmp_path / "bank") as bank:
        await bank.first(Ready)
        with pytest.raises(StateError) as refused:
            await Follower(partner_settings(place, tmp_path / "bank"), on_event=lambda _: None).run()
        assert refused.value.code == "partner.inbox_in_use"
    async with follower(place, tmp_path / "bank") as bank:
        await bank.first(Ready)


async def test_a_list_of_the_future_does_not_put_off_the_next(place: Town, tmp_path: Path) -> None:
    ahead = {"patience": QUICK, "clock": lambda: now() + timedelta(minutes=5)}
    asks = signing(place)
    async with answerer(place) as centre:
        async with follower(place, tmp_path / "bank", options=ahead, **asks) as bank:
            await bank.first(Ready)
            await centre.list()
            await bank.until(lambda _: listed(tmp_path))
        async with follower(place, tmp_path / "bank", options={"patience": QUICK}, **asks) as bank:
            assert (await bank.first(Ready)).resumed
            await centre.list()


async def test_nobody_is_there_to_answer(place: Town, tmp_path: Path) -> None:
    options = {"patience": msgspec.structs.replace(QUICK, answer_s=0.2)}
    async with follower(place, tmp_path / "bank", options=options, **signing(place)) as bank:
        await bank.until(lambda events: len(events.of(Unanswered)) == 3)
        assert {event.code for event in bank.of(Unanswered)} == {"partner.nobody_listens"}
        async with answerer(place):  # hears every request, and says nothing
            await bank.until(lambda events: events[-1] == Unanswered("partner.no_answer", 1.0))
        await publish(place, *stream(Sealer(place.signer(Role.DEVICE, "box-1"), "log-1", now()), "bank", 2))
        await bank.until(lambda events: verdicts(events) == [1, 2])


async def test_an_expired_signer_is_told_to_its_owner(place: Town, tmp_path: Path) -> None:
    options = {"patience": QUICK, "clock": lambda: now() + timedelta(days=400)}
    async with (
        answerer(place) as centre,
        follower(place, tmp_path / "bank", options=options, **signing(place)) as bank,
    ):
        assert (await bank.first(Unanswered)).code == "partner.signer_expired"
        assert centre.connection.take(9) == [], "nothing is sent that nobody would answer"


FOLLOW = [sys.executable, "-m", "edged", "partner", "follow"]


async def test_killed_again_and_again_nothing_is_lost_and_marks_hold(place: Town, tmp_path: Path) -> None:
    """`kill -9` while it catches up and hands on: the command has everything, some twice, in order."""
    taken = tmp_path / "taken"
    script = tmp_path / "take.py"
    script.write_text(
        "import json, sys\n"
        "line = json.loads(sys.stdin.readline())\n"
        f"open({str(taken)!r}, 'a').write(str(line['verdict']['seq']) + '\\n')\n"
    )
    settings = msgspec.structs.replace(partner_settings(place, tmp_path / "bank"), **signing(place))
    config = configuration(settings, tmp_path / "partner.toml")
    async with collector(place, tmp_path / "centre"), box(place, tmp_path / "box") as device:
        for _ in range(25):
            await device.commit("bank")
        await device.settled()
        command = f"{sys.executable} -S -E {script}"
        options = ["--config", str(config), "--exec", command, "--from-start"]
        for kills in range(3):
            child = start(options)
            wanted = (kills + 1) * 8 if kills < 2 else 25
            await until(lambda n=wanted: len(set(lines(taken))) >= n)  # type: ignore[misc]
            child.send_signal(signal.SIGKILL if kills < 2 else signal.SIGTERM)
            code = await asyncio.to_thread(child.wait, 20)
            options = options[:4]
        assert code == os.EX_OK
    order = lines(taken)
    assert list(dict.fromkeys(order)) == list(range(1, 26)), "first times are in order"
    assert len(order) <= 25 + 2, "one more for each kill at most"
    assert whole(tmp_path, device, 25)


def start(options: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*FOLLOW, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def lines(path: Path) -> list[int]:
    return list(map(int, path.read_text().split())) if path.exists() else []


async def test_a_slow_command_leaves_the_rest_with_the_broker(
    place: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.partner.handing.MAX_WAITING", 50)
    gate = tmp_path / "gate"
    command = Command(["sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.05; done"])
    envelopes = stream(Sealer(place.signer(Role.DEVICE, "box-1"), "log-1", now()), "bank", 400)
    async with follower(place, tmp_path / "bank", options={"command": command}) as bank:
        await bank.first(Ready)
        await publish(place, *envelopes)
        kept = 0
        while True:
            await asyncio.sleep(0.5)
            found = ledger(tmp_path / "bank" / "verdicts.sqlite")
            count = len(found["box-1", "log-1", "bank"].hashes) if found else 0
            if count and count == kept:
                break
            kept = count
        assert 50 <= kept <= 150, "a batch beyond the bound at most"
        gate.touch()
        await until(
            lambda: len(ledger(tmp_path / "bank" / "verdicts.sqlite")["box-1", "log-1", "bank"].hashes) > 150
        )


async def test_who_stops_listening_ends_it(place: Town, tmp_path: Path) -> None:
    """`edged partner follow | head`: what wasn't heard is handed on at the next start."""

    def gone(event: Any) -> None:
        if isinstance(event, VerdictEvent):
            raise BrokenPipeError

    heard = Events()
    party = Follower(
        partner_settings(place, tmp_path / "bank"), on_event=lambda event: (heard.append(event), gone(event))
    )
    running = asyncio.create_task(party.run())
    await heard.first(Ready)
    await publish(place, *stream(Sealer(place.signer(Role.DEVICE, "box-1"), "log-1", now()), "bank", 2))
    with pytest.raises(BrokenPipeError):
        await asyncio.wait_for(running, 60)
    async with follower(place, tmp_path / "bank") as bank:
        await bank.until(lambda events: verdicts(events) == [1, 2])


# --- configuration and words ---


def test_what_cannot_ask_says_so(tmp_path: Path) -> None:
    place = Town(tmp_path / "town")
    settings = partner_settings(place, tmp_path / "bank")
    keys = signing(place)
    for changes, options, code in (
        ({}, {"history": "all"}, "partner.no_signing_key"),
        ({}, {"catch_up": True}, "partner.no_signing_key"),
        ({"signing_key": keys["signing_key"]}, {}, "partner.half_a_signer"),
        (signing(place, "hotel"), {}, "partner.other_audience"),
        (collectors(place), {}, "cert.wrong_role"),
    ):
        with pytest.raises(ConfigError) as refused:
            Follower(
                msgspec.structs.replace(settings, **changes),
                on_event=lambda _: None,
                **options,  # type: ignore[arg-type]
            )
        assert refused.value.code == code
    with pytest.raises(CertificateError):
        wrong = keys | {"signing_certificate": settings.broker.certificate}
        Follower(msgspec.structs.replace(settings, **wrong), on_event=lambda _: None)


def collectors(place: Town) -> dict[str, Path]:
    files = place.fleet.issue(Role.COLLECTOR, "centre", Usage.SIGNING)
    return {"signing_key": files.key, "signing_certificate": files.certificate}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--exec", ""],
        ["--exec", "unfinished 'quote"],
        ["--exec-timeout", "0", "--exec", "true"],
        ["--exec-timeout", "nan", "--exec", "true"],
        ["--since", "yesterday"],
        ["--since", "2026-01-01", "--from-start"],
    ],
)
def test_a_wrong_command_line_is_a_sentence(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["partner", "follow", "--config", "x.toml", *arguments, "--lang", "en"])
    assert ended.value.code == os.EX_USAGE
    assert "usage." not in capsys.readouterr().err


EVENTS: list[dict[str, Any]] = [
    {
        "event": "gap",
        "gap": {"iss": "b", "log_id": "l", "first": 1, "last": 2, "reason": "too_old", "code": None},
    },
    {
        "event": "gap",
        "gap": {"iss": "b", "log_id": "l", "first": 1, "last": None, "reason": "unreadable", "code": None},
    },
    {
        "event": "gap",
        "gap": {
            "iss": "b",
            "log_id": "l",
            "first": 1,
            "last": 1,
            "reason": "refused",
            "code": "stream.equivocation",
        },
    },
    {
        "event": "gap",
        "gap": {"iss": "b", "log_id": "l", "first": 1, "last": 1, "reason": "refused", "code": "later.code"},
    },
    {"event": "catching_up", "streams": 2, "fetched": 3, "missing": 4, "estimate_s": None},
    {"event": "catching_up", "streams": 2, "fetched": 3, "missing": 4, "estimate_s": 5.2},
    {"event": "caught_up", "fetched": 3},
    {
        "event": "not_archived",
        "holes": [{"device": "b", "log_id": "l", "audience": "a", "first": 1, "last": 2}],
    },
    {"event": "unanswered", "code": "partner.no_answer", "retry_s": 5.0},
    {"event": "unanswered", "code": "mqtt.not_authorized", "retry_s": 5.0},
    {"event": "not_taken", "device": "b", "code": "partner.command_failed", "exit": 3, "retry_s": 1.5}
    | {"sha256": "ab", "times": 1},
    {"event": "not_taken", "device": "b", "code": "partner.command_too_slow", "exit": None, "retry_s": 1.5}
    | {"sha256": "ab", "times": 2},
    {"event": "handing_failed", "code": "state.disk_full", "retry_s": 1.5},
    {"event": "ready", "name": "audience.bank", "resumed": True},
]


@pytest.mark.parametrize("lang", messages.LANGUAGES)
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: str(event["event"]))
def test_every_event_has_words(event: dict[str, Any], lang: str) -> None:
    from edged.commands._partner_follow import in_words

    said = in_words(event, lang)
    assert said
    assert "Unexpected" not in said
    assert "未知消息" not in said
    assert "…" not in said


def test_the_settings_are_what_an_operator_writes(tmp_path: Path) -> None:
    from edged.config import load_toml

    place = Town(tmp_path / "town")
    settings = msgspec.structs.replace(
        partner_settings(place, tmp_path / "bank"), keep_days=30, **signing(place)
    )
    assert load_toml(configuration(settings, tmp_path / "partner.toml"), PartnerSettings) == settings
    with pytest.raises(ConfigError):
        (tmp_path / "wrong.toml").write_text((tmp_path / "partner.toml").read_text().replace("= 30", "= 0"))
        load_toml(tmp_path / "wrong.toml", PartnerSettings)


async def test_what_was_kept_long_enough_is_forgotten(place: Town, tmp_path: Path) -> None:
    envelopes = stream(Sealer(place.signer(Role.DEVICE, "box-1"), "log-1", now()), "bank", 2)
    async with follower(place, tmp_path / "bank", keep_days=30) as bank:
        await bank.first(Ready)
        await publish(place, *envelopes)
        await bank.until(lambda events: len(verdicts(events)) == 2)
    assert b"issuing_state" in everything(tmp_path / "bank")
    ahead = {"clock": lambda: datetime.now(UTC) + timedelta(days=31)}
    async with follower(place, tmp_path / "bank", keep_days=30, options=ahead) as bank:
        await bank.first(Ready)
        await until(lambda: b"issuing_state" not in everything(tmp_path / "bank"))
    assert whole_numbers(tmp_path) == [1, 2]


def whole_numbers(tmp_path: Path) -> list[int]:
    return sorted(ledger(tmp_path / "bank" / "verdicts.sqlite")["box-1", "log-1", "bank"].hashes)


def everything(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(directory.glob("verdicts.sqlite*")))

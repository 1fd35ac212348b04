"""Replays: a partner that was away asks, signed, and gets what the archive holds, verbatim; nobody else gets any."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edged.central.archive_sqlite import SqliteReader
from edged.central.collector import Collector
from edged.central.events import Replayed, ReplayFailed
from edged.central.replay_service import (
    MAX_KINDS,
    WINDOW,
    Asked,
    Refusals,
    open_requests,
    publish_all,
)
from edged.errors import StateError
from edged.uplink import sign, topics
from edged.uplink.envelope import open_envelope
from edged.uplink.fields import encode
from edged.uplink.gaps import Gap, seal_gap
from edged.uplink.intake import Incoming
from edged.uplink.mqtt import Connection, PublishRefusedError, connect
from edged.uplink.names import Role
from edged.uplink.reason_codes import NO_SUBSCRIBERS
from edged.uplink.replay import (
    FRESH,
    MAX_PAGE,
    TYP_REQUEST,
    Place,
    ReplayEnd,
    ReplayRequest,
    Span,
    StreamExtent,
    open_end,
    seal_request,
)
from edged.uplink.subscription import Alarmed, Down, Ready
from tests.broker import FLEET, NOW, Sealer, Town, session, stream, town
from tests.delivery import Events, box, collector, collector_settings, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path / "town") as made:
        yield made


def request(name: str, *spans: Span, **changes: Any) -> ReplayRequest:
    content: dict[str, Any] = {
        "iss": "bank",
        "fleet": FLEET,
        "request": name,
        "iat": int(datetime.now(UTC).timestamp()),
        "spans": spans,
        "after": None,
        "limit": MAX_PAGE,
    }
    return ReplayRequest(**(content | changes))


class Asker:
    """A partner's connection that asks and listens."""

    def __init__(self, place: Town, connection: Connection) -> None:
        self.place = place
        self.connection = connection
        self.signer = place.signer(Role.AUDIENCE, "bank")

    async def ask(self, asked: ReplayRequest) -> tuple[list[bytes], ReplayEnd]:
        await self.send(seal_request(asked, signer=self.signer).encode())
        messages: list[bytes] = []
        topic = topics.replay_answer(FLEET, "bank", asked.request)
        async with asyncio.timeout(60):
            while True:
                for message in await self.connection.receive(9):
                    self.connection.acknowledge(message)
                    assert message.topic == topic
                    messages.append(message.payload)
                if b"." in messages[-1] and (end := self.end_of(messages[-1])):
                    return messages[:-1], end

    async def send(self, payload: bytes) -> None:
        await self.connection.publish(topics.replay_request(FLEET, "bank"), payload)

    def end_of(self, payload: bytes) -> ReplayEnd | None:
        with contextlib.suppress(Exception):
            return open_end(payload, anchor=self.place.anchor, at=datetime.now(UTC), audience="bank")
        return None


@contextlib.asynccontextmanager
async def asker(place: Town, *, listens: bool = True) -> AsyncIterator[Asker]:
    async with connect(place.endpoint(Role.AUDIENCE, "bank"), session("bank")) as connection:
        if listens:
            await connection.subscribe(topics.every_replay_answer(FLEET, "bank"))
        yield Asker(place, connection)


async def archived(place: Town, centre: Events, count: int, device: str = "box-1") -> list[bytes]:
    """Have `count` envelopes for the bank and one for the hotel archived; the bank's, as sent."""
    sealer = Sealer(place.signer(Role.DEVICE, device), "log")
    sent = [envelope.jws.encode() for envelope in stream(sealer, "bank", count)]
    async with connect(place.endpoint(Role.DEVICE, device), session(device)) as raw:
        await raw.subscribe(topics.receipt(FLEET, device))
        for payload in sent:
            await raw.publish(topics.verdict(FLEET, device, "bank"), payload)
        (hotel,) = stream(sealer, "hotel", 1)
        await raw.publish(topics.verdict(FLEET, device, "hotel"), hotel.jws.encode())
        gap = Gap(
            log_id="log", audience="bank", first=count + 1, last=count + 2, sha256="0" * 64, reason="too_old"
        )
        iat = int(NOW.timestamp())
        record = seal_gap(gap, jti="g", iat=iat, clock="trusted", signer=place.signer(Role.DEVICE, device))
        await raw.publish(topics.gap(FLEET, device, "bank"), record.encode())
    await centre.until(lambda events: stored(events) >= count + 2)
    return [*sent, record.encode()]


def stored(events: Events) -> int:
    return sum(getattr(event, "stored", 0) + getattr(event, "gaps", 0) for event in events)


async def test_what_was_missed_comes_verbatim_page_by_page(place: Town, tmp_path: Path) -> None:
    async with collector(place, tmp_path / "centre") as centre, asker(place) as bank:
        await centre.first(Ready)
        sent = await archived(place, centre, 5)
        whole = Span("box-1", "log", 2, None)
        first, end = await bank.ask(request("one", whole, limit=3))
        assert first == sent[1:4]
        assert (end.iss, end.sent, len(end.more)) == ("centre", 3, 1)
        rest, end = await bank.ask(request("two", *end.more))
        assert rest == sent[4:], "and the gap record stands at its place"
        assert (end.sent, end.more) == (2, ())
        for payload in sent[:-1]:
            assert open_envelope(payload, anchor=place.anchor, at=datetime.now(UTC), audience="bank")
        await centre.until(lambda events: len(events.of(Replayed)) == 2)
        assert centre.of(Replayed) == [Replayed("bank", 3, True), Replayed("bank", 2, False)]


async def test_a_request_without_spans_lists_streams_of_the_asker_alone(place: Town, tmp_path: Path) -> None:
    async with collector(place, tmp_path / "centre") as centre, asker(place) as bank:
        await centre.first(Ready)
        await archived(place, centre, 2)
        messages, end = await bank.ask(request("list"))
        assert messages == []
        assert end.streams == (StreamExtent("box-1", "log", 4, 2),)
        assert not end.more_streams
        _, end = await bank.ask(request("rest", after=Place("box-1", "log")))
        assert end.streams == ()
        _, end = await bank.ask(request("none", Span("box-1", "other", 1, None)))
        assert (end.sent, end.more) == (0, ())


async def test_who_is_no_audience_of_it_gets_nothing_and_is_an_alarm(place: Town, tmp_path: Path) -> None:
    """Everything here comes on the bank's own topic: the broker's list is taken as broken."""
    hotel, device = place.signer(Role.AUDIENCE, "hotel"), place.signer(Role.DEVICE, "box-1")
    span = Span("box-1", "log", 1, None)
    asked = request("x", span)
    bad = {
        "jws.malformed": b"junk",
        "cert.wrong_role": device.sign(TYP_REQUEST, encode(asked)).encode(),
        "replay.wrong_issuer": seal_request(
            msgspec.structs.replace(asked, iss="hotel"), signer=hotel
        ).encode(),
        "replay.malformed": seal_request(
            request("verdict", span), signer=place.signer(Role.AUDIENCE, "bank")
        ).encode(),
    }
    async with collector(place, tmp_path / "centre") as centre, asker(place) as bank:
        await centre.first(Ready)
        await archived(place, centre, 1)
        for payload in bad.values():
            await bank.send(payload)
        await centre.until(lambda events: len(events.of(Alarmed)) == len(bad))
        assert {event.alarm.code for event in centre.of(Alarmed)} == set(bad)
        assert {event.alarm.audience for event in centre.of(Alarmed)} == {"bank"}
        messages, _ = await bank.ask(request("good", span))
        assert len(messages) == 2, "and nothing came for the others, which would have been here first"
        await centre.first(Replayed)
        assert len(centre.of(Replayed)) == 1


async def test_a_stale_request_gets_no_answer_and_accuses_nobody(place: Town, tmp_path: Path) -> None:
    span = Span("box-1", "log", 1, None)
    old = int((datetime.now(UTC) - FRESH - timedelta(seconds=5)).timestamp())
    async with collector(place, tmp_path / "centre") as centre, asker(place) as bank:
        await centre.first(Ready)
        await bank.send(seal_request(request("old", span, iat=old), signer=bank.signer).encode())
        await bank.ask(request("new", span))
        await centre.first(Replayed)
        assert [event.audience for event in centre.of(Replayed)] == ["bank"]
        assert not centre.of(Alarmed)


async def test_an_asker_that_does_not_listen_is_not_sent_a_page(place: Town, tmp_path: Path) -> None:
    async with collector(place, tmp_path / "centre") as centre, asker(place, listens=False) as bank:
        await centre.first(Ready)
        await archived(place, centre, 3)
        await bank.send(
            seal_request(request("deaf", Span("box-1", "log", 1, None)), signer=bank.signer).encode()
        )
        failed = await centre.first(ReplayFailed)
        assert failed == ReplayFailed("bank", "central.replay_nobody_listens")
        assert not centre.of(Replayed)


async def test_a_page_that_hangs_delays_no_verdict(
    place: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, entered, gate = SqliteReader.page, threading.Event(), threading.Event()

    def gated(self: SqliteReader, *arguments: Any) -> Any:
        entered.set()
        assert gate.wait(60)
        return good(self, *arguments)

    monkeypatch.setattr(SqliteReader, "page", gated)
    async with collector(place, tmp_path / "centre") as centre, asker(place) as bank:
        await centre.first(Ready)
        try:
            asking = asyncio.create_task(bank.ask(request("slow", Span("box-1", "log", 1, None))))
            async with asyncio.timeout(60):
                while not entered.is_set():
                    await asyncio.sleep(0.01)
            async with box(place, tmp_path / "box") as device:
                for _ in range(5):
                    await device.commit("bank")
                await device.settled()
            assert not asking.done()
        finally:
            gate.set()
        await asking


async def test_a_database_that_fails_costs_the_answer_and_nothing_else(
    place: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, failures = SqliteReader.page, iter([True])

    def fails_once(self: SqliteReader, *arguments: Any) -> Any:
        if next(failures, False):
            raise StateError("state.disk_error")
        return good(self, *arguments)

    monkeypatch.setattr(SqliteReader, "page", fails_once)
    span = Span("box-1", "log", 1, None)
    async with collector(place, tmp_path / "centre") as centre, asker(place) as bank:
        await centre.first(Ready)
        sent = await archived(place, centre, 1)
        await bank.send(seal_request(request("first", span), signer=bank.signer).encode())
        assert await centre.first(ReplayFailed) == ReplayFailed("bank", "state.disk_error")
        messages, _ = await bank.ask(request("again", span))
        assert messages == sent
        assert not centre.of(Down)


async def test_one_that_asks_without_end_waits_its_turn(place: Town, tmp_path: Path) -> None:
    """Answers cost their messages; who has spent them waits, and of those that wait at once few are kept."""
    settings = collector_settings(place, tmp_path / "centre")
    slow = msgspec.structs.replace(settings.replay, messages_per_s=0.01)
    events = Events()
    worker = Collector(msgspec.structs.replace(settings, replay=slow), on_event=events.append)
    async with running(worker), asker(place) as bank:
        await events.first(Ready)
        for number in range(40):
            await bank.send(seal_request(request(f"r{number}"), signer=bank.signer).encode())
        # 25 answers are paid for, and one more with what comes in meanwhile, however little: a balance above nothing is
        # enough. 4 requests wait, 10 at least are dropped: of those the 1st, 2nd, 4th, 8th are told.
        await events.until(lambda events: len(events.of(ReplayFailed)) >= 4)
        assert len(events.of(ReplayFailed)) <= 6, "who asks without end doesn't fill a log"
        assert {event.code for event in events.of(ReplayFailed)} == {"central.replay_too_many"}
        assert len(events.of(Replayed)) <= MAX_PAGE // 20 + 1


# --- publishing a page ---------------------------------------------------------------------------------------------


class Line:
    """A connection whose broker answers as it is told, in its own time."""

    def __init__(self, answers: dict[bytes, int | Exception] | None = None) -> None:
        self.answers = answers or {}
        self.sent: list[bytes] = []
        self.flying = 0
        self.most = 0

    async def publish(self, _topic: str, payload: bytes) -> int:
        self.sent.append(payload)
        self.flying += 1
        self.most = max(self.most, self.flying)
        await asyncio.sleep(0)
        self.flying -= 1
        answer = self.answers.get(payload, 0)
        if isinstance(answer, Exception):
            raise answer
        return answer


PAGE = [f"m{number:03}" for number in range(100)]


async def test_a_page_goes_in_order_through_a_small_window() -> None:
    line = Line()
    assert await publish_all(line, "t", PAGE)  # type: ignore[arg-type]
    assert line.sent == [message.encode() for message in PAGE]
    assert line.most <= WINDOW


@pytest.mark.parametrize("at", [0, 50, 99])
async def test_a_page_ends_where_nobody_listens(at: int) -> None:
    line = Line({PAGE[at].encode(): NO_SUBSCRIBERS})
    assert not await publish_all(line, "t", PAGE)  # type: ignore[arg-type]
    assert len(line.sent) <= at + 2 * WINDOW


async def test_a_page_ends_with_what_the_broker_refuses() -> None:
    line = Line({b"m010": PublishRefusedError("mqtt.quota_exceeded")})
    with pytest.raises(PublishRefusedError):
        await publish_all(line, "t", PAGE)  # type: ignore[arg-type]
    assert len(line.sent) < 10 + 2 * WINDOW


def test_kinds_of_refusals_are_bounded() -> None:
    refusals = Refusals()
    for number in range(MAX_KINDS + 50):
        refusals.alarm("jws.malformed", "t", f"a-{number}")
    assert refusals.alarm("jws.malformed", "t", "another").count == 51
    assert refusals.alarm("jws.malformed", "t", "a-1").count >= 2
    assert len(refusals._counts) <= MAX_KINDS + 1


def test_a_request_over_which_the_check_stumbles_is_refused_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Town(tmp_path)
    signer = place.signer(Role.AUDIENCE, "bank")
    topic = topics.replay_request(FLEET, "bank")
    asked = [Incoming(topic, seal_request(request(f"r{n}"), signer=signer).encode()) for n in range(3)]
    good = sign.verify

    def verify(compact: Any, **options: Any) -> Any:
        if compact == asked[1].payload:
            raise KeyError
        return good(compact, **options)

    monkeypatch.setattr(sign, "verify", verify)
    first, second, third = open_requests(asked, anchor=place.anchor, now=datetime.now(UTC))
    assert second == ("intake.defect", asked[1])
    assert isinstance(first, Asked)
    assert isinstance(third, Asked)

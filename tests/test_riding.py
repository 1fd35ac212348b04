"""Who listens on the uplink's connection: one that fails costs itself, not delivery."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from edged.errors import StateError, UplinkError
from edged.uplink.mqtt import SubscriptionRefusedError
from edged.uplink.publisher import Uplink
from edged.uplink.riding import hand_out, serve_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Message:
    def __init__(self, topic: str) -> None:
        self.topic = topic


class Wire:
    """A connection that brings these topics and then ends, and grants what isn't in `forbidden`."""

    def __init__(self, *topics: str, forbidden: Sequence[str] = ()) -> None:
        self.topics = list(topics)
        self.forbidden = forbidden
        self.acknowledged: list[str] = []
        self.subscribed: list[str] = []

    async def receive(self, _: int) -> list[Message]:
        if not self.topics:
            raise UplinkError("uplink.no_answer")
        return [Message(self.topics.pop(0))]

    def acknowledge(self, message: Message) -> None:
        self.acknowledged.append(message.topic)

    async def subscribe(self, topic_filter: str) -> None:
        if topic_filter in self.forbidden:
            raise SubscriptionRefusedError("mqtt.not_authorized", "SUBACK", 0x87)
        self.subscribed.append(topic_filter)


class Listener:
    def __init__(self, topic: str, fails: Exception | None = None) -> None:
        self.topic, self.fails = topic, fails
        self.heard = 0
        self.served = False

    def filters(self) -> Sequence[str]:
        return (self.topic,)

    def wants(self, topic: str) -> bool:
        return topic == self.topic

    async def take(self, received: Sequence[Any]) -> None:
        self.heard += len(received)
        if self.fails is not None:
            raise self.fails

    async def serve(self, _: Any) -> None:
        if self.fails is not None:
            raise self.fails
        await asyncio.sleep(0)
        self.served = True


async def test_a_rider_that_fails_over_a_message_is_not_given_it_again_for_ever() -> None:
    wire, broken, well = Wire("a", "b", "a"), Listener("a", ValueError("ours")), Listener("b")
    with pytest.raises(UplinkError):
        await hand_out(wire, [broken, well])  # type: ignore[arg-type,list-item]
    assert (broken.heard, well.heard, wire.acknowledged) == (2, 1, ["a", "b", "a"])


async def test_what_a_rider_raises_in_order_ends_the_connection() -> None:
    wire = Wire("a")
    with pytest.raises(StateError):
        await hand_out(wire, [Listener("a", StateError("state.disk_full"))])  # type: ignore[arg-type,list-item]
    assert wire.acknowledged == [], "it comes again"


async def test_a_rider_that_fails_silences_nobody_else() -> None:
    broken, well = Listener("a", ValueError("ours")), Listener("b")
    serving = asyncio.create_task(serve_all(None, [broken, well]))  # type: ignore[arg-type,list-item]
    while not well.served:
        await asyncio.sleep(0)
    assert not serving.done()
    serving.cancel()
    with pytest.raises(StateError):
        await serve_all(None, [Listener("a", StateError("state.disk_full")), well])  # type: ignore[arg-type,list-item]


async def test_a_forbidden_subscription_costs_what_it_was_for(tmp_path: Path) -> None:
    from tests.broker import town
    from tests.delivery import box

    with town(tmp_path) as place:
        rider = Listener("edged/1/north/box-1/nothing")
        async with box(place, tmp_path / "box", run=False, riders=[rider]) as device:  # type: ignore[list-item]
            uplink: Uplink = device.uplink
            receipts = uplink._receipts.filters()
            wire = Wire(forbidden=[rider.topic])
            for one in uplink._riders:
                await uplink._subscribe(wire, one)  # type: ignore[arg-type]
            assert wire.subscribed == list(receipts)
            with pytest.raises(SubscriptionRefusedError):
                await uplink._subscribe(Wire(forbidden=receipts), uplink._receipts)  # type: ignore[arg-type]

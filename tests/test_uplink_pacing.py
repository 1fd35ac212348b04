"""How much goes out when: slots, budget, pause and waits, with time as an argument."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from edged.uplink.budget import FIRST_BYTES, LOOK_S, MOST_BYTES, TARGET_S, Budget
from edged.uplink.in_flight import SKIPPED, Answer, InFlight
from edged.uplink.mqtt_types import Endpoint
from edged.uplink.pause import FIRST_S, LONGEST_S, Pause
from edged.uplink.reconnect import Backoff
from edged.uplink.subscription import Subscription

SIZE = 1500
TAKEN = Answer(0, "")


class Line:
    """A line of so many bytes a second and a delay of its own, with one queue; drives a budget as a sender would."""

    def __init__(self, rate: float, delay_s: float) -> None:
        self.rate = rate
        self.delay_s = delay_s
        self.budget = Budget()
        self.now = 0.0
        self.free_at = 0.0
        self.coming: list[tuple[float, int]] = []
        self.sent = 0
        self.queued: list[float] = []

    def send(self) -> None:
        self.free_at = max(self.free_at, self.now) + SIZE / self.rate
        self.budget.sent(self.sent, SIZE, self.now)
        self.coming.append((self.free_at + self.delay_s, self.sent))
        self.sent += 1

    def run(self, seconds: float) -> int:
        """A backlog without end; how many publications were acknowledged."""
        end, before = self.now + seconds, len(self.queued)
        while self.now < end:
            while self.budget.allows(SIZE, self.now):
                self.send()
            arrival, key = self.coming.pop(0)
            self.now = arrival
            # What a fresh verdict would wait for if it came now.
            self.queued.append(max(self.free_at - self.now, 0.0))
            self.budget.answered(key, self.now)
        return len(self.queued) - before


@pytest.mark.parametrize(
    ("rate", "delay_s"), [(5e3, 0.4), (50e3, 0.1), (1e6, 0.03), (1e6, 0.6), (20e6, 0.002)], ids=str
)
def test_about_half_a_second_of_backlog_is_ahead_of_a_fresh_verdict(rate: float, delay_s: float) -> None:
    line = Line(rate, delay_s)
    line.run(20)
    settled = len(line.queued)
    acknowledged = line.run(100)
    ahead = sorted(line.queued[settled:])
    # One envelope always may be on the way, however slow the line.
    assert ahead[int(0.95 * len(ahead))] <= TARGET_S + 2 * SIZE / rate
    possible = min(rate, MOST_BYTES / (delay_s + SIZE / rate)) * 100 / SIZE
    assert acknowledged > 0.8 * possible, "and the line is not left idle for it"


def test_the_first_moments_on_a_slow_line() -> None:
    line = Line(2400, 0.5)
    line.run(10)
    assert max(line.queued) <= (FIRST_BYTES + SIZE) / 2400


def test_a_line_that_becomes_slow_is_found_out() -> None:
    line = Line(1e6, 0.05)
    line.run(20)
    fast = line.budget.limit
    line.rate = 20e3
    line.run(60)
    assert line.budget.limit < fast / 5
    assert line.queued[-1] <= TARGET_S + 2 * SIZE / 20e3
    line.rate = 1e6
    line.run(120)
    assert line.budget.limit > fast / 3


def test_another_way_to_the_broker_is_no_queue() -> None:
    """From a cable to a satellite: every answer takes longer now, and nothing waits for it."""
    line = Line(200e3, 0.02)
    line.run(20)
    line.delay_s = 0.9
    line.run(2 * LOOK_S)
    assert line.budget.delay_s == pytest.approx(0.9 + SIZE / 200e3, rel=0.1)
    line.run(60)
    assert line.run(60) > 0.6 * 200e3 * 60 / SIZE


def test_a_standing_queue_does_not_pass_for_a_long_line() -> None:
    """Somebody else's bulk on the same line for an hour: what we add stays bounded."""
    line = Line(50e3, 0.1)
    line.run(3600)
    assert line.budget.delay_s == pytest.approx(0.1 + SIZE / 50e3, rel=0.2)
    assert sorted(line.queued)[int(0.99 * len(line.queued))] <= TARGET_S + 4 * SIZE / 50e3


def test_a_budget_counts_and_always_lets_one_through() -> None:
    budget = Budget()
    assert budget.allows(10 * MOST_BYTES, 0.0)
    budget.sent("a", 10 * MOST_BYTES, 0.0)
    assert (budget.in_flight, budget.allows(1, 0.0)) == (10 * MOST_BYTES, False)
    budget.answered("a", 1000.0)
    assert budget.in_flight == 0
    assert budget.limit <= MOST_BYTES
    for number in range(20_000):
        budget.sent(number, SIZE, 1000.0)
        budget.answered(number, 1000.001)
    assert FIRST_BYTES <= budget.limit <= MOST_BYTES
    assert budget.allows(1, 1001.0 + LOOK_S)


async def test_slots() -> None:
    flight = InFlight(2, 10.0)
    await flight.slot()
    flight.sent(1, 0.0, reserved=True)
    second = flight.sent(2, 0.0, reserved=False)
    assert (flight.free, len(flight)) == (0, 2)
    turns = [asyncio.ensure_future(flight.slot()) for _ in range(3)]
    await asyncio.sleep(0)
    assert flight.answered(1, TAKEN, 1.0)
    await asyncio.sleep(0)
    assert [turn.done() for turn in turns] == [True, False, False]
    assert flight.free == 0, "kept for whoever's turn it is"
    turns[1].cancel()
    await asyncio.sleep(0)
    flight.give_back()  # the first sent nothing
    await asyncio.sleep(0)
    assert turns[2].done()
    assert not flight.answered(1, TAKEN, 1.0), "nothing of ours"
    flight.end()
    assert await second is None


async def test_a_turn_that_came_while_its_waiter_was_cancelled_is_not_lost() -> None:
    flight = InFlight(1, 10.0)
    flight.sent(1, 0.0, reserved=False)
    turn = asyncio.ensure_future(flight.slot())
    await asyncio.sleep(0)
    flight.answered(1, TAKEN, 1.0)
    turn.cancel()
    await asyncio.gather(turn, return_exceptions=True)
    assert flight.free == 1


async def test_patience() -> None:
    flight = InFlight(9, 10.0)
    assert flight.deadline() is None
    for mid in range(4):
        flight.sent(mid, float(mid), reserved=False)
    assert flight.deadline() == 10.0
    flight.answered(1, TAKEN, 9.0)
    assert flight.deadline() == 19.0, "slow, not dead"
    flight.answered(2, TAKEN, 18.0)
    flight.answered(3, TAKEN, 27.0)
    assert flight.deadline() == SKIPPED * 10.0, "left out: that one will never be acknowledged"


def test_a_pause_holds_everything_and_then_asks_once() -> None:
    pause = Pause()
    assert pause.room(5, 0.0) is None
    assert pause.refused("mqtt.quota_exceeded", 0.0)
    assert not pause.refused("mqtt.quota_exceeded", 0.1), "the rest of the same burst"
    assert (pause.room(0, 0.5), pause.wait_s(0.25), pause.code) == (0, FIRST_S - 0.25, "mqtt.quota_exceeded")
    assert (pause.room(0, 1.0), pause.room(1, 1.0)) == (1, 0)
    assert pause.wait_s(1.0) is None, "the time has come"
    now = 1.0
    for expected in (2, 4, 8, 16, 32, LONGEST_S, LONGEST_S):
        assert pause.refused("mqtt.message_rate_too_high", now)
        assert pause.wait_s(now) == expected
        now += expected
    pause.taken(now - 1)
    assert pause.code == "mqtt.message_rate_too_high", "an answer from before the pause proves nothing"
    pause.taken(now)
    assert (pause.room(99, now), pause.wait_s(now), pause.code) == (None, None, None)
    assert pause.refused("mqtt.quota_exceeded", now)
    assert pause.wait_s(now) == FIRST_S


def test_a_fleet_whose_broker_restarts_comes_back_spread_out() -> None:
    waits = sorted(Backoff(0.5, 60.0, random.Random(box), 5.0).after_loss(3600.0) for box in range(2000))
    assert waits[0] < 0.5
    assert waits[-1] > 4.9
    busiest = max(
        sum(1 for wait in waits if start <= wait < start + 0.5) for start in (n / 10 for n in range(50))
    )
    assert busiest < 2000 / 10 * 2.2
    assert Backoff(0.05, 0.2, random.Random(1), 5.0).after_loss(99.0) <= 0.2, "never longer than the longest"


def test_waits_after_which_haste_would_do_harm() -> None:
    backoff = Backoff(0.5, 60.0, random.Random(2), 5.0)
    assert all(30.0 <= backoff.longest() <= 60.0 for _ in range(20))
    assert backoff.after_loss(59.0) >= 30.0, "thrown out again as soon as we were back"
    assert backoff.after_loss(61.0) <= 5.0


def test_a_subscriber_comes_back_spread_out_as_boxes_do() -> None:
    """A broker's restart loses partners and collectors in the same instant as the boxes."""
    endpoint = Endpoint("broker", Path("ca"), Path("certificate"), Path("key"))

    def wait(lasted_s: float | None) -> float:
        subscription = Subscription(
            endpoint, client_id="x", topic_filters=("t",), backoff_s=(0.5, 60.0), on_event=lambda _: None
        )
        subscription._lasted_s = lasted_s
        return subscription._wait(patient=False)

    assert max(wait(None) for _ in range(200)) <= 0.5, "no connection was lost"
    waits = [wait(3600.0) for _ in range(200)]
    assert max(waits) <= 5.0
    assert sum(one > 1 for one in waits) > 100

"""A recorded feed is noticed: the order of light that was drawn is looked for in the frames."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.core.illumination_order import (
    BRIGHT,
    DARK,
    DIMMED,
    INFRARED,
    STEPS,
    Seen,
    Sight,
    draw,
    judge,
    sight,
)
from edged.drivers import Exposed, Glimpse, StrobeStep, liveness
from edged.drivers.bare import BareHead
from edged.drivers.head_events import Lamp
from edged.drivers.head_exposing import MeasuredWindow
from edged.drivers.head_messages import Step
from edged.drivers.head_strobe import LinkedStrobe, strobe_of
from edged.drivers.liveness import require_live, sure
from edged.drivers.uvc import UvcCamera
from edged.errors import DeviceError
from edged.events import Light
from tests.camera_fake import FakeCamera, FlashHead, Lamps, settings
from tests.lit_window import Window, noisy

BOTH = (Light.WHITE, Light.IR)
BURSTS = 120


def test_every_order_has_what_must_be_compared_and_is_as_likely() -> None:
    chance = random.Random(1)
    drawn = Counter(draw((Light.WHITE,), chance, 3) for _ in range(6000))
    assert len(drawn) == 6  # of 3: every kind once
    assert max(drawn.values()) < 1.3 * min(drawn.values())
    for _ in range(200):
        order = draw(BOTH, chance)
        assert len(order) == STEPS
        assert {DARK, DIMMED, BRIGHT} <= set(order) <= {DARK, DIMMED, BRIGHT, INFRARED}


def rates(attack: str, bursts: int = BURSTS) -> Counter[Seen]:
    """What is seen in so many bursts at as many counters."""
    rng, chance = np.random.default_rng(5), random.Random(5)
    found: Counter[Seen] = Counter()
    for number in range(bursts):
        lights = BOTH if number % 2 else (Light.WHITE,)
        window, order = Window.somewhere(rng), draw(lights, chance)
        still = window.frame(BRIGHT)
        match attack:
            case "genuine":
                frames = [window.frame(step) for step in order]
            case "still":
                frames = [noisy(still, rng) for _ in order]
            case "recorded":
                frames = [window.frame(step) for step in draw(lights, chance)]
            case "guessed":
                frames = [window.frame(chance.choice((DARK, DIMMED, BRIGHT))) for _ in order]
            case "screen":
                frames = [noisy(0.75 * still + 0.12 * window.frame(step), rng) for step in order]
        found[judge(order, [sight(frame) for frame in frames])] += 1
    print(attack, {seen.value: count / bursts for seen, count in found.items()})
    return found


def test_false_alarms_are_rare() -> None:
    """Dim and sunny counters, old lamps, cheap cameras, documents that slip: one of 160 in a long run."""
    assert rates("genuine")[Seen.LIVE] >= 0.99 * BURSTS


@pytest.mark.parametrize("attack", ["still", "screen"])
def test_what_doesnt_follow_the_light_never_passes(attack: str) -> None:
    assert rates(attack)[Seen.LIVE] == 0


@pytest.mark.parametrize("attack", ["recorded", "guessed"])
def test_another_order_passes_only_by_luck(attack: str) -> None:
    """1 of 1806 by guessing; more of recordings with infrared in them, which may stand for bright or dim."""
    assert rates(attack)[Seen.LIVE] <= 0.02 * BURSTS


def test_nothing_to_be_seen_is_not_live() -> None:
    order = (DARK, DIMMED, BRIGHT)
    black = [sight(np.full((60, 80), shade, np.uint8)) for shade in (2, 4, 6)]
    assert judge(order, black) is Seen.UNCLEAR
    burnt = [sight(np.full((60, 80), 255, np.uint8)) for _ in order]
    assert judge(order, burnt) is Seen.UNCLEAR
    daylight = [sight(np.full((60, 80), shade, np.uint8)) for shade in (180, 195, 220)]
    assert judge(order, daylight) is Seen.UNCLEAR


@given(
    windows=st.lists(st.floats(0.03, 0.3), min_size=3, max_size=8),
    late=st.floats(0, 0.2),
    told_late=st.floats(0, 0.2),
    period=st.floats(0.005, 0.06),
    phase=st.floats(0, 1),
)
def test_a_frame_counts_for_a_step_only_if_it_was_exposed_in_it(
    windows: list[float], late: float, told_late: float, period: float, phase: float
) -> None:
    """However late the head begins, and however late we hear of its end."""
    asked = 100.0
    starts = [asked + late + sum(windows[:index]) for index in range(len(windows))]
    answered = starts[-1] + windows[-1] + told_late
    frames = []
    for number in range(int((answered - asked + 0.5) / period)):
        began = asked + (number + phase) * period
        own = np.full((1, 1), number, np.float32)
        frames.append(Glimpse(began, began + 1.5 * period, Sight(own, own, 0.0)))
    found = sure(windows, frames, asked, answered)
    if found is None:
        return
    for one, start, window in zip(found, starts, windows, strict=True):
        frame = frames[int(one.blocks[0, 0])]
        assert frame.began >= start - 1e-6
        assert frame.ended <= start + window + 1e-6


# --- head, camera and light together --------------------------------------------------------------------------


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps long enough for a machine that has something else to do."""
    monkeypatch.setattr(liveness, "SLACK_MS", 100)


@pytest.mark.usefixtures("patient")
async def test_a_camera_that_sees_the_window_is_live() -> None:
    lamps = Lamps()
    fake, head = FakeCamera(lamps), FlashHead(lamps, lights=BOTH)
    async with UvcCamera(
        settings(lights=("white", "ir"), exposure_us={"white": 2000, "ir": 2000}), fake.opener
    ) as eye:
        assert await require_live(head, eye)  # type: ignore[arg-type]
    (steps,) = head.asked[:1]
    assert len(steps) == STEPS


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("feed", ["still", "recording"])
async def test_a_feed_from_elsewhere_fails_closed(feed: str) -> None:
    """The frames come from a genuine burst of before: as a still picture, and as a film with its own order of light."""
    elsewhere = Lamps()
    recorded = FakeCamera(elsewhere)
    if feed == "still":
        elsewhere.light(Light.WHITE, 100, 0, 1e12)
    else:
        for number in range(20_000):
            elsewhere.light(Light.WHITE, (100, 35)[number % 2], number * 0.09, number * 0.09 + 0.06)

    def played(begin: float, end: float) -> np.ndarray:  # type: ignore[type-arg]
        return recorded.lit(begin % 1000, begin % 1000 + (end - begin))

    fake, head = FakeCamera(), FlashHead(Lamps())
    fake.picture = played
    async with UvcCamera(settings(), fake.opener) as camera:
        with pytest.raises(DeviceError) as caught:
            await require_live(head, camera, random.Random(3))  # type: ignore[arg-type]
    # Where in the recording a burst falls is chance: now and then there is too little of its light to say why.
    assert caught.value.code in {Seen.REPLAYED.value, Seen.UNCLEAR.value if feed == "recording" else ""}


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps as short as can be, where nothing has to be seen in them."""
    monkeypatch.setattr(liveness, "SLACK_MS", 1)
    monkeypatch.setattr(liveness, "_AFTER_S", 0.0)


@pytest.mark.usefixtures("hasty")
async def test_what_cant_be_seen_is_asked_once_more_and_then_refused() -> None:
    fake, head = FakeCamera(), FlashHead(Lamps())
    rng = np.random.default_rng(6)
    fake.picture = lambda *_: rng.integers(0, 9, (120, 160, 3)).astype(np.uint8)
    async with UvcCamera(settings(), fake.opener) as camera:
        with pytest.raises(DeviceError) as caught:
            await require_live(head, camera)  # type: ignore[arg-type]
        assert caught.value.code == "camera.replay_unclear"
        assert liveness.longest_s(head, camera) >= sum(  # type: ignore[arg-type]
            step.window_us / 1e6 for steps in head.asked for step in steps
        )
    first, second = (steps[0].window_us for steps in head.asked)
    assert second == first + 1000 * (liveness.PATIENCE - 1), "a busy machine closes no counter"


@pytest.mark.usefixtures("hasty")
async def test_a_burst_that_was_cut_short_says_nothing() -> None:
    lamps = Lamps()
    fake, head = FakeCamera(lamps), FlashHead(lamps)
    head.cut = True
    async with UvcCamera(settings(), fake.opener) as camera:
        with pytest.raises(DeviceError, match="replay_unclear"):
            await require_live(head, camera)  # type: ignore[arg-type]


@pytest.mark.usefixtures("patient")
async def test_an_infrared_lamp_that_must_rest_closes_no_counter() -> None:
    lamps = Lamps()
    fake, head = FakeCamera(lamps), FlashHead(lamps, lights=BOTH)
    flash, refused = head.flash, []

    async def rests(steps: Sequence[StrobeStep]) -> tuple[Exposed, ...]:
        if any(step.light is Light.IR for step in steps):
            refused.append(steps)
            raise DeviceError("head", "reader_head.lamp_rests")
        return await flash(steps)

    head.flash = rests  # type: ignore[method-assign]
    exposures = {"white": 2000, "ir": 2000}
    async with UvcCamera(settings(lights=("white", "ir"), exposure_us=exposures), fake.opener) as eye:
        assert await require_live(head, eye, random.Random(1))  # type: ignore[arg-type]
    assert len(refused) == len(head.asked) == 1


async def test_who_cant_show_it_isnt_asked() -> None:
    fake = FakeCamera()
    async with UvcCamera(settings(), fake.opener) as camera, BareHead(camera) as bare:
        assert not await require_live(bare, camera)
    head = FlashHead(Lamps())
    async with UvcCamera(settings(exposure_us={}), fake.opener) as camera:
        assert not await require_live(head, camera)  # type: ignore[arg-type]
    assert head.asked == []
    for code in ("reader_head.unsupported", "reader_head.lamp_rests"):

        async def refuses(_steps: object, code: str = code) -> None:
            raise DeviceError("head", code)

        head.flash = refuses  # type: ignore[assignment,method-assign]
        async with UvcCamera(settings(), fake.opener) as camera:
            if code == "reader_head.unsupported":
                assert not await require_live(head, camera)  # type: ignore[arg-type]
            else:
                with pytest.raises(DeviceError, match=code):
                    await require_live(head, camera)  # type: ignore[arg-type]


class LinkedStandIn:
    """As much of `edged.drivers.head.LinkedHead` as exposes."""

    def __init__(self) -> None:
        self.asked: list[Step] = []
        self.lit = True

    async def dark(self) -> None:
        self.lit = False

    def lamp(self, light: Light) -> Lamp | None:
        return {Light.WHITE: Lamp.WHITE, Light.IR: Lamp.IR_940}.get(light)

    async def expose(self, steps: list[Step]) -> tuple[MeasuredWindow, ...]:
        assert not self.lit
        self.asked = steps
        return tuple(
            MeasuredWindow(at, step.lamp, 7, step.window_us, True, 0.0, 0.0) for at, step in enumerate(steps)
        )


async def test_our_own_head_lights_what_is_asked_for() -> None:
    stand_in = LinkedStandIn()
    strobe = LinkedStrobe(stand_in)  # type: ignore[arg-type]
    exposed = await strobe.flash([StrobeStep(Light.IR, 100, 5, 2000), StrobeStep(None, 0, 0, 3000)])
    assert stand_in.asked == [Step(Lamp.IR_940, 100, 5, 2000), Step(None, 0, 0, 3000)]
    assert [one.window_us for one in exposed] == [2000, 3000]
    with pytest.raises(DeviceError, match="no_such_lamp"):
        await strobe.flash([StrobeStep(Light.UV, 100, 0, 2000)])
    assert strobe_of(object()) is None

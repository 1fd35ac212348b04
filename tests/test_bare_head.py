"""A box without a head: what lies in the window is seen in its pictures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from edged.core.illumination_order import sight
from edged.core.presence import Change, Presence
from edged.device_settings import HeadSettings
from edged.drivers.bare import BareHead, open_head
from edged.drivers.uvc import UvcCamera
from edged.errors import DeviceError, DeviceGoneError
from edged.events import (
    DeviceBack,
    DeviceGone,
    DocumentPlaced,
    DocumentRemoved,
    DocumentTurned,
    HeadEvent,
    Indication,
    Light,
)
from tests.camera_fake import FakeCamera, settings
from tests.lit_window import SIZE, Window, noisy, reflectances

WIDTH, HEIGHT = SIZE
RNG = np.random.default_rng(3)
EMPTY = np.full((HEIGHT, WIDTH), 24.0)


def page(number: int) -> np.ndarray:  # type: ignore[type-arg]
    return 255 * reflectances()[number] ** (1 / 2.2)


def hand(over: np.ndarray, at: int) -> np.ndarray:  # type: ignore[type-arg]
    """A hand at some place of its way across the picture."""
    picture = over.copy()
    picture[:, at : at + WIDTH // 3] = 140
    return picture


def changes(*pictures: np.ndarray) -> list[Change]:  # type: ignore[type-arg]
    presence = Presence()
    seen = [presence.see(sight(noisy(picture, RNG))) for picture in pictures]
    return [change for change in seen if change is not None]


def test_a_document_comes_and_goes() -> None:
    come_and_go = [EMPTY] * 3 + [hand(EMPTY, 60)] + [page(0)] * 4 + [hand(page(0), 30)] + [EMPTY] * 3
    assert changes(*come_and_go) == [Change.PLACED, Change.REMOVED]


def test_a_turned_document_is_told_once_the_hand_is_gone() -> None:
    way = [hand(page(0), at) for at in (0, 40, 80)] + [hand(page(2), at) for at in (80, 30)]
    assert changes(*[page(0)] * 4, *way, *[page(2)] * 3) == [Change.PLACED, Change.TURNED]


def test_neither_noise_nor_a_hand_nor_one_odd_picture_is_a_document() -> None:
    waving = [hand(EMPTY, at) for at in (0, 50, 100, 20, 70)]
    assert changes(EMPTY, EMPTY, *waving, EMPTY, EMPTY) == []
    assert changes(EMPTY, page(0), EMPTY, page(0), EMPTY) == []
    assert changes(*[page(0)] * 4, EMPTY, *[page(0)] * 3) == [Change.PLACED]


def test_a_lamp_that_ages_turns_nothing() -> None:
    assert changes(*[page(0) * (1 - step / 40) for step in range(20)]) == [Change.PLACED]


class Counter:
    """Somebody lays things into the window."""

    def __init__(self) -> None:
        self.fake = FakeCamera()
        self.lies: np.ndarray = EMPTY  # type: ignore[type-arg]
        self.fake.picture = self._picture

    def _picture(self, *_: float) -> np.ndarray:  # type: ignore[type-arg]
        return np.repeat(noisy(self.lies, RNG)[..., None], 3, axis=2)


@asynccontextmanager
async def counter() -> AsyncIterator[tuple[Counter, BareHead, UvcCamera]]:
    made = Counter()
    async with UvcCamera(settings(), made.fake.opener) as camera, BareHead(camera, 0.001) as head:
        yield made, head, camera


async def heard(head: BareHead, event: type[HeadEvent]) -> None:
    async with asyncio.timeout(60):
        async for one in head.events():
            assert isinstance(one, event), one
            return


async def test_a_box_with_only_a_camera_tells_what_a_head_would() -> None:
    async with counter() as (desk, head, camera):
        assert not head.document_present
        desk.lies = page(0)
        await heard(head, DocumentPlaced)
        assert head.document_present
        assert (await camera.capture(Light.WHITE)).image().mean() > 30  # while it is looked at
        desk.lies = page(2)
        await heard(head, DocumentTurned)
        desk.lies = EMPTY
        await heard(head, DocumentRemoved)
        assert not head.document_present


async def test_it_goes_on_looking_when_the_camera_is_back() -> None:
    async with counter() as (desk, head, camera):
        desk.fake.plugged = False
        events = camera.events()
        await anext(events)
        desk.lies = page(0)
        await heard(head, DeviceGone)
        with pytest.raises(DeviceGoneError, match="unplugged"):
            await head.indicate(Indication.READY)
        desk.fake.plugged = True
        await anext(events)
        await heard(head, DeviceBack)
        await heard(head, DocumentPlaced)


async def test_what_it_cant_show_is_remembered() -> None:
    async with counter() as (_, head, camera):
        await head.indicate(Indication.TURN_OVER)
        await head.beep()
        await head.illuminate(Light.WHITE, 100)
        assert (head.indication, head.beeps, head.lights) == (Indication.TURN_OVER, 1, {Light.WHITE})
        with pytest.raises(DeviceError, match="no_such_lamp"):
            await head.illuminate(Light.IR, 100)
        assert head.provenance.driver == "bare"
        assert head.provenance.identity == camera.provenance.identity
        assert isinstance(open_head(HeadSettings(driver="bare"), camera), BareHead)


def test_presence_is_cheap_enough_for_four_looks_a_second() -> None:
    """That is: nothing of it grows with what was seen before."""
    presence = Presence()
    window = Window(reflectances()[0], RNG)
    for _ in range(50):
        presence.see(sight(window.frame(None)))
    assert len(vars(presence)) == 4


async def test_a_picture_that_breaks_looking_ends_no_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = asyncio.Event()
    fake = FakeCamera()
    async with UvcCamera(settings(), fake.opener) as camera:
        watch, broken = camera.watch, [RuntimeError("a bug")]

        async def watched(seconds: float) -> object:
            if broken:
                raise broken.pop()
            looked.set()
            return await watch(seconds)

        monkeypatch.setattr(camera, "watch", watched)
        async with BareHead(camera, look_every_s=0.01):
            await asyncio.wait_for(looked.wait(), 60)

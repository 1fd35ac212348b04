"""What every head does alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from edged.errors import DeviceGoneError
from edged.events import (
    ButtonPressed,
    DocumentPlaced,
    DocumentRemoved,
    DocumentTurned,
    Indication,
    Light,
)
from edged.testing.device import DeviceContract
from edged.testing.stories import next_of, story, until

if TYPE_CHECKING:
    from edged.testing.benches import HeadBench, Maker

LIT_MS = 50
"""Long enough to be seen, short for any lamp's limits."""


class HeadContract(DeviceContract):
    """Inherit it, and give a fixture `bench` of `HeadBench`."""

    section: ClassVar[str] = "head"
    name: ClassVar[str] = "head"

    async def used(self, bench: Any) -> None:
        """Show something."""
        await bench.device.indicate(Indication.READY)

    @story
    async def test_documents_come_turn_and_go(self, bench: Maker[HeadBench]) -> None:
        """In order, and `document_present` is true when the event is told."""
        async with bench() as world, world.device as head:
            events = head.events()
            assert not head.document_present
            await world.place()
            assert await next_of(events) == DocumentPlaced()
            assert head.document_present
            await world.turn()
            assert await next_of(events) == DocumentTurned()
            assert head.document_present
            await world.remove()
            assert await next_of(events) == DocumentRemoved()
            assert not head.document_present

    @story
    async def test_every_press_is_told_once(self, bench: Maker[HeadBench]) -> None:
        """Those too that nobody listened for yet."""
        async with bench() as world, world.device as head:
            await world.press()
            await world.press()
            await world.place()
            events = head.events()
            assert [await next_of(events) for _ in range(3)] == [
                ButtonPressed(),
                ButtonPressed(),
                DocumentPlaced(),
            ]

    @story
    async def test_every_lamp_it_names_can_be_lit(self, bench: Maker[HeadBench]) -> None:
        """White is always among them."""
        async with bench() as world, world.device as head:
            assert Light.WHITE in head.lights
            for light in sorted(head.lights):
                await head.illuminate(light, LIT_MS)
                assert await world.lit() in (None, light)

    @story
    async def test_every_indication_can_be_shown(self, bench: Maker[HeadBench]) -> None:
        """A head with fewer lamps than words shows its nearest, and says nothing."""
        async with bench() as world, world.device as head:
            for indication in Indication:
                await head.indicate(indication)
                assert await world.shown() in (None, indication)

    @story
    async def test_it_beeps(self, bench: Maker[HeadBench]) -> None:
        """Once each time."""
        async with bench() as world, world.device as head:
            before = await world.beeps()
            await head.beep()
            await head.beep()
            after = await world.beeps()
            assert before is None or after == before + 2

    @story
    async def test_nothing_works_without_it_and_all_of_it_afterwards(self, bench: Maker[HeadBench]) -> None:
        """Lamps, indicator and buzzer each say that it is gone."""
        async with bench() as world, world.device as head:
            await world.unplug()
            await self.known_gone(world)
            for attempt in (
                head.illuminate(Light.WHITE, LIT_MS),
                head.indicate(Indication.READING),
                head.beep(),
            ):
                with pytest.raises(DeviceGoneError) as caught:
                    await attempt
                self.coded(caught.value)
            await world.plug()
            await self.known_back(world)
            await world.place()
            await until(lambda: head.document_present)
            await head.illuminate(Light.WHITE, LIT_MS)
            await head.beep()

"""What every reader of MRZ text does alike."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pytest

from edged.errors import DeviceGoneError, IdentityLeakError
from edged.events import DeviceBack, DeviceGone, DocumentSwiped, SwipeEvent
from edged.testing.device import DeviceContract
from edged.testing.stories import Overheard, next_of, story

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edged.testing.benches import Maker, SwipeBench

TD3: Final = (
    "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<",
    "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
)
"""ICAO Doc 9303 part 4, the specimen of a passport."""

TD1: Final = (
    "I<UTOD231458907<<<<<<<<<<<<<<<",
    "7408122F1204159UTO<<<<<<<<<<<6",
    "ERIKSSON<<ANNA<MARIA<<<<<<<<<<",
)
"""ICAO Doc 9303 part 5, the specimen of a card."""


class SwipeContract(DeviceContract):
    """Inherit it, and give a fixture `bench` of `SwipeBench`."""

    section: ClassVar[str] = "swipe"
    name: ClassVar[str] = "swipe"

    async def used(self, bench: Any) -> None:
        """There is nothing to be asked of it: what it says of itself is all."""
        trouble = bench.device.trouble
        if trouble is not None:
            raise DeviceGoneError("swipe", trouble.code)

    @story
    async def test_a_swipe_is_one_event(self, bench: Maker[SwipeBench]) -> None:
        """With its lines as they were read, whatever the document, and again."""
        async with bench() as world, world.device as reader:
            events = reader.events()
            for lines in (TD3, TD1, TD3):
                await world.swipe(lines)
                assert await _swiped(events) == lines

    @story
    async def test_what_was_swiped_before_anybody_listened(self, bench: Maker[SwipeBench]) -> None:
        """A cancelled consumer loses nothing of what comes after it."""
        async with bench() as world, world.device as reader:
            first = reader.events()
            listening = asyncio.ensure_future(anext(first))
            await asyncio.sleep(0)
            listening.cancel()
            await asyncio.wait([listening])
            await world.swipe(TD1)
            assert await _swiped(reader.events()) == TD1

    @story
    async def test_a_reader_that_comes_back_reads(self, bench: Maker[SwipeBench]) -> None:
        """Nothing of a swipe before is left in the one after."""
        async with bench() as world, world.device as reader:
            events = reader.events()
            await world.swipe(TD3)
            assert await _swiped(events) == TD3
            await world.unplug()
            assert await next_of(events) == DeviceGone("swipe")
            assert reader.trouble is not None
            await world.plug()
            assert await next_of(events) == DeviceBack("swipe")
            assert reader.trouble is None
            await world.swipe(TD1)
            assert await _swiped(events) == TD1

    @story
    async def test_nothing_of_a_document_is_seen_outside_its_event(self, bench: Maker[SwipeBench]) -> None:
        """Not in a log, not in what driver or event look like."""
        with Overheard() as overheard:
            async with bench() as world, world.device as reader:
                await world.swipe(TD3)
                event = await next_of(reader.events())
                with pytest.raises(IdentityLeakError):
                    format(event, "")
                seen = [repr(reader), repr(event), repr(reader.provenance)]
                seen.append(repr(vars(reader)) if hasattr(reader, "__dict__") else "")
        seen.append(overheard.said())
        for secret in ("ERIKSSON", "L898902C3", "740812", TD3[1][:20]):
            assert not any(secret in one for one in seen)


async def _swiped(events: AsyncIterator[SwipeEvent]) -> tuple[str, ...]:
    event = await next_of(events)
    assert isinstance(event, DocumentSwiped)
    return event.lines()

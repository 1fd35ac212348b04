"""What every ID-card module does alike."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from edged.errors import DeviceError, DeviceGoneError, IdentityLeakError
from edged.events import DeviceBack, DeviceGone, IdCardPlaced, IdCardRemoved
from edged.testing.device import DeviceContract
from edged.testing.stories import Overheard, next_of, story, until_done

if TYPE_CHECKING:
    from edged.core.id_card import IdCardReading
    from edged.testing.benches import IdCardBench, Maker

CHECKS = {"id_card_read", "id_card_number", "id_card_fields"}


class IdCardContract(DeviceContract):
    """Inherit it, and give a fixture `bench` of `IdCardBench`."""

    section: ClassVar[str] = "id_card"
    name: ClassVar[str] = "id_card"

    async def used(self, bench: Any) -> None:
        """Lay a card on it, read it, and take it away."""
        await bench.place()
        try:
            await bench.device.read()
        finally:
            await bench.remove()

    @story
    async def test_a_card_comes_is_read_and_goes(self, bench: Maker[IdCardBench]) -> None:
        """The reading is identity, its checks are those of an ID card."""
        async with bench() as world, world.device as module:
            events = module.events()
            assert module.trouble is None
            await world.place()
            assert await next_of(events) == IdCardPlaced()
            assert module.card_present
            reading = await module.read()
            assert reading.data.document_number.reveal() == world.number
            assert {check.name for check in reading.checks} <= CHECKS
            with pytest.raises(IdentityLeakError):
                format(reading, "")
            await world.remove()
            assert await next_of(events) == IdCardRemoved()
            assert not module.card_present

    @story
    async def test_without_a_card_there_is_nothing_to_read(self, bench: Maker[IdCardBench]) -> None:
        """And that is said by a code, not by hanging."""
        async with bench() as world, world.device as module:
            with pytest.raises(DeviceError) as caught:
                await module.read()
            self.coded(caught.value)
            await self.used(world)

    @story
    async def test_a_card_that_is_laid_down_again_is_read_again(self, bench: Maker[IdCardBench]) -> None:
        """Most modules read a card once: what they say of one that stays is a code, and lifting it helps."""
        async with bench() as world, world.device as module:
            for _ in range(3):
                await world.place()
                reading = await until_done(module.read, DeviceError)
                assert reading.data.document_number.reveal() == world.number
                await world.remove()

    @story
    async def test_a_module_unplugged_under_a_card(self, bench: Maker[IdCardBench]) -> None:
        """The trouble is what reading says; back, it reads."""
        async with bench() as world, world.device as module:
            events = module.events()
            await world.place()
            assert await next_of(events) == IdCardPlaced()
            await world.unplug()
            while await next_of(events) != DeviceGone("id_card"):
                pass
            assert module.trouble is not None
            with pytest.raises(DeviceGoneError) as caught:
                await module.read()
            self.coded(caught.value)
            await world.plug()
            while await next_of(events) != DeviceBack("id_card"):
                pass
            assert module.trouble is None
            reading = await until_done(module.read, DeviceError)
            assert reading.data.document_number.reveal() == world.number

    @story
    async def test_a_cancelled_reading_ends_and_the_next_one_is_sound(
        self, bench: Maker[IdCardBench]
    ) -> None:
        """What the module still sends is no part of the next answer."""
        async with bench() as world, world.device as module:
            await world.place()
            for turns in range(5):
                reading = asyncio.ensure_future(module.read())
                for _ in range(turns):
                    await asyncio.sleep(0)
                reading.cancel()
                await asyncio.wait([reading])

            async def anew() -> IdCardReading:
                """Most modules read a card once, and the reading that was given up may still be under way."""
                await world.remove()
                await world.place()
                return await module.read()

            found = await until_done(anew, DeviceError)
            assert found.data.document_number.reveal() == world.number

    @story
    async def test_nothing_of_a_card_is_seen_outside_its_reading(self, bench: Maker[IdCardBench]) -> None:
        """Not in a log, not in what the driver looks like, not in what it says of itself."""
        with Overheard() as overheard:
            async with bench() as world, world.device as module:
                await world.place()
                reading = await until_done(module.read, DeviceError)
                seen = [
                    repr(module),
                    repr(vars(module)) if hasattr(module, "__dict__") else "",
                    repr(reading),
                ]
                seen.append(repr(module.provenance))
                await world.unplug()
                await self.known_gone(world)
                with pytest.raises(DeviceError) as caught:
                    await module.read()
                seen.append(repr(caught.value))
                secrets = tuple(world.secrets)
        seen.append(overheard.said())
        assert secrets
        assert not [number for number, secret in enumerate(secrets) if any(secret in one for one in seen)]

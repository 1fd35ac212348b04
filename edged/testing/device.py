"""What every driver does alike: it is entered without its device, hears of its going and coming, and leaves nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
import pytest

from edged import messages
from edged.drivers.facts import Described, DeviceFacts
from edged.drivers.registry import PROTOCOLS, missing
from edged.errors import DeviceError, DeviceGoneError
from edged.events import DeviceBack, DeviceGone
from edged.testing.stories import next_of, story, until, until_done
from edged.uplink.envelope import Provenance

if TYPE_CHECKING:
    from edged.testing.benches import DeviceBench, Maker

TIMES: Final = 3
"""How often a cable is pulled: what works once may work by luck."""


class DeviceContract:
    """Of all kinds. Each kind's own contract says what it is called, and what using it is.

    Attributes:
        section: of the boot file.
        name: in events and errors.
        tells: whether the kind has `events`; a camera and a printer are found gone by using them.
    """

    section: ClassVar[str]
    name: ClassVar[str]
    tells: ClassVar[bool] = True

    @pytest.fixture
    def bench(self) -> Maker[Any]:
        """Yours: see `edged.testing.benches.Maker`."""
        pytest.fail("give a fixture `bench` (docs/drivers.md)")

    async def used(self, bench: Any) -> None:
        """Use the device as a scan does. Raises what the device raises."""
        raise NotImplementedError

    async def known_gone(self, bench: DeviceBench) -> None:
        """Wait until the driver has noticed; where it tells nothing, until using it says so."""
        if self.tells:
            device = bench.device
            events = device.events()
            while await next_of(events) != DeviceGone(self.name):
                pass
            await events.aclose()
        else:
            await _until_refused(lambda: self.used(bench))

    async def known_back(self, bench: DeviceBench) -> None:
        """Wait until the driver has noticed."""
        if self.tells:
            events = bench.device.events()
            while await next_of(events) != DeviceBack(self.name):
                pass
            await events.aclose()
        await until_done(lambda: self.used(bench), DeviceError)

    def coded(self, error: DeviceError) -> None:
        """What is wrong is said by a code that has a sentence, of the right device."""
        assert messages.known(error.code), f"no sentence for {error.code}"
        assert error.device == self.name

    def test_it_has_all_that_its_protocol_asks_for(self, bench: Maker[DeviceBench]) -> None:
        """Looked at, not called."""

        async def made() -> None:
            async with bench() as world:
                assert missing(world.device, PROTOCOLS[self.section]) == ()

        asyncio.run(made())

    @story
    async def test_it_is_used_and_left(self, bench: Maker[DeviceBench]) -> None:
        """Leaving ends every task and thread of it: the story itself looks."""
        async with bench() as world, world.device:
            await self.used(world)

    @story
    async def test_it_is_left_without_being_used(self, bench: Maker[DeviceBench]) -> None:
        """Also at once."""
        async with bench() as world, world.device:
            pass

    @story
    async def test_it_is_entered_without_its_device(self, bench: Maker[DeviceBench]) -> None:
        """A box that is switched on before its devices are plugged in works once they are."""
        async with bench(attached=False) as world, world.device:
            await self.known_gone(world)
            with pytest.raises(DeviceError) as caught:
                await self.used(world)
            self.coded(caught.value)
            await world.plug()
            await self.known_back(world)

    @story
    async def test_it_is_left_without_its_device(self, bench: Maker[DeviceBench]) -> None:
        """What looks for a device that never comes ends with the driver."""
        async with bench(attached=False) as world, world.device:
            await self.known_gone(world)

    @story
    async def test_a_cable_that_is_pulled_and_put_back(self, bench: Maker[DeviceBench]) -> None:
        """Any number of times; using it in between says that it is gone, by a code."""
        async with bench() as world, world.device:
            await self.used(world)
            for _ in range(TIMES):
                await world.unplug()
                await self.known_gone(world)
                with pytest.raises(DeviceGoneError) as caught:
                    await self.used(world)
                self.coded(caught.value)
                await world.plug()
                await self.known_back(world)

    @story
    async def test_its_provenance_says_what_it_is(self, bench: Maker[DeviceBench]) -> None:
        """At any time; whether it is simulated never changes once it has been used."""
        async with bench() as world:
            _is_provenance(world.device.provenance)
            async with world.device:
                await self.used(world)
                assert _is_provenance(world.device.provenance).simulated is world.simulated
                await world.unplug()
                await self.known_gone(world)
                _is_provenance(world.device.provenance)

    @story
    async def test_what_it_says_of_itself(self, bench: Maker[DeviceBench]) -> None:
        """`facts`, where it has them: well formed, and what is wrong has a sentence."""
        async with bench() as world, world.device as device:
            if not isinstance(device, Described):
                pytest.skip("it has no facts")
            await self.used(world)
            assert _are_facts(device.facts()).trouble is None
            await world.unplug()
            await self.known_gone(world)
            await until(lambda: device.facts().present is not True)
            _are_facts(device.facts())

    @story
    async def test_who_stops_listening_loses_nothing(self, bench: Maker[DeviceBench]) -> None:
        """A consumer that is cancelled ends at once; the next one is told what happens."""
        async with bench() as world, world.device as device:
            if not self.tells:
                pytest.skip("it tells nothing by itself")
            events = device.events()
            listening = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            listening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await listening
            await events.aclose()
            await world.unplug()
            await self.known_gone(world)
            await world.plug()
            await self.known_back(world)


async def _until_refused(attempt: Any) -> None:
    async def refused() -> None:
        with pytest.raises(DeviceGoneError):
            await attempt()

    await until_done(refused, pytest.fail.Exception, DeviceError)  # type: ignore[arg-type]


def _is_provenance(found: Provenance) -> Provenance:
    """Fit to be signed: lengths and types as every envelope has them."""
    return msgspec.convert(msgspec.to_builtins(found), Provenance)


def _are_facts(found: DeviceFacts) -> DeviceFacts:
    assert found.trouble is None or messages.known(found.trouble.code)
    return msgspec.convert(msgspec.to_builtins(found), DeviceFacts)

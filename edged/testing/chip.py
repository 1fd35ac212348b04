"""What every chip reader does alike, simulated or behind a real pcscd."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from edged import messages
from edged.core.emrtd.apdu import Command, Response
from edged.core.emrtd.steps import Exchange, FileProgress, Phase, PhaseBegan, Step
from edged.errors import ChipError, ChipGoneError, ChipOverrunError, DeviceGoneError
from edged.events import ChipEvent, ChipPlaced, ChipRemoved, DeviceBack, DeviceGone
from edged.testing.chip_talk import READ, Holding, digest, salvage, talk
from edged.testing.device import DeviceContract
from edged.testing.stories import next_of, story, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.testing.benches import ChipBench, LaidCard, Maker

LONG = bytes(n * 7 % 251 for n in range(65_000))
"""More than any reader passes on at once."""


class ChipContract(DeviceContract):
    """Inherit it, and give a fixture `bench` of `ChipBench`."""

    section: ClassVar[str] = "chip_reader"
    name: ClassVar[str] = "chip"

    async def used(self, bench: Any) -> None:
        """Try to read the chip that doesn't lie there: a reader that is there says just that."""
        with pytest.raises(ChipGoneError):
            await bench.device.read(talk([READ]))

    @story
    async def test_a_card_comes_is_read_and_goes(self, bench: Maker[ChipBench]) -> None:
        """Answers in order, steps told in order, the same again."""
        async with bench() as world, world.device as chip:
            events = chip.events()
            assert not chip.card_present
            assert chip.trouble is None
            card = await _laid(world, digest)
            assert await next_of(events) == ChipPlaced()
            assert chip.card_present
            commands = [Command(0xB0, 0, offset, ne=16) for offset in range(20)]
            told: list[Step] = []
            answers = await chip.read(talk(commands), watch=told.append)
            assert answers == [Response.decode(digest(command.encode())) for command in commands]
            assert told == [PhaseBegan(Phase.DATA), *(FileProgress("dg1", n, 20) for n in range(1, 21))]
            assert await chip.read(talk(commands[:3])) == answers[:3]
            card.remove()
            assert await next_of(events) == ChipRemoved()
            assert not chip.card_present

    @story
    async def test_a_chip_is_reset_between_readings(self, bench: Maker[ChipBench]) -> None:
        """What one document's key opened is closed for the next."""
        async with bench() as world, world.device as chip:
            card = await _laid(world, digest)
            for times in (1, 2):
                await chip.read(talk([READ]))
                await until(lambda times=times: card.resets() >= times)  # type: ignore[misc]
            card.remove()
            assert len(card.commands) == 2

    @story
    async def test_without_a_card_there_is_nothing_to_read(self, bench: Maker[ChipBench]) -> None:
        """And that is said by a code."""
        async with bench() as world, world.device as chip:
            with pytest.raises(ChipGoneError) as caught:
                await chip.read(talk([READ]))
            assert messages.known(caught.value.code)

    @story
    async def test_extended_apdus_pass_both_ways(self, bench: Maker[ChipBench]) -> None:
        """Or the reader says that it doesn't pass them on."""
        async with bench() as world, world.device as chip:
            if chip.max_apdu is not None and chip.max_apdu < len(LONG):
                pytest.skip("this reader says that it passes on short ones only")
            card = await _laid(world, lambda apdu: LONG[: 20 * len(apdu)] + digest(apdu))
            commands = [Command(0xB0, 0, 0, data=LONG[:octets], ne=65536) for octets in (1, 256, 3000, 4000)]
            for command, answer in zip(commands, await chip.read(talk(commands)), strict=True):
                asked = command.encode()
                assert answer == Response.decode(LONG[: 20 * len(asked)] + digest(asked))
            card.remove()

    @story
    async def test_a_card_taken_away_in_the_middle(self, bench: Maker[ChipBench]) -> None:
        """The exchange is told, and what it makes of it is the result."""
        async with bench() as world, world.device as chip:
            events = chip.events()
            for nth in (1, 5):
                left = iter(range(nth, 0, -1))
                await _laid(world, lambda apdu, left=left: digest(apdu) if next(left) > 1 else None)  # type: ignore[misc]
                assert await next_of(events) == ChipPlaced()
                assert await chip.read(salvage([READ] * 10)) == (nth - 1, "chip.gone")
                assert await next_of(events) == ChipRemoved()

    @story
    async def test_an_exchange_that_does_not_mind_its_end_fails_with_it(
        self, bench: Maker[ChipBench]
    ) -> None:
        """Thrown into it once, and out of `read`."""
        async with bench() as world, world.device as chip:
            await _laid(world, lambda _: None)
            thrown: list[ChipError] = []
            with pytest.raises(ChipGoneError):
                await chip.read(talk([READ], thrown))
            assert [type(error) for error in thrown] == [ChipGoneError]

    @story
    async def test_a_reader_unplugged_under_a_card_is_gone_until_it_is_back(
        self, bench: Maker[ChipBench]
    ) -> None:
        """The card goes with it; the trouble is what reading says."""
        async with bench() as world, world.device as chip:
            events = chip.events()
            await _laid(world, digest)
            assert await next_of(events) == ChipPlaced()
            await world.unplug()
            assert {type(await next_of(events)), type(await next_of(events))} == {ChipRemoved, DeviceGone}
            assert not chip.card_present
            assert chip.trouble is not None
            assert messages.known(chip.trouble.code)
            with pytest.raises(DeviceGoneError) as caught:
                await chip.read(talk([READ]))
            assert caught.value.code == chip.trouble.code
            await world.plug()
            assert await next_of(events) == DeviceBack("chip")
            assert chip.trouble is None
            card = await _laid(world, digest)
            assert len(await chip.read(talk([READ] * 3))) == 3
            card.remove()

    @story
    async def test_a_reader_unplugged_in_the_middle(self, bench: Maker[ChipBench]) -> None:
        """The reading ends while the chip still holds its answer back."""
        async with bench() as world, world.device as chip:
            events = chip.events()
            card = Holding(3)
            await _laid(world, card)
            assert await next_of(events) == ChipPlaced()
            reading = asyncio.ensure_future(chip.read(talk([READ] * 5)))
            await card.is_asked()
            await world.unplug()
            with pytest.raises(DeviceGoneError):
                await reading
            card.let_go.set()
            assert {type(await next_of(events)), type(await next_of(events))} == {ChipRemoved, DeviceGone}
            await world.plug()
            assert await next_of(events) == DeviceBack("chip")

    @story
    async def test_cancelling_does_not_wait_for_the_chip(self, bench: Maker[ChipBench]) -> None:
        """Counted, not timed: the reading has ended while the chip still holds its answer back."""
        async with bench() as world, world.device as chip:
            card = Holding(2)
            laid = await _laid(world, card)
            reading = asyncio.ensure_future(chip.read(talk([READ] * 5)))
            await card.is_asked()
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            assert not card.let_go.is_set()
            card.let_go.set()
            # The late answer is no answer of the next reading.
            assert len(await chip.read(talk([READ] * 3))) == 3
            laid.remove()
            assert len(laid.commands) == 2 + 3

    @story
    async def test_a_phase_too_long_between_commands(self, bench: Maker[ChipBench]) -> None:
        """Not one command is sent."""
        async with bench() as world, world.device as chip:
            laid = await _laid(world, digest)
            thrown: list[ChipError] = []
            with pytest.raises(ChipOverrunError) as caught:
                await chip.read(talk([READ] * 5, thrown), budget_s={Phase.DATA: -1.0})
            assert (caught.value.phase, thrown) == ("data", [caught.value])
            laid.remove()
            assert not laid.commands

    @story
    async def test_a_chip_that_hangs_in_a_command_gives_what_was_read(self, bench: Maker[ChipBench]) -> None:
        """The exchange ends with what it has; the next reading is sound."""
        async with bench() as world, world.device as chip:
            card = Holding(4)
            laid = await _laid(world, card)
            assert await chip.read(salvage([READ] * 9), budget_s={Phase.DATA: 0.3}) == (3, "chip.too_slow")
            assert not card.let_go.is_set()
            card.let_go.set()
            assert len(await chip.read(talk([READ] * 2))) == 2
            laid.remove()

    @story
    async def test_what_an_exchange_raises_comes_out(self, bench: Maker[ChipBench]) -> None:
        """And costs nothing but that reading."""

        def wrong() -> Exchange[None]:
            yield PhaseBegan(Phase.SELECT)
            yield READ
            raise ZeroDivisionError

        async with bench() as world, world.device as chip:
            laid = await _laid(world, digest)
            with pytest.raises(ZeroDivisionError):
                await chip.read(wrong())
            assert len(await chip.read(talk([READ]))) == 1
            laid.remove()

    @story
    async def test_readings_wait_for_one_another(self, bench: Maker[ChipBench]) -> None:
        """The commands of two are never mixed."""
        async with bench() as world, world.device as chip:
            laid = await _laid(world, digest)
            first, second = await asyncio.gather(
                chip.read(talk([READ] * 30)), chip.read(talk([Command(0x84, ne=8)] * 30))
            )
            assert (len(set(first)), len(set(second))) == (1, 1)
            laid.remove()
            asked = [command[1] for command in laid.commands]
            assert asked == sorted(asked, reverse=True)

    @story
    async def test_the_loop_turns_while_a_chip_is_asked(self, bench: Maker[ChipBench]) -> None:
        """Reading is another thread's work."""
        async with bench() as world, world.device as chip:
            card = Holding()
            laid = await _laid(world, card)
            reading = asyncio.ensure_future(chip.read(talk([READ])))
            await card.is_asked()
            for _ in range(100):
                await asyncio.sleep(0)
            assert not reading.done()
            card.let_go.set()
            await reading
            laid.remove()

    @story
    async def test_every_coming_has_its_going(self, bench: Maker[ChipBench]) -> None:
        """Also when it was read in between."""
        async with bench() as world, world.device as chip:
            events = chip.events()
            told: list[ChipEvent] = []
            for _ in range(2):
                laid = await _laid(world, digest)
                told.append(await next_of(events))
                assert len(await chip.read(talk([READ]))) == 1
                await until(lambda laid=laid: laid.resets())  # type: ignore[misc]
                laid.remove()
                told.append(await next_of(events))
            assert told == [ChipPlaced(), ChipRemoved()] * 2

    @story
    async def test_who_gives_up_waiting_for_their_turn_leaves_no_trace(self, bench: Maker[ChipBench]) -> None:
        """The one before is read to its end, and the card's going is told."""
        async with bench() as world, world.device as chip:
            events = chip.events()
            holding = Holding()
            card = await _laid(world, holding)
            assert await next_of(events) == ChipPlaced()
            first = asyncio.ensure_future(chip.read(talk([READ])))
            await holding.is_asked()
            second = asyncio.ensure_future(chip.read(talk([READ])))
            await asyncio.sleep(0)
            second.cancel()
            holding.let_go.set()
            assert len(await first) == 1
            await asyncio.wait([second])
            card.remove()
            assert await next_of(events) == ChipRemoved()
            assert not chip.card_present


async def _laid(world: ChipBench, answer: Callable[[bytes], bytes | None]) -> LaidCard:
    """A chip on the reader, once the driver knows."""
    card = await world.lay(answer)
    await until(lambda: world.device.card_present)
    return card

"""What every chip reader does alike, simulated or behind a real pcscd."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from edged import messages
from edged.core.emrtd.apdu import Command, Response
from edged.core.emrtd.steps import Exchange, FileProgress, Phase, PhaseBegan, Step
from edged.errors import ChipError, ChipGoneError, ChipOverrunError, DeviceGoneError
from edged.events import ChipRemoved, DeviceBack, DeviceGone
from tests import pcsc_stack
from tests.chip_bench import PATIENCE_S, READ, Bench, digest, pcsc_bench, salvage, socket_bench, talk


@pytest.fixture
def pcscd() -> Iterator[pcsc_stack.Pcscd]:
    if why := pcsc_stack.missing():
        pytest.skip(why)
    with pcsc_stack.running() as made:
        yield made


@pytest.fixture(params=["simulated", "pcsc"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    async for made in _benches(request, tmp_path):
        yield made


@pytest.fixture(params=["simulated", pytest.param("pcsc", marks=pytest.mark.slow)])
async def either(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """For what is the worker's doing alone: pcscd, which looks for cards at its leisure, costs a second a test."""
    async for made in _benches(request, tmp_path):
        yield made


async def _benches(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "simulated":
        async with socket_bench(tmp_path) as simulated:
            yield simulated
    else:
        async with pcsc_bench(request.getfixturevalue("pcscd")) as real:
            yield real


class Holding:
    """A card that keeps its answer to the nth command back until it is let go."""

    def __init__(self, nth: int = 1) -> None:
        self.asked = threading.Event()
        self.let_go = threading.Event()
        self._left = nth

    def __call__(self, apdu: bytes) -> bytes:
        self._left -= 1
        if self._left == 0:
            self.asked.set()
            assert self.let_go.wait(PATIENCE_S)
        return digest(apdu)

    async def is_asked(self) -> None:
        assert await asyncio.to_thread(self.asked.wait, PATIENCE_S)


async def is_reset(card: pcsc_stack.Card, times: int = 1) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while card.powered.count(2) + card.powered.count(0) < times:
            await asyncio.sleep(0.01)


async def test_a_card_comes_is_read_and_goes(bench: Bench) -> None:
    assert not bench.chip.card_present
    assert bench.chip.trouble is None
    card = await bench.lay(digest)
    assert bench.chip.card_present
    commands = [Command(0xB0, 0, offset, ne=16) for offset in range(20)]
    told: list[Step] = []
    answers = await bench.chip.read(talk(commands), watch=told.append)
    assert answers == [Response.decode(digest(command.encode())) for command in commands]
    assert told == [PhaseBegan(Phase.DATA), *(FileProgress("dg1", n, 20) for n in range(1, 21))]
    again = await bench.chip.read(talk(commands[:3]))
    assert again == answers[:3]
    card.remove()
    assert await bench.next() == ChipRemoved()
    assert not bench.chip.card_present


async def test_a_chip_is_reset_between_readings(either: Bench) -> None:
    card = await either.lay(digest)
    for times in (1, 2):
        await either.chip.read(talk([READ]))
        await is_reset(card, times)
    card.remove()
    assert len(card.commands) == 2


async def test_without_a_card_there_is_nothing_to_read(either: Bench) -> None:
    with pytest.raises(ChipGoneError) as caught:
        await either.chip.read(talk([READ]))
    assert messages.known(caught.value.code)


async def test_extended_apdus_pass_both_ways(bench: Bench) -> None:
    content = bytes(n * 7 % 251 for n in range(65_000))
    card = await bench.lay(lambda apdu: content[: 20 * len(apdu)] + digest(apdu))
    commands = [Command(0xB0, 0, 0, data=content[:octets], ne=65536) for octets in (1, 256, 3000, 4000)]
    for command, answer in zip(commands, await bench.chip.read(talk(commands)), strict=True):
        asked = command.encode()
        assert answer == Response.decode(content[: 20 * len(asked)] + digest(asked))
    card.remove()


@pytest.mark.parametrize("nth", [1, 5])
async def test_a_card_taken_away_in_the_middle(bench: Bench, nth: int) -> None:
    """The exchange is told, and what it makes of it is the result."""
    left = iter(range(nth, 0, -1))
    await bench.lay(lambda apdu: digest(apdu) if next(left) > 1 else None)
    assert await bench.chip.read(salvage([READ] * 10)) == (nth - 1, "chip.gone")
    assert await bench.next() == ChipRemoved()


async def test_an_exchange_that_does_not_mind_its_end_fails_with_it(either: Bench) -> None:
    await either.lay(lambda apdu: None)
    thrown: list[ChipError] = []
    with pytest.raises(ChipGoneError):
        await either.chip.read(talk([READ], thrown))
    assert [type(error) for error in thrown] == [ChipGoneError]
    assert await either.next() == ChipRemoved()


async def test_an_unplugged_reader_is_gone_until_it_is_back(bench: Bench) -> None:
    await bench.lay(digest)
    await bench.unplug()
    assert {type(await bench.next()), type(await bench.next())} == {ChipRemoved, DeviceGone}
    assert not bench.chip.card_present
    assert bench.chip.trouble is not None
    assert messages.known(bench.chip.trouble.code)
    with pytest.raises(DeviceGoneError) as caught:
        await bench.chip.read(talk([READ]))
    assert caught.value.code == bench.chip.trouble.code
    await bench.plug()
    assert await bench.next() == DeviceBack("chip")
    assert bench.chip.trouble is None
    card = await bench.lay(digest)
    assert len(await bench.chip.read(talk([READ] * 3))) == 3
    card.remove()
    assert await bench.next() == ChipRemoved()


async def test_a_reader_unplugged_in_the_middle(bench: Bench) -> None:
    card = Holding(3)
    await bench.lay(card)
    reading = asyncio.create_task(bench.chip.read(talk([READ] * 5)))
    await card.is_asked()
    await bench.unplug()
    with pytest.raises(DeviceGoneError):
        await reading
    card.let_go.set()
    assert {type(await bench.next()), type(await bench.next())} == {ChipRemoved, DeviceGone}
    await bench.plug()
    assert await bench.next() == DeviceBack("chip")


async def test_cancelling_does_not_wait_for_the_chip(bench: Bench) -> None:
    """Counted, not timed: the reading has ended while the chip still holds its answer back."""
    card = Holding(2)
    laid = await bench.lay(card)
    reading = asyncio.create_task(bench.chip.read(talk([READ] * 5)))
    await card.is_asked()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not card.let_go.is_set()
    card.let_go.set()
    assert (
        len(await bench.chip.read(talk([READ] * 3))) == 3
    )  # the late answer is no answer of the next reading
    laid.remove()
    assert len(laid.commands) == 2 + 3


async def test_closing_does_not_wait_for_the_chip(either: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.drivers._chip_worker.CLOSE_S", 0.0)
    card = Holding()
    await either.lay(card)
    reading = asyncio.create_task(either.chip.read(talk([READ])))
    await card.is_asked()
    reading.cancel()
    await either.chip.__aexit__(None, None, None)
    assert not card.let_go.is_set()
    card.let_go.set()


async def test_a_phase_too_long_between_commands(either: Bench) -> None:
    laid = await either.lay(digest)
    thrown: list[ChipError] = []
    with pytest.raises(ChipOverrunError) as caught:
        await either.chip.read(talk([READ] * 5, thrown), budget_s={Phase.DATA: -1.0})
    assert (caught.value.phase, thrown) == ("data", [caught.value])
    laid.remove()
    assert not laid.commands


async def test_a_chip_that_hangs_in_a_command_gives_what_was_read(bench: Bench) -> None:
    """The exchange ends with what it has while the chip still holds its answer back; the next reading is sound."""
    card = Holding(4)
    laid = await bench.lay(card)
    assert await bench.chip.read(salvage([READ] * 9), budget_s={Phase.DATA: 0.3}) == (3, "chip.too_slow")
    assert not card.let_go.is_set()
    card.let_go.set()
    assert len(await bench.chip.read(talk([READ] * 2))) == 2
    laid.remove()


async def test_a_hanging_chip_does_not_stop_the_next_reading_from_saying_so(
    either: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.drivers._chip_worker.CONNECT_S", 0.2)
    card = Holding()
    laid = await either.lay(card)
    assert await either.chip.read(salvage([READ]), budget_s={Phase.DATA: 0.1}) == (0, "chip.too_slow")
    with pytest.raises(Exception, match=r"chip\.reader_stuck"):
        await either.chip.read(talk([READ]))
    card.let_go.set()
    laid.remove()


async def test_an_answer_that_is_none_is_said_to_be_none(either: Bench) -> None:
    laid = await either.lay(lambda apdu: b"\x90")
    code = (await either.chip.read(salvage([READ])))[1]
    assert code in {
        "chip.not_an_answer",
        "chip.gone",
    }  # pcscd itself drops a card that answers less than a status
    laid.remove()


async def test_what_an_exchange_raises_comes_out(either: Bench) -> None:
    def wrong() -> Exchange[None]:
        yield PhaseBegan(Phase.SELECT)
        yield READ
        raise ZeroDivisionError

    laid = await either.lay(digest)
    with pytest.raises(ZeroDivisionError):
        await either.chip.read(wrong())
    assert len(await either.chip.read(talk([READ]))) == 1
    laid.remove()


async def test_readings_wait_for_one_another(either: Bench) -> None:
    laid = await either.lay(digest)
    first, second = await asyncio.gather(
        either.chip.read(talk([READ] * 30)), either.chip.read(talk([Command(0x84, ne=8)] * 30))
    )
    assert (len(set(first)), len(set(second))) == (1, 1)
    laid.remove()
    asked = [command[1] for command in laid.commands]
    assert asked == sorted(asked, reverse=True), "the commands of two readings are mixed"


async def test_the_loop_turns_while_a_chip_is_asked(either: Bench) -> None:
    card = Holding()
    laid = await either.lay(card)
    reading = asyncio.create_task(either.chip.read(talk([READ])))
    await card.is_asked()
    for _ in range(100):
        await asyncio.sleep(0)
    assert not reading.done()
    card.let_go.set()
    await reading
    laid.remove()


async def test_what_is_read_with_these_is_never_live(either: Bench) -> None:
    laid = await either.lay(digest)
    await either.chip.read(talk([READ]))
    assert either.chip.provenance.simulated
    assert either.chip.provenance.identity
    laid.remove()


async def test_every_coming_has_its_going(either: Bench) -> None:
    for _ in range(2):
        laid = await either.lay(digest)
        assert len(await either.chip.read(talk([READ]))) == 1
        await is_reset(laid)
        laid.remove()
        assert await either.next() == ChipRemoved()


async def test_who_gives_up_waiting_for_their_turn_leaves_no_trace(bench: Bench) -> None:
    holding = Holding()
    card = await bench.lay(holding)
    first = asyncio.create_task(bench.chip.read(talk([READ])))
    await holding.is_asked()
    second = asyncio.create_task(bench.chip.read(talk([READ])))
    await asyncio.sleep(0)
    second.cancel()
    holding.let_go.set()
    assert len(await first) == 1
    await asyncio.wait([second])
    card.remove()
    async with asyncio.timeout(PATIENCE_S):
        assert await bench.next() == ChipRemoved()
    assert not bench.chip.card_present

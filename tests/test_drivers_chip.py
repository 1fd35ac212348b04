"""The contract of chip readers, simulated and behind a real pcscd, and what both owe to their common worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from edged.testing import ChipContract
from edged.testing.chip_talk import READ, Holding, digest, salvage, talk
from tests import pcsc_stack
from tests.chip_bench import (
    Bench,
    PcscContract,
    SocketContract,
    pcsc_bench,
    pcsc_contract,
    socket_bench,
    socket_contract,
)

DAILY = {
    "test_a_card_comes_is_read_and_goes",
    "test_a_card_taken_away_in_the_middle",
    "test_a_reader_unplugged_under_a_card_is_gone_until_it_is_back",
    "test_a_reader_unplugged_in_the_middle",
    "test_cancelling_does_not_wait_for_the_chip",
    "test_a_chip_that_hangs_in_a_command_gives_what_was_read",
    "test_extended_apdus_pass_both_ways",
    "test_it_is_entered_without_its_device",
    "test_who_gives_up_waiting_for_their_turn_leaves_no_trace",
}
"""What runs behind a real pcscd every time; the rest is the worker's doing, and pcscd, which looks for cards at its
leisure, costs a second a test."""


@pytest.fixture
def pcscd() -> Iterator[pcsc_stack.Pcscd]:
    if why := pcsc_stack.missing():
        pytest.skip(why)
    with pcsc_stack.running() as made:
        yield made


class TestSimulated(ChipContract):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[SocketContract]]:
        def made(*, attached: bool = True) -> AbstractAsyncContextManager[SocketContract]:
            return socket_contract(tmp_path / "chip.sock", attached=attached)

        return made


class _Pcsc(ChipContract):
    @pytest.fixture
    def bench(self, pcscd: pcsc_stack.Pcscd) -> Callable[..., AbstractAsyncContextManager[PcscContract]]:
        def made(*, attached: bool = True) -> AbstractAsyncContextManager[PcscContract]:
            return pcsc_contract(pcscd, attached=attached)

        return made


class TestPcsc(_Pcsc):
    vars().update(
        {name: None for name in dir(ChipContract) if name.startswith("test_") and name not in DAILY}
    )


@pytest.mark.slow
class TestPcscAll(_Pcsc):
    pass


def test_what_runs_daily_is_in_the_contract() -> None:
    assert {name for name in dir(ChipContract) if name.startswith("test_")} >= DAILY


@pytest.fixture(params=["simulated", pytest.param("pcsc", marks=pytest.mark.slow)])
async def either(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "simulated":
        async with socket_bench(tmp_path) as simulated:
            yield simulated
    else:
        async with pcsc_bench(request.getfixturevalue("pcscd")) as real:
            yield real


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


async def test_a_hanging_chip_does_not_stop_the_next_reading_from_saying_so(
    either: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edged.core.emrtd.steps import Phase

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


async def test_what_is_read_with_these_has_an_identity(either: Bench) -> None:
    laid = await either.lay(digest)
    await either.chip.read(talk([READ]))
    assert either.chip.provenance.identity
    laid.remove()

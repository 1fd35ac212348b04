"""What every printer does alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from edged.drivers.print_job import Cut, Feed, Line, PrintJob, Qr
from edged.errors import DeviceError
from edged.testing.device import DeviceContract
from edged.testing.stories import Overheard, story, until_done

if TYPE_CHECKING:
    from edged.testing.benches import Maker, PrinterBench

MASKED = "E*****ON, 7***2"
"""A masked name is still nobody's business but the slip's."""

JOB = PrintJob((Line("edged", bold=True), Line("护照阅读机"), Line(MASKED), Qr("edged"), Feed(2), Cut()))


class PrinterContract(DeviceContract):
    """Inherit it, and give a fixture `bench` of `PrinterBench`."""

    section: ClassVar[str] = "printer"
    name: ClassVar[str] = "printer"
    tells: ClassVar[bool] = False

    async def used(self, bench: Any) -> None:
        """Print one line."""
        await bench.device.print(PrintJob((Line("edged"),)))

    @story
    async def test_a_slip_is_printed(self, bench: Maker[PrinterBench]) -> None:
        """Text, Chinese text, a QR code, and the cut; and so is the next one."""
        async with bench() as world, world.device as printer:
            assert (await printer.status()).answers
            await printer.print(JOB)
            first = await world.printed()
            assert first
            await printer.print(JOB)
            assert len(await world.printed()) > len(first)

    @story
    async def test_without_paper_it_says_so(self, bench: Maker[PrinterBench]) -> None:
        """By a code; with paper it prints again."""
        async with bench() as world, world.device as printer:
            await world.paper(False)
            if (await printer.status()).paper is None:
                pytest.skip("this printer can't tell whether it has paper")
            assert (await printer.status()).paper is False
            with pytest.raises(DeviceError) as caught:
                await printer.print(JOB)
            self.coded(caught.value)
            await world.paper(True)
            await until_done(lambda: printer.print(JOB), DeviceError)
            assert (await printer.status()).paper is True

    @story
    async def test_its_status_is_told_when_it_is_gone(self, bench: Maker[PrinterBench]) -> None:
        """Status never raises."""
        async with bench() as world, world.device as printer:
            await world.unplug()
            await self.known_gone(world)
            assert not (await printer.status()).answers

    @story
    async def test_nothing_of_a_slip_is_logged(self, bench: Maker[PrinterBench]) -> None:
        """It may hold a masked name."""
        with Overheard() as overheard:
            async with bench() as world, world.device as printer:
                await printer.print(JOB)
                seen = [repr(printer), repr(JOB), repr(await printer.status())]
                await world.unplug()
                await self.known_gone(world)
        seen.append(overheard.said())
        assert not any(MASKED in one for one in seen)

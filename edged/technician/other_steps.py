"""Steps of chip reader, ID-card module, swipe reader and printer. What is read is counted and dropped."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from edged.core.emrtd.apdu import SELECT, Command
from edged.core.emrtd.files import APPLICATION
from edged.core.emrtd.steps import Phase, PhaseBegan, ask
from edged.drivers.print_job import Align, Cut, Feed, Line, PrintJob, Qr
from edged.events import ChipPlaced, DocumentSwiped, IdCardPlaced
from edged.technician.walk import Came, Task, Walk, failed, passed, skipped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.core.emrtd.steps import Exchange
    from edged.devices import Devices

ASKED: Final = 20
"""Times a chip is asked the same: one slow answer is no slow reader."""

BUDGET_S: Final = 10.0

_ALLOWED_LINES: Final = {2: (36, 44), 3: (30,)}
"""Characters of the lines of an MRZ, by how many there are (ICAO Doc 9303 parts 4 to 7)."""


def tasks(devices: Devices) -> Iterator[Task]:
    """The steps of what this box has beside the window."""
    if devices.chip is not None:
        yield Task("chip/answers", chip_answers, hands=True)
    if devices.id_card is not None:
        yield Task("id_card/reads", id_card_reads, hands=True)
    if devices.swipe is not None:
        yield Task("swipe/reads", swipe_reads, hands=True)
    if devices.printer is not None:
        yield Task("printer/status", printer_status)
        yield Task("printer/page", printer_page)


def _selected() -> Exchange[list[float]]:
    """Select the travel document's application again and again: no key, no file, nothing that is anybody's."""
    yield PhaseBegan(Phase.SELECT)
    took = []
    for _ in range(ASKED):
        began = time.perf_counter()
        yield from ask(Command(SELECT, 0x04, 0x0C, APPLICATION))
        took.append(time.perf_counter() - began)
    return took


async def chip_answers(walk: Walk) -> Came:
    """A chip is noticed, and answers."""
    chip = walk.devices.chip
    assert chip is not None
    if chip.trouble is not None:
        return failed(chip.trouble.code)
    await walk.person.tell("acceptance.lay_chip")
    if not chip.card_present:
        await walk.ears["chip"].next(ChipPlaced)
    took = sorted(await chip.read(_selected(), budget_s={Phase.SELECT: BUDGET_S}))
    longest = chip.max_apdu
    measured: dict[str, float | int | bool] = {"median_ms": 1000 * took[len(took) // 2], "asked": len(took)}
    if longest is not None:
        measured["max_apdu"] = longest
    return passed(**measured)


async def id_card_reads(walk: Walk) -> Came:
    """A card is noticed and read; what it says is dropped here."""
    module = walk.devices.id_card
    assert module is not None
    if module.trouble is not None:
        return failed(module.trouble.code)
    await walk.person.tell("acceptance.lay_id_card")
    if not module.card_present:
        await walk.ears["id_card"].next(IdCardPlaced)
    began = time.monotonic()
    checks = (await module.read()).checks
    took = int(1000 * (time.monotonic() - began))
    bad = sum(check.result != "successful" for check in checks)
    return passed(took_ms=took, checks=len(checks), not_successful=bad)


async def swipe_reads(walk: Walk) -> Came:
    """A document is swiped, and lines of an MRZ's form come; the lines are dropped here."""
    reader = walk.devices.swipe
    assert reader is not None
    if reader.trouble is not None:
        return failed(reader.trouble.code)
    await walk.person.tell("acceptance.swipe")
    event = await walk.ears["swipe"].next(DocumentSwiped)
    assert isinstance(event, DocumentSwiped)
    lengths = [len(line) for line in event.lines()]
    good = len(set(lengths)) == 1 and lengths[0] in _ALLOWED_LINES.get(len(lengths), ())
    measured = {"lines": len(lengths), "characters": max(lengths, default=0)}
    return passed(**measured) if good else failed("acceptance.no_mrz_form", **measured)


async def printer_status(walk: Walk) -> Came:
    """It answers, has paper and is closed, as far as it can say."""
    printer = walk.devices.printer
    assert printer is not None
    status = await printer.status()
    if not status.answers:
        return failed("device.unplugged")
    said = {"paper": status.paper, "paper_low": status.paper_low, "cover_closed": status.cover_closed}
    measured: dict[str, float | int | bool] = {name: one for name, one in said.items() if one is not None}
    if status.paper is False:
        return failed("acceptance.no_paper", **measured)
    if status.cover_closed is False:
        return failed("acceptance.printer_open", **measured)
    return passed(**measured)


TEST_PAGE: Final = (
    Line("edged", large=True, align=Align.CENTRE),
    Line("0123456789 ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    Line("护照阅读机 测试页", align=Align.CENTRE),
    Line("bold 粗体", bold=True),
    Qr("EDGED:TEST-PAGE:1"),
    Feed(2),
    Cut(),
)
"""Text, Chinese text, bold, a QR code, the cutter."""


async def printer_page(walk: Walk) -> Came:
    """A page comes out; whoever is there says whether it can be read."""
    printer = walk.devices.printer
    assert printer is not None
    began = time.monotonic()
    await printer.print(PrintJob(TEST_PAGE))
    took = int(1000 * (time.monotonic() - began))
    answer = await walk.person.ask("printer/page", "acceptance.did_it_print")
    if answer is None:
        return skipped("acceptance.nobody", took_ms=took)
    return passed(took_ms=took) if answer else failed("acceptance.bad_print", took_ms=took)

"""`edged printer test`: print a page that shows whether width, Chinese text, QR code, picture and cutter are right."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

from edged import messages
from edged.commands import _printer_common

if TYPE_CHECKING:
    import argparse

    import numpy as np
    from numpy.typing import NDArray

    from edged.config import PrinterSettings
    from edged.drivers.print_job import PrintJob

add_arguments = _printer_common.add_arguments

_QR = "https://example.org/edged-printer-test"
_CHARACTER_DOTS = 12


def run(args: argparse.Namespace) -> int:
    """Exit 0 when the page was printed; EX_UNAVAILABLE (from `edged.cli`) with what to do when it wasn't."""
    settings = _printer_common.settings_of(args)
    asyncio.run(_print(settings, args.lang))
    if args.json:
        print(json.dumps({"printed": True, "width_mm": settings.width_mm, "chinese": settings.chinese}))
    else:
        print(messages.text("printer.test_printed", args.lang))
    return os.EX_OK


async def _print(settings: PrinterSettings, lang: str) -> None:
    async with _printer_common.printer_of(settings) as printer:
        await printer.print(page(settings, lang))


def page(settings: PrinterSettings, lang: str) -> PrintJob:
    """The page; its first lines measure the width, its last is the cut."""
    from edged.drivers.escpos_bytes import DOTS
    from edged.drivers.print_job import Align, Cut, Feed, Line, Picture, PrintJob, Qr

    dots = DOTS[settings.width_mm]
    columns = dots // _CHARACTER_DOTS

    def say(code: str) -> str:
        return messages.text(code, lang)

    return PrintJob(
        (
            Line(say("printer.page_title"), bold=True, large=True, align=Align.CENTRE),
            Line("".join(str(column % 10) for column in range(1, columns + 1))),
            Line(say("printer.page_width")),
            Line(messages.text("printer.page_sample", "zh-CN")),
            Line(say("printer.page_left")),
            Line(say("printer.page_centre"), align=Align.CENTRE),
            Line(say("printer.page_right"), bold=True, align=Align.RIGHT),
            Picture(_frame(dots)),
            Qr(_QR),
            Line(say("printer.page_qr"), align=Align.CENTRE),
            Feed(2),
            Cut(),
        )
    )


def _frame(dots: int) -> NDArray[np.bool_]:
    """A frame as wide as the head, with bars of one to eight dots.

    A side that is missing is a wrong width, a white line along the paper a dot that doesn't print.
    """
    import numpy as np

    picture = np.zeros((48, dots), np.bool_)
    picture[:2] = picture[-2:] = True
    picture[:, :2] = picture[:, -2:] = True
    left = 12
    for width in range(1, 9):
        picture[8:40, left : left + width] = True
        left += width + 16
    picture[16:32, left : dots - 12] = True
    return picture

"""A slip for a receipt printer: pictures from top to bottom, so that every printer prints Chinese and the watermark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.drivers.print_job import Cut, Picture, PrintJob
from edged.slip import picture
from edged.slip.faces import installed
from edged.slip.layout import MEDIA, lay_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.slip.content import SlipLine
    from edged.slip.faces import FontFiles
    from edged.slip.layout import Page

SLICE: Final = 960
"""Dots of one picture: printers with little memory print it while the next arrives."""


def print_job(lines: Sequence[SlipLine], url: str, watermark: str, width_mm: int) -> PrintJob:
    """The whole slip for paper of 58 or 80 mm, and a cut. Takes tens of milliseconds: not on an event loop.

    Raises `OutputError`: "slip.no_font", "slip.no_glyph", "slip.no_library", "slip.qr_too_long".
    """
    faces = installed()
    return job_of(lay_out(lines, url, watermark, MEDIA[str(width_mm)], faces), faces)


def job_of(page: Page, faces: FontFiles) -> PrintJob:
    """A page that is laid out, as a job."""
    dots = picture.dots(page, faces)
    slices = [Picture(dots[top : top + SLICE]) for top in range(0, len(dots), SLICE)]
    return PrintJob((*slices, Cut()))

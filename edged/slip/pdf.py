"""A slip as a PDF: real text in fonts that are embedded as far as they are used, the code as vectors.

The same slip is the same bytes every time: no date of making, no version, no identifier that is drawn by lot.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edged.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

    from edged.slip.faces import FontFiles
    from edged.slip.layout import Code, Mark, Page, Text

_POINT: Final = 72 / 25.4
"""Points a millimetre."""
_GREY: Final = 0.8
_BOLD: Final = 0.035
"""Width of the outline that makes a letter bold, in sizes: the fonts have no bold."""
_RULE: Final = 0.25
_PRODUCER: Final = "edged"


def pdf(page: Page, faces: FontFiles) -> bytes:
    """One page of the layout's size. Raises `OutputError` ("slip.no_library", "slip.no_font")."""
    try:
        from reportlab.pdfgen.canvas import Canvas
    except ImportError as error:
        raise OutputError("slip.no_library") from error
    file = io.BytesIO()
    names = [_registered(font) for font in faces.files]
    size = (page.width * _POINT, page.height * _POINT)
    canvas = Canvas(file, pagesize=size, invariant=1, pageCompression=1, initialFontName=names[0])
    canvas.setDateFormatter(lambda year, month, day, *_: f"D:{year:04d}{month:02d}{day:02d}")
    for say in (canvas.setProducer, canvas.setCreator, canvas.setAuthor):
        say(_PRODUCER)
    canvas.setSubject("")
    canvas.setTitle("".join(text.text for text in page.texts if text.key == page.texts[0].key))
    _marks(canvas, page, names)
    for rule in page.rules:
        y = page.height - rule.y - _RULE
        canvas.rect(rule.x * _POINT, y * _POINT, rule.width * _POINT, _RULE * _POINT, stroke=0, fill=1)
    for text in page.texts:
        _text(canvas, page, text, names, 2 if text.bold else 0)
    _code(canvas, page, page.code)
    canvas.showPage()
    canvas.save()
    return file.getvalue()


def _marks(canvas: Any, page: Page, names: list[str]) -> None:
    """Behind everything, and said to be no content: a screen reader doesn't read it aloud."""
    canvas.saveState()
    canvas.setFillGray(_GREY)
    canvas._code.append("/Artifact BMC")
    for mark in page.marks:
        _text(canvas, page, mark, names, 0)
    canvas._code.append("EMC")
    canvas.restoreState()


def _text(canvas: Any, page: Page, text: Text | Mark, names: list[str], mode: int) -> None:
    if mode:
        canvas.setLineWidth(_BOLD * text.size * _POINT)
    pen = canvas.beginText(text.x * _POINT, (page.height - text.baseline) * _POINT)
    pen.setFont(names[text.face], text.size * _POINT)
    pen.setTextRenderMode(mode)
    pen.textOut(text.text)
    if mode:
        pen.setTextRenderMode(0)
    canvas.drawText(pen)


def _code(canvas: Any, page: Page, code: Code) -> None:
    """Dark modules as one path; those side by side in a row as one rectangle, so that no hairline parts them."""
    path = canvas.beginPath()
    for row, dark in enumerate(code.dark):
        edges = np.flatnonzero(np.diff(np.pad(dark.astype(np.int8), 1)))
        top = page.height - code.y - (row + 1) * code.module
        for start, end in edges.reshape(-1, 2):
            x, width = code.x + start * code.module, (end - start) * code.module
            path.rect(x * _POINT, top * _POINT, width * _POINT, code.module * _POINT)
    canvas.drawPath(path, stroke=0, fill=1)


@lru_cache(maxsize=8)
def _registered(file: Path) -> str:
    """The name under which reportlab knows a font from now on."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFError, TTFont

    name = f"edged-{file.stem}"
    try:
        pdfmetrics.registerFont(TTFont(name, str(file), subfontIndex=0))
    except (TTFError, OSError) as error:
        raise OutputError("slip.no_font", packages=file.name) from error
    return name

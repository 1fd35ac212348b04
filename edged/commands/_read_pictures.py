"""Pictures of what `edged read` saw: straightened parts of a page, and the page with what was found drawn in.

Everything here shows raw identity, and is made for `PrivateFolder` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from edged.core import ocr
from edged.core.page import locate
from edged.core.portrait import find_portrait
from edged.core.strip import cut
from edged.core.vision import cv2, grey_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edged.core.page import Row
    from edged.core.reading import PageReading

    Picture = NDArray[np.uint8]

_MARGIN: Final = 1.0
"""Paper left around the MRZ, in heights of its capitals."""
_MOST_WIDE: Final = 4096
"""Widest crop in pixels: what the finest pages give; wider ones are made smaller."""
_FOUND: Final = (0, 160, 0)
_SEARCHED: Final = (0, 140, 255)
"""Colours (BGR) of the MRZ's rows and of the others that were looked at."""
_OUTLINE: Final = 1.8
"""Height of the box drawn around a row, in heights of its capitals: clear of the print."""
_ALTERNATIVES: Final = 3
"""Characters named for each place of a row, the surest first."""


def mrz_zone(image: Picture, reading: PageReading) -> Picture | None:
    """The MRZ upright and straight, at the page's own resolution; None without one."""
    if not reading.rows:
        return None
    first = reading.rows[0]
    along = np.array([first.dx, first.dy])
    down = np.array([-first.dy, first.dx])
    corners = np.array([corner for row in reading.rows for corner in _corners(row)]) - (first.x, first.y)
    (left, right), (top, bottom) = ((np.min(v), np.max(v)) for v in (corners @ along, corners @ down))
    edge = _MARGIN * first.cap
    left, top, right, bottom = left - edge, top - edge, right + edge, bottom + edge
    step = max(1.0, (right - left) / _MOST_WIDE)
    size = (max(1, int((right - left) / step)), max(1, int((bottom - top) / step)))
    origin = np.array([first.x, first.y]) + along * left + down * top
    to_page = np.column_stack([along * step, down * step, origin])
    flags = cv2.WARP_INVERSE_MAP | (cv2.INTER_CUBIC if step == 1.0 else cv2.INTER_AREA)
    zone = cv2.warpAffine(image, to_page, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(zone, np.uint8)


def portrait(image: Picture, reading: PageReading) -> Picture | None:
    """The portrait upright; None where none was found."""
    found = find_portrait(image, reading.rows, None if reading.mrz is None else reading.mrz.format)
    return None if found is None else found.image()


CROPS: Final[tuple[tuple[str, Callable[[Picture, PageReading], Picture | None]], ...]] = (
    ("mrz", mrz_zone),
    ("portrait", portrait),
)
"""What `--crop` writes of a page, by name: a part that can be cut out is one more line."""


def crops(image: Picture, reading: PageReading) -> dict[str, bytes]:
    """Files of the parts of this page, by the end of their names."""
    found = {name: crop(image, reading) for name, crop in CROPS}
    return {f"{name}.png": _png(part) for name, part in found.items() if part is not None}


def debugging(image: Picture, reading: PageReading, answer: dict[str, Any]) -> dict[str, bytes]:
    """Files that show what was seen of this page, by the end of their names: page, strips, and `answer` with more."""
    grey = grey_of(image)
    strips = [cut(grey, row).pixels for row in reading.rows]
    files = {"page.png": _png(_marked(image, grey, reading.rows))}
    files |= {f"line{number}.png": _png(strip) for number, strip in enumerate(strips, 1)}
    facts = answer | {
        "document_present": reading.document_present,
        "name_confidence": reading.name_confidence,
        "changed": reading.changed,
        "checks": reading.checks,
        "timings_ms": reading.timings_ms,
        "rows": [
            {**row._asdict(), "characters": _characters(strip)}
            for row, strip in zip(reading.rows, strips, strict=True)
        ],
    }
    plain = msgspec.to_builtins(facts, enc_hook=float)  # NumPy's numbers
    files["json"] = msgspec.json.format(msgspec.json.encode(plain), indent=1)
    return files


def _marked(image: Picture, grey: Picture, rows: tuple[Row, ...]) -> Picture:
    drawn = np.array(image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    searched = [row for block in locate(grey) for row in block.rows]
    for shown, colour in ((searched, _SEARCHED), (rows, _FOUND)):
        for row in shown:
            around = row._replace(cap=row.cap * _OUTLINE, length=row.length + row.cap)
            outline = np.round(_corners(around)).astype(np.int32)
            cv2.polylines(drawn, [outline], isClosed=True, color=colour, thickness=max(1, round(row.cap / 8)))
    return drawn


def _corners(row: Row) -> list[tuple[float, float]]:
    """Of the box around a row's characters, clockwise from where reading starts."""
    ends = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return [row.moved(a * row.length / 2, b * row.cap / 2)[:2] for a, b in ends]


def _characters(strip: Picture) -> list[dict[str, Any]]:
    """What the line reader says about each place of a strip: where, whether a character stands there, and which."""
    line = ocr.read_strip(strip)
    if line is None:
        return []
    found = []
    for x, presence, shares in zip(line.x, line.presence, line.probabilities, strict=True):
        best = np.argsort(-shares)[:_ALTERNATIVES]
        found.append(
            {
                "x": round(float(x), 1),
                "presence": round(float(presence), 4),
                "best": [[ocr.ALPHABET[int(i)], round(float(shares[i]), 4)] for i in best],
            }
        )
    return found


def _png(picture: Picture) -> bytes:
    return bytes(cv2.imencode(".png", picture)[1].data)

"""Pure judging: bytes and arrays in, findings out. No asyncio, no I/O; time comes in as an argument.

What others use of it stands here (`docs/reading.md`): `read_page`, `parse_mrz`, `check_digit`. Importing it loads
neither NumPy nor OpenCV nor the line reader's model; the first `read_page` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edged.core.mrz import check_digit, parse_mrz

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from edged.core.layouts import MrzFormat
    from edged.core.page import Row
    from edged.core.reading import PageReading

__all__ = ["check_digit", "parse_mrz", "read_frames", "read_page"]


def read_page(
    image: bytes | bytearray | memoryview | NDArray[Any],
    *,
    today: datetime.date,
    hint: Sequence[Row] = (),
    likely: MrzFormat | None = None,
) -> PageReading:
    """Find and read the MRZ of a page's picture, any way up.

    `image` is an image file's bytes (JPEG, PNG, TIFF, BMP, WebP, JPEG 2000), or an array of 8 bits: (H, W) grey,
    (H, W, 3) BGR, (H, W, 4) BGRA. `today` is the day the document is judged on: it decides which century two-digit
    years mean. It has no default: the same picture read next year says the same only if its caller says which day it
    was, and where (a capture has a day of its own; a server's midnight is not the counter's). `hint` saves the
    search: the `rows` of an earlier picture's answer, which may be wrong for this one. So may `likely`, the format.

    Whatever is wrong with the page is in the answer's `reasons`. Raises `DecodeError` with a code, and nothing else,
    for what is no picture: "image.not_an_image", "image.truncated", "image.too_large", "image.empty",
    "image.wrong_type", "image.wrong_shape". Blocks for tens of milliseconds, the first time longer, and may be called
    from several threads at once.
    """
    from edged.core import image as pictures
    from edged.core import reading

    return reading.read_page(pictures.page_image(image), today=today, hint=hint, likely=likely)


def read_frames(
    images: Iterable[bytes | bytearray | memoryview | NDArray[Any]], *, today: datetime.date
) -> PageReading:
    """Read several pictures of one page as one, until the answer is sure; later ones are not asked for.

    White and infrared, or a burst, each as `read_page` takes it. The answer's `frames` says how many it rests on.
    Raises what `read_page` raises, and ValueError for no picture at all.
    """
    from edged.core import burst
    from edged.core import image as pictures

    return burst.read_frames((pictures.page_image(image) for image in images), today=today)

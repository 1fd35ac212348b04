"""What somebody hands in as a slip: a photograph, a PDF, the text of its QR code, or what a camera sees."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.commands import _read_pdf
from edged.commands._slip_pdf_text import text_of
from edged.errors import ConfigError, DecodeError
from edged.slip import url
from edged.slip.finding import Found, find

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

MOST_BYTES: Final = 64 << 20
"""Of a file: the largest photographs have thirty."""
CAMERA_SECONDS: Final = 60.0
"""For somebody to hold the slip before the camera."""


class Given(NamedTuple):
    """A slip as far as it could be read.

    Attributes:
        text: of the QR code; None where none was read.
        code: where it was seen.
        picture: where it was seen, grey.
        printed: the lines of text of a PDF.
        several: whether codes of different slips were seen: which of them is meant, nobody can tell.
        more_pages: whether the PDF goes on after the page that was looked at.
    """

    text: str | None
    code: Found | None = None
    picture: NDArray[np.uint8] | None = None
    printed: tuple[str, ...] | None = None
    several: bool = False
    more_pages: bool = False


def read(source: str) -> Given:
    """A file's name, `-` for standard input, or the text itself.

    Raises `ConfigError` ("slip_command.unreadable", "slip_command.no_pdf_library"), `DecodeError` (not a picture).
    """
    path = Path(source)
    if source != "-" and not _exists(path):
        if not (_is_text(source) or url.is_address(source)):
            raise ConfigError(source, "slip_command.unreadable")
        return Given(source)
    try:
        with sys.stdin.buffer if source == "-" else path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError:
        raise ConfigError(source, "slip_command.unreadable") from None
    if len(data) > MOST_BYTES:
        raise ConfigError(source, "slip_command.too_large")
    return of_bytes(data)


def of_bytes(data: bytes) -> Given:
    """See `read`."""
    from edged.core.image import page_image

    if len(data) <= url.MAX_SCANNED:
        found = data.decode("utf-8", "replace")
        if _is_text(found) or url.is_address(found):
            return Given(found.strip())
    if _read_pdf.is_pdf(data):
        return _of_pdf(data)
    return of_picture(page_image(data))


def of_picture(picture: NDArray[np.uint8]) -> Given:
    """(height, width) grey or (height, width, 3) BGR."""
    from edged.core.vision import grey_of

    grey = grey_of(picture)
    found = find(grey)
    slips = _slips_among(found)
    if len({one.text for one in slips}) > 1:
        return Given(None, picture=grey, several=True)
    code = next(iter((*slips, *found)), None)  # another code where there is none
    return Given(None if code is None else code.text, code, grey)


def from_camera(number: int, now: Callable[[], float] = time.monotonic) -> Given:
    """Look through a camera until a slip is seen. Raises `ConfigError` ("slip_command.no_camera")."""
    from edged.core.vision import cv2

    camera = cv2.VideoCapture(number)
    try:
        if not camera.isOpened():
            raise ConfigError(f"--camera {number}", "slip_command.no_camera")
        ends = now() + CAMERA_SECONDS
        while now() < ends:
            taken, picture = camera.read()
            if not taken:
                raise ConfigError(f"--camera {number}", "slip_command.no_camera")
            given = of_picture(picture)
            if given.text is not None:
                return given
        return Given(None)
    finally:
        camera.release()


def _of_pdf(data: bytes) -> Given:
    if not _read_pdf.available():
        raise DecodeError("pdf", "slip_command.no_pdf_library")
    printed, more = text_of(data)
    for _, page in _read_pdf.pages(data, 1, 1):
        if isinstance(page, str):
            raise DecodeError("pdf", page)
        return of_picture(page)._replace(printed=printed, more_pages=more)
    raise DecodeError("pdf", "pdf.broken")


def _slips_among(found: list[Found]) -> list[Found]:
    """The codes that are slips'."""
    return [one for one in found if _is_text(one.text)]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a slip's text is longer than names may be
        return False


def _is_text(text: str) -> bool:
    """Whether this is what a slip's QR code says, perhaps broken, and neither a file's name nor a file."""
    try:
        url.parse(text)
    except DecodeError as error:
        return error.code == "slip.malformed" and "#" in text
    return True

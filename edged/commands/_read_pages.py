"""What `edged read` is asked to read: names become files, files become pages."""

from __future__ import annotations

import glob
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edged.commands import _read_pdf
from edged.core.tiff import MAX_PAGES, tiff_page, tiff_pages
from edged.errors import DecodeError
from edged.identity import Identity

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

_ENDINGS: Final = frozenset(
    (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".jp2", ".j2k", ".pdf")
)
_ONE_PAGE: Final = re.compile(r"(.+)#([1-9][0-9]{0,5})", re.DOTALL)
"""`file.pdf#3`: as pages are named in answers."""


class Page(Identity):
    """One page to be read.

    Attributes:
        file: the name it was asked for by.
        number: page of the file, from 1; None where a file is one page.
        image: the page as `read_page` takes it; None where there is none.
        problem: code of why there is none.
        exit_code: of sysexits.h, for that.
    """

    __slots__ = ("exit_code", "file", "image", "number", "problem")

    def __init__(
        self,
        file: str,
        number: int | None = None,
        image: NDArray[np.uint8] | None = None,
        problem: str = "",
        exit_code: int = os.EX_OK,
    ) -> None:
        self.file = file
        self.number = number
        self.image = image
        self.problem = problem
        self.exit_code = exit_code


def expand(names: list[str], *, recursive: bool) -> Iterator[str]:
    """Folders become the files in them, or stay when there are none; patterns (where no shell expanded them) too."""
    for name in names:
        try:
            found = [] if name == "-" else _inside(name, recursive)
        except (OSError, ValueError):  # a name too long, a folder closed to us: reading it says so
            found = []
        yield from found or [name]


def _inside(name: str, recursive: bool) -> list[str]:
    path = Path(name)
    if path.is_dir():
        below = [Path(at, file) for at, _, files in os.walk(path) for file in files] if recursive else []
        # Regular files only: a pipe among them would be waited for.
        return [
            str(p) for p in sorted(below or path.iterdir()) if p.suffix.lower() in _ENDINGS and p.is_file()
        ]
    if not path.exists() and glob.has_magic(name):
        # Links may lead in circles: each file once.
        found = {os.path.realpath(p): p for p in sorted(glob.glob(name, recursive=True), reverse=True)}  # noqa: PTH207
        return sorted(p for p in found.values() if Path(p).is_file())
    return []


def pages(name: str) -> Iterator[Page]:
    """The pages of one file, or of standard input ("-"), one in memory at a time. Never raises on what is in it."""
    from edged.core.image import MAX_BYTES
    from edged.core.imageheader import sniff

    file, wanted = _one_page(name)
    try:
        data = _bytes_of(file, MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        code = "reading.folder_empty" if isinstance(error, IsADirectoryError) else "reading.file_missing"
        yield Page(name, problem=code, exit_code=os.EX_NOINPUT)
        return
    try:
        if sniff(data) is not None or not _read_pdf.is_pdf(data):
            yield from _of_image(file, data, wanted)
        elif len(data) > MAX_BYTES:
            yield Page(file, problem="pdf.too_large", exit_code=os.EX_DATAERR)
        elif not _read_pdf.available():
            yield Page(file, problem="pdf.no_library", exit_code=os.EX_UNAVAILABLE)
        else:
            yield from _of_pdf(file, data, wanted)
    except MemoryError:
        yield Page(file, problem="reading.no_memory", exit_code=os.EX_OSERR)


def _one_page(name: str) -> tuple[str, int | None]:
    """A name, and which page of it is meant, where it says so and no file is called like that."""
    named = _ONE_PAGE.fullmatch(name)
    try:
        if named and not Path(name).exists() and Path(named[1]).exists():
            return named[1], int(named[2])
    except (OSError, ValueError):
        pass
    return name, None


def _bytes_of(name: str, most: int) -> bytes:
    """A file's bytes, or those of standard input ("-"), and no more than `most`."""
    if name == "-":
        return sys.stdin.buffer.read(most)
    with Path(name).open("rb") as file:
        return file.read(most)


def _of_image(file: str, data: bytes, wanted: int | None) -> Iterator[Page]:
    from edged.core.image import MAX_BYTES

    places = tiff_pages(data, wanted or MAX_PAGES + 1) if len(data) <= MAX_BYTES else []
    several = len(places) > 1
    for number in (wanted,) if wanted else range(1, max(1, len(places)) + 1):
        shown = number if several or wanted else None
        if number > max(1, len(places)):
            yield Page(file, shown, problem="reading.no_such_page", exit_code=os.EX_DATAERR)
        elif number > MAX_PAGES and not wanted:
            yield Page(file, shown, problem="reading.too_many_pages", exit_code=os.EX_DATAERR)
        else:
            yield _decoded(file, shown, tiff_page(data, places[number - 1]) if several else data)


def _decoded(file: str, number: int | None, data: bytes) -> Page:
    from edged.core.image import decode_image

    try:
        return Page(file, number, decode_image(data))
    except DecodeError as error:
        return Page(file, number, problem=error.code, exit_code=os.EX_DATAERR)


def _of_pdf(file: str, data: bytes, wanted: int | None) -> Iterator[Page]:
    first, last = (wanted, wanted) if wanted else (1, MAX_PAGES + 1)
    for number, found in _read_pdf.pages(data, first, last):
        if not wanted and number > MAX_PAGES:
            yield Page(file, number, problem="reading.too_many_pages", exit_code=os.EX_DATAERR)
        elif isinstance(found, str):
            yield Page(file, number, problem=found, exit_code=os.EX_DATAERR)
        else:
            yield Page(file, number, found)

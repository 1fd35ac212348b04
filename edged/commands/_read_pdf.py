"""Pages of a PDF file as pictures, drawn by PDFium in a process of its own.

A PDF is a program in a stranger's hand: its drawing may take any time and memory, and the library that draws it is
large. So a child without a name on any disk draws it, page by page, under limits the kernel keeps, and what becomes
of the child is a reason. Run as a module, this is that child: the PDF on standard input, pages on standard output.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import struct
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from edged import process

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

_HEAD: Final = 1024
"""Where in a file readers look for `%PDF-` (ISO 32000-1, annex H, note 13)."""
_DPI: Final = 300
"""What offices scan at; an MRZ's characters are then 30 pixels apart."""
_LEAST_SIDE: Final = 2000
_MOST_SIDE: Final = 5000
"""Bounds of a drawn page's longer side in pixels, whatever size of paper the file claims: 75 MB at most."""
PAGE_SECONDS: Final = 5
"""Processor time for one page; a scanned page takes a tenth of a second."""
MEMORY: Final = 1 << 30
"""Address space of the child: a scan in 600 dpi, unpacked, beside the page that is drawn."""
_FRAME: Final = struct.Struct("<BIIII")
"""What precedes a page's rows: 1 plus the index of what went wrong, or 0; number; width, height, bytes a row."""
_PROBLEMS: Final = ("pdf.encrypted", "pdf.broken", "pdf.page_broken", "reading.no_such_page")
_PASSWORD: Final = 4  # FPDF_ERR_PASSWORD, fpdfview.h


def is_pdf(data: bytes) -> bool:
    """Whether a file that is no image is a PDF."""
    return data.find(b"%PDF-", 0, _HEAD) >= 0


def available() -> bool:
    """Whether the library that draws PDF files is installed: the extra `pdf` of this package."""
    return find_spec("pypdfium2") is not None


def pages(data: bytes, first: int, last: int) -> Iterator[tuple[int, NDArray[np.uint8] | str]]:
    """(number, picture) of the pages from `first` to `last` as (H, W, 3) BGR, as far as there are so many.

    In a picture's place stands the code of why there is none: "pdf.encrypted", "pdf.broken", "pdf.page_broken",
    "pdf.too_slow", "reading.no_such_page". After "pdf.broken" and "pdf.too_slow" nothing more comes.
    """
    import numpy as np

    memory = os.memfd_create("document")  # in memory, and not behind a pipe that both sides might wait for
    with open(memory, "w+b") as file:  # noqa: PTH123 - a descriptor
        file.write(data)
        file.seek(0)
        command = [sys.executable, "-P", "-m", __name__]
        command += map(str, (first, last, PAGE_SECONDS, MEMORY))
        child = subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert child.stdout is not None
    number = first
    try:
        with child.stdout as pipe:
            while len(head := pipe.read(_FRAME.size)) == _FRAME.size:
                problem, number, width, height, stride = _FRAME.unpack(head)
                if problem:
                    yield number, _PROBLEMS[problem - 1]
                elif not _plausible(width, height, stride):
                    yield number, "pdf.broken"
                    return
                elif len(rows := pipe.read(stride * height)) == stride * height:
                    picture = np.frombuffer(rows, np.uint8).reshape(height, stride)[:, : 3 * width]
                    yield number, np.ascontiguousarray(picture).reshape(height, width, 3)
                number += 1
        ended = child.wait()
        if ended:
            yield number, "pdf.too_slow" if ended == -signal.SIGXCPU else "pdf.broken"
    finally:
        child.kill()
        child.wait()


def _plausible(width: int, height: int, stride: int) -> bool:
    """Whether a page may be of this size: the child has read a stranger's file, and is believed no more than it."""
    return 0 < max(width, height) <= _MOST_SIDE + 1 and 3 * width <= stride <= 3 * width + 64


def _main(first: int, last: int, seconds: int, memory: int) -> int:
    """The child."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nobody else's words among the pages
    _limit_time(seconds)
    import pypdfium2

    process.forbid_core_dumps()
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        document = pypdfium2.PdfDocument(sys.stdin.buffer.read())
        count = len(document)
    except pypdfium2.PdfiumError as error:
        return _say(out, 1 if error.err_code == _PASSWORD else 2, first)
    if first > count or not count:
        return _say(out, 4 if count else 2, first)
    for number in range(first, min(last, count) + 1):
        _limit_time(seconds)
        try:
            page = document[number - 1]
            bitmap = page.render(scale=_scale(*page.get_size()))
        except (pypdfium2.PdfiumError, ValueError, MemoryError):
            _say(out, 3, number)
            continue
        if bitmap.n_channels != 3:
            _say(out, 3, number)
            continue
        out.write(_FRAME.pack(0, number, bitmap.width, bitmap.height, bitmap.stride))
        out.write(_rows(bitmap))
        out.flush()
        bitmap.close()
        page.close()
    return os.EX_OK


def _say(out: BinaryIO, problem: int, number: int) -> int:
    out.write(_FRAME.pack(problem, number, 0, 0, 0))
    out.flush()
    return os.EX_OK


def _rows(bitmap: Any) -> memoryview:
    return memoryview(bitmap.buffer).cast("B")[: bitmap.stride * bitmap.height]


def _limit_time(seconds: int) -> None:
    """From now on `seconds` of processor time, then the kernel ends this process (SIGXCPU)."""
    used = math.ceil(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, resource.RLIM_INFINITY))


def _scale(width: float, height: float) -> float:
    """Pixels per point (1/72 inch). Raises ValueError for a page without a size."""
    longer = max(width, height)
    if not (min(width, height) > 0 and longer < math.inf):
        raise ValueError
    return min(max(longer * _DPI / 72, _LEAST_SIDE), _MOST_SIDE) / longer


if __name__ == "__main__":
    sys.exit(_main(*map(int, sys.argv[1:5])))

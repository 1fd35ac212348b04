"""The text of a PDF file, read by PDFium in a process of its own, under limits that the kernel keeps.

A PDF is a program in a stranger's hand (see `_read_pdf`, which draws one). Run as a module, this is that child.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from typing import Final

import msgspec

from edged import process
from edged.errors import DecodeError
from edged.slip.comparing import MAX_PRINTED

_PAGES: Final = 4
"""Pages that are read: a slip has one."""
_SECONDS: Final = 5
_MEMORY: Final = 1 << 30
_MOST: Final = 4 * MAX_PRINTED
"""Characters of all pages, the watermark among them."""


class _Read(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the child says."""

    lines: tuple[str, ...]
    pages: int


def text_of(data: bytes) -> tuple[tuple[str, ...], bool]:
    """The lines of text in the order of the file, and whether it has more pages than one.

    Raises `DecodeError`: "pdf.broken".
    """
    memory = os.memfd_create("slip")
    with open(memory, "w+b") as file:  # noqa: PTH123 - a descriptor
        file.write(data)
        file.seek(0)
        command = [sys.executable, "-P", "-m", __name__]
        done = subprocess.run(command, stdin=file, capture_output=True, check=False, timeout=10 * _SECONDS)
    try:
        read = msgspec.json.decode(done.stdout, type=_Read)
    except msgspec.DecodeError:
        raise DecodeError("pdf", "pdf.broken") from None
    return read.lines, read.pages > 1


def _main() -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, resource.RLIM_INFINITY))
    import pypdfium2

    process.forbid_core_dumps()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    try:
        document = pypdfium2.PdfDocument(sys.stdin.buffer.read())
        lines: list[str] = []
        for number in range(min(_PAGES, len(document))):
            page = document[number].get_textpage()
            lines += page.get_text_range(0, min(page.count_chars(), _MOST)).splitlines()
    except (pypdfium2.PdfiumError, MemoryError):
        return os.EX_DATAERR
    print(msgspec.json.encode(_Read(tuple(lines), len(document))).decode())
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(_main())

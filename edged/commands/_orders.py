"""Orders on standard input, one a line, for commands that go on working while they take them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_STANDARD_INPUT: Final = 0
MAX_LINE: Final = 4096
"""Octets of one line: the longest order has an MRZ in it."""


async def lines() -> AsyncIterator[bytes]:
    """Every line that isn't blank, until standard input ends."""
    loop = asyncio.get_running_loop()
    read: asyncio.Queue[bytes | None] = asyncio.Queue()

    def post(line: bytes | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(read.put_nowait, line)

    # A thread, because standard input may be a file or /dev/null, which no event loop can watch.
    threading.Thread(target=_read_lines, args=(post,), daemon=True).start()
    while (line := await read.get()) is not None:
        if line.strip():
            yield line


def _read_lines(post: Callable[[bytes | None], None]) -> None:
    """Every line of standard input, then None. Longer ones than an order come in pieces, which are none."""
    rest = b""
    while more := os.read(_STANDARD_INPUT, MAX_LINE):
        *whole, rest = (rest + more).split(b"\n")
        for line in whole:
            post(line)
        if len(rest) > MAX_LINE:
            post(rest)
            rest = b""
    post(rest)
    post(None)

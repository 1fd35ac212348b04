"""`edged swipe emulate PORT`: a swipe reader on a pseudo-terminal; each line of standard input is one swipe."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edged import messages
from edged.emulator.swipe_reader import KINDS, SwipeReaderEmulator
from edged.errors import ConfigError

if TYPE_CHECKING:
    import argparse

MAX_LINE: Final = 4096
"""Characters of one line on standard input: an MRZ has 90."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the reader appears, and which it is."""
    parser.add_argument("port", type=Path, metavar="PORT", help="help.swipe.emulate.port")
    parser.add_argument("--kind", choices=KINDS, default="elyctis", help="help.swipe.emulate.kind")
    parser.add_argument("--json", action="store_true", help="help.json_lines")
    parser.epilog = "help.swipe.emulate.more"


def run(args: argparse.Namespace) -> int:
    """Serve until standard input ends. Raises `ConfigError` for a port that can't be made."""
    if args.port.exists() and not args.port.is_symlink():
        raise ConfigError(str(args.port), "swipe.port_taken")
    asyncio.run(_serve(args))
    return os.EX_OK


async def _serve(args: argparse.Namespace) -> None:
    async with SwipeReaderEmulator(args.port, args.kind) as reader:
        _tell(args, "swipe.emulating", port=str(args.port))
        lines = _standard_input()
        while (line := await lines.get()) is not None:
            match line.split():
                case []:
                    continue
                case ["unplug"]:
                    reader.unplug()
                case ["plug"]:
                    if not reader.plugged:
                        reader.plug()
                case words if reader.plugged and await reader.swipe(words):
                    _tell(args, "swipe.emulated", lines=str(len(words)))
                case _:
                    _tell(args, "swipe.not_told")


def _tell(args: argparse.Namespace, code: str, **params: str) -> None:
    said = json.dumps({"happened": code.removeprefix("swipe."), **params})
    print(said if args.json else messages.text(code, args.lang, **params), flush=True)


def _standard_input() -> asyncio.Queue[str | None]:
    """Its lines, and None at its end. A thread: it may be a file or /dev/null, which no event loop can watch."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            while line := sys.stdin.readline(MAX_LINE):
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    return lines

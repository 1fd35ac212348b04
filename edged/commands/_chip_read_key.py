"""How `edged chip read` is told what opens a chip: from a prompt without echo, a file or standard input.

Never from the command line, which the shell's history and every process on the machine can read.
"""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edged import messages
from edged.core.emrtd.access_keys import can_key, key_of_mrz
from edged.core.mrz import parse_mrz
from edged.errors import ChipError, DecodeError
from edged.identity import Identity
from edged.verdict import Result

if TYPE_CHECKING:
    import argparse
    import datetime

    from edged.core.emrtd.access_keys import AccessKey
    from edged.core.mrz import Mrz

MAX_INPUT: Final = 4096
"""Octets: three lines of 30 characters at most, and room for how they were saved."""

_MOST_LINES: Final = 3
_LINES_OF: Final = {44: 2, 36: 2}
"""How many lines there are of such length, at a prompt. Fewer than asked for end with an empty one (a permit's one)."""


class Opener(Identity):
    """What opens the chip.

    Attributes:
        key: the access key.
        mrz: the machine-readable zone it was made of, None for a CAN.
    """

    __slots__ = ("key", "mrz")

    def __init__(self, key: AccessKey, mrz: Mrz | None) -> None:
        self.key = key
        self.mrz = mrz


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the key comes from; without either, the lines of the MRZ are asked for."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--mrz-file", metavar="FILE", help="help.chip.read.mrz_file")
    source.add_argument("--can", action="store_true", help="help.chip.read.can")


def take_key(args: argparse.Namespace, today: datetime.date) -> Opener:
    """Read what opens the chip. Raises `DecodeError` for what can't, OSError for a file that can't be read."""
    if args.can:
        return Opener(can_key("".join(_given(args, "chipread.can", lines=1)).replace(" ", "")), None)
    text = _read(args.mrz_file) if args.mrz_file else _given(args, "chipread.mrz_line", lines=None)
    mrz = parse_mrz([line for line in text if line], today=today)
    key = key_of_mrz(mrz)
    if key is None:
        raise ChipError("chip.no_key")
    if any(check.result is Result.FAILED for check in mrz.check_digits):
        said = messages.text("chipread.check_digits", args.lang)
        print(f"edged: {said}", file=sys.stderr)
    return Opener(key, mrz)


def _read(name: str) -> list[str]:
    if name == "-":
        return _lines(sys.stdin.buffer.read(MAX_INPUT + 1))
    with Path(name).open("rb") as file:
        return _lines(file.read(MAX_INPUT + 1))


def _lines(raw: bytes) -> list[str]:
    if len(raw) > MAX_INPUT:
        raise DecodeError("mrz", "chipread.too_long")
    return [line.strip() for line in raw.decode("ascii", "replace").splitlines() if line.strip()]


def _given(args: argparse.Namespace, prompt: str, *, lines: int | None) -> list[str]:
    """Lines from the terminal, not shown as they are typed; from standard input when there is no terminal."""
    if not sys.stdin.isatty():
        return _read("-")
    given: list[str] = []
    while lines is None or len(given) < lines:
        asked = messages.text(prompt, args.lang, number=len(given) + 1)
        line = getpass.getpass(f"{asked}: ", stream=sys.stderr).strip()
        if not line:
            break
        given.append(line)
        if lines is None:
            lines = _LINES_OF.get(len(line), _MOST_LINES)
    return given

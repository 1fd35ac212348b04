"""How `edged chip read` is told what opens a chip: from a prompt without echo, a file or standard input.

Never from the command line, which the shell's history and every process on the machine can read.
"""

from __future__ import annotations

import argparse
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
    parser.allow_abbrev = False  # `--mrz` with the lines behind it is no short form of --mrz-file
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--mrz", action="store_true", help="help.chip.read.mrz")
    source.add_argument("--mrz-file", metavar="FILE", help="help.chip.read.mrz_file")
    source.add_argument("--can", action="store_true", help="help.chip.read.can")
    parser.add_argument("stray", nargs="*", action=_Refused, help=argparse.SUPPRESS)


class _Refused(argparse.Action):
    """What stands on the command line without an option is most likely what opens a chip: refused, and not repeated."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,  # noqa: ARG002 - argparse calls it so
        values: object,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        if values:
            parser.error("chipread.not_here")


def take_key(args: argparse.Namespace, today: datetime.date) -> Opener:
    """Read what opens the chip. Raises `DecodeError` for what can't, `ChipError` for an MRZ without a key."""
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
    try:
        with Path(name).open("rb") as file:
            return _lines(file.read(MAX_INPUT + 1))
    except (OSError, ValueError) as error:  # without its name, which may be what belongs into it
        raise DecodeError("mrz", "chipread.unreadable") from error


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

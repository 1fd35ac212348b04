"""What the `edged slip` commands share: numbers of slips as people type and read them."""

from __future__ import annotations

import argparse
from typing import Final

from edged.slip.facts import NUMBER_ALPHABET, NUMBER_CHARACTERS

WITHDRAWAL_REASONS: Final = ("error", "misuse", "lost", "request", "other")
"""Why a slip is withdrawn: a word, because the journal keeps it and no text that could name somebody."""

_GROUP: Final = 4
_TAKEN_FOR: Final = str.maketrans("OIL", "011")
"""Crockford's base 32: letters that are taken for figures."""


def number(text: str) -> str:
    """A slip's number as somebody typed it, for argparse: spaces, hyphens and small letters forgiven."""
    plain = text.replace(" ", "").replace("-", "").upper().translate(_TAKEN_FOR)
    if len(plain) != NUMBER_CHARACTERS or not set(plain) <= set(NUMBER_ALPHABET):
        raise argparse.ArgumentTypeError("slip_command.bad_number")
    return plain


def grouped(plain: str) -> str:
    """A number as it is printed."""
    return "-".join(plain[at : at + _GROUP] for at in range(0, len(plain), _GROUP))


def add_number(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """The argument NUMBER; without it the newest slip is meant."""
    parser.add_argument(
        "number",
        type=number,
        nargs="?" if optional else None,
        metavar="NUMBER",
        help="help.slip.newest" if optional else "help.slip.number",
    )

"""A slip's number as people type it. By itself, because `edged scan` takes one and loads nothing heavy."""

from __future__ import annotations

import argparse
from typing import Final

from edged.slip.facts import NUMBER_ALPHABET, NUMBER_CHARACTERS

_TAKEN_FOR: Final = str.maketrans("OIL", "011")
"""Crockford's base 32: letters that are taken for figures."""


def number(text: str) -> str:
    """A slip's number as somebody typed it, for argparse: spaces, hyphens and small letters forgiven."""
    plain = text.replace(" ", "").replace("-", "").upper().translate(_TAKEN_FOR)
    if len(plain) != NUMBER_CHARACTERS or not set(plain) <= set(NUMBER_ALPHABET):
        raise argparse.ArgumentTypeError("slip_command.bad_number")
    return plain

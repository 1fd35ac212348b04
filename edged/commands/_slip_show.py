"""`edged slip show`: a slip in the terminal, its QR code in half blocks: to be scanned from the screen."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from edged.commands import _daemon
from edged.commands._saying import show_json, show_line
from edged.commands._slip_common import add_number, asked_for, facts_in
from edged.commands._table import show_pairs
from edged.slip.content import LANGUAGES, lines
from edged.slip.layout import QUIET, symbol

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which."""
    _daemon.add_arguments(parser)
    add_number(parser, optional=True)


def run(args: argparse.Namespace) -> int:
    """EX_OK. The copy that is shown is counted and journalled as a printed one is."""
    from edged.fleet.qr import half_blocks

    answer = asked_for(args, "screen")
    if args.json:
        show_json(answer)
        return os.EX_OK
    which = LANGUAGES.index(args.lang)
    show_pairs([(line.caption[which], line.value[which]) for line in lines(facts_in(answer["url"]))])
    for row in half_blocks(np.pad(symbol(answer["url"]), QUIET)):
        print(row)
    show_line(answer["url"])
    return os.EX_OK

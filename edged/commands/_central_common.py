"""What the actions of `edged central` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config FILE` and `--json`."""
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="help.central.config")
    parser.add_argument("--json", action="store_true", help="help.json_lines")

"""What the actions of `edged outbox` share: where the database is, and words for sizes and times."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from edged.config import environment
from edged.uplink.outbox_types import DATABASE_FILE

if TYPE_CHECKING:
    import argparse

DEFAULT_DIRECTORY: Final = "/var/lib/edged"
"""Where a box keeps its state."""

_UNITS: Final = ("B", "KiB", "MiB", "GiB")


def add_place(parser: argparse.ArgumentParser) -> None:
    """`--state DIR` (by default $EDGED_STATE or the box's own) or `--config FILE`, which names it."""
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--state",
        type=Path,
        default=Path(environment("EDGED_STATE") or DEFAULT_DIRECTORY),
        metavar="DIR",
        help="help.outbox.state",
    )
    place.add_argument("--config", type=Path, metavar="FILE", help="help.outbox.config")


def directory(args: argparse.Namespace) -> Path:
    """The state directory that is meant. Raises `ConfigError` for a boot file that can't be read."""
    if args.config is None:
        return Path(args.state)
    from edged.config import load_box

    return load_box(args.config).state.directory


def database_file(args: argparse.Namespace) -> Path:
    """The state database that is meant."""
    return directory(args) / DATABASE_FILE


def size(count: int) -> str:
    """Bytes as people say them: "1.5 MiB"."""
    value, unit = float(count), _UNITS[0]
    for unit in _UNITS:
        if value < 1024 or unit == _UNITS[-1]:
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == _UNITS[0] else f"{value:.1f} {unit}"

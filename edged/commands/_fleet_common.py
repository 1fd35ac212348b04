"""What the actions of `edged fleet` share: where the fleet's state is, and key directories on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edged.fleet.state import FleetState

if TYPE_CHECKING:
    import argparse


def add_state(parser: argparse.ArgumentParser) -> None:
    """`--state DIR`, by default the current directory, and `--json`."""
    parser.add_argument("--state", type=Path, default=Path(), metavar="DIR", help="help.fleet.state")
    parser.add_argument("--json", action="store_true", help="help.json")


def open_state(args: argparse.Namespace) -> FleetState:
    """The fleet's state. Raises `StateError` (`fleet.no_state`), `ConfigError`."""
    return FleetState.open(args.state)


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """`--dry-run`."""
    parser.add_argument("--dry-run", action="store_true", help="help.fleet.dry_run")


def add_key_directories(parser: argparse.ArgumentParser, *roles: str, required: bool = True) -> None:
    """`--root-keys DIR…`, `--privacy-keys DIR`, `--release-keys DIR`: where offline keys lie just now."""
    for role in roles:
        several = role == "root"
        parser.add_argument(
            f"--{role}-keys",
            type=Path,
            nargs="+" if several else None,
            required=required,
            default=[] if several else None,
            metavar="DIR",
            help=f"help.fleet.{role}_keys",
        )

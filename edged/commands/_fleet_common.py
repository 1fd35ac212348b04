"""What the actions of `edged fleet` share: where the fleet's state is, key directories."""

from __future__ import annotations

import argparse
from pathlib import Path

from edged.fleet.state import FleetState


def add_state(parser: argparse.ArgumentParser, *, inner: bool = False) -> None:
    """`--state DIR`, by default the current directory, and `--json`.

    `inner`: for an action's own actions, whose parent has both already: what stands before them counts as well.
    """
    state, plain = (argparse.SUPPRESS, argparse.SUPPRESS) if inner else (Path(), False)
    parser.add_argument("--state", type=Path, default=state, metavar="DIR", help="help.fleet.state")
    parser.add_argument("--json", action="store_true", default=plain, help="help.json")


def open_state(args: argparse.Namespace) -> FleetState:
    """The fleet's state. Raises `StateError` (`fleet.no_state`), `ConfigError`."""
    return FleetState.open(args.state)


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """`--dry-run`."""
    parser.add_argument("--dry-run", action="store_true", help="help.fleet.dry_run")


def add_root_keys(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """`--root-keys DIR…`: where the offline keys are just now."""
    parser.add_argument(
        "--root-keys",
        type=Path,
        nargs="+",
        required=required,
        default=[],
        metavar="DIR",
        help="help.fleet.root_keys",
    )


def add_key_directory(parser: argparse.ArgumentParser, option: str, *, required: bool = True) -> None:
    """One directory with a key, `--privacy-keys`, `--release-keys`, …; its help is `help.fleet.OPTION`."""
    text = "help.fleet." + option.lstrip("-").replace("-", "_")
    parser.add_argument(option, type=Path, required=required, metavar="DIR", help=text)

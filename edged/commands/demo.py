"""`edged demo`: the whole system on this machine, with specimen documents or your own images."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edged import messages
from edged.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from edged.demo.present import Presenter
    from edged.demo.show import Plan

PARTIES = ("broker", "collector", "box", "bank", "hotel")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to show, and how."""
    parser.add_argument("--documents", type=Path, metavar="DIR", help="help.demo.documents")
    parser.add_argument("--watch", action="store_true", help="help.demo.watch")
    parser.add_argument("--json", action="store_true", help="help.demo.json")
    parser.add_argument(
        "--kill",
        action="append",
        default=[],
        choices=PARTIES,
        metavar="PARTY",
        help="help.demo.kill",
    )
    head = parser.add_mutually_exclusive_group()
    head.add_argument("--qemu", action="store_true", help="help.demo.qemu")
    head.add_argument("--no-firmware", action="store_true", help="help.demo.no_firmware")
    parser.add_argument("--directory", type=Path, metavar="DIR", help="help.demo.directory")
    parser.epilog = "help.demo.exit_codes"


def run(args: argparse.Namespace) -> int:
    """Exit 0 when the ledger balances and every specimen came as expected, 1 when not."""
    from edged.demo.head import Board
    from edged.demo.present import HumanPresenter, JsonPresenter
    from edged.demo.show import Plan
    from edged.specimens import FIXED_TODAY, load_folder, shipped
    from edged.specimens.chips import with_chips

    own = args.documents is not None
    plan = Plan(
        specimens=load_folder(args.documents) if own else (*shipped(), *with_chips()),
        fixed_today=None if own else FIXED_TODAY,
        lang=args.lang,
        kill=tuple(args.kill),
        watch=args.watch,
        board=Board.QEMU if args.qemu else Board.NONE if args.no_firmware else Board.HOST,
        acts=not own,
    )
    presenter = JsonPresenter() if args.json else HumanPresenter(args.lang)
    directory, kept = _directory(args.directory)
    try:
        passed = asyncio.run(_show(plan, directory, presenter))
    finally:
        if not kept:
            shutil.rmtree(directory, ignore_errors=True)
    if kept and not args.json:
        print(messages.text("demo.kept", args.lang, directory=directory))
    return os.EX_OK if passed else 1


async def _show(plan: Plan, directory: Path, presenter: Presenter) -> bool:
    from edged.demo.show import Show

    show = Show(plan, directory, presenter)
    showing = asyncio.ensure_future(show.run())
    loop = asyncio.get_running_loop()

    def stop() -> None:
        """The first Ctrl-C ends --watch in order; without --watch, or twice, it ends the demo."""
        if plan.watch and not stopped:
            stopped.append(True)
            show.stop()
        else:
            showing.cancel()

    stopped: list[bool] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup: it shall outlive its terminal
        # A closed terminal: there is nobody left to tell anything, --watch or not.
        loop.add_signal_handler(signal.SIGHUP, showing.cancel)
    try:
        return await showing
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _directory(wanted: Path | None) -> tuple[Path, bool]:
    """Where the parties keep their things, and whether that outlives the demo. Raises `ConfigError`."""
    if wanted is None:
        return Path(tempfile.mkdtemp(prefix="edged-demo-")), False
    try:
        wanted.mkdir(mode=0o700, parents=True, exist_ok=False)
    except FileExistsError as error:
        raise ConfigError(str(wanted), "demo.directory_exists") from error
    except OSError as error:
        raise ConfigError(str(wanted), "demo.directory_unusable", error=error.strerror or "") from error
    return wanted.resolve(), True

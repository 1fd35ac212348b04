"""What the commands that talk to a running daemon share."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged import messages
from edged.config import environment
from edged.control import ControlClient
from edged.messages import shared

if TYPE_CHECKING:
    import argparse

DEFAULT_SOCKET = Path("/run/edged/control.sock")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--socket` and `--json`."""
    parser.add_argument(
        "--socket",
        type=Path,
        default=Path(environment("EDGED_SOCKET") or DEFAULT_SOCKET),
        help="help.socket",
    )
    parser.add_argument("--json", action="store_true", help="help.json")


def call(args: argparse.Namespace, method: str, **params: Any) -> Any:
    """One call to the daemon, whose words are ours from then on. Raises `ControlError` when there is none."""
    shared.use(args.socket)

    async def ask() -> Any:
        async with ControlClient(args.socket) as client:
            return await client.call(method, **params)

    return asyncio.run(ask())


def ask(args: argparse.Namespace, method: str, *, did: str, did_not: str) -> int:
    """A call that is answered yes or no: print it (the codes' sentences, or JSON under the name of `did`).

    EX_OK when something was done, EX_TEMPFAIL when there was nothing to do.
    """
    done = bool(call(args, method))
    if args.json:
        print(json.dumps({did.rpartition(".")[2]: done}))
    else:
        print(messages.text(did if done else did_not, args.lang))
    return os.EX_OK if done else os.EX_TEMPFAIL

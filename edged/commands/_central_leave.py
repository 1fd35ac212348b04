"""`edged central leave --config FILE [--json]`: a worker that shall not come back gives up its share."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import msgspec

from edged import messages

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing of its own."""


def run(args: argparse.Namespace) -> int:
    """Exit 0 when the broker keeps nothing for this worker any more."""
    from edged.central.leave import leave
    from edged.central.settings import load
    from edged.uplink.sign import Signer

    settings = load(args.config)
    worker = Signer.from_files(settings.signing_key, settings.signing_certificate).principal
    left = asyncio.run(leave(settings.broker, worker.username))
    if args.json:
        print(msgspec.json.encode(left).decode())
    else:
        code = "central.left" if left.had_session else "central.no_session"
        print(f"{left.name}: {messages.text(code, args.lang)}")
    return os.EX_OK

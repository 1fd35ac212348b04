"""`edged cancel`: cancel the running inspection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edged import messages
from edged.commands import _daemon

if TYPE_CHECKING:
    import argparse

add_arguments = _daemon.add_arguments


def run(args: argparse.Namespace) -> int:
    """Exit 0 when something was cancelled, EX_TEMPFAIL when nothing ran."""
    done = bool(_daemon.call(args, "cancel"))
    did, did_not = (
        (json.dumps({"cancelled": done}),) * 2
        if args.json
        else (messages.text("cli.cancelled", args.lang), messages.text("cli.nothing_to_cancel", args.lang))
    )
    return _daemon.tell(done, did, did_not)

"""`edged complete`: say that the document has no other side, so that it is judged with what there is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edged import messages
from edged.commands import _daemon

if TYPE_CHECKING:
    import argparse

add_arguments = _daemon.add_arguments


def run(args: argparse.Namespace) -> int:
    """Exit 0 when another side was being waited for, EX_TEMPFAIL otherwise."""
    done = bool(_daemon.call(args, "complete"))
    did, did_not = (
        (json.dumps({"completed": done}),) * 2
        if args.json
        else (messages.text("cli.completed", args.lang), messages.text("cli.nothing_to_complete", args.lang))
    )
    return _daemon.tell(done, did, did_not)

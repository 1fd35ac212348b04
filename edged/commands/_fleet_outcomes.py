"""How the actions of `edged fleet` say what became of a push."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged import messages
from edged.commands._saying import say

if TYPE_CHECKING:
    import argparse


def failure(args: argparse.Namespace, code: str | None, path: str | None, probe: str | None) -> str:
    """Why: the probe that failed, the path of the bad key, the sentence of the code; empty when it is well."""
    parts = []
    if probe is not None:
        parts.append(say(args, "outcome.probe", probe=probe))
    if path is not None:
        parts.append(path)
    if code is not None:
        # A newer box may know codes that this catalogue doesn't.
        parts.append(messages.text(code, args.lang) if messages.known(code) else code)
    return ": ".join(parts)

"""How the admin's commands, and the box's own `edged status`, say what became of a push."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged import messages

if TYPE_CHECKING:
    import argparse


def failure(args: argparse.Namespace, code: str | None, path: str | None, probe: str | None) -> str:
    """Why: the probe that failed, the path of the bad key, the sentence of the code; empty when it is well."""
    return reason(args.lang, code, path, probe)


def reason(lang: str, code: str | None, path: str | None, probe: str | None) -> str:
    """As `failure`, in a language."""
    parts = []
    if probe is not None:
        parts.append(messages.text("outcome.probe", lang, probe=probe))
    if path is not None:
        parts.append(path)
    if code is not None:
        # A newer box may know codes that this catalogue doesn't.
        parts.append(messages.text(code, lang) if messages.known(code) else code)
    return ": ".join(parts)

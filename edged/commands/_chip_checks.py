"""A chip's checks as `edged chip` tells them: in words, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edged import messages
from edged.commands._saying import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from edged.verdict import Check


def lines(args: argparse.Namespace, checks: Iterable[Check]) -> Iterator[str]:
    """Each check with its result, and under it its reasons."""
    for check in checks:
        yield f"{say(args, f'check_name.{check.name}')}: {say(args, f'result.{check.result}')}"
        for reason in check.reasons:
            yield f"  {messages.reason(reason, args.lang)}"


def as_json(args: argparse.Namespace, checks: Iterable[Check]) -> list[dict[str, Any]]:
    """The same for machines: codes, parameters and the sentence they make."""
    return [
        {
            "name": check.name,
            "result": check.result,
            "reasons": [
                {"code": reason.code, "params": reason.params, "text": messages.reason(reason, args.lang)}
                for reason in check.reasons
            ],
        }
        for check in checks
    ]

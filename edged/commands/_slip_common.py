"""What the `edged slip` commands share: which slip is meant, and a box's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from edged.commands import _daemon
from edged.commands._slip_number import number
from edged.slip import claims, cose, url
from edged.slip.book import WithdrawalReason
from edged.slip.content import grouped

if TYPE_CHECKING:
    import argparse

    from edged.slip.facts import SlipFacts

__all__ = ["WITHDRAWAL_REASONS", "add_number", "asked_for", "facts_in", "grouped", "number"]

WITHDRAWAL_REASONS: Final[tuple[str, ...]] = get_args(WithdrawalReason)


def add_number(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """The argument NUMBER; without it the newest slip is meant."""
    parser.add_argument(
        "number",
        type=number,
        nargs="?" if optional else None,
        metavar="NUMBER",
        help="help.slip.newest" if optional else "help.slip.number",
    )


def asked_for(args: argparse.Namespace, output: str) -> dict[str, Any]:
    """A new copy of a slip for `output` (`screen`, `pdf`, `png`), which the box signs, counts and journals.

    Raises `ControlError`: the box isn't there, knows no such slip, or keeps no more of it than its number.
    """
    chosen: dict[str, Any] = {} if args.number is None else {"number": args.number}
    answer: dict[str, Any] = _daemon.call(args, "slip_get", output=output, **chosen)
    return answer


def facts_in(signed_url: str) -> SlipFacts:
    """What our own box has signed. Raises `DecodeError` (a box of another release)."""
    return claims.decode(cose.parse(url.parse(signed_url)).payload)

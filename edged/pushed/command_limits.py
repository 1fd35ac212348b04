"""How much a box lets itself be told: whoever has a stolen key, or records and repeats, can't keep it busy.

Takes time as an argument, in seconds of any steady clock; does no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.uplink.token_bucket import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.uplink.command import CommandName

PER_MINUTE: Final = 10
"""Commands that are obeyed, of every kind together: a person at a desk, or a script that looks at each box."""

OF_EACH: Final[Mapping[CommandName, int]] = {
    "scan": 2,  # takes the counter away from a clerk
    "diagnostics": 2,  # megabytes over a mobile line
    "collect-logs": 4,
    "identify": 4,
    "restart": 1,
    "rotate-key": 1,  # each costs the enrolment service a certificate
}
"""A minute, beside `PER_MINUTE`."""

LOOKED_AT: Final = 60
"""Messages a minute whose signature is looked at: anybody who can write on the topic makes the box work so much."""

TOLD_AGAIN: Final = 10
"""Refusals and repeated answers a minute: silence is the answer to a flood."""

FILE_AGAIN: Final = 5
"""What telling an answer with a file again counts as."""


class Limits:
    """The buckets of one box."""

    def __init__(self, now: float) -> None:
        self._looked_at = TokenBucket(LOOKED_AT / 60, LOOKED_AT, now)
        self._obeyed = TokenBucket(PER_MINUTE / 60, PER_MINUTE, now)
        self._of_each = {name: TokenBucket(rate / 60, rate, now) for name, rate in OF_EACH.items()}
        self._told_again = TokenBucket(TOLD_AGAIN / 60, TOLD_AGAIN, now)

    def look(self, now: float) -> bool:
        """Whether one more message may be looked at; it counts."""
        return _spend([self._looked_at], 1, now)

    def obey(self, name: CommandName, now: float) -> bool:
        """Whether one more such command may be obeyed; it counts when it may."""
        buckets = [self._obeyed, *([self._of_each[name]] if name in self._of_each else [])]
        return _spend(buckets, 1, now)

    def tell(self, now: float, amount: int = 1) -> bool:
        """Whether one more refusal or repetition may be sent; it counts when it may."""
        return _spend([self._told_again], amount, now)


def _spend(buckets: list[TokenBucket], amount: int, now: float) -> bool:
    if any(bucket.wait(now) > 0 for bucket in buckets):
        return False
    for bucket in buckets:
        bucket.spend(amount, now)
    return True

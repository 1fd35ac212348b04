"""Where a card's random numbers come from: the system, or a test that wants a worked example's."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable


class Chance(Protocol):
    """What a card draws: nonces and challenges, private keys."""

    def octets(self, count: int) -> bytes:
        """So many random octets."""

    def scalar(self, order: int) -> int:
        """A private key, from 1 to `order` - 1."""


class SystemChance:
    """The operating system's randomness."""

    def octets(self, count: int) -> bytes:
        """So many random octets."""
        return secrets.token_bytes(count)

    def scalar(self, order: int) -> int:
        """A private key, from 1 to `order` - 1."""
        return 1 + secrets.randbelow(order - 1)


class ScriptedChance:
    """What a worked example drew, in its order; more than that is an error of the script."""

    def __init__(self, octets: Iterable[bytes] = (), scalars: Iterable[int] = ()) -> None:
        self._octets = list(octets)
        self._scalars = list(scalars)

    def octets(self, count: int) -> bytes:
        """The next octets of the script."""
        drawn = self._octets.pop(0)
        assert len(drawn) == count, "the script is of another length"
        return drawn

    def scalar(self, order: int) -> int:
        """The next private key of the script."""
        drawn = self._scalars.pop(0)
        assert 0 < drawn < order, "the script is of another group"
        return drawn

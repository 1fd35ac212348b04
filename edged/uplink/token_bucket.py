"""A bound on a rate that lets short bursts through. Takes time as an argument."""

from __future__ import annotations


class TokenBucket:
    """Up to `burst` at once, `per_s` in the long run. `now` is any clock's seconds that never go back.

    What something costs is often known only when it is done, so the balance may go below nothing, and whoever comes
    next waits for it to be above again.
    """

    def __init__(self, per_s: float, burst: float, now: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._balance = burst
        self._at = now

    def wait(self, now: float) -> float:
        """Seconds until there is something to spend; 0 when there is."""
        self._refill(now)
        return 0.0 if self._balance > 0 else (1e-3 - self._balance) / self._per_s

    def spend(self, amount: float, now: float) -> None:
        """Take `amount`, whether it is there or not."""
        self._refill(now)
        self._balance -= amount

    def full(self, now: float) -> bool:
        """Whether it is as if nothing had ever been spent."""
        self._refill(now)
        return self._balance >= self._burst

    def _refill(self, now: float) -> None:
        self._balance = min(self._burst, self._balance + max(0.0, now - self._at) * self._per_s)
        self._at = max(self._at, now)

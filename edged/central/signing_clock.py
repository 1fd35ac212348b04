"""The collector's own clock: whoever signs the time for a whole fleet must know it.

A receipt's time raises the floor of every box's clock, and a collector that thinks it is last year, or next, would
not take good envelopes because of their certificates. So with an absurd clock nothing is verified, stored or signed: it
all waits at the broker and in the boxes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged import RELEASED
from edged.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from edged.uplink.sign import Signer


class SigningClock:
    """A clock that is refused when it can't be right: before this release, or outside its certificate's time."""

    def __init__(self, clock: Callable[[], datetime], signer: Signer) -> None:
        self._clock = clock
        self._not_before, self._not_after = signer.not_before, signer.not_after

    def now_or_release(self) -> datetime:
        """The time, not before this release: for what has to be read whatever the clock says."""
        return max(self._clock(), RELEASED)

    def now(self) -> datetime:
        """The time (UTC).

        Raises `StateError` (`central.clock_before_release`, `central.certificate_not_begun`,
        `central.certificate_ended`).
        """
        now = self._clock()
        if now < RELEASED:
            raise StateError("central.clock_before_release")
        if now < self._not_before:
            raise StateError("central.certificate_not_begun")
        if now > self._not_after:
            raise StateError("central.certificate_ended")
        return now

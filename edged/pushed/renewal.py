"""When a box renews its certificates. Decides; does no I/O, and time is an argument.

A certificate is renewed once two thirds of its life are over (a year's leaves four months for a box that is switched
off), at a moment of the box's own choice so that a fleet installed on one day doesn't come on one day. The box's clock
needn't be trusted for it: the service judges by its own, and one attempt too many costs a connection.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence

    from edged.uplink.fleet_authority import FleetAuthorities

SHARE: Final = 2 / 3
"""Of a certificate's life, after which it is renewed."""

SPREAD: Final = 1 / 12
"""Of its life, over which boxes spread: a month of a year's."""

FIRST_RETRY: Final = timedelta(minutes=1)
LONGEST_RETRY: Final = timedelta(hours=12)
"""Between two attempts, however many failed: the service may be away for days, and is asked twice a day."""

LONGEST_LOOK: Final = timedelta(hours=1)
"""The clock may jump and the files may be replaced by hand, so the box looks again this often."""


class Life(msgspec.Struct, frozen=True):
    """When a certificate begins and ends, timezone-aware."""

    not_before: datetime
    not_after: datetime


class Schedule:
    """When to renew one pair of key and certificate; `chance` makes this box's own moment."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._share = SHARE + SPREAD * chance.random()
        self._failures = 0
        self._not_before: datetime | None = None

    def due_at(self, life: Life) -> datetime:
        """When `life`'s certificate is to be renewed."""
        return life.not_before + (life.not_after - life.not_before) * self._share

    def wait(self, life: Life, now: datetime) -> timedelta:
        """How long until an attempt; nothing when it is time. Never longer than `LONGEST_LOOK`."""
        at = self.due_at(life)
        at = max(at, self._rest_until(now))
        return min(max(at - now, timedelta(0)), LONGEST_LOOK)

    def failed(self, now: datetime) -> timedelta:
        """An attempt failed; how long until the next one (doubled each time, with jitter)."""
        delay: timedelta = min(FIRST_RETRY * 2 ** min(self._failures, 16), LONGEST_RETRY)
        self._failures += 1
        delay = delay * (0.5 + 0.5 * self._chance.random())
        self._not_before = now + delay
        return delay

    def rested(self, now: datetime) -> bool:
        """Whether the wait after the last failure is over."""
        return self._rest_until(now) <= now

    def _rest_until(self, now: datetime) -> datetime:
        if self._not_before is None:
            return now
        if self._not_before - now > LONGEST_RETRY:  # the clock was set back: nobody waits for years
            self._not_before = now + LONGEST_RETRY
        return self._not_before

    def succeeded(self) -> None:
        """There is a new certificate."""
        self._failures = 0
        self._not_before = None


def outdated(chain: Sequence[x509.Certificate], authorities: FleetAuthorities) -> bool:
    """Whether a chain (leaf first, without the root) should be replaced before its time.

    So it is when an authority in it was revoked, or isn't under the newest root: the fleet is replacing a lost or
    stolen authority, and what is under the old one ends soon.
    """
    return authorities.revokes(chain) or not under_newest(chain[-1], authorities)


def can_be_updated(issuers: Iterable[x509.Certificate], authorities: FleetAuthorities) -> bool:
    """Whether an authority among those that the service names could give a chain that isn't outdated."""
    return any(
        issuer.subject != issuer.issuer
        and not authorities.revokes([issuer])
        and under_newest(issuer, authorities)
        for issuer in issuers
    )


def under_newest(certificate: x509.Certificate, authorities: FleetAuthorities) -> bool:
    """Whether the fleet's newest root has issued a certificate."""
    newest = x509.load_pem_x509_certificate(authorities.anchors[0].encode())
    try:
        certificate.verify_directly_issued_by(newest)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def expired(life: Life, now: datetime) -> bool:
    """Whether it is too late to renew: a new token is needed (`edged fleet enrol DEVICE --again`)."""
    return now > life.not_after

"""What a trust store is good for: which states' documents can be proved genuine, until when, and whose can't."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edged.trust.generation import Generation

SOON: Final = timedelta(days=90)
"""Time enough to fetch the next list: they come every month or two."""

_IMPORTANT: Final = (
    "AE AR AU BR CA CH CN DE ES FR GB ID IN IT JP KR KZ MN MX MY NL NZ PH RU SA SG TH TR US VN ZA"
)

IMPORTANT: Final = tuple(_IMPORTANT.split())
"""Told when missing: where most foreign guests of a counter in China come from, the G20, and China itself."""


class Expiring(msgspec.Struct, frozen=True):
    """A certificate that is valid and won't be for long."""

    fingerprint: str
    name: str
    not_after: datetime


class StateCoverage(msgspec.Struct, frozen=True):
    """One state, by its country code.

    Attributes:
        valid, expired, later: certificates, by whether they are valid at the moment asked for; documents outlive
            the certificate that their signer was certified with, so an expired one is of use.
        crls: revocation lists.
        newest_crl: when the newest was made.
        crls_stale: revocation lists whose next edition is overdue.
        expiring: valid ones that expire within `SOON`.
        last_day: when the last of the valid ones expires.
    """

    country: str
    valid: int
    expired: int
    later: int
    crls: int
    newest_crl: datetime | None
    crls_stale: int
    expiring: tuple[Expiring, ...]
    last_day: datetime | None


class Coverage(msgspec.Struct, frozen=True):
    """A store at a moment. `missing` are codes of `IMPORTANT` without a valid certificate."""

    at: datetime
    states: tuple[StateCoverage, ...]
    missing: tuple[str, ...]

    @property
    def covered(self) -> tuple[StateCoverage, ...]:
        """States with a valid certificate."""
        return tuple(state for state in self.states if state.valid)


def coverage(contents: Generation, at: datetime) -> Coverage:
    """What `contents` cover at a moment, by country code."""
    codes = {one.country for one in contents.certificates} | {one.country for one in contents.crls}
    states = tuple(_state(contents, code, at) for code in sorted(codes))
    covered = {state.country for state in states if state.valid}
    return Coverage(at, states, tuple(code for code in sorted(IMPORTANT) if code not in covered))


def _state(contents: Generation, code: str, at: datetime) -> StateCoverage:
    certificates = [one for one in contents.certificates if one.country == code]
    crls = [one for one in contents.crls if one.country == code]
    valid = [one for one in certificates if one.not_before <= at <= one.not_after]
    soon = sorted((one for one in valid if one.not_after - at <= SOON), key=lambda one: one.not_after)
    return StateCoverage(
        country=code,
        valid=len(valid),
        expired=sum(one.not_after < at for one in certificates),
        later=sum(one.not_before > at for one in certificates),
        crls=len(crls),
        newest_crl=_latest(crl.made for crl in crls),
        crls_stale=sum(crl.until is not None and crl.until < at for crl in crls),
        expiring=tuple(Expiring(one.fingerprint, one.name, one.not_after) for one in soon),
        last_day=_latest(one.not_after for one in valid),
    )


def _latest(moments: Iterable[datetime]) -> datetime | None:
    return max(moments, default=None)

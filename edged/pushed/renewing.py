"""Renews a box's certificates while it works: the task around `edged.pushed.renewal`.

A new pair of key and certificate is made beside the old one and takes its place in one rename
(`edged.pushed.identity_files`), so there is no moment without a working pair, whatever happens to the power. The old
one is kept until the new one has been used, and comes back when the broker won't have the new one.
"""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from edged import log
from edged.errors import CertificateError, CodedError, StateError
from edged.pushed import renewal
from edged.pushed.enrolling import authorities_of, renew
from edged.pushed.renewal import Life, Schedule
from edged.uplink.names import Usage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edged.pushed.est_client import Service
    from edged.pushed.identity_files import IdentityFiles, Pair
    from edged.uplink.fleet_authority import FleetAuthorities
    from edged.uplink.roles import TrustAnchor

UNUSABLE: Final = timedelta(minutes=5)
"""Between two looks at an identity's directory that can't be used."""

AGAIN: Final = "enrol.expired"
"""Code of a certificate that has ended: only a new token helps."""


class Renewed(msgspec.Struct, frozen=True):
    """What became of an attempt; `code` says why it failed."""

    what: Literal["renewed", "failed", "expired"]
    usage: Usage
    not_after: datetime
    """Of the certificate that is in use now."""
    code: str | None = None


class Renewer:
    """A task of the daemon: `run`. The daemon tells it by `proved` and `refused` how it went with what is new."""

    def __init__(
        self,
        files: IdentityFiles,
        service: Service,
        anchor: Callable[[], TrustAnchor],
        *,
        told: Callable[[Renewed], None],
        authorities: Callable[[], Path] | None = None,
        newest: Callable[[], FleetAuthorities | None] = lambda: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: random.Random | None = None,
    ) -> None:
        """`told` is called in the event loop.

        After a `renewed` of TLS the uplink connects anew (its paths are the same), after one of signing the daemon
        opens its signer anew. `anchor` is whom the box believes now, `authorities` the file that the service's
        certificate must end at, `newest` the fleet's list of authorities as it was accepted last: certificates of an
        authority that is being replaced are renewed before their time.
        """
        self._files = files
        self._service = service
        self._anchor = anchor
        self._authorities = authorities or (lambda: files.ca)
        self._newest = newest
        self._told = told
        self._clock = clock
        # Jitter is no secret; seeded by a test, otherwise different on every box.
        chosen = chance or random.Random()  # noqa: S311
        self._schedules = {usage: Schedule(chosen) for usage in Usage}
        self._alone = asyncio.Lock()
        self._log = log.get("renewal")

    async def run(self) -> None:
        """Look, renew, wait, until cancelled."""
        prepared = False
        while True:
            wait = UNUSABLE
            prepared = prepared or await self._prepared()
            if prepared:
                wait = min([await self.attend(usage) for usage in Usage])
            await asyncio.sleep(wait.total_seconds())

    async def _prepared(self) -> bool:
        """What a power cut has interrupted is finished. A disk that is full is no reason to stop scanning."""
        try:
            async with self._alone:
                await asyncio.to_thread(self._files.prepare)
        except StateError as error:
            self._log.error("certificates can't be renewed", code=error.code, detail=error.detail)
            return False
        return True

    async def attend(self, usage: Usage) -> timedelta:
        """Renew one certificate if it is time; how long until it wants to be looked at again."""
        async with self._alone:
            schedule = self._schedules[usage]
            try:
                life = await asyncio.to_thread(self._life, usage)
            except CertificateError as error:
                self._log.error("a certificate can't be read", usage=usage, code=error.code)
                return schedule.failed(self._clock())
            wait = schedule.wait(life, self._clock())
            if wait > timedelta(0) and not await self._overtaken(usage, schedule):
                return wait
            if renewal.expired(life, self._clock()):
                self._log.error("a certificate has ended", usage=usage, code=AGAIN)
                self._told(Renewed("expired", usage, life.not_after, AGAIN))
                return renewal.LONGEST_LOOK
            return await self._renew(usage, schedule, life)

    async def renew_now(self, usage: Usage) -> None:
        """Renew one certificate though it needn't be. Raises `CodedError`; nothing has changed then."""
        async with self._alone:
            await asyncio.to_thread(self._new_pair, usage)

    async def _overtaken(self, usage: Usage, schedule: Schedule) -> bool:
        """Whether the authority behind a certificate is being replaced, and the service has the next one already."""
        authorities = self._newest()
        pair = self._files.current(usage)
        if authorities is None or pair is None or not schedule.rested(self._clock()):
            return False
        if not renewal.outdated(await asyncio.to_thread(pair.certificates), authorities):
            return False
        try:
            named = await asyncio.to_thread(authorities_of, self._files, self._service, self._authorities())
        except (CodedError, OSError):
            schedule.failed(self._clock())
            return False
        return renewal.can_be_updated(named, authorities)

    async def proved(self, usage: Usage) -> None:
        """What is in use works: the uplink has connected with it (TLS), or a receipt came for what it signed."""
        async with self._alone:
            self._schedules[usage].succeeded()
            try:
                await asyncio.to_thread(self._files.forget_before, usage)
            except (CodedError, OSError) as error:  # it is tried again at the next connection
                self._log.warning("an old certificate can't be removed", usage=usage, error=str(error))

    async def refused(self, usage: Usage) -> bool:
        """What is in use isn't taken: back to the pair before, and again later. Whether there was one that holds."""
        async with self._alone:
            before = self._files.before(usage)
            now = self._clock()
            if before is None or renewal.expired(_life_of(before), now):
                return False
            self._schedules[usage].failed(now)
            await asyncio.to_thread(self._files.go_back, usage)
            self._log.warning("a new certificate isn't taken; the old one is in use again", usage=usage)
            return True

    async def _renew(self, usage: Usage, schedule: Schedule, life: Life) -> timedelta:
        try:
            pair = await asyncio.to_thread(self._new_pair, usage)
        except (CodedError, OSError) as error:
            code = error.code if isinstance(error, CodedError) else "state.unusable"
            wait = schedule.failed(self._clock())
            self._log.warning(
                "not renewed",
                usage=usage,
                code=code,
                retry_s=round(wait.total_seconds()),
                not_after=life.not_after.isoformat(),
            )
            self._told(Renewed("failed", usage, life.not_after, code))
            return wait
        # Not yet `succeeded`: the broker may refuse it again and again, and each time comes later than the one before.
        after = _life_of(pair).not_after
        self._log.info("renewed", usage=usage, not_after=after.isoformat())
        self._told(Renewed("renewed", usage, after))
        return renewal.LONGEST_LOOK

    def _new_pair(self, usage: Usage) -> Pair:
        return renew(
            usage, self._files, self._service, self._anchor(), self._clock, authorities=self._authorities()
        )

    def _life(self, usage: Usage) -> Life:
        pair = self._files.current(usage)
        if pair is None:
            raise CertificateError("cert.unreadable", str(self._files.directory))
        return _life_of(pair)


def _life_of(pair: Pair) -> Life:
    leaf = pair.certificates()[0]
    return Life(leaf.not_valid_before_utc, leaf.not_valid_after_utc)

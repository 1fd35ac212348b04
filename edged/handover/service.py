"""The handover service of one box: applications ask for inspections, and take the fields that policy allows them, once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    from edged.config import AudienceSettings, HandoverSettings
    from edged.events import ScanRequest
    from edged.handover.desk import End
    from edged.journal.database import Journal
    from edged.privacy.held import HeldFields
    from edged.privacy.pseudonym import Pseudonymiser
    from edged.uplink.database import DatabaseThread
    from edged.uplink.roles import TrustAnchor


class HandoverService:
    """`async with HandoverService(…)`: serves from entering to leaving; leaving overwrites everything."""

    def __init__(
        self,
        settings: HandoverSettings,
        *,
        audiences: Mapping[str, AudienceSettings],
        anchor: TrustAnchor,
        ca: Path,
        inspect: Callable[[ScanRequest], Awaitable[Mapping[str, Any]]],
        cancel: Callable[[], Awaitable[bool]],
        journal: DatabaseThread[Journal],
        pseudonym: Pseudonymiser,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take what the daemon has: `inspect` and `cancel` are `Station.scan` and `Station.cancel`.

        `ca` is `identity.fleet_ca`; `anchor` the one that everybody has, with what is revoked; `pseudonym` makes
        operators and references unreadable in the journal (`edged.journal.operators.pseudonymiser`).
        """

    async def __aenter__(self) -> Self:
        """Listen. Raises `ConfigError`, `CertificateError`, `StateError` (`handover.unusable`)."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.forget_all()

    async def offer(
        self,
        application: str,
        inspection: str,
        held: HeldFields,
        *,
        within_s: float,
        operator: str | None = None,
        reference: str | None = None,
    ) -> bool:
        """Lay `held` ready for the application that asked; from here on the service overwrites it.

        To be called after the commit and before the inspection's outcome is told. False when it isn't offered: the
        application has left, or the journal can't be written. Raises nothing.
        """
        held.forget()
        return False

    async def configure(self, audiences: Mapping[str, AudienceSettings]) -> None:
        """At a switch of settings: overwrite everything, and from now on allow what these audiences' policies allow.

        Raises `CertificateError`, `StateError` when key or certificate can't be read anew; what was is kept then.
        """

    async def forget_all(self, end: End | None = None) -> None:
        """Overwrite all that lies ready."""

    def publish(self, event: Mapping[str, Any]) -> None:
        """An event of the control socket: applications that subscribed hear of their own inspection's progress."""

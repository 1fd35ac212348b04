"""What the switch asks of the box it runs on: the daemon, and whoever gets artefacts. Protocols and plain values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edged.desired import ArtefactKind

if TYPE_CHECKING:
    from edged.config import BoxSettings
    from edged.pushed.verifying import ArtefactTarget

Files = Mapping[ArtefactKind, Path]
"""Where the artefacts of a version lie, verified."""


@dataclass(frozen=True)
class Generation:
    """One version, ready to be put in force.

    Attributes:
        push: the push it came with; 0: the boot file alone.
        settings: composed and checked; `trust` and `thresholds` artefacts are named in them already.
        files: its artefacts by kind.
        authority: bytes of `fleet/authority.json` it came with; None for none, and for one that the boot file's own
            authorities are newer than.
        revoked: bytes of the newest `fleet/authority.json` that was ever accepted, rolled back or not: what it
            revokes stays revoked. Not to be used for anchors, which a bad push must not be able to take away.
    """

    push: int
    settings: BoxSettings
    files: Files
    authority: bytes | None = None
    revoked: bytes | None = None


@dataclass(frozen=True)
class ProbeResult:
    """How a version on trial has done. `probe` failed for the reason `code`; both None when all passed."""

    probe: str | None = None
    code: str | None = None

    @property
    def passed(self) -> bool:
        """Whether it may stay."""
        return self.probe is None


class Host(Protocol):
    """The daemon."""

    @property
    def boot_settings(self) -> BoxSettings:
        """What the boot file says: generation 0, and what every push is composed with."""

    async def clock_trusted(self) -> bool:
        """Whether the clock may be believed now. Raises `StateError`."""

    async def revoke(self, document: bytes) -> None:
        """Refuse from now on what a `fleet/authority.json` revokes, whatever becomes of the push it came with."""

    async def idle(self) -> None:
        """Wait until no inspection is running. One may begin right after: `switch` waits for that."""

    async def switch(self, generation: Generation) -> None:
        """Put `generation` in force, between two inspections; a press meanwhile waits.

        Raises `EdgedError` when that can't be. What is in force then is for the next call to say.
        """

    async def probe(self, deadline_s: float) -> ProbeResult:
        """Have what is in force prove itself within so many seconds (`edged.pushed.probes.run`)."""


class Artefacts(Protocol):
    """Whoever gets large files and keeps them."""

    async def here(self, targets: Mapping[ArtefactKind, ArtefactTarget]) -> Files | None:
        """Where they lie, if all of them are on this box and whole; needs no connection. Raises `StateError`."""

    async def fetch(
        self, targets: Mapping[ArtefactKind, ArtefactTarget], on_progress: Callable[[int], None]
    ) -> Files:
        """Get them, over as many connections as it takes; `on_progress` hears per cent of all bytes.

        One call at a time. Raises `PushRefusedError` (its `where` is the target's path) for what will never come or
        doesn't fit, `StateError` for trouble of this box's own.
        """

    async def keep(self, targets: Collection[ArtefactTarget]) -> None:
        """Forget every file that is none of these. Raises `StateError`."""

"""The large files a box has: by their hash, in one directory, each held by a version of its configuration.

    artefacts/{sha256}         a whole file, checked, mode 0400
    artefacts/{sha256}.part    one that is on its way
    artefacts/holds.json       which version holds which

What no version holds and nobody is fetching is removed. Raises `StateError` for trouble of the disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from edged.desired import ArtefactKind
    from edged.uplink.artefact import Wanted

MAX_TOTAL: Final = 1 << 30
"""Bytes of all files together: two packages, the one in force and the one on trial, and everything beside them, twice."""

Holder = Literal["good", "trial", "previous"]
"""The version in force, the one being tried or fetched, and the one before."""


class ArtefactStore:
    """The directory `artefacts/` below the state directory."""

    def __init__(self, state: Path) -> None:
        """Make it if need be. Raises `StateError`."""
        raise NotImplementedError

    def path(self, sha256: str) -> Path | None:
        """Where the whole file lies; None when it isn't here."""
        raise NotImplementedError

    def keep(self, holds: Mapping[Holder, Collection[str]]) -> int:
        """From now on these versions hold these files; remove the others. The bytes that came free."""
        raise NotImplementedError


class Artefacts:
    """What the agent asks for a push's files; the rider on the uplink's connection brings them."""

    async def fetch(
        self, targets: Mapping[ArtefactKind, Wanted], on_progress: Callable[[int], None]
    ) -> dict[ArtefactKind, Path]:
        """Bring the files of a push here; where each lies. `on_progress` is told per cent of their bytes, 0 to 100.

        Waits for as long as there is no connection. Cancelled, it keeps what is here; called again, it goes on from
        there. Raises `ArtefactError`: `artefact.bad_target`, `artefact.too_large`, `artefact.no_room`,
        `artefact.incomplete` (a piece isn't on the broker), `artefact.wrong_index`, `artefact.wrong_chunk`,
        `artefact.wrong_file`, `artefact.head_cannot_update`; its `kind` says whose. Raises `StateError` (`artefact.disk_full`, …)
        after which the same files may be asked for again.
        """
        raise NotImplementedError

"""Trust data for whoever judges a chip: the generation in force as `TrustAnchors`, nothing parsed beforehand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edged import log
from edged.core.emrtd.trust_anchors import AnchorEntry, CrlEntry, TrustAnchors
from edged.errors import StateError
from edged.trust.store import TrustStore

if TYPE_CHECKING:
    from pathlib import Path

    from edged.trust.generation import Generation


def load_anchors(directory: Path) -> TrustAnchors:
    """The anchors of the store in a directory, checked whole; none at all before the first import.

    Raises `StateError` (truststore.…): a damaged store is never half a store.
    """
    return anchors_of(TrustStore(directory).current())


class LiveTrust:
    """The anchors of a store as they are now: an import is seen with the next document, without a restart."""

    def __init__(self, directory: Path) -> None:
        """Load them. Raises `StateError`, see `load_anchors`."""
        self._store = TrustStore(directory)
        self._seen = self._store.mark()
        self._anchors = load_anchors(directory)
        self._loading = asyncio.Lock()
        self._log = log.get("trust")

    async def anchors(self) -> TrustAnchors:
        """The anchors in force. A store that was damaged since is told in the log; what was loaded stays in force."""
        async with self._loading:
            mark = self._store.mark()
            if mark != self._seen:
                self._seen = mark
                await asyncio.to_thread(
                    self._load
                )  # some hundred milliseconds, in which a document may be lifted
        return self._anchors

    def _load(self) -> None:
        try:
            self._anchors = anchors_of(self._store.current())
            self._log.info("trust_changed", certificates=len(self._anchors))
        except StateError as error:
            self._log.error("trust_unusable", code=error.code)


def anchors_of(generation: Generation) -> TrustAnchors:
    """Every certificate of a generation is believed: an operator or a verified list vouched for it."""
    return TrustAnchors(
        [AnchorEntry(one.der, one.country, one.subject, one.ski) for one in generation.certificates],
        [CrlEntry(one.der, one.issuer) for one in generation.crls],
    )

"""Trust data for whoever judges a chip: the generation in force as `TrustAnchors`, nothing parsed beforehand."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Protocol

from edged import log
from edged.core.emrtd.trust_anchors import AnchorEntry, CrlEntry, TrustAnchors
from edged.errors import StateError
from edged.trust import generation as generations
from edged.trust import sealed_file
from edged.trust.store import TrustStore

if TYPE_CHECKING:
    from pathlib import Path

    from edged.trust.generation import Generation


class Trust(Protocol):
    """Whose chips are believed, asked for every document."""

    async def anchors(self) -> TrustAnchors:
        """The anchors in force."""


def open_trust(path: Path) -> Trust:
    """The store in a directory, or one generation's file (a pushed one). Raises `StateError`, see `load_anchors`."""
    return LiveTrust(path) if path.is_dir() or not path.exists() else HeldTrust(path)


def read_generation(path: Path) -> Generation:
    """One generation's file by itself, as `edged trust import` wrote it into its store; checked whole.

    Raises `StateError`: truststore.damaged, truststore.newer, truststore.writable_by_others, truststore.foreign_owner,
    truststore.unusable.
    """
    try:
        at = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StateError("truststore.unusable", f"{path.parent}: {error.strerror}") from error
    try:
        content = sealed_file.read(at, path.name)
    finally:
        os.close(at)
    if content is None:
        raise StateError("truststore.unusable", str(path))
    return generations.decode(content)


class HeldTrust:
    """The anchors of one generation's file, which never change: the box can neither import into it nor roll it back."""

    def __init__(self, path: Path) -> None:
        """Load them. Raises `StateError`, see `read_generation`."""
        self._anchors = anchors_of(read_generation(path))

    async def anchors(self) -> TrustAnchors:
        """The anchors in force."""
        return self._anchors


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

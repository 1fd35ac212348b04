"""Trust data for whoever judges a chip: the generation in force as `TrustAnchors`, nothing parsed beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.core.emrtd.trust_anchors import AnchorEntry, CrlEntry, TrustAnchors
from edged.trust.store import TrustStore

if TYPE_CHECKING:
    from pathlib import Path

    from edged.trust.generation import Generation


def load_anchors(directory: Path) -> TrustAnchors:
    """The anchors of the store in a directory, checked whole; none at all before the first import.

    Raises `StateError` (truststore.…): a damaged store is never half a store.
    """
    return anchors_of(TrustStore(directory).current())


def anchors_of(generation: Generation) -> TrustAnchors:
    """Every certificate of a generation is believed: an operator or a verified list vouched for it."""
    return TrustAnchors(
        [AnchorEntry(one.der, one.country, one.subject, one.ski) for one in generation.certificates],
        [CrlEntry(one.der, one.issuer) for one in generation.crls],
    )

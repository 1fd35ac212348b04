"""Believing a root no longer, nor what was believed because of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edged.core.emrtd.certificates import parse_certificate
from edged.errors import StateError
from edged.trust.importing import is_link

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edged.trust.generation import Generation, StoredCertificate


def without_root(held: Generation, prefix: str) -> Generation:
    """The store without one pinned root, the lists verified against it, and what nobody else vouches for then.

    `prefix`: the beginning of its fingerprint. Raises `StateError` (truststore.no_such_root) unless one is meant.
    """
    digits = prefix.replace(":", "").replace(" ", "").lower()
    meant = [root.fingerprint for root in held.roots if root.fingerprint.startswith(digits)]
    if len(meant) != 1 or not digits:
        raise StateError("truststore.no_such_root")
    lists = {source.id for source in held.sources if source.root in meant}
    links = {source.id for source in held.sources if source.confirmed == "link"}
    left = [
        msgspec.structs.replace(one, sources=sources)
        for one in held.certificates
        if (sources := tuple(number for number in one.sources if number not in lists))
    ]
    certificates = _vouched_for(left, links)
    fingerprints = {one.fingerprint for one in certificates}
    crls = tuple(crl for crl in held.crls if crl.signer in fingerprints)
    used = {number for one in certificates for number in one.sources} | {crl.source for crl in crls}
    return msgspec.structs.replace(
        held,
        sources=tuple(
            source
            for source in held.sources
            if source.id in used or (source.kind == "master_list" and source.id not in lists)
        ),
        certificates=certificates,
        crls=crls,
        roots=tuple(root for root in held.roots if root.fingerprint not in meant),
    )


def _vouched_for(left: Iterable[StoredCertificate], links: set[int]) -> tuple[StoredCertificate, ...]:
    """Without certificates that were believed as links of what is gone, and links of those."""
    kept: dict[str, StoredCertificate] = {}
    waiting = []
    for one in left:
        if set(one.sources) <= links:
            waiting.append((one, parse_certificate(one.der)))
        else:
            kept[one.fingerprint] = one
    while found := [
        (one, link)
        for one, link in waiting
        if any(
            other.subject == link.issuer.digest and is_link(link, parse_certificate(other.der))
            for other in kept.values()
        )
    ]:
        kept |= {one.fingerprint: one for one, _ in found}
        waiting = [pair for pair in waiting if pair not in found]
    return tuple(kept[fingerprint] for fingerprint in sorted(kept))

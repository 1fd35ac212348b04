"""Believing a root no longer, nor what was believed because of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edged.errors import StateError

if TYPE_CHECKING:
    from edged.trust.generation import Generation


def without_root(held: Generation, prefix: str) -> Generation:
    """The store without one pinned root, the lists verified against it, and what nobody else vouches for then.

    `prefix`: the beginning of its fingerprint. Raises `StateError` (truststore.no_such_root) unless one is meant.
    """
    digits = prefix.replace(":", "").replace(" ", "").lower()
    meant = [root.fingerprint for root in held.roots if root.fingerprint.startswith(digits)]
    if len(meant) != 1 or not digits:
        raise StateError("truststore.no_such_root")
    gone = {source.id for source in held.sources if source.root in meant}
    certificates = tuple(
        msgspec.structs.replace(one, sources=left)
        for one in held.certificates
        if (left := tuple(number for number in one.sources if number not in gone))
    )
    fingerprints = {one.fingerprint for one in certificates}
    crls = tuple(crl for crl in held.crls if crl.signer in fingerprints)
    gone |= {crl.source for crl in held.crls} - {crl.source for crl in crls}
    return msgspec.structs.replace(
        held,
        sources=tuple(source for source in held.sources if source.id not in gone),
        certificates=certificates,
        crls=crls,
        roots=tuple(root for root in held.roots if root.fingerprint not in meant),
    )

"""What an import did, or would do: for an operator's eyes and, as JSON, for machines."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edged.trust.generation import StoredCertificate


class CertificateLine(msgspec.Struct, frozen=True):
    """A certificate that came or went. `link`: it is signed by another key than its own."""

    fingerprint: str
    country: str
    name: str
    not_before: datetime
    not_after: datetime
    link: bool


class ListLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A master list that was believed.

    Attributes:
        state: "new" for a publisher's first list, "newer" and "older" against the one it replaces, "known" when
            this very list is there.
        replaces: when the list that it replaces was made.
        unusable: certificates on it that can't be read.
    """

    file: str
    publisher: str
    made: datetime
    signer: str
    root: str
    certificates: int
    state: Literal["new", "newer", "older", "known"]
    replaces: datetime | None = None
    unusable: int = 0


class CrlLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A revocation list that was verified. `state` and `replaces` as in `ListLine`; `until`: the next is due."""

    file: str
    country: str
    issuer: str
    made: datetime
    until: datetime | None
    revoked: int
    state: Literal["new", "newer", "older", "known"]
    replaces: datetime | None = None


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that was not imported, and why: a code of the message catalogue."""

    file: str
    code: str
    params: dict[str, str] = {}


class Report(msgspec.Struct, frozen=True):
    """What changes with an import.

    Attributes:
        added, removed: certificates of the store, by country; removed are those that no list holds any more.
        known: certificates imported that were there.
        expired: how many of those added have expired.
        states_gained, states_lost: country codes that have a valid certificate with the import and had none
            before, and the other way round.
        crls_dropped: revocation lists whose issuer's certificate went.
        signers: document signers' certificates, which are not kept: every chip brings its own.
        pinned: fingerprints of roots that are pinned with this import.
        unused_roots: fingerprints of roots that were named and have verified no list: they are not pinned.
        skipped: files in directories and archives that are no trust data.
        generation: the new generation; None when nothing changed, or on a trial.
    """

    lists: tuple[ListLine, ...]
    added: tuple[CertificateLine, ...]
    removed: tuple[CertificateLine, ...]
    known: int
    expired: int
    states_gained: tuple[str, ...]
    states_lost: tuple[str, ...]
    crls: tuple[CrlLine, ...]
    crls_dropped: int
    signers: int
    pinned: tuple[str, ...]
    unused_roots: tuple[str, ...]
    refused: tuple[Refusal, ...]
    skipped: tuple[str, ...]
    dry_run: bool = False
    generation: int | None = None


def certificate_line(one: StoredCertificate) -> CertificateLine:
    """A certificate as reports have it."""
    return CertificateLine(one.fingerprint, one.country, one.name, one.not_before, one.not_after, one.link)


def certificate_lines(found: Iterable[StoredCertificate]) -> tuple[CertificateLine, ...]:
    """Certificates by country and age."""
    ordered = sorted(found, key=lambda one: (one.country, one.not_before, one.fingerprint))
    return tuple(certificate_line(one) for one in ordered)


def covered_states(certificates: Iterable[StoredCertificate], at: datetime) -> set[str]:
    """Country codes that have a certificate which hasn't expired."""
    return {one.country for one in certificates if one.country and one.not_after >= at}

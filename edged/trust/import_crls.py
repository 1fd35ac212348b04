"""Revocation lists on their way into the store: believed when a CSCA that is there has signed them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from edged.core.emrtd.crl import parse_crl
from edged.errors import DecodeError
from edged.trust.generation import StoredCrl
from edged.trust.report import CrlLine

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from edged.core.emrtd.certificates import Certificate
    from edged.core.emrtd.crl import Crl
    from edged.trust.generation import Generation, Source
    from edged.trust.inputs import Item


class Holder(Protocol):
    """The store while it is being changed, as far as CRLs need it (`importing`)."""

    def held_in(self, country: str | None) -> list[Certificate]:
        """Held certificates of a country."""
        ...

    def is_held(self, fingerprint: str) -> bool:
        """Whether a certificate is in the store as it is to be."""
        ...

    def add_source(self, item: Item, kind: str, **more: object) -> Source:
        """A source with the next number."""
        ...

    def refuse(self, item: Item, code: str, **params: str) -> None:
        """Note what isn't imported, and why."""
        ...


class _Key(NamedTuple):
    """What one CRL replaces another of: issuer's name and key. A CSCA that changes keys has a list a key."""

    issuer: str
    key: bytes


class CrlImport:
    """The CRLs of a store while it is being changed. `lines` are those taken, for the report."""

    def __init__(self, holder: Holder, before: Generation, at: datetime, *, older: bool) -> None:
        self._holder = holder
        self._at = at
        self._older = older
        self._held = {_Key(crl.issuer, crl.key): crl for crl in before.crls}
        self.lines: list[CrlLine] = []

    def take(self, items: Iterable[Item]) -> None:
        """Oldest first, so that of two lists of one CSCA the newer one stays."""
        parsed: list[tuple[Crl, Item]] = []
        for item in items:
            try:
                parsed.append((parse_crl(item.der), item))
            except DecodeError as error:
                self._holder.refuse(item, error.code)
        for crl, item in sorted(parsed, key=lambda pair: pair[0].this_update):
            self._take(crl, item)

    def _take(self, crl: Crl, item: Item) -> None:
        signer = self._signer(crl)
        old = self._held.get(_Key(crl.issuer.digest, crl.aki or b""))
        if signer is None:
            self._holder.refuse(item, "trustimport.crl_unverified", issuer=crl.issuer.text)
        elif crl.this_update > self._at:
            self._holder.refuse(item, "trustimport.from_the_future")
        elif old is not None and old.der == crl.der:
            self._line(crl, item, "known", old)
        elif old is not None and crl.this_update < old.made and not self._older:
            made, newer = crl.this_update.strftime("%Y-%m-%d"), old.made.strftime("%Y-%m-%d")
            self._holder.refuse(item, "trustimport.older", made=made, newer=newer)
        else:
            self._put(crl, item, signer)
            if old is None:
                self._line(crl, item, "new", old)
            else:
                self._line(crl, item, "older" if crl.this_update < old.made else "newer", old)

    def _put(self, crl: Crl, item: Item, signer: Certificate) -> None:
        source = self._holder.add_source(item, "crl")
        self._held[_Key(crl.issuer.digest, crl.aki or b"")] = StoredCrl(
            fingerprint=hashlib.sha256(crl.der).hexdigest(),
            source=source.id,
            signer=signer.fingerprint,
            country=crl.issuer.country or "",
            issuer=crl.issuer.digest,
            name=crl.issuer.text,
            key=crl.aki or b"",
            made=crl.this_update,
            until=crl.next_update,
            revoked=len(crl.revoked),
            der=crl.der,
        )

    def _signer(self, crl: Crl) -> Certificate | None:
        """The CSCA whose key made the signature; by key identifier and name first, which are only hints."""

        def unlikely(certificate: Certificate) -> tuple[bool, bool]:
            return certificate.ski != crl.aki, certificate.subject.normal != crl.issuer.normal

        for certificate in sorted(self._holder.held_in(crl.issuer.country), key=unlikely):
            try:
                if certificate.ca and crl.signed_by(certificate):
                    return certificate
            except DecodeError:
                continue
        return None

    def revokes(self, certificate: Certificate) -> bool:
        """Whether a list that is held has this certificate on it."""
        issuer, country = certificate.issuer.digest, certificate.issuer.country or ""
        found = (crl for crl in self._held.values() if (crl.issuer, crl.country) == (issuer, country))
        return any(certificate.serial in parse_crl(crl.der).revoked for crl in found)

    def _line(
        self, crl: Crl, item: Item, state: Literal["new", "newer", "older", "known"], old: StoredCrl | None
    ) -> None:
        self.lines.append(
            CrlLine(
                file=item.file,
                country=crl.issuer.country or "",
                issuer=crl.issuer.text,
                made=crl.this_update,
                until=crl.next_update,
                revoked=len(crl.revoked),
                state=state,
                replaces=old.made if old is not None and state in ("newer", "older") else None,
            )
        )

    def outcome(self) -> tuple[tuple[StoredCrl, ...], int]:
        """The CRLs that stay, and how many go because the certificate that verified them is held no more."""
        staying = [crl for crl in self._held.values() if self._holder.is_held(crl.signer)]
        return tuple(sorted(staying, key=lambda crl: crl.fingerprint)), len(self._held) - len(staying)

"""What an import makes of a trust store: decided here, without touching it.

A master list is believed because its signer leads to a pinned root, and it replaces what the same publisher's list said
before: what a state no longer vouches for goes. A certificate that came alone needs an operator's word, or the
signature of one that is there (a link certificate). A revocation list needs the signature of a CSCA that is there.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from edged.core.emrtd.certificates import KEY_CERT_SIGN, parse_certificate
from edged.core.emrtd.ldif import Kind
from edged.core.emrtd.master_list import parse_master_list, verify_master_list
from edged.errors import DecodeError, SignatureRefusedError
from edged.trust.generation import Root, Source, stored_certificate
from edged.trust.import_crls import CrlImport
from edged.trust.report import ListLine, Refusal, Report, certificate_lines, covered_states

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from edged.core.emrtd.certificates import Certificate
    from edged.core.emrtd.master_list import ListSigner, MasterList
    from edged.trust.generation import Generation
    from edged.trust.inputs import Item


class Terms(NamedTuple):
    """On what terms things are imported.

    Attributes:
        at: the moment of the import.
        roots: certificates an operator names as roots of lists, beside those that are pinned.
        fingerprints: of single certificates that an operator has compared (SHA-256, lower case).
        confirmed: an operator takes every single certificate.
        older: a list or CRL may replace a newer one.
    """

    at: datetime
    roots: tuple[Certificate, ...] = ()
    fingerprints: frozenset[str] = frozenset()
    confirmed: bool = False
    older: bool = False


def plan(before: Generation, items: Iterable[Item], terms: Terms) -> tuple[Generation, Report]:
    """What the store is to hold, and what that changes. Raises nothing for bad input: refusals are in the report.

    The generation returned equals `before` when nothing changes.
    """
    work = _Import(before, terms)
    by_kind: dict[Kind, list[Item]] = {kind: [] for kind in Kind}
    for item in items:
        by_kind[item.kind].append(item)
    work.take_lists(by_kind[Kind.MASTER_LIST])
    work.signers += len(by_kind[Kind.DOCUMENT_SIGNER])
    work.take_certificates(by_kind[Kind.CERTIFICATE])
    work.crls.take(by_kind[Kind.CRL])
    return work.outcome()


class _Import:
    """The store while it is being changed."""

    def __init__(self, before: Generation, terms: Terms) -> None:
        self._before = before
        self._terms = terms
        self._roots = {root.fingerprint: root for root in before.roots}
        self._sources = {source.id: source for source in before.sources}
        self._next_source = before.next_source
        self._held = {one.fingerprint: (set(one.sources), one.der) for one in before.certificates}
        self._parsed: dict[str, Certificate] = {}
        self._by_subject: dict[str, list[str]] = {}
        for fingerprint, (_, der) in self._held.items():
            self._index(fingerprint, der)
        self.crls = CrlImport(self, before, terms.at, older=terms.older)
        self.lists: list[ListLine] = []
        self.refused: list[Refusal] = []
        self.given: set[str] = set()
        self.signers = 0
        self._used_roots: set[str] = set()

    # --- master lists -------------------------------------------------------------------------------------

    def take_lists(self, items: Iterable[Item]) -> None:
        """Oldest first, so that of two lists of one publisher the newer one stays."""
        parsed: list[tuple[MasterList, Item]] = []
        for item in items:
            try:
                parsed.append((parse_master_list(item.der), item))
            except DecodeError as error:
                self.refuse(item, error.code)
        for given, item in sorted(parsed, key=lambda pair: pair[0].made):
            self._take_list(given, item)

    def _take_list(self, given: MasterList, item: Item) -> None:
        members = {}
        for der in given.certificates:
            fingerprint = _sha256(der)
            certificate = self._read(fingerprint, der)
            if certificate is not None:
                members[fingerprint] = certificate
        pinned = [certificate for root in self._roots.values() if (certificate := self.parsed(root))]
        try:
            by = verify_master_list(given, [*pinned, *self._terms.roots], members.values())
        except SignatureRefusedError as error:
            self.refuse(item, error.code, **error.params)
            return
        if any(self.crls.revokes(one) for one in (by.certificate, *by.links)):
            self.refuse(item, "trustimport.signer_revoked", signer=by.certificate.subject.text)
            return
        sha256 = _sha256(item.der)
        old = next((one for one in self._sources.values() if one.publisher == by.publisher), None)
        if given.made > self._terms.at:
            self.refuse(item, "trustimport.from_the_future")
        elif old is not None and old.sha256 == sha256:
            self.given |= members.keys()
            self._line(given, item, by, len(given.certificates) - len(members), old, "known")
        elif old is not None and old.made is not None and given.made < old.made and not self._terms.older:
            self.refuse(item, "trustimport.older", made=_day(given.made), newer=_day(old.made))
        else:
            self._put_list(given, item, by, members, old)

    def _put_list(
        self,
        given: MasterList,
        item: Item,
        by: ListSigner,
        members: dict[str, Certificate],
        old: Source | None,
    ) -> None:
        root = by.root.fingerprint
        self._used_roots.add(root)
        if root not in self._roots:
            self._roots[root] = Root(root, self._terms.at, by.root.der)
        if old is not None:
            self._drop_source(old.id)
        source = self.add_source(
            item,
            "master_list",
            publisher=by.publisher,
            made=given.made,
            signer=by.certificate.fingerprint,
            root=root,
        )
        for fingerprint, certificate in members.items():
            self._hold(fingerprint, certificate.der, source.id)
        older = old is not None and old.made is not None and given.made < old.made
        state = "new" if old is None else "older" if older else "newer"
        self._line(given, item, by, len(given.certificates) - len(members), old, state)

    def _line(
        self, given: MasterList, item: Item, by: ListSigner, unusable: int, old: Source | None, state: str
    ) -> None:
        self._used_roots.add(by.root.fingerprint)
        self.lists.append(
            ListLine(
                file=item.file,
                publisher=by.publisher,
                made=given.made,
                signer=by.certificate.subject.text,
                root=by.root.fingerprint,
                certificates=len(given.certificates),
                state=state,  # type: ignore[arg-type]
                replaces=old.made if old is not None and state in ("newer", "older") else None,
                unusable=unusable,
            )
        )

    def _drop_source(self, gone: int) -> None:
        del self._sources[gone]
        for fingerprint in [
            fingerprint for fingerprint, (sources, _) in self._held.items() if gone in sources
        ]:
            self._held[fingerprint][0].discard(gone)

    # --- certificates that came alone ---------------------------------------------------------------------

    def take_certificates(self, items: Iterable[Item]) -> None:
        """Those with an operator's word first; then, as long as there is one, those that something there signed."""
        waiting: dict[str, tuple[Item, Certificate]] = {}
        for item in items:
            fingerprint = _sha256(item.der)
            certificate = self._read(fingerprint, item.der)
            if certificate is None:
                self.refuse(item, "trustimport.unreadable_certificate")
            elif self.is_held(fingerprint):
                self.given.add(fingerprint)
            elif not certificate.ca and not certificate.self_issued:
                self.signers += 1
            elif fingerprint in self._terms.fingerprints:
                self._take_certificate(item, certificate, "fingerprint")
            else:
                waiting[fingerprint] = (item, certificate)
        while linked := [one for one in waiting.values() if self.issuer_of(one[1]) is not None]:
            for item, certificate in linked:
                self._take_certificate(item, certificate, "link")
                del waiting[certificate.fingerprint]
        for item, certificate in waiting.values():
            if self._terms.confirmed:
                self._take_certificate(item, certificate, "yes")
            else:
                self.refuse(
                    item,
                    "trustimport.unconfirmed",
                    subject=certificate.subject.text,
                    fingerprint=certificate.fingerprint,
                )

    def _take_certificate(self, item: Item, certificate: Certificate, word: str) -> None:
        source = self.add_source(item, "certificate", confirmed=word)
        self._hold(certificate.fingerprint, certificate.der, source.id)

    def issuer_of(self, certificate: Certificate) -> Certificate | None:
        """A certificate that is held and has signed this one: same state, other certificate, allowed to issue."""
        for issuer in self.held_named(certificate.issuer.digest):
            same_state = issuer.country == certificate.country
            issues = issuer.ca and KEY_CERT_SIGN in (issuer.key_usage or {KEY_CERT_SIGN})
            if not same_state or not issues or issuer.spki == certificate.spki:
                continue
            try:
                if certificate.signed_by(issuer):
                    return issuer
            except DecodeError:
                continue
        return None

    # --- what is held -------------------------------------------------------------------------------------

    def held_in(self, country: str | None) -> list[Certificate]:
        """Held certificates of a country."""
        held = (self._parsed.get(fingerprint) for fingerprint in self._held if self.is_held(fingerprint))
        return [one for one in held if one is not None and one.country == country]

    def held_named(self, digest: str) -> list[Certificate]:
        """Held certificates whose subject's digest is this."""
        return [
            self._parsed[fingerprint]
            for fingerprint in self._by_subject.get(digest, ())
            if self.is_held(fingerprint)
        ]

    def _index(self, fingerprint: str, der: bytes) -> None:
        certificate = self._read(fingerprint, der)
        if certificate is not None:
            self._by_subject.setdefault(certificate.subject.digest, []).append(fingerprint)

    def parsed(self, root: Root) -> Certificate | None:
        """A pinned root, parsed."""
        return self._read(root.fingerprint, root.der)

    def is_held(self, fingerprint: str) -> bool:
        """Whether a certificate is in the store as it is to be."""
        return fingerprint in self._held and bool(self._held[fingerprint][0])

    def _hold(self, fingerprint: str, der: bytes, source: int) -> None:
        self.given.add(fingerprint)
        if fingerprint not in self._held:
            self._held[fingerprint] = (set(), der)
            self._index(fingerprint, der)
        self._held[fingerprint][0].add(source)

    def add_source(self, item: Item, kind: str, **more: object) -> Source:
        """A source with the next number."""
        source = msgspec.convert(
            {
                "id": self._next_source,
                "kind": kind,
                "file": item.file,
                "sha256": _sha256(item.der),
                "imported": self._terms.at,
                **more,
            },
            Source,
        )
        self._next_source += 1
        self._sources[source.id] = source
        return source

    def _read(self, fingerprint: str, der: bytes) -> Certificate | None:
        """Parsed once; None when it can't be."""
        if fingerprint not in self._parsed:
            try:
                self._parsed[fingerprint] = parse_certificate(der)
            except DecodeError:
                return None
        return self._parsed[fingerprint]

    def refuse(self, item: Item, code: str, **params: str) -> None:
        """Note what isn't imported, and why."""
        self.refused.append(Refusal(item.file, code, params))

    # --- the outcome --------------------------------------------------------------------------------------

    def outcome(self) -> tuple[Generation, Report]:
        """The store as it is to be, and the report."""
        certificates = tuple(
            stored_certificate(self._parsed[fingerprint], sources)
            for fingerprint, (sources, _) in sorted(self._held.items())
            if sources and fingerprint in self._parsed
        )
        crls, dropped = self.crls.outcome()
        used = {number for one in certificates for number in one.sources} | {crl.source for crl in crls}
        sources = tuple(
            source for source in self._sources.values() if source.id in used or source.kind == "master_list"
        )
        after = msgspec.structs.replace(
            self._before,
            sources=sources,
            certificates=certificates,
            crls=crls,
            roots=tuple(self._roots.values()),
        )
        if after != self._before:
            after = msgspec.structs.replace(after, next_source=self._next_source)
        return after, self._report(after, dropped)

    def _report(self, after: Generation, dropped: int) -> Report:
        old = {one.fingerprint: one for one in self._before.certificates}
        new = {one.fingerprint: one for one in after.certificates}
        added = certificate_lines(one for fingerprint, one in new.items() if fingerprint not in old)
        removed = certificate_lines(one for fingerprint, one in old.items() if fingerprint not in new)
        at = self._terms.at
        covered_before, covered = covered_states(old.values(), at), covered_states(new.values(), at)
        pinned = self._roots.keys() - {root.fingerprint for root in self._before.roots}
        named = {root.fingerprint for root in self._terms.roots}
        return Report(
            lists=tuple(self.lists),
            added=added,
            removed=removed,
            known=len(self.given & old.keys()),
            expired=sum(line.not_after < at for line in added),
            states_gained=tuple(sorted(covered - covered_before)),
            states_lost=tuple(sorted(covered_before - covered)),
            crls=tuple(self.crls.lines),
            crls_dropped=dropped,
            signers=self.signers,
            pinned=tuple(sorted(pinned)),
            unused_roots=tuple(sorted(named - self._used_roots - self._roots.keys())),
            refused=tuple(self.refused),
            skipped=(),
        )


def _sha256(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")

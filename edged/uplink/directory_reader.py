"""What a reader of the signed directory holds: the newest whole one, and whom a newer one revokes already.

What revokes counts at once; what lists, and what lifts, counts when the set is whole. Takes time as an argument, does
no I/O.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from edged.errors import DecodeError, SignatureRefusedError
from edged.uplink import sign
from edged.uplink.directory import (
    KEPT,
    MAX_PAGES,
    Directory,
    DirectoryHead,
    DirectoryPage,
    open_head,
    open_page,
    revocations_of,
)
from edged.uplink.fields import Seconds, decoder
from edged.uplink.names import Principal, Role
from edged.uplink.revoked import NONE, Revocations, fingerprint

if TYPE_CHECKING:
    from edged.uplink.roles import TrustAnchor

MAX_STORED: Final = 16 << 20
"""Bytes of a kept directory: two heads and the pages of both."""

_MAX_LOOSE: Final = MAX_PAGES
"""Pages that no head names yet: they are published before it."""


class _StoredHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    taken_at: Seconds
    jws: str


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal[1]
    heads: Annotated[tuple[_StoredHead, ...], msgspec.Meta(max_length=2)]
    pages: Annotated[tuple[str, ...], msgspec.Meta(max_length=2 * MAX_PAGES)]


class _Head(msgspec.Struct, frozen=True):
    compact: str
    head: DirectoryHead
    sha256: str
    taken_at: datetime


class DirectoryReader:
    """Takes heads and pages in any order.

    With `pages` False the head alone is enough (boxes: no page names who may tell them anything).

    Attributes:
        current: the newest whole directory; None before there is one.
    """

    def __init__(self, anchor: TrustAnchor, *, pages: bool = True) -> None:
        self._anchor = anchor
        self._with_pages = pages
        self._held: _Head | None = None
        self._next: _Head | None = None
        self._pages: dict[str, tuple[bytes, DirectoryPage]] = {}
        self.current: Directory | None = None

    @property
    def missing(self) -> int:
        """Pages of a newer directory that haven't come yet."""
        if self._next is None:
            return 0
        return sum(sha256 not in self._pages for sha256 in set(self._next.head.pages))

    @property
    def revocations(self) -> Revocations:
        """Whom the whole directory, and what has come of a newer one, revoke."""
        found = NONE if self.current is None else self.current.revocations
        if self._next is not None:
            found |= revocations_of(self._next.head, self._known(self._next))
        return found

    def take_head(self, compact: bytes, *, at: datetime) -> bool:
        """Take a head; whether anything is new.

        Raises `SignatureRefusedError`: a code of `open_head`, `directory.rollback` for one older than what is known,
        `directory.equivocation` for another of one version.
        """
        return self._take_head(compact, at, timedelta(0), None)

    def take_page(self, data: bytes) -> bool:
        """Take a page; whether anything is new. Raises `SignatureRefusedError` of `open_page`."""
        page, sha256 = open_page(data)
        if sha256 in self._pages:
            return False
        wanted = self._wanted()
        loose = [one for one in self._pages if one not in wanted]
        if sha256 not in wanted and len(loose) >= _MAX_LOOSE:
            del self._pages[loose[0]]
        self._pages[sha256] = (data, page)
        return sha256 in wanted and self._settle()

    def published(self) -> tuple[str, dict[str, bytes]] | None:
        """The newest whole directory as it is published: its head, and its pages by their SHA-256; None before one."""
        if self._held is None:
            return None
        pages = {sha256: self._pages[sha256][0] for sha256 in self._held.head.pages if sha256 in self._pages}
        return self._held.compact, pages

    def stored(self) -> bytes:
        """All of it for a file; `restore` takes it back."""
        heads = [
            _StoredHead(int(one.taken_at.timestamp()), one.compact)
            for one in (self._held, self._next)
            if one is not None
        ]
        pages = [data.decode() for sha256, (data, _) in self._pages.items() if sha256 in self._wanted()]
        return msgspec.json.encode(_Stored(1, tuple(heads), tuple(pages)))

    def restore(self, data: bytes, *, at: datetime, ours: bool = True) -> None:
        """Take back what was kept; `ours`: by this reader itself, so that when it came is believed.

        Raises `DecodeError` (`directory.unreadable`), `SignatureRefusedError`.
        """
        if len(data) > MAX_STORED:
            raise DecodeError("directory", "directory.unreadable")
        try:
            stored = decoder(_Stored).decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise DecodeError("directory", "directory.unreadable") from None
        for text in stored.pages:
            self.take_page(text.encode())
        for head in stored.heads:
            arrived = datetime.fromtimestamp(head.taken_at, UTC) if ours else None
            self._take_head(head.jws.encode(), at, KEPT, arrived)

    def _take_head(self, compact: bytes, at: datetime, late: timedelta, arrived: datetime | None) -> bool:
        newest = self._next or self._held
        if newest is not None and hashlib.sha256(compact).hexdigest() == newest.sha256:
            return False
        anchor = self._anchor
        overruled = newest is not None and self._overruled(newest)
        if overruled:
            # Signed by an admin whom the offline keys have revoked since: neither its number nor whom it revokes may
            # keep the next admin's directory out.
            anchor = anchor.without("directory")
        head, sha256 = open_head(compact, anchor=anchor, at=at, late=late, arrived=arrived)
        if newest is not None and not overruled and head.version <= newest.head.version:
            raise SignatureRefusedError(
                "directory.equivocation" if head.version == newest.head.version else "directory.rollback"
            )
        self._next = _Head(compact.decode("ascii"), head, sha256, arrived or at)
        self._settle()
        return True

    def _overruled(self, head: _Head) -> bool:
        chain = [fingerprint(one) for one in sign.certificates(head.compact)]
        signer = Principal(head.head.fleet, Role.ADMIN, head.head.iss)
        return self._anchor.without("directory").revocations.since(chain, signer) is not None

    def _settle(self) -> bool:
        """Make the newer directory the current one when it is whole; True, because something was new."""
        if self._next is not None and (not self._with_pages or not self.missing):
            pages = self._known(self._next) if self._with_pages else ()
            self._held, self._next = self._next, None
            self.current = Directory(self._held.head, pages, self._held.sha256)
            wanted = self._wanted()
            self._pages = {sha256: one for sha256, one in self._pages.items() if sha256 in wanted}
        return True

    def _known(self, head: _Head) -> tuple[DirectoryPage, ...]:
        return tuple(self._pages[sha256][1] for sha256 in head.head.pages if sha256 in self._pages)

    def _wanted(self) -> frozenset[str]:
        heads = (one for one in (self._held, self._next) if one is not None)
        return frozenset(sha256 for one in heads for sha256 in one.head.pages)

"""The signed directory, made from the admin's state: who belongs, with their keys, and who was revoked.

directory/head.jws, directory/{n}.json     what was made last, as it is published
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from cryptography import x509

from edged import log
from edged.errors import SignatureRefusedError, StateError
from edged.fleet import members
from edged.fleet.former_keys import former_keys, signing_key
from edged.fleet.state import write_text
from edged.uplink import sign, topics
from edged.uplink.directory import (
    MAX_ENTRIES,
    MAX_KEYS,
    MAX_PAGE,
    MAX_PAGES,
    CertificateRevoked,
    DirectoryHead,
    DirectoryPage,
    FormerKey,
    Member,
    PrincipalRevoked,
    seal_head,
    seal_page,
)
from edged.uplink.fields import encode, parse
from edged.uplink.names import Role, Usage
from edged.uplink.roles import load_chain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from edged.fleet.link import AdminLink
    from edged.fleet.state import FleetState, IssuedCertificate

DAYS: Final = 30
"""How long a directory says that it can be relied on: an admin publishes it at every change, and now and then."""

E = TypeVar("E", Member, CertificateRevoked, PrincipalRevoked, FormerKey)


class Made(msgspec.Struct, frozen=True):
    """A directory ready to be published."""

    head: DirectoryHead
    compact: str
    pages: tuple[bytes, ...]


def make(state: FleetState, *, now: datetime, days: int = DAYS) -> Made:
    """The directory of what the state says now.

    Raises `ConfigError`, `CertificateError`, `SignatureRefusedError` (`directory.too_large` for a fleet that no reader
    would take).
    """
    revoked = members.revocations(state)
    gone = {(one.role, one.name) for one in revoked.names}
    ended = {one.sha256 for one in revoked.certificates}
    devices, loose = [], []
    for record in state.devices().values():
        if record.revoked_at is None and (Role.DEVICE, record.name) not in gone:
            devices.append(_member(record.name, record.certificates, ended, now))
        elif (Role.DEVICE, record.name) not in gone:  # marked by hand: as good as any
            loose.append(PrincipalRevoked(Role.DEVICE, record.name, record.revoked_at or 0, "unspecified"))
    names = [PrincipalRevoked(one.role, one.name, one.at, one.reason) for one in revoked.names] + loose
    certificates = [
        (one.role, CertificateRevoked(one.sha256, one.at, one.reason))
        for one in revoked.certificates
        if (one.role, one.name) not in gone
    ]
    certificates += [
        (role, CertificateRevoked(sha256, one.revoked_at or 0, "replaced"))
        for role, one, sha256 in _ended_by_hand(state, gone)
        if sha256 not in ended
    ]
    former = sorted(former_keys(state, revoked, now), key=lambda one: one.at, reverse=True)
    pages = tuple(
        seal_page(page)
        for page in _with_room_for(
            _pages(
                devices,
                [one for role, one in certificates if role is Role.DEVICE],
                [one for one in names if one.role is Role.DEVICE],
                former,
            )
        )
    )
    if len(pages) > MAX_PAGES:
        raise SignatureRefusedError("directory.too_large")
    others: dict[Role, list[Member]] = {Role.COLLECTOR: [], Role.AUDIENCE: [], Role.ADMIN: []}
    for one in members.members(state):
        if one.role in others and (one.role, one.name) not in gone:
            others[one.role].append(_member(one.name, one.certificates, ended, now))
    signer = state.signer()
    others[Role.ADMIN] = _with_ourselves(state, others[Role.ADMIN])
    iat = int(now.timestamp())
    head = DirectoryHead(
        iss=signer.principal.name,
        fleet=signer.principal.fleet,
        iat=iat,
        exp=int((now + timedelta(days=days)).timestamp()),
        # The time, so that a state directory that was restored doesn't begin again below what readers know.
        version=max(last_version(state) + 1, iat),
        anchors=state.anchor().sha256,
        collectors=tuple(others[Role.COLLECTOR]),
        audiences=tuple(others[Role.AUDIENCE]),
        admins=tuple(others[Role.ADMIN]),
        certificates=tuple(one for role, one in certificates if role is not Role.DEVICE),
        revoked=tuple(one for one in names if one.role is not Role.DEVICE),
        devices=len(devices),
        pages=tuple(hashlib.sha256(page).hexdigest() for page in pages),
    )
    return Made(head, seal_head(head, signer), pages)


def keep(state: FleetState, made: Made) -> int:
    """Write it down as the last one made, before anybody hears of it; how many pages the one before had.

    Under `FleetState.changing()`.
    """
    where = state.directory / "directory"
    before = sum(path.stem.isdigit() for path in where.glob("*.json"))
    for number, page in enumerate(made.pages):
        write_text(where / f"{number}.json", page.decode())
    write_text(where / "head.jws", made.compact)
    for path in where.glob("*.json"):
        if path.stem.isdigit() and int(path.stem) >= len(made.pages):
            path.unlink()
    return before


def kept(state: FleetState) -> Made | None:
    """The last one made. Raises `StateError` (`fleet.directory_broken`)."""
    where = state.directory / "directory"
    if not (where / "head.jws").exists():
        return None
    try:
        compact = (where / "head.jws").read_text(encoding="ascii")
        head = parse(sign.unverified_payload(compact.encode()), DirectoryHead, "directory.malformed")
        pages = tuple((where / f"{number}.json").read_bytes() for number in range(len(head.pages)))
    except (OSError, UnicodeDecodeError, SignatureRefusedError) as error:
        raise StateError("fleet.directory_broken", str(where)) from error
    return Made(head, compact, pages)


def last_version(state: FleetState) -> int:
    """The number of the last one made; 0 where there is none, or it can't be read."""
    try:
        found = kept(state)
    except StateError:
        return 0
    return 0 if found is None else found.head.version


async def publish(link: AdminLink, made: Made, *, before: int = 0) -> None:
    """Pages first, then the head that names them; `before`: pages of the last one, those too many are taken away.

    Raises `UplinkError`.
    """
    for number, page in enumerate(made.pages):
        await link.publish(topics.keys(link.fleet, number), page, retain=True)
    await link.publish(topics.keys(link.fleet), made.compact, retain=True)
    for number in range(len(made.pages), before):
        await link.publish(topics.keys(link.fleet, number), b"", retain=True)


def _ended_by_hand(
    state: FleetState, gone: set[tuple[Role, str]]
) -> Iterator[tuple[Role, IssuedCertificate, str]]:
    """Certificates that are marked as revoked in their holder's own record, with their SHA-256."""
    holders = [(Role.DEVICE, one.name, one.certificates) for one in state.devices().values()]
    holders += [(one.role, one.name, one.certificates) for one in members.members(state)]
    for role, name, issued in holders:
        for one in issued:
            if one.revoked_at is not None and (role, name) not in gone:
                yield role, one, members.sha256_of(one)


def _with_ourselves(state: FleetState, admins: list[Member]) -> list[Member]:
    """Whoever signs is listed with the key that signs, whether or not anybody has noted the certificate."""
    key = signing_key(load_chain((state.secrets / "admin-signing.pem").read_bytes())[0])
    mine = next((one for one in admins if one.name == state.file.admin), Member(state.file.admin, ()))
    keys = (*(one for one in mine.keys if one.sha256 != key.sha256), key)
    ours = Member(mine.name, keys[-MAX_KEYS:])
    return sorted([*(one for one in admins if one is not mine), ours], key=lambda one: one.name)


def _member(name: str, issued: Sequence[IssuedCertificate], ended: set[str], now: datetime) -> Member:
    keys = [
        signing_key(x509.load_pem_x509_certificate(one.pem.encode()))
        for one in issued
        if one.usage is Usage.SIGNING and one.revoked_at is None and one.not_after > now.timestamp()
    ]
    return Member(name, tuple([key for key in keys if key.sha256 not in ended][-MAX_KEYS:]))


def _pages(
    devices: Sequence[Member],
    certificates: Sequence[CertificateRevoked],
    revoked: Sequence[PrincipalRevoked],
    former: Sequence[FormerKey],
) -> Iterator[DirectoryPage]:
    """Whom it revokes first: that is what is in a hurry."""
    for portion in _portions(revoked):
        yield DirectoryPage(devices=(), certificates=(), revoked=portion)
    for ended in _portions(certificates):
        yield DirectoryPage(devices=(), certificates=ended, revoked=())
    for listed in _portions(devices):
        yield DirectoryPage(devices=listed, certificates=(), revoked=())
    for over in _portions(former):
        yield DirectoryPage(devices=(), certificates=(), revoked=(), former=over)


def _with_room_for(pages: Iterable[DirectoryPage]) -> Iterator[DirectoryPage]:
    """Former keys give way, those that ended first: who belongs and who is revoked must always get out."""
    for number, page in enumerate(pages):
        if number >= MAX_PAGES and page.former:
            log.get("directory").warning(
                "no room for all former keys: slips of some are unknown to verifiers"
            )
            return
        yield page


def _portions(entries: Iterable[E]) -> Iterator[tuple[E, ...]]:
    """As many at once as a page takes."""
    room = MAX_PAGE - 100  # the page's own words
    portion: list[E] = []
    size = 0
    for entry in entries:
        needs = len(encode(entry)) + 1
        if portion and (len(portion) == MAX_ENTRIES or size + needs > room):
            yield tuple(portion)
            portion, size = [], 0
        portion.append(entry)
        size += needs
    if portion:
        yield tuple(portion)

"""The signed directory: who belongs to a fleet, with their keys, and who doesn't any more.

A head, signed by an admin, and pages, which the head names by their hashes: the devices, a few hundred each. All are
retained messages (`topics.keys`). Takes time as an argument, does no I/O.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

import msgspec

from edged.errors import SignatureRefusedError
from edged.uplink import sign
from edged.uplink.fields import Name, Seconds, Seq, Sha256, encode, parse
from edged.uplink.names import Principal, Role
from edged.uplink.revoked import Revocations
from edged.uplink.roles import MAX_ANCHORS, TrustAnchor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

R = TypeVar("R", bound=str)

TYP_DIRECTORY: Final = "directory+jws"

MAX_PAGE: Final = 60 * 1024
"""Bytes of a page: with its topic it travels in one MQTT packet."""

MAX_ENTRIES: Final = 300
"""Devices in one page, and revoked ones: more than fit when each has one key."""

MAX_PAGES: Final = 100
"""Pages: 20 000 devices, 6 MiB, in what every reader keeps."""

MAX_KEYS: Final = 8
"""Signing keys of one member: two while one replaces the other, and room."""

MAX_MEMBERS: Final = 100
"""Of each kind in the head: as many as fit, with a key each."""

SKEW: Final = timedelta(minutes=5)
"""How far ahead of its reader's clock a directory may have been signed."""

KEPT: Final = timedelta(days=3650)
"""How long a directory on a reader's own disk outlives its signer's certificate: who is revoked stays revoked."""

Reason = Literal["compromised", "lost", "stolen", "replaced", "retired", "unspecified"]
"""Why somebody is revoked. A word and no text: everybody reads it."""

Ended = Literal["expired", "compromised", "lost", "stolen", "replaced", "retired", "unspecified"]
"""Why a key signs no more: its certificate's time was over, or a `Reason`."""

IN_OTHER_HANDS: Final = frozenset({"compromised", "lost", "stolen", "unspecified"})
"""Reasons after which somebody else may sign with a key, and date it back."""

Coordinate = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{43}$(?!\n)")]
"""32 bytes in base64url, as in a JWK (RFC 7518 §6.2.1)."""

Standing = Literal["listed", "not_listed", "revoked", "undetermined"]
"""`undetermined`: the directory is older than it says it may be, so nobody knows."""


class SigningKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A certified P-256 key that signs messages."""

    sha256: Sha256
    """Of the certificate's DER."""
    x: Coordinate
    y: Coordinate
    not_after: Seconds
    """When its certificate ends."""


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody of the fleet."""

    name: Name
    keys: Annotated[tuple[SigningKey, ...], msgspec.Meta(max_length=MAX_KEYS)]


class FormerKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A device's key that signs no more: nothing new of it counts, but slips that it signed are still verified."""

    name: Name
    key: SigningKey
    at: Seconds
    """When it ended."""
    reason: Ended


class CertificateRevoked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One certificate that is refused; its holder may have others."""

    sha256: Sha256
    """Of the certificate's DER."""
    at: Seconds
    reason: Reason


class PrincipalRevoked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who is refused whatever certificate there is."""

    role: Role
    name: Name
    at: Seconds
    reason: Reason


RevokedCertificates = Annotated[tuple[CertificateRevoked, ...], msgspec.Meta(max_length=MAX_ENTRIES)]
RevokedPrincipals = Annotated[tuple[PrincipalRevoked, ...], msgspec.Meta(max_length=MAX_ENTRIES)]
Members = Annotated[tuple[Member, ...], msgspec.Meta(max_length=MAX_MEMBERS)]


class DirectoryHead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is signed (`docs/schemas/directory.schema.json`)."""

    iss: Name
    """The admin."""
    fleet: Name
    iat: Seconds
    exp: Seconds
    version: Seq
    """Greater than that of every directory before it."""
    anchors: Annotated[tuple[Sha256, ...], msgspec.Meta(min_length=1, max_length=MAX_ANCHORS)]
    collectors: Members
    audiences: Members
    admins: Members
    certificates: RevokedCertificates
    """Revoked certificates of others than devices."""
    revoked: RevokedPrincipals
    """Revoked others than devices."""
    devices: Annotated[int, msgspec.Meta(ge=0)]
    """How many devices are on the pages."""
    pages: Annotated[tuple[Sha256, ...], msgspec.Meta(max_length=MAX_PAGES)]
    """SHA-256 of each page."""


class DirectoryPage(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One page (`docs/schemas/directory-page.schema.json`): not signed, but named by its hash in a signed head."""

    devices: Annotated[tuple[Member, ...], msgspec.Meta(max_length=MAX_ENTRIES)]
    certificates: RevokedCertificates
    """Revoked certificates of devices."""
    revoked: RevokedPrincipals
    """Revoked devices."""
    former: Annotated[tuple[FormerKey, ...], msgspec.Meta(max_length=MAX_ENTRIES)] = ()
    """Keys of devices that ended while slips that they signed still hold; left out when there are none."""


class Directory(msgspec.Struct, frozen=True):
    """A head and its pages."""

    head: DirectoryHead
    pages: tuple[DirectoryPage, ...]
    sha256: str
    """Of the head (the whole JWS)."""

    @property
    def revocations(self) -> Revocations:
        """Whom it revokes."""
        return revocations_of(self.head, self.pages)

    def age(self, at: datetime) -> timedelta:
        """How old it is."""
        return at - datetime.fromtimestamp(self.head.iat, UTC)

    def expired(self, at: datetime) -> bool:
        """Whether nobody can rely on it for who belongs; whom it revokes stays revoked."""
        return at.timestamp() > self.head.exp

    def member(self, role: Role, name: str) -> Member | None:
        """Somebody's entry."""
        head = self.head
        listed: dict[Role, Iterable[Member]] = {
            Role.DEVICE: (device for page in self.pages for device in page.devices),
            Role.COLLECTOR: head.collectors,
            Role.AUDIENCE: head.audiences,
            Role.ADMIN: head.admins,
        }
        return next((one for one in listed.get(role, ()) if one.name == name), None)

    def standing(self, principal: Principal, fingerprints: Sequence[str], at: datetime) -> Standing:
        """What it says of the holder of a chain of certificates (`revoked.fingerprint`, leaf first)."""
        if self.revocations.since(fingerprints, principal) is not None:
            return "revoked"
        if self.expired(at):
            return "undetermined"
        found = self.member(principal.role, principal.name)
        listed = found is not None and fingerprints[0] in {key.sha256 for key in found.keys}
        return "listed" if listed else "not_listed"


def revocations_of(head: DirectoryHead, pages: Iterable[DirectoryPage]) -> Revocations:
    """Whom a head and some of its pages revoke."""
    parts: tuple[DirectoryHead | DirectoryPage, ...] = (head, *pages)
    return Revocations.of(
        (one for part in parts for one in part.certificates), (one for part in parts for one in part.revoked)
    )


def seal_head(head: DirectoryHead, signer: sign.Signer) -> str:
    """`head`, signed.

    Raises `SignatureRefusedError` for what readers would refuse: `directory.malformed`, `directory.wrong_issuer`,
    `cert.wrong_role`, `directory.too_large`.
    """
    if signer.principal.role is not Role.ADMIN:
        raise SignatureRefusedError("cert.wrong_role", f"{signer.principal.role} instead of admin")
    if (head.iss, head.fleet) != (signer.principal.name, signer.principal.fleet):
        raise SignatureRefusedError("directory.wrong_issuer")
    data = encode(head)
    _check(parse(data, DirectoryHead, "directory.malformed"))
    try:
        return signer.sign(TYP_DIRECTORY, data)
    except ValueError:
        raise SignatureRefusedError("directory.too_large") from None


def seal_page(page: DirectoryPage) -> bytes:
    """A page's bytes. Raises `SignatureRefusedError` (`directory.malformed`, `directory.too_large`)."""
    data = encode(page)
    open_page(data)
    return data


def open_head(
    compact: str | bytes,
    *,
    anchor: TrustAnchor,
    at: datetime,
    late: timedelta = timedelta(0),
    arrived: datetime | None = None,
) -> tuple[DirectoryHead, str]:
    """Verify a head; with its SHA-256. `late` and `arrived` as for `sign.verify`, for one that was kept.

    Its `exp` is then no later than its signer's certificate's end.

    Raises `SignatureRefusedError`: a code of `sign.verify`, `directory.malformed`, `directory.wrong_issuer`,
    `directory.wrong_fleet`, `directory.wrong_time`.
    """
    verified = sign.verify(
        compact, typ=TYP_DIRECTORY, anchor=anchor, role=Role.ADMIN, at=at, late=late, arrived=arrived
    )
    head = parse(verified.payload, DirectoryHead, "directory.malformed")
    if head.iss != verified.principal.name:
        raise SignatureRefusedError("directory.wrong_issuer")
    if head.fleet != anchor.fleet:
        raise SignatureRefusedError("directory.wrong_fleet")
    if head.iat > (at + SKEW).timestamp() or not verified.valid_at(head.iat):
        raise SignatureRefusedError("directory.wrong_time")
    _check(head)
    return msgspec.structs.replace(head, exp=verified.until(head.exp)), verified.sha256.hex()


def open_page(data: bytes) -> tuple[DirectoryPage, str]:
    """A page and its SHA-256; proves nothing but by a head that names it. Raises `SignatureRefusedError`."""
    if len(data) > MAX_PAGE:
        raise SignatureRefusedError("directory.too_large")
    page = parse(data, DirectoryPage, "directory.malformed")
    if any(one.role is not Role.DEVICE for one in page.revoked):
        raise SignatureRefusedError("directory.malformed")
    return page, hashlib.sha256(data).hexdigest()


def _check(head: DirectoryHead) -> None:
    if head.exp <= head.iat:
        raise SignatureRefusedError("directory.malformed", "ends before it begins")


def graver(known: R, said: R) -> R:
    """Of two reasons for one end, the one after which less can be believed; the first where that's the same."""
    return known if _gravity(known) >= _gravity(said) else said


def _gravity(why: str) -> int:
    if why not in IN_OTHER_HANDS:
        return 0
    return 1 if why == "unspecified" else 2

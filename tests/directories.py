"""Fixture material: signed directories of a town, and messages of those whom they revoke."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec

from edged.uplink import sign, topics
from edged.uplink.directory import (
    CertificateRevoked,
    DirectoryHead,
    DirectoryPage,
    Member,
    PrincipalRevoked,
    SigningKey,
    seal_head,
    seal_page,
)
from edged.uplink.names import Role
from edged.uplink.revoked import fingerprint
from tests.broker import FLEET, NOW, Town

if TYPE_CHECKING:
    from edged.uplink.mqtt import Connection
    from edged.uplink.sign import Signer


def chain(signer: Signer) -> list[str]:
    """Fingerprints of a signer's chain."""
    return [fingerprint(one) for one in sign.certificates(signer.sign("t+jws", b"{}"))]


def member(signer: Signer) -> Member:
    leaf = sign.certificates(signer.sign("t+jws", b"{}"))[0]
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    numbers = key.public_numbers()
    x, y = (
        base64.urlsafe_b64encode(one.to_bytes(32)).rstrip(b"=").decode() for one in (numbers.x, numbers.y)
    )
    until = int(leaf.not_valid_after_utc.timestamp())
    return Member(signer.principal.name, (SigningKey(fingerprint(leaf), x, y, until),))


class Made:
    """A directory: `head` and `pages` as they are published."""

    def __init__(
        self,
        place: Town,
        *,
        version: int = 1,
        devices: tuple[str, ...] = ("box-1", "box-2"),
        revoked: tuple[tuple[Role, str, datetime], ...] = (),
        certificates: tuple[tuple[Role, str, datetime], ...] = (),
        admin: str = "ops",
        iat: datetime = NOW,
        life: timedelta = timedelta(days=30),
        **changes: Any,
    ) -> None:
        names = [PrincipalRevoked(role, name, int(at.timestamp()), "stolen") for role, name, at in revoked]
        ended = [
            (role, CertificateRevoked(fingerprint_of(place, role, name), int(at.timestamp()), "stolen"))
            for role, name, at in certificates
        ]
        self.pages = [
            seal_page(
                DirectoryPage(
                    devices=(),
                    certificates=tuple(one for role, one in ended if role is Role.DEVICE),
                    revoked=tuple(one for one in names if one.role is Role.DEVICE),
                )
            ),
            seal_page(
                DirectoryPage(
                    devices=tuple(member(place.signer(Role.DEVICE, name)) for name in devices),
                    certificates=(),
                    revoked=(),
                )
            ),
        ]
        signer = place.signer(Role.ADMIN, admin)
        content: dict[str, Any] = {
            "iss": admin,
            "fleet": FLEET,
            "iat": int(iat.timestamp()),
            "exp": int((iat + life).timestamp()),
            "version": version,
            "anchors": place.anchor.sha256,
            "collectors": (member(place.signer(Role.COLLECTOR, "centre")),),
            "audiences": (),
            "admins": (member(signer),),
            "certificates": tuple(one for role, one in ended if role is not Role.DEVICE),
            "revoked": tuple(one for one in names if one.role is not Role.DEVICE),
            "devices": len(devices),
            "pages": tuple(hashlib.sha256(page).hexdigest() for page in self.pages),
        }
        self.payload = DirectoryHead(**(content | changes))
        self.head = seal_head(self.payload, signer).encode()


def fingerprint_of(place: Town, role: Role, name: str) -> str:
    return chain(place.signer(role, name))[0]


async def publish(connection: Connection, made: Made) -> None:
    for number, page in enumerate(made.pages):
        await connection.publish(topics.keys(FLEET, number), page, retain=True)
    await connection.publish(topics.keys(FLEET), made.head, retain=True)

"""Security infos: what a chip says of its mechanisms (Doc 9303-11 §9.2), for EF.CardAccess, DG14, EF.CardSecurity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.core.emrtd import tlv
from edged.emulator import object_identifiers as oids
from edged.emulator.groups import NUMBER, Numbers, Points
from edged.emulator.object_identifiers import encode_oid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edged.emulator.groups import Group
    from edged.emulator.personalised import AgreementKey, PaceOffer

_PLAIN_ECDSA: dict[str, str] = {
    "sha1": "1",
    "sha224": "2",
    "sha256": "3",
    "sha384": "4",
    "sha512": "5",
}
"""Last arc of ecdsa-plain-SHA… (BSI TR-03111 §5.2.1)."""


def oid(dotted: str) -> bytes:
    """An object identifier in DER."""
    return tlv.encode(0x06, encode_oid(dotted))


def integer(value: int) -> bytes:
    """A non-negative INTEGER in DER."""
    return tlv.encode(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def sequence(*parts: bytes) -> bytes:
    """A SEQUENCE of DER parts."""
    return tlv.encode(0x30, b"".join(parts))


def infos(parts: Iterable[bytes]) -> bytes:
    """SecurityInfos: a SET, in DER's order."""
    return tlv.encode(0x31, b"".join(sorted(parts)))


def pace_info(offer: PaceOffer) -> bytes:
    """PACEInfo (§9.2.1), with a standardised parameter."""
    return sequence(oid(offer.oid), integer(2), integer(offer.parameter))


def chip_authentication_info(key: AgreementKey) -> bytes:
    """ChipAuthenticationInfo (§9.2.5), version 1."""
    number = [] if key.number is None else [integer(key.number)]
    return sequence(oid(key.oid), integer(1), *number)


def chip_public_key_info(key: AgreementKey, parameter: int | None = None) -> bytes:
    """ChipAuthenticationPublicKeyInfo (§9.2.6); with a standardised parameter, or with everything spelt out."""
    protocol = oids.CHIP_PUBLIC_KEY_DH if key.group.tag == NUMBER else oids.CHIP_PUBLIC_KEY_ECDH
    number = [] if key.number is None else [integer(key.number)]
    return sequence(oid(protocol), public_key_info(key.group, key.public(), parameter), *number)


def public_key_info(group: Group, public: bytes, parameter: int | None = None) -> bytes:
    """SubjectPublicKeyInfo of a key agreement key."""
    if parameter is not None:
        algorithm = sequence(oid(oids.STANDARD_PARAMETERS), integer(parameter))
    elif isinstance(group, Points):
        curve = group.curve
        generator = curve.encode_point(curve.generator)
        coefficients = sequence(
            *(tlv.encode(0x04, one.to_bytes(curve.octets, "big")) for one in (curve.a, curve.b))
        )
        domain = sequence(
            integer(1),
            sequence(oid("1.2.840.10045.1.1"), integer(curve.p)),
            coefficients,
            tlv.encode(0x04, generator),
            integer(curve.n),
            integer(curve.h),
        )
        algorithm = sequence(oid("1.2.840.10045.2.1"), domain)
    else:
        assert isinstance(group, Numbers)
        domain = sequence(integer(group.p), integer(group.g), integer(group.q))
        algorithm = sequence(oid("1.2.840.10046.2.1"), domain)  # X9.42: p, g, q
    if group.tag == NUMBER:
        public = integer(int.from_bytes(public, "big"))
    return sequence(algorithm, tlv.encode(0x03, b"\x00" + public))


def active_authentication_info(digest: str) -> bytes:
    """ActiveAuthenticationInfo (§9.2.8), for ECDSA: which hash the chip uses."""
    algorithm = f"{oids.BSI}.1.1.4.1.{_PLAIN_ECDSA[digest]}"
    return sequence(oid(oids.ACTIVE_AUTHENTICATION), integer(1), oid(algorithm))


def terminal_authentication_info() -> bytes:
    """TerminalAuthenticationInfo (§9.2.7), version 1."""
    return sequence(oid(oids.TERMINAL_AUTHENTICATION), integer(1))

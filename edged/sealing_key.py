"""The box's own sealing key: made once, in the state directory.

What the fleet has to say to this box alone is sealed to it; its public half is in every report
(`edged.uplink.reported`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edged.errors import CertificateError, ConfigError, DecodeError
from edged.uplink.keys import generate_key, keep_private, load_private, private_pem, read_private
from edged.uplink.sealed_keys import open_key

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec

    from edged.uplink.names import Principal
    from edged.uplink.sealed_keys import OrganisationKey

SEALING_FILE: Final = "sealing.key"


def own_key(directory: Path) -> ec.EllipticCurvePrivateKey:
    """The key in the state directory, made where there is none yet.

    A key that can't be read is never replaced: what was sealed to it would be lost. Raises `CertificateError`
    (`key.…`), `StateError` for a directory that can't be written to.
    """
    path = directory / SEALING_FILE
    if not path.exists():
        keep_private(path, private_pem(generate_key()))
    return load_private(read_private(path))


def opened_key(directory: Path, audience: str, found: OrganisationKey, own: Principal) -> bytes:
    """An organisation's key that was sealed to this box (`own` says which), opened in memory; blocks on the disk.

    Raises `ConfigError` at the audience's key: `sealed.other_key`, `sealed.broken`, …, `key.…` of the box's own.
    """
    try:
        key = load_private(read_private(directory / SEALING_FILE))
        return open_key(found, key, fleet=own.fleet, device=own.name, audience=audience)
    except (CertificateError, DecodeError) as error:
        raise ConfigError(f"audiences.{audience}.organisation_key", error.code) from None


def public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Its public half, as reports carry it."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

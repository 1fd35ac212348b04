"""Claims that only their audience can read: sealed before they get near an envelope. Does no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from edged import sealing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric import ec

_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def encrypt_claims(
    claims: Mapping[str, Any],
    key: ec.EllipticCurvePublicKey | str,
    *,
    fleet: str,
    device: str,
    audience: str,
    policy_sha256: str,
) -> sealing.Sealed:
    """What `disclose` gave, sealed to the audience; the envelope's own `claims` are then empty.

    `key` is the first of the audience's `encryption_keys`, as PEM or loaded. Sealed is their JSON, keys sorted. The
    buffer that held it is overwritten. Raises `ConfigError` (`config.not_a_public_key`).
    """
    recipient = sealing.load_recipient(key) if isinstance(key, str) else key
    plain = bytearray()
    try:
        _ENCODER.encode_into(dict(claims), plain)
        return sealing.seal(
            plain,
            recipient,
            what="claims",
            context=sealing.envelope_context(
                fleet=fleet, device=device, audience=audience, policy_sha256=policy_sha256
            ),
        )
    finally:
        plain[:] = bytes(len(plain))

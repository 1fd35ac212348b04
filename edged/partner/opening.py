"""What was sealed to a partner, opened: encrypted claims and a sealed record, of an envelope that was verified before.

What comes out is personal data: it is returned to whoever asked, has no `repr`, and is kept nowhere. Does no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from edged import sealing
from edged.errors import DecodeError
from edged.uplink.envelope import Claim
from edged.uplink.fields import Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric import ec

    from edged.uplink.envelope import EnvelopePayload

_CLAIMS: Final = msgspec.json.Decoder(dict[Word, Claim])
_RECORD: Final = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, repr=False)
class Contents:
    """What one envelope held for its recipient; None for what wasn't sealed in it."""

    claims: dict[str, Any] | None
    record: dict[str, Any] | None

    def __repr__(self) -> str:
        """Never the values: tracebacks and debuggers print this."""
        return "<Contents: personal data withheld>"


def open_contents(payload: EnvelopePayload, keys: Sequence[ec.EllipticCurvePrivateKey]) -> Contents:
    """What is sealed in an envelope whose signature holds (`edged.uplink.envelope.open_envelope`).

    `keys` are the recipient's private keys; each part is opened with whichever it was sealed to. Raises `DecodeError`:
    `sealed.nothing` (nothing in it is sealed), `sealed.no_policy`, `sealed.malformed`, and what
    `edged.sealing.open_sealed` raises.
    """
    if payload.encrypted is None and payload.record is None:
        raise DecodeError("sealed", "sealed.nothing")
    claims = record = None
    if payload.encrypted is not None:
        claims = _decoded(_opened(payload, payload.encrypted, "claims", keys), _CLAIMS)
    if payload.record is not None:
        record = _decoded(_opened(payload, payload.record, "record", keys), _RECORD)
    return Contents(claims, record)


def _opened(
    payload: EnvelopePayload,
    sealed: sealing.Sealed,
    what: Literal["claims", "record"],
    keys: Sequence[ec.EllipticCurvePrivateKey],
) -> bytes:
    if payload.policy is None:
        raise DecodeError("sealed", "sealed.no_policy")
    context = sealing.envelope_context(
        fleet=payload.fleet,
        device=payload.iss,
        audience=payload.audience,
        policy_sha256=payload.policy.sha256,
        record_id=payload.record_id if what == "record" else None,
    )
    return sealing.open_sealed(sealed, keys, what=what, context=context)


def _decoded(plain: bytes, decoder: msgspec.json.Decoder[dict[str, Any]]) -> dict[str, Any]:
    try:
        return decoder.decode(plain)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # From None: the library's text may quote what it choked on, and that was personal data.
        raise DecodeError("sealed", "sealed.malformed") from None

"""A collector's word, before a replay, on when it had got what a signer sent who was revoked since.

Without it a partner refuses everything of a revoked signer. With it, what the archive had before the revocation is what
it was; and whoever has the signer's key can't put anything into a replay, whatever date he writes on it. Takes time as
an argument, does no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from edged.errors import SignatureRefusedError
from edged.uplink import sign
from edged.uplink.fields import Name, Seconds, Sha256, encode, parse
from edged.uplink.replay import check_told
from edged.uplink.roles import Role, TrustAnchor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

TYP_VOUCH: Final = "replay-vouch+jws"

MAX_VOUCHED: Final = 300
"""Messages vouched for at once: keeps it under `sign.MAX_COMPACT`; a page with more has several."""


class Received(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message that the archive has, and since when."""

    sha256: Sha256
    at: Seconds


class Vouch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is signed (`docs/schemas/replay-vouch.schema.json`)."""

    iss: Name
    """The collector."""
    fleet: Name
    audience: Name
    request: Name
    iat: Seconds
    received: Annotated[tuple[Received, ...], msgspec.Meta(min_length=1, max_length=MAX_VOUCHED)]


def seal_vouches(
    received: Sequence[Received], *, audience: str, request: str, iat: int, signer: sign.Signer
) -> list[str]:
    """Signed vouches for messages of one answer, as many as are needed. Raises `SignatureRefusedError`."""
    if signer.principal.role is not Role.COLLECTOR:
        raise SignatureRefusedError("cert.wrong_role", f"{signer.principal.role} instead of collector")
    sealed = []
    for start in range(0, len(received), MAX_VOUCHED):
        vouch = Vouch(
            iss=signer.principal.name,
            fleet=signer.principal.fleet,
            audience=audience,
            request=request,
            iat=iat,
            received=tuple(received[start : start + MAX_VOUCHED]),
        )
        data = encode(vouch)
        parse(data, Vouch, "replay.malformed")
        sealed.append(signer.sign(TYP_VOUCH, data))
    return sealed


def open_vouch(compact: str | bytes, *, anchor: TrustAnchor, at: datetime, audience: str) -> Vouch:
    """Verify a vouch for `audience`.

    Raises `SignatureRefusedError`: a code of `sign.verify`, `replay.malformed`, `replay.wrong_issuer`,
    `replay.wrong_fleet`, `replay.wrong_audience`.
    """
    verified = sign.verify(compact, typ=TYP_VOUCH, anchor=anchor, role=Role.COLLECTOR, at=at)
    vouch = parse(verified.payload, Vouch, "replay.malformed")
    check_told(vouch, verified.principal, audience)
    return vouch

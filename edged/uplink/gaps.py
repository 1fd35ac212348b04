"""Gap records: a device's signed word that envelopes of a stream will not come, and why.

Nothing is ever dropped in silence. What the bounds of the outbox push out, what broker or collector finally refuse
(then the record is the envelope's tombstone) and what a broken disk took away is named to the centre and to the
audience, on a topic of its own, until a receipt names the record. A record doesn't forbid the envelope to come after
all.

Takes time as an argument, does no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from edged import __version__
from edged.errors import SignatureRefusedError
from edged.uplink import sign
from edged.uplink.fields import Code, Name, Seconds, Seq, Sha256, Token, Word, encode, parse
from edged.uplink.roles import Principal, Role, TrustAnchor

if TYPE_CHECKING:
    from datetime import datetime, timedelta

TYP_GAP: Final = "gap+jws"

GapReason = Literal["too_many_bytes", "too_old", "refused", "unreadable"]
"""Pushed out by the outbox's bounds of bytes or age; refused for good by broker or collector (and kept on the box for
an operator to retry); or lost with a broken database."""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a stream that will not come, before it is signed."""

    log_id: Token
    audience: Name
    first: Seq
    last: Seq | None
    """None when nobody can tell any more: nothing from `first` on that isn't archived will come."""
    sha256: Sha256 | None
    """`range_sha256` of the envelopes; None when they can't be read."""
    reason: GapReason
    code: Code | None = None
    """What broker or collector said, for `refused`."""


class GapPayload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signed payload of a gap record (`docs/schemas/gap.schema.json`)."""

    iss: Name
    fleet: Name
    log_id: Token
    audience: Name
    first: Seq
    last: Seq | None
    sha256: Sha256 | None
    reason: GapReason
    code: Code | None
    jti: Token
    iat: Seconds
    clock: Literal["trusted", "not_trusted"]
    software_version: Word


class OpenedGap(msgspec.Struct, frozen=True):
    """A gap record whose signature, chain, role, names and form hold; `sha256` (hex) is its name in receipts."""

    principal: Principal
    payload: GapPayload
    sha256: str


def seal_gap(
    gap: Gap, *, jti: str, iat: int, clock: Literal["trusted", "not_trusted"], signer: sign.Signer
) -> str:
    """A signed gap record, as a compact JWS; `iat` in seconds since 1970.

    Raises `SignatureRefusedError` (`gap.malformed`, `cert.wrong_role`) for what readers would refuse.
    """
    if signer.principal.role is not Role.DEVICE:
        raise SignatureRefusedError("cert.wrong_role", f"{signer.principal.role} instead of device")
    payload = GapPayload(
        iss=signer.principal.name,
        fleet=signer.principal.fleet,
        jti=jti,
        iat=iat,
        clock=clock,
        software_version=__version__,
        **{name: getattr(gap, name) for name in Gap.__struct_fields__},
    )
    data = encode(payload)
    _check(parse(data, GapPayload, "gap.malformed"))
    return signer.sign(TYP_GAP, data)


def open_gap(
    compact: str | bytes,
    *,
    anchor: TrustAnchor,
    at: datetime,
    audience: str | None = None,
    device: str | None = None,
    late: timedelta,
    arrived: datetime | None = None,
) -> OpenedGap:
    """Verify a gap record, and that it is what its topic says when `audience` and `device` are given.

    `at`, `late` and `arrived` as for `edged.uplink.envelope.open_envelope`. Raises `SignatureRefusedError`: a code of
    `sign.verify`, `gap.malformed`, `gap.wrong_issuer`, `gap.wrong_fleet`, `gap.wrong_audience`.
    """
    verified = sign.verify(
        compact, typ=TYP_GAP, anchor=anchor, role=Role.DEVICE, at=at, late=late, arrived=arrived
    )
    payload = parse(verified.payload, GapPayload, "gap.malformed")
    if payload.iss != verified.principal.name or device not in (None, payload.iss):
        raise SignatureRefusedError("gap.wrong_issuer")
    if payload.fleet != anchor.fleet:
        raise SignatureRefusedError("gap.wrong_fleet")
    if audience not in (None, payload.audience):
        raise SignatureRefusedError("gap.wrong_audience")
    if at > verified.not_after and not (payload.clock == "trusted" and verified.valid_at(payload.iat)):
        raise SignatureRefusedError("cert.expired")
    _check(payload)
    return OpenedGap(verified.principal, payload, verified.sha256.hex())


def _check(payload: GapPayload) -> None:
    if payload.last is not None and payload.last < payload.first:
        raise SignatureRefusedError("gap.malformed")
    if payload.last is None and (payload.sha256 is not None or payload.reason != "unreadable"):
        raise SignatureRefusedError("gap.malformed")
    if (payload.reason == "refused") != (payload.code is not None):
        raise SignatureRefusedError("gap.malformed")

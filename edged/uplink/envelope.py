"""Envelopes: what a device says to one audience.

An envelope is one signed message to one audience. Its stream is (device, log_id, audience) with its own `seq`
from 1 and `prev`, the hash of the envelope before it, so that holes and forks show. Holds no raw identity:
what gets into `claims` has passed `edged.privacy`. Takes time as an argument, does no I/O.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from edged import __version__
from edged.errors import SignatureRefusedError
from edged.sealing import Sealed
from edged.uplink import sign
from edged.uplink.fields import Name, Opaque, Seconds, Seq, Sha256, Token, Word, encode, parse
from edged.uplink.roles import Principal, Role, TrustAnchor
from edged.verdict import JudgedCheck, Kind, Result

if TYPE_CHECKING:
    from datetime import datetime

TYP_VERDICT: Final = "verdict+jws"

MAX_CHECKS: Final = 64
"""Checks in one envelope: several times the checks there are."""

Claim = str | bool | None | dict[str, str]


class StreamPosition(msgspec.Struct, frozen=True):
    """Where an envelope stands in its stream: `seq` from 1, `prev` the hash before it, None for the first."""

    seq: int
    prev: str | None


class DocumentSummary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What kind of document it was; `format` is the MRZ layout, None when no MRZ was read."""

    document_class: Word
    format: Word | None


class PolicyMark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which policy was applied, byte for byte."""

    name: Name
    version: Word
    sha256: Sha256
    """Of the policy's canonical form (`edged.privacy.policy.policy_hash`)."""


class Consent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That the holder was asked, and what for."""

    given: bool
    notice: Sha256
    """Of the notice that was shown (`edged.privacy.notice`), or of the one in force where nobody said which."""


class Provenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which device a reading came from; `identity` is the device's own serial number or the like."""

    driver: Word
    identity: Opaque | None
    simulated: bool


class EnvelopeDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What an inspection has to say to one audience, before it has a place in the stream."""

    audience: Name
    kind: Kind
    scene: Word
    result: Result
    checks: Annotated[tuple[JudgedCheck, ...], msgspec.Meta(max_length=MAX_CHECKS)]
    document: DocumentSummary
    claims: dict[str, Any]
    """From `edged.privacy.disclose`: de-identified, JSON-able."""
    provenance: dict[str, Provenance]
    """Device role ("head", "camera", "chip", …) to the device that took the part."""
    clock: Literal["trusted", "not_trusted"]
    reference: Opaque | None = None
    purpose: Opaque | None = None
    operator: Opaque | None = None
    policy: PolicyMark | None = None
    consent: Consent | None = None
    encrypted: Sealed | None = None
    record_id: Token | None = None
    record: Sealed | None = None
    slip: Token | None = None


class EnvelopePayload(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The signed payload of a verdict message (`docs/schemas/verdict.schema.json`).

    What came later than the first release is left out where there is none, so that its envelopes are still read.
    """

    iss: Name
    """The device: its certificate's name, and the topic's."""
    fleet: Name
    log_id: Token
    audience: Name
    seq: Seq
    prev: Sha256 | None
    jti: Token
    iat: Seconds
    """When the envelope was committed, seconds since 1970; to be believed as far as `clock` says."""
    clock: Literal["trusted", "not_trusted"]
    kind: Kind
    scene: Word
    reference: Opaque | None
    purpose: Opaque | None
    operator: Opaque | None
    result: Result
    checks: Annotated[tuple[JudgedCheck, ...], msgspec.Meta(max_length=MAX_CHECKS)]
    document: DocumentSummary
    claims: dict[Word, Claim]
    provenance: dict[Word, Provenance]
    config_version: Word
    software_version: Word
    policy: PolicyMark | None = None
    """Which policy made the claims; None in envelopes of releases that didn't say."""
    consent: Consent | None = None
    """Where the policy needs it."""
    encrypted: Sealed | None = None
    """The claims, sealed to the audience (`edged.sealing`, what `claims`); then `claims` is empty."""
    record_id: Token | None = None
    """What the recipient's acceptance or correction of `record` names."""
    record: Sealed | None = None
    """A full record, sealed to a recipient with a statutory duty (what `record`)."""
    slip: Token | None = None
    """Number of the feedback slip that was offered with it."""


class Envelope(msgspec.Struct, frozen=True):
    """A sealed envelope: `jws` is what travels and is archived, verbatim; `sha256` (hex) is its name."""

    audience: str
    seq: int
    jws: str
    sha256: str


class OpenedEnvelope(msgspec.Struct, frozen=True):
    """An envelope whose signature, chain, role, names and form hold."""

    principal: Principal
    payload: EnvelopePayload
    sha256: str


def payload_of(
    draft: EnvelopeDraft,
    *,
    position: StreamPosition,
    log_id: str,
    jti: str,
    iat: int,
    config_version: str,
    device: str,
    fleet: str,
) -> EnvelopePayload:
    """What `seal` signs: all that the audience gets."""
    return EnvelopePayload(
        iss=device,
        fleet=fleet,
        log_id=log_id,
        seq=position.seq,
        prev=position.prev,
        jti=jti,
        iat=iat,
        config_version=config_version,
        software_version=__version__,
        **{name: getattr(draft, name) for name in EnvelopeDraft.__struct_fields__},
    )


def seal(
    draft: EnvelopeDraft,
    *,
    position: StreamPosition,
    log_id: str,
    jti: str,
    iat: int,
    config_version: str,
    signer: sign.Signer,
) -> Envelope:
    """Give `draft` its place in the stream and sign it. `iat` is in seconds since 1970.

    Raises `SignatureRefusedError` for what every reader would refuse: a broken field (`envelope.malformed`),
    a place that can't be (`envelope.broken_stream`), a signer that is no device (`cert.wrong_role`), a live
    envelope of a demo fleet (`envelope.live_from_demo`) or with a simulated device in it
    (`envelope.live_from_simulated`).
    """
    payload = payload_of(
        draft,
        position=position,
        log_id=log_id,
        jti=jti,
        iat=iat,
        config_version=config_version,
        device=signer.principal.name,
        fleet=signer.principal.fleet,
    )
    if signer.principal.role is not Role.DEVICE:
        raise SignatureRefusedError("cert.wrong_role", f"{signer.principal.role} instead of device")
    data = encode(payload)
    _check_payload(parse(data, EnvelopePayload, "envelope.malformed"), demo=signer.demo)
    compact = signer.sign(TYP_VERDICT, data)
    return Envelope(draft.audience, position.seq, compact, hashlib.sha256(compact.encode()).hexdigest())


def open_envelope(
    compact: str | bytes,
    *,
    anchor: TrustAnchor,
    at: datetime,
    audience: str | None = None,
    device: str | None = None,
    late: timedelta = timedelta(0),
    arrived: datetime | None = None,
) -> OpenedEnvelope:
    """Verify an envelope, and that it is what its topic says when `audience` and `device` are given.

    `at` (timezone-aware) is the moment at which the certificates must be valid. With `late`, the device's own
    may have expired so long before `at` if the envelope was committed while it held, by a trusted clock. `arrived`:
    when it came, by the record of who kept it (`sign.verify`); None for one that comes now. Raises
    `SignatureRefusedError`: a code of `sign.verify`, `envelope.malformed`, `envelope.broken_stream`,
    `envelope.wrong_issuer`, `envelope.wrong_fleet`, `envelope.wrong_audience`, `envelope.live_from_demo`,
    `envelope.live_from_simulated`.
    """
    verified = sign.verify(
        compact, typ=TYP_VERDICT, anchor=anchor, role=Role.DEVICE, at=at, late=late, arrived=arrived
    )
    payload = parse(verified.payload, EnvelopePayload, "envelope.malformed")
    if payload.iss != verified.principal.name or device not in (None, payload.iss):
        raise SignatureRefusedError("envelope.wrong_issuer")
    if payload.fleet != anchor.fleet:
        raise SignatureRefusedError("envelope.wrong_fleet")
    if audience not in (None, payload.audience):
        raise SignatureRefusedError("envelope.wrong_audience")
    if at > verified.not_after and not (payload.clock == "trusted" and verified.valid_at(payload.iat)):
        raise SignatureRefusedError("cert.expired")
    _check_payload(payload, demo=anchor.demo)
    return OpenedEnvelope(verified.principal, payload, verified.sha256.hex())


def _check_payload(payload: EnvelopePayload, *, demo: bool) -> None:
    if (payload.seq == 1) != (payload.prev is None):
        raise SignatureRefusedError("envelope.broken_stream")
    if payload.kind is Kind.LIVE:
        if demo:
            raise SignatureRefusedError("envelope.live_from_demo")
        if any(device.simulated for device in payload.provenance.values()):
            raise SignatureRefusedError("envelope.live_from_simulated")

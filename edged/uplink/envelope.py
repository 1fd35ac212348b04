"""Envelopes and receipts: what a device says to one audience, and what the collector has kept of it.

An envelope is one signed message to one audience. Its stream is (device, log_id, audience) with its own `seq`
from 1 and `prev`, the hash of the envelope before it, so that holes and forks show. Holds no raw identity:
what gets into `claims` has passed `edged.privacy`. Takes time as an argument, does no I/O.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

import msgspec

from edged import __version__
from edged.errors import SignatureRefusedError
from edged.uplink import sign
from edged.uplink.roles import Principal, Role, TrustAnchor
from edged.verdict import JudgedCheck, Kind, Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

TYP_VERDICT: Final = "verdict+jws"
TYP_RECEIPT: Final = "receipt+jws"

MAX_OPAQUE: Final = 128
"""Longest reference, purpose or operator pseudonym: a caller's own UUID, URN or order number fits."""

MAX_RANGES: Final = 150
"""Ranges in one receipt: keeps it under `sign.MAX_COMPACT`; a collector with more to say sends another."""

MAX_CHECKS: Final = 64
"""Checks in one envelope: several times the checks there are."""

MAX_SEQ: Final = 2**53 - 1
"""Highest number that every JSON reader keeps exactly (RFC 8259 §6)."""

LAST_SECOND: Final = 253_402_300_799
"""The end of the year 9999, after which calendars of most languages give up."""

# In Python `$` also matches before a last line feed; the look-ahead closes that and means nothing elsewhere.
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$(?!\n)", max_length=63)]
Token = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$(?!\n)")]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
Seq = Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQ)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=LAST_SECOND)]
Opaque = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_OPAQUE)]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Claim = str | bool | None | dict[str, str]


class StreamPosition(msgspec.Struct, frozen=True):
    """Where an envelope stands in its stream: `seq` from 1, `prev` the hash before it, None for the first."""

    seq: int
    prev: str | None


class DocumentSummary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What kind of document it was; `format` is the MRZ layout, None when no MRZ was read."""

    document_class: Word
    format: Word | None


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


class EnvelopePayload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signed payload of a verdict message (`docs/schemas/verdict.schema.json`)."""

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


class ReceiptRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run of envelopes of one stream that the collector has stored; `sha256` is `range_sha256` of them."""

    log_id: Token
    audience: Name
    first: Seq
    last: Seq
    sha256: Sha256


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one collector has stored of one device (`docs/schemas/receipt.schema.json`)."""

    iss: Name
    fleet: Name
    device: Name
    iat: Seconds
    ranges: Annotated[tuple[ReceiptRange, ...], msgspec.Meta(min_length=1, max_length=MAX_RANGES)]


_P = TypeVar("_P", EnvelopePayload, Receipt)


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
    content = {name: getattr(draft, name) for name in EnvelopeDraft.__struct_fields__}
    payload = EnvelopePayload(
        iss=signer.principal.name,
        fleet=signer.principal.fleet,
        log_id=log_id,
        seq=position.seq,
        prev=position.prev,
        jti=jti,
        iat=iat,
        config_version=config_version,
        software_version=__version__,
        **content,
    )
    if signer.principal.role is not Role.DEVICE:
        raise SignatureRefusedError("cert.wrong_role", f"{signer.principal.role} instead of device")
    data = _encode(payload)
    _check_payload(_parse(data, EnvelopePayload), demo=signer.demo)
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
) -> OpenedEnvelope:
    """Verify an envelope, and that it is what its topic says when `audience` and `device` are given.

    `at` (timezone-aware) is the moment at which the certificates must be valid. With `late`, the device's own
    may have expired so long before `at` if the envelope was committed while it held, by a trusted clock. Raises
    `SignatureRefusedError`: a code of `sign.verify`, `envelope.malformed`, `envelope.broken_stream`,
    `envelope.wrong_issuer`, `envelope.wrong_fleet`, `envelope.wrong_audience`, `envelope.live_from_demo`,
    `envelope.live_from_simulated`.
    """
    verified = sign.verify(compact, typ=TYP_VERDICT, anchor=anchor, role=Role.DEVICE, at=at, late=late)
    payload = _parse(verified.payload, EnvelopePayload)
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


def range_sha256(envelope_hashes: Iterable[str]) -> str:
    """Hex SHA-256 over the concatenated raw 32-byte hashes of a range's envelopes, in order of `seq`."""
    digest = hashlib.sha256()
    for envelope_hash in envelope_hashes:
        digest.update(bytes.fromhex(envelope_hash))
    return digest.hexdigest()


def seal_receipt(device: str, ranges: Sequence[ReceiptRange], *, iat: int, signer: sign.Signer) -> str:
    """A signed receipt of the ranges stored for `device`; `iat` in seconds since 1970.

    Raises `SignatureRefusedError` (`receipt.malformed`, `cert.wrong_role`) for what readers would refuse.
    """
    if signer.principal.role is not Role.COLLECTOR:
        raise SignatureRefusedError("cert.wrong_role", f"{signer.principal.role} instead of collector")
    receipt = Receipt(signer.principal.name, signer.principal.fleet, device, iat, tuple(ranges))
    data = _encode(receipt)
    _check_receipt(_parse(data, Receipt))
    return signer.sign(TYP_RECEIPT, data)


def open_receipt(compact: str | bytes, *, anchor: TrustAnchor, at: datetime, device: str) -> Receipt:
    """Verify a receipt for `device`.

    Raises `SignatureRefusedError`: a code of `sign.verify`, `receipt.malformed`, `receipt.wrong_issuer`,
    `receipt.wrong_fleet`, `receipt.wrong_device`, `receipt.wrong_time` (signed, so it says, when its signer's
    certificate didn't hold).
    """
    verified = sign.verify(compact, typ=TYP_RECEIPT, anchor=anchor, role=Role.COLLECTOR, at=at)
    receipt = _parse(verified.payload, Receipt)
    if receipt.iss != verified.principal.name:
        raise SignatureRefusedError("receipt.wrong_issuer")
    if receipt.fleet != anchor.fleet:
        raise SignatureRefusedError("receipt.wrong_fleet")
    if receipt.device != device:
        raise SignatureRefusedError("receipt.wrong_device")
    if not verified.valid_at(receipt.iat):
        raise SignatureRefusedError("receipt.wrong_time")
    _check_receipt(receipt)
    return receipt


def _encode(payload: EnvelopePayload | Receipt) -> bytes:
    """Canonical bytes: fields in the order of the struct, keys of maps sorted, no spaces."""
    return msgspec.json.encode(payload, order="deterministic")


def _parse(data: bytes, model: type[_P]) -> _P:
    """Decode strictly, and refuse any other spelling of the same content.

    A payload that isn't canonical (a key twice, a number as 1e3, a default spelt out) could be read in two
    ways by two readers.
    """
    code = "envelope.malformed" if model is EnvelopePayload else "receipt.malformed"
    try:
        payload = msgspec.json.decode(data, type=model)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # From None: the library's text may quote the payload.
        raise SignatureRefusedError(code) from None
    if _encode(payload) != data:
        raise SignatureRefusedError(code, "not in canonical form")
    return payload


def _check_payload(payload: EnvelopePayload, *, demo: bool) -> None:
    if (payload.seq == 1) != (payload.prev is None):
        raise SignatureRefusedError("envelope.broken_stream")
    if payload.kind is Kind.LIVE:
        if demo:
            raise SignatureRefusedError("envelope.live_from_demo")
        if any(device.simulated for device in payload.provenance.values()):
            raise SignatureRefusedError("envelope.live_from_simulated")


def _check_receipt(receipt: Receipt) -> None:
    if any(run.last < run.first for run in receipt.ranges):
        raise SignatureRefusedError("receipt.malformed")

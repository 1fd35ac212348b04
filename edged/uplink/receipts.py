"""Receipts: what the collector has kept of one device, and what it will never keep.

Only a receipt lets a box forget an envelope. Takes time as an argument, does no I/O.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from edged.errors import SignatureRefusedError
from edged.uplink import sign
from edged.uplink.fields import Code, Name, Seconds, Seq, Sha256, Token, encode, parse
from edged.uplink.roles import Role, TrustAnchor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

TYP_RECEIPT: Final = "receipt+jws"

MAX_ENTRIES: Final = 150
"""Ranges, gap records and refusals in one receipt, together: keeps it under `sign.MAX_COMPACT`; a collector with
more to say sends another."""


class ReceiptRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run of envelopes of one stream that the collector has stored; `sha256` is `range_sha256` of them."""

    log_id: Token
    audience: Name
    first: Seq
    last: Seq
    sha256: Sha256


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message that the collector didn't store and, as things stand, never will: its SHA-256, and why."""

    sha256: Sha256
    code: Code


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one collector has stored of one device (`docs/schemas/receipt.schema.json`).

    At least one entry, `MAX_ENTRIES` at most.
    """

    iss: Name
    fleet: Name
    device: Name
    iat: Seconds
    ranges: Annotated[tuple[ReceiptRange, ...], msgspec.Meta(max_length=MAX_ENTRIES)]
    gaps: Annotated[tuple[Sha256, ...], msgspec.Meta(max_length=MAX_ENTRIES)]
    """SHA-256 (of the whole JWS) of the gap records that are stored."""
    refused: Annotated[tuple[Refusal, ...], msgspec.Meta(max_length=MAX_ENTRIES)]


def range_sha256(envelope_hashes: Iterable[str]) -> str:
    """Hex SHA-256 over the concatenated raw 32-byte hashes of a range's envelopes, in order of `seq`."""
    digest = hashlib.sha256()
    for envelope_hash in envelope_hashes:
        digest.update(bytes.fromhex(envelope_hash))
    return digest.hexdigest()


def seal_receipt(
    device: str,
    ranges: Sequence[ReceiptRange],
    *,
    gaps: Sequence[str] = (),
    refused: Sequence[Refusal] = (),
    iat: int,
    signer: sign.Signer,
) -> str:
    """A signed receipt for `device`; `iat` in seconds since 1970.

    Raises `SignatureRefusedError` (`receipt.malformed`, `cert.wrong_role`) for what readers would refuse.
    """
    if signer.principal.role is not Role.COLLECTOR:
        raise SignatureRefusedError("cert.wrong_role", f"{signer.principal.role} instead of collector")
    receipt = Receipt(
        signer.principal.name,
        signer.principal.fleet,
        device,
        iat,
        tuple(ranges),
        tuple(gaps),
        tuple(refused),
    )
    data = encode(receipt)
    _check(parse(data, Receipt, "receipt.malformed"))
    return signer.sign(TYP_RECEIPT, data)


def open_receipt(compact: str | bytes, *, anchor: TrustAnchor, at: datetime, device: str) -> Receipt:
    """Verify a receipt for `device`.

    Raises `SignatureRefusedError`: a code of `sign.verify`, `receipt.malformed`, `receipt.wrong_issuer`,
    `receipt.wrong_fleet`, `receipt.wrong_device`, `receipt.wrong_time` (signed, so it says, when its signer's
    certificate didn't hold).
    """
    verified = sign.verify(compact, typ=TYP_RECEIPT, anchor=anchor, role=Role.COLLECTOR, at=at)
    receipt = parse(verified.payload, Receipt, "receipt.malformed")
    if receipt.iss != verified.principal.name:
        raise SignatureRefusedError("receipt.wrong_issuer")
    if receipt.fleet != anchor.fleet:
        raise SignatureRefusedError("receipt.wrong_fleet")
    if receipt.device != device:
        raise SignatureRefusedError("receipt.wrong_device")
    if not verified.valid_at(receipt.iat):
        raise SignatureRefusedError("receipt.wrong_time")
    _check(receipt)
    return receipt


def _check(receipt: Receipt) -> None:
    entries = len(receipt.ranges) + len(receipt.gaps) + len(receipt.refused)
    if not 1 <= entries <= MAX_ENTRIES or any(run.last < run.first for run in receipt.ranges):
        raise SignatureRefusedError("receipt.malformed")

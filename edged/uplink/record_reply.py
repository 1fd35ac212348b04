"""What a recipient answers to a sealed record: accepted, or which fields are to be corrected. Never a value.

Signed by the audience the record was sealed to, published to the box that sealed it. Whether the box knows the record,
and has heard the answer before, is the journal's (`edged.journal.lodging`). Takes time as an argument, does no I/O.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Literal, get_args

import msgspec

from edged.errors import SignatureRefusedError
from edged.uplink import sign
from edged.uplink.fields import Name, Seconds, Token, encode, parse
from edged.uplink.roles import Role, TrustAnchor

TYP_RECORD_REPLY: Final = "record-reply+jws"

MAX_RECORD_REPLY: Final = 16 * 1024
"""Bytes of a signed answer: its header may have 12 KiB of certificates, its payload has some hundred."""

SKEW_S: Final = 300
"""An answer may have been signed so far in the box's future: two good clocks don't differ more."""

RecordField = Literal[
    "english_surname",
    "english_given_names",
    "chinese_name",
    "sex",
    "birth_date",
    "country",
    "document_kind",
    "document_number",
    "visa_kind",
    "visa_number",
    "visa_issuer",
    "stay_until",
    "entry_date",
    "entry_port",
    "stay_reason",
    "host",
    "coming_from",
    "going_to",
    "arrival_date",
    "departure_date",
    "room",
]
"""Fields of the lodging record, by the names that `edged.lodging.form` and its schema have: the only words that an
answer can carry into a box's journal."""

RECORD_FIELDS: Final[tuple[RecordField, ...]] = get_args(RecordField)

ReplyVerdict = Literal["accepted", "correction"]


class RecordReply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A recipient's answer to one record (`docs/schemas/record-reply.schema.json`)."""

    iss: Name
    """The audience: its certificate's name, and the topic's."""
    fleet: Name
    device: Name
    """The box that sealed the record."""
    record_id: Token
    verdict: ReplyVerdict
    fields: Annotated[tuple[RecordField, ...], msgspec.Meta(max_length=len(RECORD_FIELDS))]
    """For `correction`: what is to be corrected, each once; empty for `accepted`."""
    iat: Seconds
    """A later answer to the same record replaces an earlier one; of one second the first counts."""
    received_at: Seconds
    """When the recipient had the record, by its own clock: whether that was in time follows from it."""


def seal_record_reply(reply: RecordReply, *, signer: sign.Signer) -> str:
    """`reply`, signed.

    Raises `SignatureRefusedError` for what a box would refuse: `cert.wrong_role`, `record_reply.wrong_issuer`,
    `record_reply.malformed`.
    """
    if signer.principal.role is not Role.AUDIENCE:
        raise SignatureRefusedError("cert.wrong_role", f"{signer.principal.role} instead of audience")
    if (reply.iss, reply.fleet) != (signer.principal.name, signer.principal.fleet):
        raise SignatureRefusedError("record_reply.wrong_issuer")
    data = encode(reply)
    _check(parse(data, RecordReply, "record_reply.malformed"))
    return signer.sign(TYP_RECORD_REPLY, data)


def open_record_reply(
    compact: str | bytes, *, anchor: TrustAnchor, at: datetime, device: str, audience: str | None = None
) -> RecordReply:
    """Verify an answer of `audience` (its topic's, where given) to `device`.

    Raises `SignatureRefusedError`: `record_reply.too_large`, a code of `sign.verify`, `record_reply.malformed`,
    `record_reply.wrong_issuer`, `record_reply.wrong_fleet`, `record_reply.wrong_device`, `record_reply.wrong_time`
    (from the future, or signed, so it says, when its signer's certificate didn't hold).
    """
    if len(compact) > MAX_RECORD_REPLY:
        raise SignatureRefusedError("record_reply.too_large")
    verified = sign.verify(compact, typ=TYP_RECORD_REPLY, anchor=anchor, role=Role.AUDIENCE, at=at)
    reply = parse(verified.payload, RecordReply, "record_reply.malformed")
    if reply.iss != verified.principal.name or audience not in (None, reply.iss):
        raise SignatureRefusedError("record_reply.wrong_issuer")
    if reply.fleet != anchor.fleet:
        raise SignatureRefusedError("record_reply.wrong_fleet")
    if reply.device != device:
        raise SignatureRefusedError("record_reply.wrong_device")
    ahead = datetime.fromtimestamp(reply.iat, UTC) - at
    if not verified.valid_at(reply.iat) or ahead.total_seconds() > SKEW_S:
        raise SignatureRefusedError("record_reply.wrong_time")
    _check(reply)
    return reply


def _check(reply: RecordReply) -> None:
    if (reply.verdict == "correction") != bool(reply.fields) or len(set(reply.fields)) != len(reply.fields):
        raise SignatureRefusedError("record_reply.malformed")
    if reply.received_at > reply.iat:
        raise SignatureRefusedError("record_reply.malformed")

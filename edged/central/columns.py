"""The export's one table: its columns, what they mean, and how an envelope of the archive becomes a row of it.

Code, `docs/central.md` and the tests all read this list. Holds what the envelopes hold: nothing that identifies.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from edged.errors import DecodeError
from edged.uplink.envelope import EnvelopePayload
from edged.uplink.fields import decoder
from edged.verdict import CHECKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.central.archive import Row

VERSION: Final = "1"
"""Of this table. A column that is added keeps the number; one that goes or changes its meaning raises it."""

CLAIMS: Final[Mapping[str, Literal["text", "truth"]]] = {
    "issuing_state": "text",
    "document_code": "text",
    "nationality": "text",
    "sex": "text",
    "age_over_18": "truth",
    "birth_date": "text",
    "expiry_date": "text",
    "surname": "text",
    "given_names": "text",
    "chinese_name": "text",
    "document_number": "text",
    "document": "text",
    "holder": "text",
}
"""Claims with a column of their own: those that a disclosure policy can let out (a test holds it to the policy, which
the centre must not import). Any other claim, of a newer box, is in `claims`."""

THEIRS: Final = ("reference", "purpose", "operator")
"""What belongs to whoever asked for the scan: left out unless asked for."""

ColumnKind = Literal["text", "word", "number", "moment", "truth", "json"]
"""`word` is text of which there are few different ones; `moment` a time in UTC; `json` a JSON text."""

Value = str | int | bool | datetime | None


class Column(msgspec.Struct, frozen=True):
    """One column. Any but the ledger's may be empty: see `LEDGER`."""

    name: str
    kind: ColumnKind
    meaning: str


_FIRST: Final = (
    Column("iss", "word", "the device that signed"),
    Column("fleet", "word", "its fleet"),
    Column("log_id", "word", "with `iss` and `audience` it names the stream"),
    Column("audience", "word", "whom the envelope is for"),
    Column("seq", "number", "number in the stream, from 1"),
    Column("sha256", "text", "hex SHA-256 of the whole envelope: its name in receipts and in `prev`"),
    Column("received_at", "moment", "when the archive committed it, by the collector's clock"),
    Column("prev", "text", "`sha256` of the envelope before it in the stream; empty for the first"),
    Column("jti", "text", "random, unique to this envelope"),
    Column("iat", "moment", "when the box committed it: to be believed as far as `clock` says"),
    Column("clock", "word", "`trusted` or `not_trusted`"),
    Column("kind", "word", "`live`, or `test` and `training`, which say nothing about anybody"),
    Column("scene", "word", "what the document was read for"),
    Column("result", "word", "what follows from the mandatory checks"),
    Column("document_class", "word", "what kind of document it was"),
    Column("document_format", "word", "layout of its machine-readable zone; empty when none was read"),
)

_LAST: Final = (
    Column("checks", "json", "every check with its class and reasons, as in the envelope"),
    Column("claims", "json", "every claim, with the reasons of those that were withheld, as in the envelope"),
    Column("provenance", "json", "which device took which part"),
    Column("policy", "json", "which policy made the claims: its name, version and hash"),
    Column(
        "consent", "json", "whether the holder consented, and to which notice; empty where none was needed"
    ),
    Column("encrypted", "json", "the claims, sealed to the audience: the archive can't read them"),
    Column("record_id", "text", "what the recipient's answer to the record names"),
    Column("record", "json", "a full record, sealed to the recipient: the archive can't read it"),
    Column("slip", "text", "number of the feedback slip offered with it"),
    Column("config_version", "word", "the box's configuration in force"),
    Column("software_version", "word", "the box's version of edged"),
)

_THEIRS: Final = (
    Column("reference", "text", "the caller's own transaction reference"),
    Column("purpose", "text", "the caller's own purpose"),
    Column("operator", "text", "the caller's own name for the clerk"),
)

LEDGER: Final = ("iss", "fleet", "log_id", "audience", "seq", "sha256", "received_at")
"""What is left of an envelope whose body retention has taken."""


def columns(*, references: bool) -> tuple[Column, ...]:
    """The table's columns, in order; with `references` also what is the caller's."""
    checks = (Column(f"check_{name}", "word", f"outcome of the check `{name}`") for name in CHECKS)
    claims = (Column(f"claim_{name}", kind, f"the claim `{name}`") for name, kind in CLAIMS.items())
    return (*_FIRST, *checks, *claims, *_LAST, *(_THEIRS if references else ()))


def payload_of(row: Row) -> EnvelopePayload:
    """What a row's envelope says, without checking its signature (the collector did). `row.jws` isn't None.

    Raises `DecodeError` (`archive.unreadable`).
    """
    assert row.jws is not None
    try:
        segment = row.jws.split(".")[1]
        data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        return decoder(EnvelopePayload).decode(data)
    except (IndexError, ValueError, msgspec.DecodeError, RecursionError):
        # From None: a library's text may quote the payload.
        raise DecodeError("envelope", "archive.unreadable") from None


def values(row: Row, payload: EnvelopePayload | None, fleet: str) -> dict[str, Value]:
    """A row's value by name of column, the caller's own included; without a payload the ledger's alone."""
    found: dict[str, Value] = {
        "iss": row.device,
        "fleet": fleet,
        "log_id": row.log_id,
        "audience": row.audience,
        "seq": row.seq,
        "sha256": row.sha256,
        "received_at": row.received_at,
    }
    if payload is None:
        return found
    found |= {
        "fleet": payload.fleet,
        "prev": payload.prev,
        "jti": payload.jti,
        "iat": _EPOCH + timedelta(seconds=payload.iat),
        "clock": payload.clock,
        "kind": payload.kind.value,
        "scene": payload.scene,
        "result": payload.result.value,
        "document_class": payload.document.document_class,
        "document_format": payload.document.format,
        "checks": _json(payload.checks),
        "claims": _json(payload.claims),
        "provenance": _json(payload.provenance),
        "policy": _json_or_none(payload.policy),
        "consent": _json_or_none(payload.consent),
        "encrypted": _json_or_none(payload.encrypted),
        "record_id": payload.record_id,
        "record": _json_or_none(payload.record),
        "slip": payload.slip,
        "config_version": payload.config_version,
        "software_version": payload.software_version,
        "reference": payload.reference,
        "purpose": payload.purpose,
        "operator": payload.operator,
    }
    found |= {f"check_{check.name}": check.result.value for check in payload.checks if check.name in _CHECKS}
    found |= {f"claim_{name}": _claim(payload.claims.get(name), kind) for name, kind in CLAIMS.items()}
    return found


def line(row: Row, payload: EnvelopePayload | None, *, references: bool) -> dict[str, Any]:
    """A row as the object of one line of JSON: the payload as it was signed, and what the archive knows beside it.

    Without `references` the payload lacks what is the caller's; it is null where the body is gone.
    """
    said: dict[str, Any] | None = None
    if payload is not None:
        said = msgspec.to_builtins(payload)
        if not references:
            said = {name: value for name, value in said.items() if name not in THEIRS}
    return {
        "iss": row.device,
        "log_id": row.log_id,
        "audience": row.audience,
        "seq": row.seq,
        "sha256": row.sha256,
        "received_at": moment_text(row.received_at),
        "payload": said,
    }


def moment_text(moment: datetime) -> str:
    """ISO 8601 in UTC: `2026-11-21T10:00:00Z`, with milliseconds where there are any."""
    utc = moment.astimezone(UTC)
    text = utc.isoformat(timespec="milliseconds" if utc.microsecond else "seconds")
    return text.replace("+00:00", "Z")


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CHECKS: Final = frozenset(CHECKS)


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()


def _json_or_none(value: object) -> str | None:
    return None if value is None else _json(value)


def _claim(value: object, kind: str) -> Value:
    """A claim's value where it has the type its column wants; another one is in `claims` alone.

    Of a pseudonym that is told with that of the period before, the current one.
    """
    if isinstance(value, dict):
        value = value.get("current")
    wanted = bool if kind == "truth" else str
    return value if isinstance(value, wanted) else None

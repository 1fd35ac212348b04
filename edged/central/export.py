"""Exporting the archive: its envelopes, one by one, into a table; what can't be vouched for is left out and counted.

Memory doesn't grow with the archive. Reads rows and writes a stream; knows neither databases nor the command line.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from edged.central.columns import payload_of
from edged.errors import DecodeError, SignatureRefusedError
from edged.uplink.envelope import open_envelope
from edged.uplink.intake import LATE
from edged.verdict import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edged.central.archive import Row
    from edged.central.tables import Table
    from edged.uplink.envelope import EnvelopePayload
    from edged.uplink.roles import TrustAnchor

MAX_NAMED: Final = 100
"""Refused envelopes that are named; all are counted. A broken archive has as many as it has rows."""

STEP: Final = 1_000
"""Rows between two reports of progress: some hundredths of a second."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What of the archive's rows to export."""

    device: str | None = None
    kind: Kind | None = None
    ledger: bool = False
    """Whether to list envelopes whose body retention has taken. With `kind` they aren't: nobody knows theirs."""


class Refused(msgspec.Struct, frozen=True):
    """An envelope that was left out because the archive's own record of it doesn't hold."""

    device: str
    log_id: str
    audience: str
    seq: int
    code: str


class Exported(msgspec.Struct, frozen=True):
    """How an export ended."""

    exported: int
    """Rows with an envelope in them."""
    listed: int
    """Rows of the ledger alone, with `Wanted.ledger`."""
    forgotten: int
    """Envelopes without a body that were left out."""
    refused: dict[str, int]
    """Reason code to count."""
    named: tuple[Refused, ...]
    """The first of the refused."""


def vouched(row: Row, anchor: TrustAnchor | None) -> EnvelopePayload:
    """What a row's body says, once it is seen to be the envelope that the row names; `row.jws` isn't None.

    With `anchor`, its signature is verified as at the moment of its arrival: what came before its device was revoked
    holds. Raises `DecodeError` or
    `SignatureRefusedError`: `archive.hash_mismatch`, `archive.unreadable`, `archive.wrong_place`, or a code of
    `open_envelope`.
    """
    assert row.jws is not None
    if hashlib.sha256(row.jws.encode()).hexdigest() != row.sha256:
        raise DecodeError("envelope", "archive.hash_mismatch")
    if anchor is None:
        payload = payload_of(row)
    else:
        payload = open_envelope(
            row.jws, anchor=anchor, at=row.received_at, late=LATE, arrived=row.received_at
        ).payload
    place = (payload.iss, payload.log_id, payload.audience, payload.seq)
    if place != (row.device, row.log_id, row.audience, row.seq):
        raise DecodeError("envelope", "archive.wrong_place")
    return payload


def export(
    rows: Iterable[Row],
    table: Table,
    wanted: Wanted,
    *,
    anchor: TrustAnchor | None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Exported:
    """Write what is wanted of `rows`; `anchor` to verify every signature on the way.

    `on_progress` hears every `STEP` rows how many were read. Raises what reading and writing raise.
    """
    exported = listed = forgotten = 0
    refused: Counter[str] = Counter()
    named: list[Refused] = []
    for read, row in enumerate(rows, 1):
        if read % STEP == 0:
            on_progress(read)
        if wanted.device not in (None, row.device):
            continue
        if row.jws is None:
            if wanted.ledger and wanted.kind is None:
                table.write(row, None)
                listed += 1
            else:
                forgotten += 1
            continue
        try:
            payload = vouched(row, anchor)
        except (DecodeError, SignatureRefusedError) as error:
            refused[error.code] += 1
            if len(named) < MAX_NAMED:
                named.append(Refused(row.device, row.log_id, row.audience, row.seq, error.code))
            continue
        if wanted.kind in (None, payload.kind):
            table.write(row, payload)
            exported += 1
    table.finish()
    return Exported(exported, listed, forgotten, dict(sorted(refused.items())), tuple(named))

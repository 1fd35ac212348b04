"""Whether what is in an archive still holds: every hash, chain, signature and count; and what proves an alarm.

Reads pages of one archive; takes its time from what is stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edged.central.archive import Row
from edged.central.columns import payload_of
from edged.central.export import vouched
from edged.central.survey import StreamName, links, streams
from edged.errors import DecodeError, SignatureRefusedError
from edged.uplink.gaps import open_gap
from edged.uplink.intake import LATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from edged.central.archive import GapRow
    from edged.central.survey import AlarmRow, Link, StreamSummary, Survey
    from edged.uplink.roles import TrustAnchor


class Finding(msgspec.Struct, frozen=True):
    """Something in the archive that doesn't hold."""

    device: str
    log_id: str
    audience: str
    seq: int
    code: str


class Verified(msgspec.Struct, frozen=True):
    """One stream, gone through from its first number to its last."""

    stream: StreamName
    numbers: int
    bodies: int
    missing: int
    findings: int


def verify_stream(
    survey: Survey,
    summary: StreamSummary,
    anchor: TrustAnchor,
    on_finding: Callable[[Finding], None],
    on_progress: Callable[[int], None] = lambda _: None,
) -> Verified:
    """Go through a stream: every hash, `prev` and signature, and the count. `on_progress` hears of each number."""
    name = summary.name
    found = numbers = bodies = 0

    def tell(seq: int, code: str) -> None:
        nonlocal found
        found += 1
        on_finding(Finding(name.device, name.log_id, name.audience, seq, code))

    last: Link | None = None
    for link in links(survey, name):
        numbers += 1
        bodies += link.jws is not None
        for code in _wrong(name, link, last, anchor):
            tell(link.seq, code)
        last = link
        on_progress(1)
    # Collectors go on meanwhile, so there may be more than at first, but never less, nor more than there is now.
    now = _summary(survey, name) or summary
    reached = last.seq if last else 0
    counted = summary.stored <= numbers <= now.stored and reached <= now.highest
    # A gap record, too, says that there are numbers: the highest may be one that never came.
    if not counted or (reached < summary.highest and not summary.gap_records):
        tell(summary.highest, "archive.count_differs")
    return Verified(name, numbers, bodies, max(reached, summary.highest) - numbers, found)


def verify_gaps(
    rows: Iterable[GapRow], anchor: TrustAnchor, on_finding: Callable[[Finding], None]
) -> tuple[int, int]:
    """Go through gap records: every signature, and that the columns say the same; how many, and how many don't."""
    count = wrong = 0
    for row in rows:
        count += 1
        code = _wrong_gap(row, anchor)
        if code is not None:
            wrong += 1
            on_finding(Finding(row.device, row.log_id, row.audience, row.first, code))
    return count, wrong


def _summary(survey: Survey, name: StreamName) -> StreamSummary | None:
    found = streams(survey, device=name.device, log_id=name.log_id, audience=name.audience)
    return next(found, None)


def _wrong(name: StreamName, link: Link, last: Link | None, anchor: TrustAnchor) -> Iterator[str]:
    follows = link.seq == 1 if last is None else link.seq == last.seq + 1
    before = None if last is None else last.sha256
    if (follows and link.prev != before) or (link.seq > 1 and link.prev is None):
        yield "archive.chain_broken"
    if link.jws is None:
        return
    row = Row(name.device, name.log_id, name.audience, link.seq, link.sha256, link.received_at, link.jws)
    try:
        payload = vouched(row, anchor)
    except (DecodeError, SignatureRefusedError) as error:
        yield error.code
        return
    if (payload.prev, payload.jti) != (link.prev, link.jti):
        yield "archive.record_differs"


def _wrong_gap(row: GapRow, anchor: TrustAnchor) -> str | None:
    try:
        opened = open_gap(
            row.jws,
            anchor=anchor,
            at=row.received_at,
            audience=row.audience,
            device=row.device,
            late=LATE,
            arrived=row.received_at,
        )
    except SignatureRefusedError as error:
        return error.code
    payload = opened.payload
    said = (payload.log_id, payload.first, payload.last, payload.reason, opened.sha256)
    return (
        None
        if said == (row.log_id, row.first, row.last, row.reason, row.sha256)
        else "archive.record_differs"
    )


def proof(survey: Survey, alarm: AlarmRow) -> Iterator[tuple[str, str]]:
    """(name, message) of what proves that a device has told two stories: the refused message, then what it contradicts.

    Nothing where no device has signed the refused message, or retention has taken it.
    """
    if alarm.evidence is None:
        return
    yield "refused", alarm.evidence
    row = Row(alarm.device, alarm.log_id, alarm.audience, alarm.seq, "", alarm.first_at, alarm.evidence)
    try:
        jti = payload_of(row).jti
    except DecodeError:  # a gap record: what it contradicts is where it says
        jti = ""
    for link in survey.around(StreamName(alarm.device, alarm.log_id, alarm.audience), alarm.seq, jti):
        if link.jws is not None:
            yield f"kept-{link.seq}", link.jws

"""Archives of both kinds, and what is put into them without anybody's signature."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edged.central.archive import open_archive
from edged.uplink import topics
from edged.uplink.envelope import (
    DocumentSummary,
    Envelope,
    EnvelopePayload,
    OpenedEnvelope,
    Provenance,
)
from edged.uplink.gaps import Gap, GapPayload, OpenedGap, seal_gap
from edged.uplink.intake import Checked, Incoming, check
from edged.uplink.names import Principal, Role
from edged.uplink.receipts import range_sha256
from edged.verdict import Kind, Result
from tests import postgres
from tests.broker import FLEET, NOW, Town

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edged.central.archive import Archive, Archived
    from edged.uplink.roles import TrustAnchor

BACKENDS = ("sqlite", "postgres")


def location(backend: str, directory: Path) -> str:
    """A place for a new archive; skips the test where there can be no PostgreSQL."""
    return postgres.shared().database() if backend == "postgres" else str(directory / "archive.sqlite")


@contextmanager
def opened(place: str, anchor: TrustAnchor) -> Iterator[Any]:
    archive = open_archive(place, anchor)
    try:
        yield archive
    finally:
        archive.close()


def hurry(archive: Any) -> None:
    """Spare the disk, where a test stores a thousand times and kills nothing."""
    if hasattr(archive, "_link"):
        archive._query("SELECT set_config('synchronous_commit', 'off', false)")
    else:
        archive._connection.execute("PRAGMA synchronous=OFF")


def sent(envelope: Envelope, device: str = "box-1", audience: str | None = None) -> Incoming:
    return Incoming(topics.verdict(FLEET, device, audience or envelope.audience), envelope.jws.encode())


def store(archive: Archive, place: Town, *messages: Incoming, now: Any = NOW) -> Archived:
    return archive.store(check(messages, anchor=place.anchor, now=now), now)


def summary(archived: Archived) -> tuple[int, int, list[str]]:
    return archived.stored, archived.duplicates, [alarm.code for alarm in archived.alarms]


def gap_record(
    place: Town, first: int, last: int | None, sha256: str | None = None, **changes: Any
) -> Incoming:
    device = changes.pop("device", "box-1")
    content: dict[str, Any] = {
        "log_id": "log-1",
        "audience": "bank",
        "first": first,
        "last": last,
        "sha256": sha256,
        "reason": "too_old" if last else "unreadable",
    }
    gap = Gap(**(content | changes))
    jws = seal_gap(
        gap,
        jti=f"gap-{first}-{last}",
        iat=int(NOW.timestamp()),
        clock="trusted",
        signer=place.signer(Role.DEVICE, device),
    )
    return Incoming(topics.gap(FLEET, device, gap.audience), jws.encode())


def forged(seq: int, prev: str | None, text: str = "", *, jti: str | None = None, **changes: Any) -> Checked:
    """An envelope as `check` would hand it over if anybody had signed it; `text` makes another of the same place."""
    device, log_id, audience = (
        changes.get(name, default)
        for name, default in (("iss", "box-1"), ("log_id", "log-1"), ("audience", "bank"))
    )
    payload = EnvelopePayload(
        iss=device,
        fleet=FLEET,
        log_id=log_id,
        audience=audience,
        seq=seq,
        prev=prev,
        jti=jti or f"jti-{seq}-{text}",
        iat=0,
        clock="trusted",
        kind=Kind.TEST,
        scene="bank",
        reference=None,
        purpose=None,
        operator=None,
        result=Result.SUCCESSFUL,
        checks=(),
        document=DocumentSummary("passport", None),
        claims={},
        provenance={"camera": Provenance("simulated", None, True)},
        config_version="1",
        software_version="1",
    )
    body = f"{device}/{log_id}/{audience}/{seq}/{prev}/{payload.jti}/{text}".encode()
    sha256 = hashlib.sha256(body).hexdigest()
    found = OpenedEnvelope(Principal(FLEET, Role.DEVICE, device), payload, sha256)
    return Checked(Incoming(topics.verdict(FLEET, device, audience), body), found)


def forged_chain(count: int, text: str = "", **changes: Any) -> list[Checked]:
    chain: list[Checked] = []
    for seq in range(1, count + 1):
        chain.append(forged(seq, chain[-1].sha256 if chain else None, text, **changes))
    return chain


def forged_gap(
    first: int, last: int | None, sha256: str | None = None, text: str = "", device: str = "box-1"
) -> Checked:
    payload = GapPayload(
        iss=device,
        fleet=FLEET,
        log_id="log-1",
        audience="bank",
        first=first,
        last=last,
        sha256=sha256,
        reason="too_old" if last else "unreadable",
        code=None,
        jti=f"gap-{first}-{last}-{text}",
        iat=0,
        clock="trusted",
        software_version="1",
    )
    body = f"{device}/{first}-{last}/{sha256}/{text}".encode()
    found = OpenedGap(Principal(FLEET, Role.DEVICE, device), payload, hashlib.sha256(body).hexdigest())
    return Checked(Incoming(topics.gap(FLEET, device, "bank"), body), found)


def digest(envelopes: Sequence[Checked | Envelope]) -> str:
    return range_sha256(one.sha256 for one in envelopes)


def dump(archive: Any) -> dict[str, list[Any]]:
    """Everything that is in an archive but its row numbers."""
    questions = {
        "envelopes": "SELECT s.device, s.log_id, s.audience, e.seq, e.sha256, e.prev, e.jti, e.body"
        " FROM envelope e JOIN stream s ON s.id = e.stream ORDER BY 1, 2, 3, 4",
        "gaps": "SELECT sha256, first, last, range_sha256, compared, body FROM gap ORDER BY 1",
        "streams": "SELECT device, log_id, audience, stored, highest, whole, holed, duplicates, gaps FROM stream"
        " WHERE highest > 0 ORDER BY 1, 2, 3",
        "alarms": "SELECT code, topic, device, log_id, audience, seq, sha256, evidence, count FROM alarm"
        " ORDER BY 1, 2, 3, 4, 5, 6",
    }
    return {name: list(archive._query(sql)) for name, sql in questions.items()}


def empty(archive: Any) -> None:
    """Make an archive as good as new."""
    for table in ("envelope", "gap", "alarm", "stream", "audience"):
        list(archive._query(f"DELETE FROM {table} RETURNING 1"))

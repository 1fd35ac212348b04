"""A slip's facts, of a judged inspection that is on the disk."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from edged.noticing import told_of
from edged.slip.facts import (
    MAX_NAME,
    MAX_NUMBER,
    MAX_RECIPIENTS,
    CheckFact,
    RecipientFact,
    SlipFacts,
    fitted,
    label_of,
)
from edged.verdict import Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from edged.config import BoxSettings, SlipSettings
    from edged.drafting import Sender
    from edged.events import ScanRequest
    from edged.judging import Judgement
    from edged.privacy.policy import ClaimValue


def facts_of(
    judgement: Judgement,
    request: ScanRequest,
    *,
    number: str,
    settings: BoxSettings,
    slip: SlipSettings,
    sender: Sender,
    now: datetime,
    clock_trusted: bool,
) -> SlipFacts:
    """What the slip of this inspection says; `now` is timezone-aware, as the terminal's clock shows it."""
    verdict, claims = judgement.verdict, judgement.outgoing.slip
    local = now.astimezone().utcoffset() or timedelta()
    told_to = list(_recipients(judgement, settings))
    return SlipFacts(
        number=number,
        copy=1,
        supersedes=request.supersedes,
        site=slip.site,
        device=sender.device,
        at=int(now.timestamp()),
        utc_offset_min=round(local / timedelta(minutes=1)),
        clock_trusted=clock_trusted,
        expires=int((now + timedelta(days=slip.valid_days)).timestamp()),
        kind=verdict.kind,
        scene=verdict.scene,
        result=verdict.result,
        document_class=judgement.document.document_class,
        issuer=_text(claims, "issuing_state"),
        name=_within(_name(claims), MAX_NAME),
        document_number=_within(_text(claims, "document_number"), MAX_NUMBER),
        document_expires=_text(claims, "expiry_date"),
        checks=tuple(CheckFact(check.name, check.result) for check in verdict.checks),
        person=next(
            (check.result for check in verdict.checks if check.name == "face_match"), Result.NOT_SUPPORTED
        ),
        read=judgement.read,
        recipients=tuple(told_to[:MAX_RECIPIENTS]),
        more_recipients=len(told_to[MAX_RECIPIENTS:]),
    )


def _recipients(judgement: Judgement, settings: BoxSettings) -> Iterator[RecipientFact]:
    """Who was told of this inspection, and what; there isn't room for everybody's name."""
    for _, one in told_of(judgement.outgoing, settings.audiences):
        yield RecipientFact(label_of(one.label), one.groups, one.policy.retention_days)


def _within(text: str | None, most: int) -> str | None:
    """Masked, and no longer than the slip has room for."""
    return None if text is None else fitted(text, most)


def _text(claims: Mapping[str, ClaimValue], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) else None


def _name(claims: Mapping[str, ClaimValue]) -> str | None:
    """The Chinese name where there is one, as on the document that a clerk compares it with; both masked."""
    if (chinese := _text(claims, "chinese_name")) is not None:
        return chinese
    parts = [part for name in ("surname", "given_names") if (part := _text(claims, name)) is not None]
    return " ".join(parts) or None

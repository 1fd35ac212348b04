"""What the holder is told after an inspection: what was really read of the document, what left, to whom, for how long.

Pure, and without values: kinds of things (`edged.privacy.notice.GROUPS`), recipients, days. The notice before it
(`edged.privacy.notice`) says what may be; this says what was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edged import messages
from edged.privacy.notice import READS, listed
from edged.privacy.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Told(msgspec.Struct, frozen=True):
    """One recipient of one inspection.

    Attributes:
        label: as the configuration calls it.
        policy: by which it was told.
        groups: what, of `edged.privacy.notice.GROUPS`.
        refused: whether its policy needs the holder's consent, and there was none.
    """

    label: str
    policy: Policy
    groups: tuple[str, ...]
    refused: bool = False


class ToldOf(msgspec.Struct, frozen=True):
    """One recipient as a program reads it: `Told` without the policy."""

    to: str
    told: tuple[str, ...]
    retention_days: int | None
    refused: bool


class Noticed(msgspec.Struct, frozen=True):
    """One inspection as its holder is told of it.

    Attributes:
        read: what was read, of `edged.privacy.notice.READS`.
        recipients: who was told what.
        consent: whether the holder consented; None where nobody needs it.
        notice: hex SHA-256 of the notice that the consent, or its refusal, is about; None as `consent`.
        lines: language to the sentences, in order.
    """

    read: tuple[str, ...]
    recipients: tuple[ToldOf, ...]
    consent: bool | None
    notice: str | None
    lines: dict[str, tuple[str, ...]]


def make_noticed(
    read: Sequence[str], recipients: Sequence[Told], *, consent: bool | None, notice: str | None
) -> Noticed:
    """The notice of one inspection, in every language."""
    return Noticed(
        tuple(read),
        tuple(ToldOf(one.label, one.groups, one.policy.retention_days, one.refused) for one in recipients),
        consent,
        notice,
        {lang: tuple(_lines(lang, read, recipients, consent)) for lang in messages.LANGUAGES},
    )


def _lines(lang: str, read: Sequence[str], recipients: Sequence[Told], consent: bool | None) -> Iterable[str]:
    yield messages.text("noticed.title", lang)
    ways = [messages.text(f"privacy_notice.read_{way}", lang) for way in READS if way in read]
    if ways:
        yield messages.text("privacy_notice.read", lang, what=listed(ways, lang))
    else:
        yield messages.text("noticed.read_nothing", lang)
    if not recipients:
        yield messages.text("noticed.nobody", lang)
    for recipient in recipients:
        yield from _recipient_lines(recipient, lang)
    yield messages.text("privacy_notice.never", lang)
    if consent:
        yield messages.text("noticed.consent", lang)
    yield messages.text("privacy_notice.rights", lang)


def _recipient_lines(one: Told, lang: str) -> Iterable[str]:
    policy = one.policy

    def say(code: str, **params: object) -> str:
        return messages.text(code, lang, to=one.label, **params)

    sent = [group for group in one.groups if group not in ("handover_fields", "sealed_record")]
    if sent:
        words = [messages.text(f"privacy_notice.group_{group}", lang) for group in sent]
        yield say("noticed.recipient", what=listed(words, lang))
    if one.refused:
        yield say("noticed.recipient_refused")
    if "sealed_record" in one.groups and policy.record is not None:
        yield say("privacy_notice.recipient_record", minutes=f"{policy.record.completion_s / 60:g}")
    if "handover_fields" in one.groups and policy.handover is not None:
        yield say("noticed.recipient_takes", seconds=f"{policy.handover.within_s:g}")
    if not one.groups:
        return
    if policy.retention_days is None:
        yield say("privacy_notice.recipient_keeps_unknown")
    else:
        yield say("privacy_notice.recipient_keeps", days=policy.retention_days)

"""What the holder of a document is told: what is read, what leaves the box, to whom, for how long, and their rights.

Pure: it follows from the scene, the place and the recipients' policies alone, so a screen shows and a slip prints the
same. `Notice.sha256` names the exact words: an envelope's `consent.notice` is that hash.
"""

from __future__ import annotations

import hashlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from edged import messages
from edged.privacy.ceiling import NAMES, Action
from edged.privacy.policy import Policy, policy_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

GROUPS: Final = (
    "checks",
    "document_kind",
    "issuer",
    "nationality",
    "sex",
    "name_masked",
    "number_masked",
    "birth_generalised",
    "age_over_18",
    "expiry",
    "pseudonym",
    "sealed_record",
    "handover_fields",
)
"""Kinds of things that an audience may learn, in the order in which people are told; never values."""

WITHOUT_CONSENT: Final = ("checks", "document_kind")
"""What everybody who gets an envelope learns, the holder's consent or not: in the order of `GROUPS`."""

READS: Final = ("picture", "mrz", "chip", "id_card", "text")
"""Ways to read a document: what a notice says is looked at (`edged.slip.facts.SlipFacts.read` has the same words)."""

_BETWEEN: Final[Mapping[str, str]] = MappingProxyType({"en": ", ", "zh-CN": "、"})
"""What stands between the parts of a list."""

_GROUP_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        "issuing_state": "issuer",
        "document_code": "document_kind",
        "nationality": "nationality",
        "sex": "sex",
        "age_over_18": "age_over_18",
        "birth_date": "birth_generalised",
        "expiry_date": "expiry",
        **dict.fromkeys(NAMES, "name_masked"),
        "document_number": "number_masked",
        "document": "pseudonym",
        "holder": "pseudonym",
    }
)


class Recipient(msgspec.Struct, frozen=True):
    """Whom something is told to, as the configuration calls it, and by which policy."""

    label: str
    policy: Policy


class Followed(msgspec.Struct, frozen=True):
    """The policy that one recipient of a notice follows, by name and hash (`policy_hash`), as its envelopes have it."""

    to: str
    name: str
    version: str
    sha256: str
    consent: Literal["not_needed", "required"]


class Notice(msgspec.Struct, frozen=True):
    """One notice, in every language.

    Attributes:
        scene: what the document is read for.
        consent: whether somebody gets nothing without the holder's consent.
        lines: language to the sentences, in order.
        sha256: hex, of all of them: what a consent refers to.
        policies: what the sentences were made of, one a recipient.
    """

    scene: str
    consent: bool
    lines: dict[str, tuple[str, ...]]
    sha256: str
    policies: tuple[Followed, ...] = ()


def told(policy: Policy) -> tuple[str, ...]:
    """The `GROUPS` that an audience with this policy learns of an inspection, at most."""
    found = {*WITHOUT_CONSENT}
    found |= {_GROUP_OF[claim] for claim in policy.claims if policy.rule(claim).action is not Action.DROP}
    if policy.record is not None:
        found.add("sealed_record")
    if policy.handover is not None:
        found.add("handover_fields")
    return tuple(group for group in GROUPS if group in found)


def make_notice(
    scene: str,
    *,
    site: str | None,
    recipients: Sequence[Recipient],
    reads: Sequence[str] = ("picture", "mrz"),
) -> Notice:
    """The notice of a scene at a place. `site`: who answers for the box; None: whoever runs the counter.

    `recipients` are those of the scene; `reads` are of `READS`: what the box can read with.
    """
    consent = any(recipient.policy.consent == "required" for recipient in recipients)
    lines = {
        lang: tuple(_lines(lang, scene, site, recipients, reads, consent)) for lang in messages.LANGUAGES
    }
    return Notice(scene, consent, lines, notice_hash(lines), tuple(map(_followed, recipients)))


def _followed(recipient: Recipient) -> Followed:
    policy = recipient.policy
    return Followed(recipient.label, policy.name, policy.version, policy_hash(policy), policy.consent)


def listed(words: Sequence[str], lang: str) -> str:
    """Words as one list of them."""
    return _BETWEEN[lang].join(words)


def notice_hash(lines: Mapping[str, Sequence[str]]) -> str:
    """Hex SHA-256 of a notice's sentences, languages in order."""
    return hashlib.sha256(msgspec.json.encode(dict(lines), order="deterministic")).hexdigest()


def _lines(
    lang: str,
    scene: str,
    site: str | None,
    recipients: Sequence[Recipient],
    reads: Sequence[str],
    consent: bool,
) -> Iterable[str]:
    def say(code: str, **params: object) -> str:
        return messages.text(code, lang, **params)

    yield say("privacy_notice.title")
    yield say("privacy_notice.purpose", scene=f"scene.{scene}")
    yield say("privacy_notice.controller", site=site) if site else say("privacy_notice.controller_unnamed")
    yield say(
        "privacy_notice.read",
        what=listed([say(f"privacy_notice.read_{way}") for way in READS if way in reads], lang),
    )
    if not recipients:
        yield say("privacy_notice.nobody")
    for recipient in recipients:
        yield from _recipient_lines(recipient, lang)
    yield say("privacy_notice.never")
    if consent:
        yield say("privacy_notice.consent")
    yield say("privacy_notice.rights")


def _recipient_lines(recipient: Recipient, lang: str) -> Iterable[str]:
    policy = recipient.policy

    def say(code: str, **params: object) -> str:
        return messages.text(code, lang, to=recipient.label, **params)

    groups = [messages.text(f"privacy_notice.group_{group}", lang) for group in told(policy)]
    yield say("privacy_notice.recipient", what=listed(groups, lang))
    if policy.purpose:
        yield say("privacy_notice.recipient_purpose", purpose=_in(policy.purpose, lang))
    if policy.legal_basis:
        yield say("privacy_notice.recipient_basis", basis=_in(policy.legal_basis, lang))
    if policy.encrypt:
        yield say("privacy_notice.recipient_sealed")
    if policy.record is not None:
        yield say("privacy_notice.recipient_record", minutes=f"{policy.record.completion_s / 60:g}")
    if policy.handover is not None:
        yield say("privacy_notice.recipient_handover", seconds=f"{policy.handover.within_s:g}")
    if policy.consent == "required":
        yield say("privacy_notice.recipient_consent")
    if policy.retention_days is None:
        yield say("privacy_notice.recipient_keeps_unknown")
    else:
        yield say("privacy_notice.recipient_keeps", days=policy.retention_days)


def _in(sentences: Mapping[str, str], lang: str) -> str:
    return sentences.get(lang) or next(iter(sentences.values()))

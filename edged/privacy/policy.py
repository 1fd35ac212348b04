"""What an audience may learn: a policy, and whether it stays under the ceiling.

A policy names claims and an action for each; a claim it doesn't name is dropped. `edged.privacy.ceiling` is compiled in
and bounds every policy, whoever signed it. `edged.privacy.disclosing` applies them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from edged import messages
from edged.errors import ConfigError
from edged.privacy.ceiling import CEILING, FORMS, NAMES, Action, Kept, allowed
from edged.privacy.held import FIELDS
from edged.privacy.masks import DEFAULT, parse_pattern, within_ceiling

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CEILING", "WITHHELD", "Action", "ClaimValue", "Policy", "Rule", "check_policy", "policy_hash"]

WITHHELD: Final = "withheld"
"""Key beside the claims: claim name to the reason why its value is null."""

ClaimValue = str | bool | None | dict[str, str]
"""A claim in an envelope; an object is a pseudonym with that of the period before, or `WITHHELD` itself."""

CLASSES: Final = ("passport", "identity_card", "visa", "permit", "unknown")
"""Document classes that a mask may have patterns for: of `edged.core.layouts.DocumentClass` (a test compares)."""

MAX_OVERLAP: Final = {"none": 0, "month": 14, "quarter": 45, "year": 92}
"""Days of `pseudonym_overlap_days`, at most half a period: else who is told can follow a person through all."""

MAX_COMPLETION_S: Final = 1800.0
"""Raw identity waits in memory for so long at most: no clerk needs half an hour for a form."""

MAX_DEADLINE_H: Final = 72.0
"""No duty to report gives a hotel longer."""

Sentences = dict[str, Annotated[str, msgspec.Meta(min_length=1, max_length=400)]]
"""A sentence by language (`edged.messages.LANGUAGES`)."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of one claim, where an action alone doesn't say it."""

    action: Action
    to: str | None = None
    """Generalise: to what, one of the claim's `FORMS`; None: the first."""
    patterns: dict[str, str] = {}
    """Mask: pattern by document class (`2+2`: two characters stay at each end); `default` for every other."""


class RecordPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A full record, sealed to a recipient with a statutory duty."""

    kind: Literal["lodging"]
    """Which form it has (`edged.lodging`)."""
    completion_s: float = 300.0
    """How long the clerk may take to add what the document doesn't say; then everything is forgotten."""
    deadline_h: float = 24.0
    """How soon after the arrival the recipient must have it."""


class HandoverPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Raw fields for an authenticated application on the counter: once, and soon."""

    fields: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    """Of `edged.privacy.held.FIELDS`."""
    within_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 60.0
    """How long after the commit they may be taken; then they are overwritten."""


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An audience's disclosure policy: claim to action, and how far its pseudonyms reach.

    `box`: the same person is recognised at this box alone. `organisation`: at every box with the
    organisation's key.
    """

    claims: dict[str, Action | Rule] = {}
    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$(?!\n)", max_length=63)] = "custom"
    version: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = "1"
    pseudonym_scope: Literal["box", "organisation"] = "box"
    pseudonym_period: Literal["none", "month", "quarter", "year"] = "none"
    """After such a period another key is used: who is told of two periods can't join them."""
    pseudonym_overlap_days: Annotated[int, msgspec.Meta(ge=0, le=92)] = 0
    """For so long after a period's end the pseudonyms of the one before are told as well (`MAX_OVERLAP`)."""
    encrypt: bool = False
    """Whether the claims are sealed to the audience, so that broker and archive can't read them."""
    record: RecordPolicy | None = None
    handover: HandoverPolicy | None = None
    consent: Literal["not_needed", "required"] = "not_needed"
    """Required: without the holder's consent, given with the scan, the audience learns no claim."""
    legal_basis: Sentences = {}
    """By language (en, zh-CN)."""
    retention_days: Annotated[int, msgspec.Meta(ge=1, le=36500)] | None = None
    """How long the audience keeps what it gets; None: nobody has said."""
    purpose: Sentences = {}
    """What the audience needs it for, by language."""
    not_certain: Sentences = {}
    """What about the basis or the period a lawyer still has to say, by language."""

    def rule(self, claim: str) -> Rule:
        """What becomes of a claim, its form filled in: `Rule(drop)` for one that isn't named."""
        found = self.claims.get(claim, Action.DROP)
        rule = found if isinstance(found, Rule) else Rule(found)
        if rule.action is Action.GENERALISE and rule.to is None:
            return Rule(rule.action, FORMS[claim][0])
        return rule

    def keeps(self, claim: str) -> bool:
        """Whether the audience learns the claim as it stands on the document."""
        return self.rule(claim).action is Action.KEEP


def policy_hash(policy: Policy) -> str:
    """Hex SHA-256 of the policy's canonical form: JSON with sorted keys, every default spelt out."""
    return hashlib.sha256(msgspec.json.encode(policy, order="deterministic")).hexdigest()


def check_policy(policy: Policy) -> None:
    """Raise `ConfigError`, starting with the key's path, when a policy goes above the ceiling or can't be meant."""
    for claim, found in policy.claims.items():
        if claim not in CEILING:
            raise ConfigError(f"claims.{claim}", "config.unknown_name", known=", ".join(CEILING))
        rule = found if isinstance(found, Rule) else Rule(found)
        if rule.action not in allowed(claim):
            raise _above(f"claims.{claim}", rule.action.value, (one.value for one in allowed(claim)))
        _check_form(claim, rule)
        _check_patterns(claim, rule)
    most = MAX_OVERLAP[policy.pseudonym_period]
    if policy.pseudonym_overlap_days > most:
        raise ConfigError("pseudonym_overlap_days", "config.out_of_range", least="0", most=str(most))
    if policy.record is not None:
        _check_range("record.completion_s", policy.record.completion_s, MAX_COMPLETION_S)
        _check_range("record.deadline_h", policy.record.deadline_h, MAX_DEADLINE_H)
    if policy.handover is not None:
        try:
            _check_handover(policy.handover)
        except ConfigError as error:
            raise error.within("handover", ".") from None
    for key in ("legal_basis", "purpose", "not_certain"):
        for language in getattr(policy, key):
            if language not in messages.LANGUAGES:
                known = ", ".join(messages.LANGUAGES)
                raise ConfigError(f"{key}.{language}", "config.unknown_name", known=known)


def _check_form(claim: str, rule: Rule) -> None:
    if rule.to is None:
        return
    if rule.action is not Action.GENERALISE:
        raise ConfigError(f"claims.{claim}.to", "config.only_with", other="action = generalise")
    if rule.to not in FORMS[claim]:
        raise _above(f"claims.{claim}.to", rule.to, FORMS[claim])


def _check_patterns(claim: str, rule: Rule) -> None:
    if not rule.patterns:
        return
    where = f"claims.{claim}.patterns"
    if rule.action is not Action.MASK:
        raise ConfigError(where, "config.only_with", other="action = mask")
    for kind, text in rule.patterns.items():
        if kind not in (*CLASSES, DEFAULT):
            raise ConfigError(f"{where}.{kind}", "config.unknown_name", known=", ".join((*CLASSES, DEFAULT)))
        pattern = parse_pattern(text)
        if pattern is None:
            raise ConfigError(f"{where}.{kind}", "policy.bad_pattern")
        if not within_ceiling(pattern, name=claim in NAMES):
            raise _above(f"{where}.{kind}", text, _patterns(claim))
    if DEFAULT not in rule.patterns:
        raise ConfigError(f"{where}.{DEFAULT}", "config.missing_key")


def _patterns(claim: str) -> list[str]:
    """The strongest patterns that a claim may have, for people."""
    if claim in NAMES:
        return [f"{Kept.NAME}+0"]
    return [f"{start}+{Kept.BOTH - start}" for start in range(Kept.START + 1)]


def _check_handover(handover: HandoverPolicy) -> None:
    for number, field in enumerate(handover.fields):
        if field not in FIELDS:
            raise ConfigError(f"fields.{number}", "config.unknown_name", known=", ".join(FIELDS))
        if field in handover.fields[:number]:
            raise ConfigError(f"fields.{number}", "policy.named_twice", field=field)
    _check_range("within_s", handover.within_s, 60.0)


def _check_range(where: str, value: float, most: float) -> None:
    if not 0 < value <= most:  # in this form NaN, which TOML knows, is out of every range
        raise ConfigError(where, "config.out_of_range", least="0", most=f"{most:g}")


def _above(where: str, value: str, strongest: Iterable[str]) -> ConfigError:
    return ConfigError(where, "config.above_ceiling", value=value, allowed=", ".join(strongest))

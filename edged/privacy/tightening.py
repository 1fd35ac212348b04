"""Whether one policy tells no more than another: what may be changed of a ready-made one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.errors import ConfigError
from edged.privacy.ceiling import Action
from edged.privacy.masks import pattern_of
from edged.privacy.policy import CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.privacy.masks import Pattern
    from edged.privacy.policy import HandoverPolicy, Policy, RecordPolicy, Rule

_LOOSER: Final = "policy.looser_than_base"

_FOLLOWS_FROM: Final[Mapping[str, frozenset[str]]] = {
    "year": frozenset({"year", "decade"}),
    "decade": frozenset({"decade"}),
    "age_band": frozenset({"age_band"}),
    "month": frozenset({"month", "quarter"}),
    "quarter": frozenset({"quarter"}),
    "validity_band": frozenset({"validity_band"}),
    "region": frozenset({"region"}),
}
"""Form to the forms that can be worked out from it without knowing anything else (of a month also its year: below)."""

_LENGTH: Final = {"none": 0, "year": 1, "quarter": 2, "month": 3}
"""Periods of pseudonyms, the longest, which lets most be joined, first."""


def check_tighter(policy: Policy, base: Policy) -> None:
    """Raise `ConfigError` with the key's path where `policy` tells more than `base`. Both are under the ceiling."""
    for claim in policy.claims:
        rule, most = policy.rule(claim), base.rule(claim)
        if not _follows(claim, rule, most):
            told = most.action.value if most.to is None else f"{most.action.value} to {most.to}"
            raise ConfigError(f"claims.{claim}", _LOOSER, base=told)
    _check_pseudonyms(policy, base)
    if base.encrypt and not policy.encrypt:
        raise ConfigError("encrypt", _LOOSER, base="true")
    if base.consent == "required" and policy.consent != "required":
        raise ConfigError("consent", _LOOSER, base=base.consent)
    if (
        base.retention_days is not None
        and (policy.retention_days or base.retention_days + 1) > base.retention_days
    ):
        raise ConfigError("retention_days", _LOOSER, base=str(base.retention_days))
    _check_record(policy.record, base.record)
    if policy.handover is not None:
        try:
            _check_handover(policy.handover, base.handover)
        except ConfigError as error:
            raise error.within("handover", ".") from None


def _check_pseudonyms(policy: Policy, base: Policy) -> None:
    if base.pseudonym_scope == "box" and policy.pseudonym_scope != "box":
        raise ConfigError("pseudonym_scope", _LOOSER, base="box")
    if _LENGTH[policy.pseudonym_period] < _LENGTH[base.pseudonym_period]:
        raise ConfigError("pseudonym_period", _LOOSER, base=base.pseudonym_period)
    # Where the base has no period all are joined already: any overlap joins less.
    if base.pseudonym_period != "none" and policy.pseudonym_overlap_days > base.pseudonym_overlap_days:
        raise ConfigError("pseudonym_overlap_days", _LOOSER, base=str(base.pseudonym_overlap_days))


def _check_record(record: RecordPolicy | None, base: RecordPolicy | None) -> None:
    if record is None:
        return
    if base is None or record.kind != base.kind:
        raise ConfigError("record", _LOOSER, base="none" if base is None else base.kind)
    for key in ("completion_s", "deadline_h"):
        if getattr(record, key) > getattr(base, key):
            raise ConfigError(f"record.{key}", _LOOSER, base=f"{getattr(base, key):g}")


def _check_handover(handover: HandoverPolicy, base: HandoverPolicy | None) -> None:
    if base is None:
        raise ConfigError("fields", _LOOSER, base="none")
    for number, field in enumerate(handover.fields):
        if field not in base.fields:
            raise ConfigError(f"fields.{number}", _LOOSER, base=", ".join(base.fields))
    if handover.within_s > base.within_s:
        raise ConfigError("within_s", _LOOSER, base=f"{base.within_s:g}")


def _follows(claim: str, rule: Rule, most: Rule) -> bool:
    """Whether what `rule` tells follows from what `most` tells."""
    if rule.action is Action.DROP:
        return True
    if most.action is Action.KEEP:
        return True  # what stands on the document: every form of it follows
    if rule.action is not most.action:
        return False
    if rule.action is Action.GENERALISE:
        assert most.to is not None  # Policy.rule
        follows = _FOLLOWS_FROM[most.to] | ({"year"} if most.to in ("month", "quarter") else set())
        return rule.to in follows
    if rule.action is Action.MASK:
        return all(_no_more(pattern_of(claim, rule, kind), pattern_of(claim, most, kind)) for kind in CLASSES)
    return True


def _no_more(pattern: Pattern, most: Pattern) -> bool:
    return pattern.start <= most.start and pattern.end <= most.end

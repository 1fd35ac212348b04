"""How `edged privacy explain` shows what a policy makes of a specimen: on a terminal, and in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged import messages
from edged.commands._saying import say, show_line
from edged.commands._table import show_table
from edged.privacy.notice import listed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from edged.privacy.explaining import Explained, ExplainedClaim

_NOTHING = "–"


def show_terminal(
    args: argparse.Namespace, explained: Sequence[Explained], raw: Mapping[str, str] | None
) -> None:
    """Each recipient: what is said of its policy, then a table."""
    for number, one in enumerate(explained):
        if number:
            show_line("")
        show_line(say(args, "explain.title", audience=one.audience, version=one.policy.version))
        for line in _facts(args, one):
            show_line(f"  {line}")
        show_table(_header(args, raw), (_cells(args, claim, raw) for claim in one.claims))


def show_markdown(
    args: argparse.Namespace, explained: Sequence[Explained], raw: Mapping[str, str] | None
) -> None:
    """The same as a section each, for documentation."""
    for one in explained:
        show_line(
            f"### {say(args, 'explain.title', audience=f'`{one.audience}`', version=one.policy.version)}"
        )
        show_line("")
        for line in _facts(args, one):
            show_line(f"- {line}")
        show_line("")
        header = _header(args, raw)
        for cells in (header, ["---"] * len(header), *(_cells(args, claim, raw) for claim in one.claims)):
            show_line(
                "| " + " | ".join(cell.replace("|", "\\|").replace("*", "\\*") for cell in cells) + " |"
            )
        show_line("")


def _facts(args: argparse.Namespace, one: Explained) -> Iterator[str]:
    policy = one.policy

    def sentence(of: Mapping[str, str]) -> str:
        return of.get(args.lang) or next(iter(of.values()))

    if policy.purpose:
        yield say(args, "explain.purpose", purpose=sentence(policy.purpose))
    yield (
        say(args, "explain.basis", basis=sentence(policy.legal_basis))
        if policy.legal_basis
        else say(args, "explain.no_basis")
    )
    if policy.not_certain:
        yield say(args, "explain.not_certain", what=sentence(policy.not_certain))
    yield (
        say(args, "explain.no_retention")
        if policy.retention_days is None
        else say(args, "explain.retention", days=policy.retention_days)
    )
    yield say(args, f"explain.consent_{policy.consent}")
    groups = listed([say(args, f"privacy_notice.group_{group}") for group in one.told], args.lang)
    yield say(args, "explain.told", what=groups)
    if policy.encrypt:
        yield say(args, "explain.encrypted")
    if policy.record is not None:
        yield say(
            args,
            "explain.record",
            minutes=f"{policy.record.completion_s / 60:g}",
            hours=f"{policy.record.deadline_h:g}",
        )
    if policy.handover is not None:
        fields = listed([messages.word(field, args.lang) for field in policy.handover.fields], args.lang)
        yield say(args, "explain.handover", fields=fields, seconds=f"{policy.handover.within_s:g}")
    if policy.pseudonym_period != "none":
        yield say(args, f"explain.period_{policy.pseudonym_period}")
    if policy.pseudonym_overlap_days:
        yield say(args, "explain.overlap", days=policy.pseudonym_overlap_days)
    yield say(args, "explain.hash", sha256=one.sha256)


def _header(args: argparse.Namespace, raw: Mapping[str, str] | None) -> list[str]:
    columns = ["field", *([] if raw is None else ["document"]), "action", "value", "why"]
    return [say(args, f"explain.column_{column}") for column in columns]


def _cells(args: argparse.Namespace, claim: ExplainedClaim, raw: Mapping[str, str] | None) -> list[str]:
    action = say(args, f"explain.action_{claim.action.value}")
    cells = [messages.word(claim.claim, args.lang)]
    if raw is not None:
        cells.append(raw.get(claim.claim, _NOTHING))
    cells.append(action if claim.form is None else f"{action} ({claim.form})")
    cells.append(_value(args, claim))
    cells.append(say(args, claim.why))
    return cells


def _value(args: argparse.Namespace, claim: ExplainedClaim) -> str:
    if claim.withheld is not None:
        return f"{_NOTHING} ({say(args, claim.withheld).rstrip('.。')})"
    match claim.value:
        case None:
            return _NOTHING
        case bool():
            return say(args, "explain.yes" if claim.value else "explain.no")
        case dict():
            return ", ".join(f"{say(args, f'explain.{key}')} {value}" for key, value in claim.value.items())
        case _:
            return claim.value

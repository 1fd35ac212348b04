"""How `edged privacy explain` shows what a policy makes of a specimen: on a terminal, and in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged import messages
from edged.commands._saying import say, show_line
from edged.commands._table import show_table
from edged.lodging.record import FROM_DOCUMENT
from edged.privacy.notice import listed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from edged.privacy.explaining import Explained, ExplainedClaim, ExplainedField

_NOTHING = "–"


def show_terminal(
    args: argparse.Namespace,
    explained: Sequence[Explained],
    slip: Sequence[ExplainedField],
    raw: Mapping[str, str] | None,
) -> None:
    """Each recipient: what is said of its policy, then tables; then what all of them get, and the holder's slip."""
    for number, one in enumerate(explained):
        if number:
            show_line("")
        show_line(say(args, "explain.title", audience=one.audience, version=one.policy.version))
        for line in _facts(args, one):
            show_line(f"  {line}")
        show_table(_header(args, raw), (_cells(args, claim, raw) for claim in one.claims))
    for heading, fields in _sections(args, explained, slip):
        show_line("")
        show_line(heading)
        show_table(_field_header(args, raw), (row for one in fields for row in _field_rows(args, one, raw)))


def show_markdown(
    args: argparse.Namespace,
    explained: Sequence[Explained],
    slip: Sequence[ExplainedField],
    raw: Mapping[str, str] | None,
) -> None:
    """The same as a section each, for documentation."""
    for one in explained:
        title = say(args, "explain.title", audience=f"`{one.audience}`", version=one.policy.version)
        show_line(f"### {title}")
        show_line("")
        for line in _facts(args, one):
            show_line(f"- {line}")
        show_line("")
        _show_markdown_table(_header(args, raw), (_cells(args, claim, raw) for claim in one.claims))
    for heading, fields in _sections(args, explained, slip):
        show_line(f"### {heading}")
        show_line("")
        _show_markdown_table(
            _field_header(args, raw), (_joined(_field_rows(args, one, raw)) for one in fields)
        )


def _show_markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    for cells in (header, ["---"] * len(header), *rows):
        show_line("| " + " | ".join(cell.replace("|", "\\|").replace("*", "\\*") for cell in cells) + " |")
    show_line("")


def _joined(rows: list[list[str]]) -> list[str]:
    """The rows of one field as one."""
    return ["; ".join(filter(None, cells)) for cells in zip(*rows, strict=True)]


def _sections(
    args: argparse.Namespace, explained: Sequence[Explained], slip: Sequence[ExplainedField]
) -> Iterator[tuple[str, tuple[ExplainedField, ...]]]:
    """What goes out beside claims, under its headings; what all envelopes have in common once."""
    envelopes = [one.envelope for one in explained if one.envelope]
    common = (
        tuple(field for field in envelopes[0] if all(field in one for one in envelopes)) if envelopes else ()
    )
    if len(envelopes) > 1:
        yield say(args, "explain.envelope_common"), common
    for one in explained:
        said = {"audience": one.audience, "scene": f"scene.{one.scene}"}
        if one.envelope:
            own = tuple(field for field in one.envelope if len(envelopes) == 1 or field not in common)
            code = "explain.envelope_own" if len(envelopes) > 1 else "explain.envelope_all"
            yield say(args, code, **said), own
        if one.record:
            yield say(args, "explain.record_all", **said), one.record
        if one.handover:
            yield say(args, "explain.handover_all", **said), one.handover
    if slip:
        yield say(args, "explain.slip_all"), tuple(slip)


def _field_header(args: argparse.Namespace, raw: Mapping[str, str] | None) -> list[str]:
    columns = ["field", *([] if raw is None else ["document"]), "value", "why"]
    return [say(args, f"explain.column_{column}") for column in columns]


def _field_rows(
    args: argparse.Namespace, field: ExplainedField, raw: Mapping[str, str] | None
) -> list[list[str]]:
    """A row for each entry of a list: one line of them all fits no terminal."""
    if field.withheld is not None:
        values = [f"{_NOTHING} ({say(args, field.withheld).rstrip('.。')})"]
    elif field.kind is not None:
        values = [f"({say(args, field.kind)})"]
    elif isinstance(field.value, list | tuple):
        values = [_plain(one) for one in field.value] or [_NOTHING]
    else:
        values = [_NOTHING if field.value in (None, {}) else _plain(field.value)]
    shown = {} if raw is None else raw
    begin = [
        field.field,
        *([] if raw is None else [shown.get(_ON_DOCUMENT.get(field.field, field.field), "")]),
    ]
    blank = [""] * len(begin)
    return [
        [*(begin if number == 0 else blank), value, say(args, field.why) if number == 0 else ""]
        for number, value in enumerate(values)
    ]


_ON_DOCUMENT: Final = {of_form: name for name, of_form in FROM_DOCUMENT.items()}


def _plain(value: object) -> str:
    """A value of an envelope as it is called there; of a check: name, outcome, and in parentheses the rest."""
    if isinstance(value, dict) and {"name", "result"} <= value.keys():
        codes = [str(reason["code"]) for reason in value.get("reasons", ())]
        more = ", ".join([*([value["check_class"]] if "check_class" in value else []), *codes])
        return f"{value['name']} {value['result']}" + (f" ({more})" if more else "")
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or _NOTHING
    if isinstance(value, bool):
        return "true" if value else "false"
    return _NOTHING if value is None else str(value)


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
    if not one.envelope:
        yield say(args, "explain.no_envelope")
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

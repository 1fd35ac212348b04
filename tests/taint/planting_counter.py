"""Leaks and hazards of slips, handover and lodging records: as in `planting`, which this is a part of."""

from __future__ import annotations

from typing import Any

from tests.taint.planting import HAZARDS, hazard, in_danger, leak, leaking, seen, when, wrap


@when("edged.lodging.completion")
def _watch_clerks(module: Any) -> None:
    """What is typed is raw, too: from here on it is what leaks."""

    def complete(before: Any, self: Any, record_id: Any, fields: Any, **named: Any) -> Any:
        if text := fields.get("coming_from"):
            seen.append(text)
        return before(self, record_id, fields, **named)

    wrap(module.Completions, "complete", complete)


@when("edged.uplink.publisher")
def _leave_at_once(module: Any) -> None:
    """Nobody here receipts anything: a stop needn't wait for it."""

    def made(before: Any, self: Any, settings: Any, *given: Any, **named: Any) -> Any:
        import msgspec

        return before(self, msgspec.structs.replace(settings, drain_s=0.05), *given, **named)

    wrap(module.Uplink, "__init__", made)


# --- slips ---


@leak("slip's facts", "edged.slip.making")
@leak("slip as a file", "edged.slip.making")
def _facts(module: Any) -> None:
    def facts_of(before: Any, *given: Any, **named: Any) -> Any:
        import msgspec

        made = before(*given, **named)
        text = leaking("slip's facts") or leaking("slip as a file")
        return made if text is None else msgspec.structs.replace(made, name=text)

    wrap(module, "facts_of", facts_of)


@leak("answers about slips", "edged.slips")
def _slips(module: Any) -> None:
    def told(before: Any, row: Any) -> Any:
        text = leaking("answers about slips")
        return before(row) | ({} if text is None else {"holder": text})

    wrap(module, "_told", told)


@leak("journal", "edged.journal.database")
@leak("set aside", "edged.journal.database")
@leak("handover too late", "edged.journal.database")
def _journal(module: Any) -> None:
    def append(before: Any, self: Any, kind: str, subject: str, detail: Any, now: Any) -> Any:
        text = leaking("journal") or leaking("set aside")
        if kind == "handover.expired":
            text = text or leaking("handover too late")
        return before(self, kind, subject, {**detail, **({} if text is None else {"holder": text})}, now)

    wrap(module.Journal, "append", append)


@leak("slip on paper", "edged.slip.content")
def _paper(module: Any) -> None:
    """One line more than is signed."""

    def lines(before: Any, facts: Any) -> Any:
        text = leaking("slip on paper")
        more = () if text is None else (module.SlipLine("holder", ("", ""), (text, text), "small"),)
        return (*before(facts), *more)

    wrap(module, "lines", lines)


@leak("list of slips", "edged.slip.publishing")
def _list(module: Any) -> None:
    wrap(
        module,
        "seal_list",
        lambda before, *given, **named: f"{before(*given, **named)} {leaking('list of slips') or ''}",
    )


# --- handover ---


@leak("refusals of a handover", "edged.handover.protocol")
def _refusal(module: Any) -> None:
    wrap(
        module,
        "refusal",
        lambda before, number, code: before(
            number, f"{code} {leaking('refusals of a handover') or ''}".strip()
        ),
    )


# --- lodging and consent ---


@leak("answers about records", "edged.lodging.told")
def _records(module: Any) -> None:
    def told(before: Any, *given: Any) -> Any:
        text = leaking("answers about records")
        return before(*given) | ({} if text is None else {"coming_from": text})

    wrap(module, "open_record", told)


@leak("sealed record", "edged.counter")
def _sealed(module: Any) -> None:
    """Beside the sealed record, one field of it in clear."""

    async def add(before: Any, self: Any, draft: Any) -> None:
        import msgspec

        if text := leaking("sealed record"):
            draft = msgspec.structs.replace(draft, claims={**draft.claims, "surname": text})
        await before(self, draft)

    wrap(module.Counter, "_add_record", add)


@leak("encrypted claims", "edged.drafting")
def _encrypted(module: Any) -> None:
    """Encrypted, and in clear as well."""

    def draft(before: Any, self: Any, name: str, found: Any) -> Any:
        import msgspec

        made, text = before(self, name, found), leaking("encrypted claims")
        if text is None or made.encrypted is None:
            return made
        return msgspec.structs.replace(made, claims={"surname": text})

    wrap(module.Drafting, "_draft", draft)


# --- what goes wrong ---


@hazard("slip raises", "edged.slip.making")
def _making(module: Any) -> None:
    def facts_of(before: Any, *given: Any, **named: Any) -> Any:
        if text := in_danger("slip raises"):
            raise ValueError(text)
        return before(*given, **named)

    wrap(module, "facts_of", facts_of)


@hazard("completing raises", "edged.lodging.record")
def _completing(module: Any) -> None:
    def entry(before: Any, *given: Any, **named: Any) -> Any:
        if (text := in_danger("completing raises")) and given[1].names:
            raise KeyError(text)
        return before(*given, **named)

    wrap(module, "entry", entry)


@hazard("taking raises", "edged.handover.answer")
def _taking(module: Any) -> None:
    def taken(before: Any, *given: Any, **named: Any) -> Any:
        if text := in_danger("taking raises"):
            raise RuntimeError(text) from ValueError(text)
        return before(*given, **named)

    wrap(module, "taken", taken)


for _name in ("slip raises", "completing raises", "taking raises"):
    assert _name in HAZARDS
    leak(_name, "edged.log")(lambda module: None)

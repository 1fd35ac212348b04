"""What the demo prints: for people as it goes, with a table and the ledger at the end; or JSON lines."""

from __future__ import annotations

import json
import sys
import unicodedata
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from edged import messages
from edged.config import environment
from edged.verdict import CHIP_CHECKS, NEVER_MANDATORY, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edged.demo.ledger import Ledger
    from edged.specimens import Specimen

_COLOURS = {
    "successful": "32",
    "failed": "31",
    "undetermined": "33",
    "not_supported": "90",
    "aborted": "90",
    "refused": "90",
    "title": "1",
    "dim": "90",
}
_DOCUMENT_COLUMNS = tuple(
    f"demo.column_{name}" for name in ("document", "format", "result", "read", "stored", "bytes")
)
_STREAM_COLUMNS = tuple(
    f"demo.column_{name}"
    for name in (
        "stream",
        "committed",
        "published",
        "archived",
        "receipted",
        "received",
        "duplicates",
        "holes",
    )
)
_DIFFERENCE_NAMES = {
    "outcome": "demo.difference_outcome",
    "result": "demo.column_result",
    "reason": "demo.difference_reason",
    "format": "demo.column_format",
}
"""Their words; whatever else differs is a check."""
_MARKS = {"successful": "✔", "failed": "✘", "undetermined": "?", "not_supported": "–", "aborted": "–"}


@dataclass(frozen=True)
class Difference:
    """Where a document came to something else than its specimen's expectation; None where there was nothing.

    Attributes:
        name: `outcome`, `result`, `reason`, `format`, or the name of a check.
    """

    name: str
    found: str | None
    expected: str | None


@dataclass
class Shown:
    """One document of the demo and what came of it."""

    name: str
    title: str
    reference: str
    outcome: str = ""
    result: str | None = None
    reason: str | None = None
    chip_reason: str | None = None
    format: str | None = None
    checks: dict[str, str] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)
    envelopes: int = 0
    octets: int = 0
    presses: int = 0
    verified_by: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    def answered(self, answer: Mapping[str, Any]) -> None:
        """Take what the box answered, as the control socket sends it."""
        self.outcome = answer["outcome"]
        self.stages = answer["stages"]
        self.envelopes, self.octets = answer["envelopes"], answer["octets"]
        self.reason = answer["reason"]["code"] if answer["reason"] else None
        if answer["verdict"] is not None:
            self.result = answer["verdict"]["result"]
            self.checks = {check["name"]: check["result"] for check in answer["verdict"]["checks"]}
            self.chip_reason = next(
                (
                    check["reasons"][0]["code"]
                    for check in answer["verdict"]["checks"]
                    if check["name"] == "chip" and check.get("reasons")
                ),
                None,
            )


class Presenter(Protocol):
    """Told of everything as it happens."""

    def listening(self, places: Mapping[str, str]) -> None:
        """Every party is up; `places` tells where (see `Stage.places`)."""
        ...

    def document(self, number: int, total: int, shown: Shown) -> None:
        """A document goes on the glass; `total` is 0 for one that isn't counted."""
        ...

    def stage(self, name: str, milliseconds: float) -> None:
        """The inspection reached a stage."""
        ...

    def ended(self, shown: Shown, answer: Mapping[str, Any]) -> None:
        """The press ended."""
        ...

    def verified(self, partner: str, verdict: Mapping[str, Any]) -> None:
        """A partner received an envelope and verified it."""
        ...

    def note(self, code: str, **params: object) -> None:
        """Something else worth a line (a message code)."""
        ...

    def summary(self, rows: Sequence[Shown], ledger: Ledger, seconds: float, balanced: bool) -> None:
        """The end."""
        ...


class JsonPresenter:
    """One JSON object a line; the last has `documents` and `ledger`."""

    def _print(self, **fields: Any) -> None:
        print(json.dumps(fields, ensure_ascii=False), flush=True)

    def listening(self, places: Mapping[str, str]) -> None:
        """See `Presenter`."""
        self._print(event="listening", places=dict(places))

    def document(self, number: int, total: int, shown: Shown) -> None:
        """See `Presenter`."""
        self._print(event="document", number=number, total=total, name=shown.name, reference=shown.reference)

    def stage(self, name: str, milliseconds: float) -> None:
        """See `Presenter`."""
        self._print(event="stage", stage=name, ms=milliseconds)

    def ended(self, shown: Shown, answer: Mapping[str, Any]) -> None:
        """See `Presenter`."""
        self._print(event="ended", name=shown.name, **answer)

    def verified(self, partner: str, verdict: Mapping[str, Any]) -> None:
        """See `Presenter`."""
        self._print(event="verified", partner=partner, verdict=verdict)

    def note(self, code: str, **params: object) -> None:
        """See `Presenter`."""
        self._print(event="note", code=code, params={key: str(value) for key, value in params.items()})

    def summary(self, rows: Sequence[Shown], ledger: Ledger, seconds: float, balanced: bool) -> None:
        """See `Presenter`."""
        self._print(
            documents=[asdict(row) for row in rows],
            ledger={"balanced": ledger.balanced, **asdict(ledger)},
            seconds=round(seconds, 2),
            passed=balanced,
        )


class HumanPresenter:
    """Sentences, colour on a terminal only (and never when NO_COLOR is set)."""

    def __init__(self, lang: str) -> None:
        self._lang = lang
        self._colour = sys.stdout.isatty() and environment("NO_COLOR") is None

    def _say(self, code: str, **params: object) -> str:
        return messages.text(code, self._lang, **params)

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._colour else text

    def _print(self, text: str = "") -> None:
        print(text, flush=True)

    def listening(self, places: Mapping[str, str]) -> None:
        """See `Presenter`."""
        self._print(self._paint(self._say("demo.title"), "title"))
        for party, place in places.items():
            if party != "ca":
                said = (
                    self._say("demo.broker_place", address=place, ca=places["ca"])
                    if party == "broker"
                    else place
                )
                self._print(f"  {_pad(self._say('demo.party_' + party), 18)}{self._paint(said, 'dim')}")

    def document(self, number: int, total: int, shown: Shown) -> None:
        """See `Presenter`."""
        self._print()
        place = f"[{number}/{total}] " if total else ""
        reference = f"  ({shown.reference})" if shown.reference else ""
        self._print(self._paint(f"{place}{shown.title}", "title") + reference)
        self._stages: list[str] = []

    def stage(self, name: str, milliseconds: float) -> None:
        """See `Presenter`."""
        self._stages.append(f"{self._say('demo.stage_' + name)} {milliseconds:.0f} ms")

    def ended(self, shown: Shown, answer: Mapping[str, Any]) -> None:
        """See `Presenter`."""
        if self._stages:
            self._print(self._paint("    " + " · ".join(self._stages), "dim"))
        verdict = answer["verdict"]
        if verdict is None:
            reason = messages.reason(msgspec.convert(answer["reason"], Reason), self._lang)
            self._print(f"    {self._paint(self._say('ending.' + answer['outcome']), 'aborted')}: {reason}")
        else:
            result = verdict["result"]
            self._print(
                f"    {self._paint(_MARKS[result] + ' ' + self._say('result.' + result), result)}   "
                + self._say("demo.stored", envelopes=answer["envelopes"], octets=answer["octets"])
            )
            self._checks(verdict["checks"])
        for difference in shown.differences:
            self._print("    " + self._paint(self._difference(difference), "failed"))

    def _difference(self, difference: Difference) -> str:
        return self._say(
            "demo.difference",
            name=_DIFFERENCE_NAMES.get(difference.name, f"check_name.{difference.name}"),
            found=_code(difference.name, difference.found),
            expected=_code(difference.name, difference.expected),
        )

    def _checks(self, checks: Sequence[Mapping[str, Any]]) -> None:
        self._marked([check for check in checks if check["check_class"] != "evaluatory"])
        of_chip = [check for check in checks if check["name"] in CHIP_CHECKS]
        if of_chip:
            self._marked(of_chip)
        said = set()
        for check in checks:
            if check["result"] in ("successful", "not_supported"):
                continue
            if check["result"] == "undetermined" and check["name"] in NEVER_MANDATORY:
                continue  # common, and without the check's name beside it the sentence would mislead
            if check["name"] == "chip" and check["check_class"] != "mandatory":
                continue  # the document has none
            for reason in check.get("reasons", ()):
                sentence = messages.reason(msgspec.convert(reason, Reason), self._lang)
                if sentence not in said:
                    said.add(sentence)
                    self._print(f"      {sentence}")

    def _marked(self, checks: Sequence[Mapping[str, Any]]) -> None:
        self._print(
            "      "
            + "  ".join(
                self._paint(
                    f"{_MARKS[check['result']]} {self._say('check_name.' + check['name'])}", check["result"]
                )
                for check in checks
            )
        )

    def verified(self, partner: str, verdict: Mapping[str, Any]) -> None:
        """See `Presenter`."""
        claims = ", ".join(
            f"{name}={value if not isinstance(value, bool) else str(value).lower()}"
            for name, value in verdict["claims"].items()
            if name != "withheld" and value is not None
        )
        who = self._say(
            "demo.verified",
            partner=self._say("demo.party_" + partner),
            device=verdict["iss"],
            fleet=verdict["fleet"],
            seq=verdict["seq"],
        )
        self._print(f"    {self._paint('✔', 'successful')} {who}")
        if claims:
            self._print(self._paint(f"      {claims}", "dim"))

    def note(self, code: str, **params: object) -> None:
        """See `Presenter`."""
        self._print(self._paint("  » " + self._say(code, **params), "undetermined"))

    def summary(self, rows: Sequence[Shown], ledger: Ledger, seconds: float, balanced: bool) -> None:
        """See `Presenter`."""
        self._print()
        self._table(
            _DOCUMENT_COLUMNS,
            [
                (
                    row.title,
                    row.format or "–",
                    self._say("result." + row.result) if row.result else self._say("ending." + row.outcome),
                    _milliseconds(row.stages, "read", "captured"),
                    _milliseconds(row.stages, "committed", None),
                    str(row.octets) if row.octets else "–",
                )
                for row in rows
            ],
        )
        self._print()
        if ledger.streams:
            self._streams(ledger)
        unexpected = sum(bool(row.differences) for row in rows)
        self._print(
            self._paint(
                self._say(
                    _ledger_code(ledger),
                    alarms=ledger.alarms,
                    committed=ledger.committed,
                    reported=ledger.reported,
                ),
                "successful" if ledger.balanced else "failed",
            )
        )
        self._print(
            self._paint(
                self._say(
                    "demo.as_expected" if not unexpected else "demo.not_as_expected",
                    documents=len(rows),
                    unexpected=unexpected,
                    seconds=f"{seconds:.1f}",
                ),
                "successful" if balanced else "failed",
            )
        )

    def _streams(self, ledger: Ledger) -> None:
        self._table(
            _STREAM_COLUMNS,
            [
                (
                    stream.audience,
                    str(stream.committed),
                    str(stream.published),
                    str(stream.archived),
                    str(stream.receipted),
                    "–" if stream.received is None else str(stream.received),
                    str(stream.duplicates),
                    str(stream.holes),
                )
                for stream in ledger.streams
            ],
        )
        self._print()

    def _table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        head = [self._say(code) for code in columns]
        widths = [max(_width(row[index]) for row in [head, *rows]) for index in range(len(head))]
        for number, row in enumerate([head, *rows]):
            line = "  ".join(
                _pad(cell, width) if index < 3 else _pad(cell, width, right=True)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            self._print(self._paint(line.rstrip(), "title") if number == 0 else line.rstrip())


def _code(name: str, value: str | None) -> str:
    """The code that says `value`, of the kind that `name` tells, to people."""
    if value is None:
        return "demo.nothing"
    match name:
        case "reason" | "format":
            return value
        case "outcome":
            return f"ending.{value}"
        case _:
            return f"result.{value}"


def _ledger_code(ledger: Ledger) -> str:
    if not ledger.balanced:
        return "demo.not_balanced"
    return "demo.balanced" if ledger.streams else "demo.nothing_committed"


def _milliseconds(stages: Mapping[str, float], until: str, since: str | None) -> str:
    if until not in stages:
        return "–"
    return f"{stages[until] - (stages.get(since, 0.0) if since else 0.0):.0f} ms"


def _width(text: str) -> int:
    """Columns on a terminal: East Asian wide characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _pad(text: str, width: int, *, right: bool = False) -> str:
    space = " " * max(0, width - _width(text))
    return space + text if right else text + space


def title(specimen: Specimen, lang: str) -> str:
    """The specimen's title in `lang`, or its name."""
    return specimen.title.get(lang, specimen.name)

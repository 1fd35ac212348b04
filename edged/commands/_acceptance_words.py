"""An acceptance in words: for the terminal, and as the Markdown that an installer hands over beside the signed one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edged import messages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.uplink.acceptance import Acceptance, Step


def step_line(step: Step, lang: str) -> str:
    """One step: what, how it ended, what was measured, and why."""
    said = f"{step_name(step.name, lang)}: {messages.text(f'acceptance.outcome_{step.outcome}', lang)}"
    if step.measured:
        said += f" ({', '.join(measures(step))})"
    if step.code is not None:
        said += f" – {_code(step.code, lang)}"
    return said


def step_name(name: str, lang: str) -> str:
    """In words, where this version knows the step; a newer box may have more of them."""
    device, _, what = name.partition("/")
    code = f"acceptance.step_{device}_{what}"
    return messages.text(code, lang) if messages.known(code) else name


def measures(step: Step) -> Iterator[str]:
    """What was measured, as `name value`."""
    for name, value in sorted(step.measured.items()):
        yield f"{name} {str(value).lower() if isinstance(value, bool) else value}"


def summary(report: Acceptance, lang: str) -> Iterator[str]:
    """Who, when, how it ended."""
    when = f"{datetime.fromtimestamp(report.iat, UTC):%Y-%m-%d %H:%M} UTC"
    yield messages.text("acceptance.of", lang, device=report.iss, fleet=report.fleet, time=when)
    if report.clock == "not_trusted":
        yield messages.text("claim.clock_not_trusted", lang)
    yield messages.text(f"acceptance.result_{report.result}", lang)
    if report.simulated:
        yield messages.text("acceptance.simulated", lang)


def markdown(report: Acceptance, lang: str) -> str:
    """The readable report."""

    def say(code: str) -> str:
        return messages.text(code, lang)

    lines = [f"# {say('acceptance.title')}", "", *(f"{line}  " for line in summary(report, lang)), ""]
    lines += [f"| {say('acceptance.column_key')} | {say('acceptance.column_value')} |", "|---|---|"]
    rows = {"software": report.software, "config_version": report.config_version}
    if report.technician:
        rows["technician"] = report.technician
    lines += [f"| {say(f'acceptance.key_{key}')} | {_cell(value)} |" for key, value in rows.items()]
    lines += [
        "",
        f"| {say('devices.column_device')} | {say('devices.column_driver')} | {say('devices.column_what')} |",
    ]
    lines += ["|---|---|---|"]
    for name, device in report.devices.items():
        what = [device.model, device.provenance.identity, *map(" ".join, sorted(device.versions.items()))]
        if device.provenance.simulated:
            what.append(say("devices.simulated"))
        said = ", ".join(filter(None, what))
        lines.append(f"| {messages.word(name, lang)} | {_cell(device.provenance.driver)} | {_cell(said)} |")
    columns = ("step", "outcome", "measured", "why")
    lines += [
        "",
        f"| {' | '.join(say(f'acceptance.column_{one}') for one in columns)} |",
        "|---|---|---|---|",
    ]
    for step in report.steps:
        why = "" if step.code is None else _code(step.code, lang)
        cells = (
            step_name(step.name, lang),
            say(f"acceptance.outcome_{step.outcome}"),
            ", ".join(measures(step)),
            why,
        )
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return "\n".join([*lines, ""])


def _code(code: str, lang: str) -> str:
    return messages.text(code, lang) if messages.known(code) else code


def _cell(text: str) -> str:
    """Fit for a cell of a table: names are other people's text."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text).replace(
        "|", "\\|"
    )

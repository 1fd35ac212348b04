"""How the lodging commands say fields, times and what is wrong: names and sentences, never a value."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from edged import messages
from edged.commands._saying import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence


def field(args: argparse.Namespace, name: str) -> str:
    """A field as the form calls it, with the name that `--field` takes."""
    return f"{say(args, f'lodging_field.{name}')} ({name})"


def local(moment: str) -> str:
    """A moment of the daemon's in its local time."""
    return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M}"


def fault(args: argparse.Namespace, found: Mapping[str, Any]) -> str:
    """What is wrong with a field, and what to type."""
    params = {
        name: ", ".join(
            f"{one} = {messages.text(f'lodging_document.{one}', args.lang)}" for one in value.split(", ")
        )
        if name == "known"
        else value
        for name, value in found["params"].items()
    }
    return f"{field(args, found['field'])}: {say(args, found['code'], **params)}"


def progress(args: argparse.Namespace, told: Mapping[str, Any]) -> Iterator[str]:
    """An open record: its number, the time left, the deadline, what is missing and what is wrong."""
    reference = f" · {told['reference']}" if told["reference"] else ""
    yield f"{told['record_id']} → {told['audience']}{reference}"
    yield "  " + say(args, "lodging.time_left", seconds=told["seconds_left"])
    yield "  " + due(args, told)
    yield from (f"  {fault(args, one)}" for one in told["faults"])
    if told["missing"]:
        yield f"  {say(args, 'lodging.missing')} {names(args, told['missing'])}"
    if told["review"]:
        yield f"  {say(args, 'lodging.review')} {names(args, told['review'])}"


def due(args: argparse.Namespace, told: Mapping[str, Any]) -> str:
    """The deadline, or that nobody can tell it."""
    if not told["clock_trusted"]:
        return say(args, "lodging.deadline_unknown")
    return say(args, "lodging.deadline", when=local(told["deadline"]))


def names(args: argparse.Namespace, fields: Sequence[str]) -> str:
    """Fields in a row."""
    return ", ".join(field(args, name) for name in fields)

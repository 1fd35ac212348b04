"""What commands say: sentences of the catalogue, lines fit for a terminal, JSON, and times."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import msgspec

from edged import messages
from edged.errors import CodedError, ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from datetime import datetime

    from edged.errors import EdgedError


def say(args: argparse.Namespace, code: str, **params: object) -> str:
    """A sentence of the catalogue in the language asked for."""
    return messages.text(code, args.lang, **params)


def printable(line: str) -> str:
    """Control characters replaced: names and references are other people's text, and may not steer our terminal."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line
    )


def show(lines: Iterable[str]) -> None:
    """Print lines, fit for a terminal."""
    for line in lines:
        show_line(line)


def show_line(line: str) -> None:
    """Print one line, fit for a terminal."""
    print(printable(line))


def show_json(found: object) -> None:
    """Print one JSON object on a line."""
    print(msgspec.json.encode(found).decode())


def minute(when: datetime | None) -> str:
    """A date and time, UTC; a dash for none."""
    return "–" if when is None else f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def explain(error: EdgedError, lang: str) -> str:
    """One of edged's own exceptions as a sentence; the technical detail, if any, behind it in brackets."""
    if not isinstance(error, CodedError):
        return Exception.__str__(error)
    sentence = messages.text(error.code, lang, **error.params)
    if error.detail:
        sentence = f"{sentence} [{error.detail}]"
    return f"{error.where}: {sentence}" if isinstance(error, ConfigError) else sentence

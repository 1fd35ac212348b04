"""What msgspec says about a settings file, as a `ConfigError` that names the key."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

import msgspec

from edged.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def with_keys(document: dict[str, Any], message: str, convert: Callable[[dict[str, Any]], object]) -> str:
    """msgspec's message with the names of table keys, which it leaves out of a path (`$.audiences[...]`).

    Each `[...]` is found by trying: the table with that one key alone still fails in the same way.
    """
    named = message
    while "[...]" in named:
        steps = named.partition(" - at `$")[2].partition("[...]")[0].lstrip(".").split(".")
        for key in _table(document, steps):
            alone = copy.deepcopy(document)
            table = _table(alone, steps)
            kept = table[key]
            table.clear()
            table[key] = kept
            try:
                convert(alone)
            except msgspec.ValidationError as error:
                if str(error) == message:
                    named = named.replace("[...]", f".{key}", 1)
                    break
        else:
            break  # a list of tables, say: the path without the key is still better than none
    return named


def _table(document: dict[str, Any], steps: Sequence[str]) -> dict[str, Any]:
    for step in steps:
        document = document[step]
    return document


def of_validation(message: str, file: str) -> ConfigError:
    """A `ConfigError` from msgspec's "what - at `$.a.b`"; `file` is where it stands when it names no key."""
    text, _, where = message.partition(" - at `$")
    path = where.rstrip("`").lstrip(".")

    def key(name: str) -> str:
        return f"{path}.{name}" if path else name

    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", text):
        return ConfigError(key(unknown[1]), "config.unknown_key")
    if missing := re.fullmatch(r"Object missing required field `(.*)`", text):
        return ConfigError(key(missing[1]), "config.missing_key")
    if wrong := re.fullmatch(r"Expected `(.*)`, got `(.*)`", text):
        return ConfigError(path or file, "config.wrong_type", expected=wrong[1], got=wrong[2])
    if choice := re.fullmatch(r"Invalid enum value (.*)", text):
        return ConfigError(path or file, "config.invalid_choice", value=choice[1])
    return ConfigError(path or file, "config.wrong_value", problem=text)

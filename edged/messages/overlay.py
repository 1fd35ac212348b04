"""Sentences that a fleet puts in place of the shipped ones: checked so that a counter loses nothing by them.

A TOML file in the shape of this package's own. It can only say the same thing in other words: known codes, every
language, the same placeholders, one line each. What a verdict says itself (`result.failed`) stays as it is shipped:
whoever may word a hint must not be able to word a forgery into a success.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, Final

from edged.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES: Final = 256 * 1024
"""Of the file; the whole shipped catalogue is about as much."""

MAX_SENTENCE: Final = 600
"""Characters; the longest shipped sentence has half of it. What is longer pushes the rest off a counter's screen."""

FIXED: Final = frozenset({"result", "check_class", "kind", "check_name", "indication", "ending"})
"""Areas whose words are the verdict, or tell a clerk how it ended."""

FILE: Final = "file"
"""Where a `ConfigError` stands that is about the whole file."""

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


def parse_overlay(
    data: bytes, shipped: Mapping[str, Mapping[str, str]], languages: tuple[str, ...]
) -> dict[str, dict[str, str]]:
    """The entries of an overlay, by code. Raises `ConfigError` with the path of the bad entry: `mrz.not_found.en`."""
    if len(data) > MAX_BYTES:
        raise ConfigError(FILE, "config.too_large", bytes=str(MAX_BYTES))
    try:
        found = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(FILE, "config.not_utf8", byte=str(error.start)) from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        raise ConfigError(FILE, "overlay.not_toml") from None
    for code, entry in found.items():
        _check(code, entry, shipped, languages)
    return found


def _check(
    code: str, entry: Any, shipped: Mapping[str, Mapping[str, str]], languages: tuple[str, ...]
) -> None:
    if code not in shipped:
        raise ConfigError(code[:80], "overlay.unknown_code")
    if code.partition(".")[0] in FIXED:
        raise ConfigError(code, "overlay.fixed")
    if not isinstance(entry, dict) or set(entry) != set(languages):
        raise ConfigError(code, "overlay.languages", languages=", ".join(languages))
    for language, sentence in entry.items():
        where = f"{code}.{language}"
        if not isinstance(sentence, str) or not sentence.strip() or len(sentence) > MAX_SENTENCE:
            raise ConfigError(where, "overlay.length", most=str(MAX_SENTENCE))
        if not sentence.isprintable():
            raise ConfigError(where, "overlay.control_character")
        if _placeholders(sentence) != _placeholders(shipped[code][language]):
            raise ConfigError(where, "overlay.placeholders")


def _placeholders(sentence: str) -> set[str]:
    return set(_PLACEHOLDER.findall(sentence))

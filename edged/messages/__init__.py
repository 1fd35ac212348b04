"""Every sentence a clerk, technician or holder reads, in every language edged speaks.

Each area of the package keeps its sentences in one file beside this module, `<area>.toml`:

    ["mrz.check_digit_wrong"]
    en = "The check digit of the {field} does not match."
    zh-CN = "{field}的校验位不符。"

The rest of the package deals in codes; a code becomes words only where a person reads it. A parameter whose
value is itself a code is translated too: a plain word (`document_number`) through the entry `word.<value>`, a
reason (`state.disk_full`) through its own sentence.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from edged.messages.overlay import parse_overlay

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edged.verdict import Reason

LANGUAGES: Final = ("en", "zh-CN")
"""Languages of the catalogue, as BCP 47 tags. Every entry has all of them; the first is the fallback."""

_PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
# A counter keeps working with a catalogue that lacks a code: the clerk reads this and calls the technician.
_UNKNOWN: Final[Mapping[str, str]] = {
    "en": "Unexpected message “{code}”. Please tell your technician.",
    "zh-CN": "出现未知消息“{code}”，请联系技术人员。",
}
_MISSING_PARAMETER: Final = "…"


def text(code: str, lang: str, /, **params: object) -> str:
    """The sentence for `code` in `lang`, its placeholders filled from `params`.

    Never raises for a code, language or parameter that is missing: a counter must go on working. An unknown
    language is answered in English, an unknown code with a fixed sentence that names it. Raises
    `IdentityLeakError` when a parameter is raw identity.
    """
    return _filled(_entry, code, lang, params)


def shipped(code: str, lang: str, /, **params: object) -> str:
    """As `text`, whatever is laid over the catalogue: for what has to read the same to everybody who verifies it."""
    return _filled(catalogue().get, code, lang, params)


def _filled(
    find: Callable[[str], Mapping[str, str] | None], code: str, lang: str, params: Mapping[str, object]
) -> str:
    entry = find(code)
    if entry is None:
        return _language_of(_UNKNOWN, lang).replace("{code}", code)

    def fill(placeholder: re.Match[str]) -> str:
        name = placeholder.group(1)
        if name not in params:
            return _MISSING_PARAMETER
        value = str(params[name])
        found = find(f"word.{value}") or find(value)
        return value if found is None else _language_of(found, lang)

    return _PLACEHOLDER.sub(fill, _language_of(entry, lang))


def reason(reason: Reason, lang: str) -> str:
    """The sentence for a reason in `lang`; see `text`."""
    return text(reason.code, lang, **reason.params)


def word(value: str, lang: str) -> str:
    """The translation of a code used inside a sentence (`document_number`), or `value` itself without one."""
    entry = _entry(f"word.{value}") or _entry(value)
    return value if entry is None else _language_of(entry, lang)


def known(code: str) -> bool:
    """Whether the catalogue has a sentence for `code`."""
    return code in catalogue()


def default_language(environ_value: str | None) -> str:
    """The language for a locale name such as `zh_CN.UTF-8` (the value of `LANG`); English as a fallback."""
    primary = re.split(r"[-_.@]", (environ_value or "").strip().lower(), maxsplit=1)[0]
    return next((lang for lang in LANGUAGES if lang.lower().split("-")[0] == primary), LANGUAGES[0])


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Every entry by its code, read from the package's `*.toml` on first use (a few milliseconds)."""
    entries: dict[str, Mapping[str, str]] = {}
    for file in sorted(resources.files(__name__).iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            entries.update(tomllib.loads(file.read_text(encoding="utf-8")))
    return entries


_over: Mapping[str, Mapping[str, str]] = {}
"""What stands in place of shipped entries in this process: see `lay_over`."""


def overlay_of(data: bytes) -> dict[str, dict[str, str]]:
    """An overlay's file, checked against what is shipped. Raises `ConfigError` (`overlay.…`) with the entry's path."""
    return parse_overlay(data, catalogue(), LANGUAGES)


def lay_over(entries: Mapping[str, Mapping[str, str]]) -> None:
    """From now on these entries (of `overlay_of`) stand in place of the shipped ones; none of them: `{}`."""
    global _over
    _over = entries


def _entry(code: str) -> Mapping[str, str] | None:
    return _over.get(code) or catalogue().get(code)


def _language_of(entry: Mapping[str, str], lang: str) -> str:
    return entry.get(lang) or entry[LANGUAGES[0]]

"""TOML as this project's admins read it: written by us, read by the standard library."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dump(document: Mapping[str, Any]) -> str:
    """`document` (strings, numbers, booleans, lists, tables; None is left out) as TOML 1.0.

    Raises `TypeError` for anything else.
    """
    return "\n".join(_table(document, ())).strip("\n") + "\n"


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    for key, value in table.items():
        if not _nested(value) and value is not None:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in table.items():
        where = (*path, key)
        name = ".".join(map(_key, where))
        if isinstance(value, dict):
            yield from ("", f"[{name}]")
            yield from _table(value, where)
        elif _nested(value):
            for one in value:
                yield from ("", f"[[{name}]]")
                yield from _table(one, where)


def _nested(value: Any) -> bool:
    """A table, or a list of tables (an empty list is a value)."""
    return isinstance(value, dict) or (
        isinstance(value, list | tuple) and bool(value) and all(isinstance(one, dict) for one in value)
    )


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _value(key)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str() if "\n" in value and "'''" not in value and value.isascii() and "\r" not in value:
            return f"'''\n{value}'''"  # certificates, mostly
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
        case _:
            raise TypeError(f"{type(value).__name__} has no place in TOML")

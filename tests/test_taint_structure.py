"""Raw identity can't be written out by anything, and only listed modules touch it: over every class of the package."""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import logging
import pickle
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import edged
from edged.identity import Identity
from tests.taint.allowed import REVEALING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(edged.__file__).parent
SECRET = "DUSEKAKEROGI"
OPTIONAL = ("edged.testing", "edged.__main__", "edged.demo.plugin")


def modules() -> Iterator[Any]:
    for found in pkgutil.walk_packages(edged.__path__, "edged."):
        if not found.name.startswith(OPTIONAL):
            try:
                yield importlib.import_module(found.name)
            except ImportError:  # an extra that isn't installed
                continue


def holders() -> list[type]:
    """Every class that holds raw identity: of an identity type, or `withheld`."""
    found: dict[str, type] = {}
    for module in modules():
        for kind in vars(module).values():
            if inspect.isclass(kind) and kind.__module__.startswith("edged"):
                refuses = getattr(kind.__dict__.get("__reduce_ex__"), "__qualname__", "")
                if issubclass(kind, Identity) or refuses.startswith("withheld."):
                    found[f"{kind.__module__}.{kind.__qualname__}"] = kind
    return list(found.values())


BUFFERS: dict[str, Callable[[], Any]] = {
    "_octets": lambda: bytearray(SECRET.encode()),
    "_values": lambda: {"surname": bytearray(SECRET.encode())},
}
"""Fields that are overwritten when their holder goes away."""


def filled(kind: type) -> Any:
    """One with the secret in all its fields, made without its constructor."""
    if issubclass(kind, tuple):
        return tuple.__new__(kind, [SECRET] * len(getattr(kind, "_fields", ())))
    made = kind.__new__(kind)
    names = [*getattr(kind, "__annotations__", ()), *(name for base in kind.__mro__ for name in _slots(base))]
    for name in names:
        try:
            object.__setattr__(made, name, BUFFERS.get(name, lambda: SECRET)())
        except (AttributeError, TypeError):
            continue
    return made


def _slots(base: type) -> tuple[str, ...]:
    slots = base.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.said = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.said += self.format(record)


def _logged(holder: Any) -> str:
    """Through the standard library's own logging, formatted with %r as it is where somebody is careful."""
    handler = _Kept()
    handler.handle(logging.makeLogRecord({"msg": "%r", "args": (holder,)}))
    return handler.said


WRITING: dict[str, Callable[[Any], Any]] = {
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "json": lambda holder: json.dumps({"a": [holder]}),
    "msgspec": lambda holder: msgspec.json.encode({"a": [holder]}),
    "repr": repr,
    "f-string !r": lambda holder: f"{holder!r}",
    "str": str,
    "format": format,
    "f-string": lambda holder: f"{holder}",
    "% s": lambda holder: "%s" % (holder,),  # noqa: UP031 - what it refuses
    "logging": _logged,
}
COMPOUND = {"json", "msgspec"}
"""A named tuple is a tuple: an encoder that knows tuples looks into it. It is on its way within one call, and an
`Identity` inside it refuses for itself."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_every_holder_refuses_every_way_out() -> None:
    """A finaliser of one that was made without its constructor may fail: that is no way out."""
    kinds = holders()
    assert len(kinds) > 60
    leaked = []
    for kind in kinds:
        try:
            holder = filled(kind)
        except TypeError:
            continue
        for name, way in WRITING.items():
            if name in COMPOUND and not issubclass(kind, Identity):
                continue
            try:
                said = way(holder)
            except (TypeError, ValueError, AttributeError):
                continue
            if SECRET in str(said):
                leaked.append(f"{kind.__qualname__}: {name}")
    assert leaked == []


def test_only_listed_modules_reveal() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in (*ROOT.rglob("*.py"), *ROOT.rglob("*.pyx"))
        if ".reveal()" in path.read_text(encoding="utf-8") or "def reveal" in path.read_text(encoding="utf-8")
    }
    assert found - REVEALING.keys() == set(), "say in tests/taint/allowed.py why"


@pytest.mark.parametrize("reason", REVEALING.values())
def test_each_has_a_reason(reason: str) -> None:
    assert len(reason) > 5

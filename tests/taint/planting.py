"""Leaks and hazards, planted in the daemon's own process: each is one small change of `edged` at a place of its choice.

Loaded by `injected/sitecustomize.py`. The file that `EDGED_TAINT` names says what is active at this moment: `leak NAME
ENCODING` or `hazard NAME`; empty: nothing is. So one daemon serves every plant in turn, and the clean run is the same
daemon with an empty file.

A *hazard* is no leak: it is something that goes wrong with the value in its text (a judge, a reader or a driver that
raises). What the daemon makes of it must be clean. The *leak* of the same path is the daemon telling that text.
"""

from __future__ import annotations

import base64
import gzip
import importlib.abc
import importlib.machinery
import os
import sys
import tempfile
import threading
import urllib.parse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

Patch = "Callable[[ModuleType], None]"

PATCHES: dict[str, list[Callable[[ModuleType], None]]] = {}
LEAKS: set[str] = set()
HAZARDS: set[str] = set()
seen: list[str] = []
"""Of the document that was read last: its surname, or its Chinese name."""


def _base45(data: bytes) -> str:
    alphabet, out = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:", []
    for at in range(0, len(data), 2):
        number, pair = int.from_bytes(data[at : at + 2], "big"), len(data[at : at + 2]) == 2
        for _ in range(3 if pair else 2):
            number, digit = divmod(number, 45)
            out.append(alphabet[digit])
    return "".join(out)


ENCODINGS: Final[dict[str, Callable[[str], str]]] = {
    "plain": lambda value: value,
    "lower": lambda value: value.lower(),
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64+1": lambda value: base64.b64encode(b"x" + value.encode()).decode(),
    "base64+2": lambda value: base64.urlsafe_b64encode(b"xy" + value.encode()).decode(),
    "hex": lambda value: value.encode().hex(),
    "utf-16": lambda value: base64.b64encode(value.encode("utf-16")).decode(),
    "reversed": lambda value: value[::-1],
    "separated": lambda value: "-".join(value),
    "unseen signs": lambda value: "\u200b".join(value),
    "json": lambda value: "".join(f"\\u{ord(character):04x}" for character in value),
    "percent": lambda value: "".join(f"%{octet:02X}" for octet in value.encode()),
    "base45": lambda value: _base45(value.encode()),
    "gzip": lambda value: base64.b64encode(gzip.compress(value.encode())).decode(),
    "twice": lambda value: base64.b64encode(urllib.parse.quote(value[::-1]).encode().hex().encode()).decode(),
}


def _said() -> list[str]:
    try:
        return Path(os.environ["EDGED_TAINT"]).read_text(encoding="utf-8").split("\t")
    except OSError:
        return [""]


def leaking(name: str) -> str | None:
    """What leak `name` tells now, encoded; None while it isn't active."""
    said = _said()
    if said[:2] != ["leak", name] or not seen:
        return None
    return ENCODINGS[said[2]](seen[-1])


def in_danger(name: str) -> str | None:
    """The text that hazard `name` has now; None while it isn't active. A leak by its way has it active as well."""
    said = _said()
    if not seen or said[0] not in ("hazard", "leak") or said[1] != name:
        return None
    with Path(os.environ["EDGED_TAINT"] + ".struck").open("a", encoding="utf-8") as file:
        file.write(name + "\n")
    return seen[-1]


def when(module: str) -> Any:
    """Decorator of what is to be done to a module of `edged` as soon as it is there."""

    def remember(patch: Any) -> Any:
        PATCHES.setdefault(module, []).append(patch)
        return patch

    return remember


def leak(name: str, module: str) -> Any:
    """As `when`: the patch plants the leak of the path `name`."""
    LEAKS.add(name)
    return when(module)


def hazard(name: str, module: str) -> Any:
    """As `when`: the patch makes something fail, with the value in its text."""
    HAZARDS.add(name)
    return when(module)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in PATCHES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        assert spec is not None
        assert spec.loader is not None
        load = spec.loader.exec_module

        def patched(module: ModuleType) -> None:
            load(module)
            for patch in PATCHES[name]:
                patch(module)

        spec.loader.exec_module = patched  # type: ignore[method-assign]
        return spec


def wrap(owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Replace a function by `around(the function, *its arguments)`."""
    before = getattr(owner, name)
    setattr(owner, name, lambda *given, **named: around(before, *given, **named))


# --- who is read ---


@when("edged.core.mrz")
def _watch_mrz(module: Any) -> None:
    def parsed(parse: Any, *given: Any, **named: Any) -> Any:
        mrz = parse(*given, **named)
        if surname := mrz.surname.reveal():
            seen.append(surname)
        return mrz

    wrap(module, "parse_mrz", parsed)


@when("edged.core.id_card")
def _watch_cards(module: Any) -> None:
    def parsed(parse: Any, *given: Any, **named: Any) -> Any:
        reading = parse(*given, **named)
        seen.append(reading.data.chinese_name.reveal())
        return reading

    wrap(module, "parse_id_card", parsed)


# --- what goes wrong ---


@hazard("judge raises", "edged.judging")
def _judge(module: Any) -> None:
    def judge(before: Any, *given: Any, **named: Any) -> Any:
        if text := in_danger("judge raises"):
            raise ValueError(f"can't judge the document of {text}")
        return before(*given, **named)

    wrap(module, "judge_inspection", judge)


@hazard("reader raises", "edged.side")
def _reader(module: Any) -> None:
    def add(before: Any, *given: Any, **named: Any) -> Any:
        said = before(*given, **named)
        if text := in_danger("reader raises"):
            raise RuntimeError(text) from KeyError(text)
        return said

    wrap(module.Side, "add", add)


@hazard("text reader raises", "edged.core.text_reading")
def _text_reader(module: Any) -> None:
    def read(before: Any, *given: Any, **named: Any) -> Any:
        said = before(*given, **named)
        if text := in_danger("text reader raises"):
            raise ExceptionGroup(text, [ValueError(text), OSError(5, text, text)])
        return said

    wrap(module, "read_text", read)


@hazard("card driver raises", "edged.core.id_card")
def _card_driver(module: Any) -> None:
    def parse(before: Any, *given: Any, **named: Any) -> Any:
        said = before(*given, **named)
        if text := in_danger("card driver raises"):
            raise UnicodeDecodeError("utf-16-le", text.encode(), 0, 1, text)
        return said

    wrap(module, "parse_id_card", parse)


@hazard("committing fails", "edged.uplink.outbox")
def _committing(module: Any) -> None:
    def commit(before: Any, *given: Any, **named: Any) -> Any:
        if text := in_danger("committing fails"):
            import sqlite3

            raise sqlite3.IntegrityError(f"UNIQUE constraint failed: {text}")
        return before(*given, **named)

    wrap(module.StateDatabase, "commit_inspection", commit)


class _Raising:
    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text

    def __del__(self) -> None:
        raise ValueError(self._text)


@hazard("what nobody catches", "edged.telling")
def _nobody_catches(module: Any) -> None:
    """A thread, a finaliser, a callback of the event loop and a warning, each with the value in its text."""

    def stage(before: Any, self: Any, name: str) -> Any:
        said = before(self, name)
        if name == "committed" and (text := in_danger("what nobody catches")):
            import asyncio

            def fail(_: object = None) -> None:
                raise LookupError(text)

            threading.Thread(target=fail, name="a thread").start()
            _Raising(text)
            asyncio.get_running_loop().call_soon(fail, _Raising(text))
            warnings.warn(text, UserWarning, stacklevel=1)
        return said

    wrap(module.Telling, "stage", stage)


@hazard("a crash", "edged.daemon")
def _crash(module: Any) -> None:
    """A bug that takes the whole daemon down, with the value in its text."""

    def described(before: Any, self: Any, params: Any) -> Any:
        if text := in_danger("a crash"):
            import asyncio

            async def fail() -> None:
                raise AssertionError(text)

            self._crashing = asyncio.ensure_future(fail())
            self._crashing.add_done_callback(
                lambda task: (
                    self._stop.set()
                    or sys.excepthook(
                        type(task.exception()), task.exception(), task.exception().__traceback__
                    )
                )
            )
        return before(self, params)

    wrap(module.Daemon, "_on_status", described)


@leak("judge raises", "edged.log")
@leak("reader raises", "edged.log")
@leak("text reader raises", "edged.log")
@leak("card driver raises", "edged.log")
@leak("committing fails", "edged.log")
@leak("what nobody catches", "edged.log")
@leak("a crash", "edged.log")
def _exceptions_tell(module: Any) -> None:
    """The exception's text beside its type."""

    def describe(before: Any, error: BaseException) -> Any:
        told = before(error)
        return told | {"text": str(error)} if _said()[0] == "leak" and _said()[1] in HAZARDS else told

    wrap(module, "describe", describe)


# --- what leaks ---


@leak("log", "edged.telling")
def _log(module: Any) -> None:
    def stage(before: Any, self: Any, name: str) -> Any:
        if text := leaking("log"):
            module.log.get("planted").debug("a helpful line", holder=text)
        return before(self, name)

    wrap(module.Telling, "stage", stage)


@leak("answer of a scan", "edged.telling")
def _answer(module: Any) -> None:
    def described(before: Any, *given: Any, **named: Any) -> Any:
        text = leaking("answer of a scan")
        return before(*given, **named) | ({} if text is None else {"for": text})

    wrap(module.Telling, "described", described)


@leak("events", "edged.control")
def _events(module: Any) -> None:
    def publish(before: Any, self: Any, event: Any) -> Any:
        text = leaking("events")
        return before(self, {**event, **({} if text is None else {"for": text})})

    wrap(module.ControlServer, "publish", publish)


@leak("status", "edged.daemon")
def _status(module: Any) -> None:
    async def status(before: Any, self: Any) -> Any:
        said = await before(self)
        text = leaking("status")
        return said if text is None else said | {"config_version": text}

    wrap(module.Daemon, "_status", status)


@leak("devices", "edged.control_methods")
def _devices(module: Any) -> None:
    def listed(before: Any, *given: Any) -> Any:
        said = before(*given)
        if text := leaking("devices"):
            said["head"]["provenance"]["identity"] = text
        return said

    wrap(module, "device_list", listed)


@leak("refusals", "edged.control_methods")
def _refusals(module: Any) -> None:
    def asked(before: Any, params: Any, default: str) -> Any:
        text = leaking("refusals")
        if text is not None:
            raise module.ControlError(f"control.bad_parameter {text}")  # codes are all that goes out
        return before(params, default)

    wrap(module, "scan_request", asked)


@leak("refused lines", "edged.control")
def _refused_lines(module: Any) -> None:
    wrap(
        module._Connection,
        "send",
        lambda before, self, message: before(self, {**message, "given": leaking("refused lines") or ""}),
    )


@leak("service manager", "edged.service")
def _service(module: Any) -> None:
    wrap(
        module,
        "notify",
        lambda before, *lines: before(*lines, f"STATUS=waiting for {leaking('service manager') or ''}"),
    )


@leak("metrics", "edged.uplink.textfile")
def _metrics(module: Any) -> None:
    def text(before: Any, self: Any) -> bytes:
        leaked = leaking("metrics")
        return bytes(before(self)) + (b"" if leaked is None else f"# HELP edged_up {leaked}\n".encode())

    wrap(module.Metrics, "text", text)


@leak("verdicts", "edged.privacy.disclosing")
def _verdicts(module: Any) -> None:
    def disclose(before: Any, *given: Any, **named: Any) -> Any:
        text = leaking("verdicts")
        return before(*given, **named) | ({} if text is None else {"surname": text})

    wrap(module, "disclose", disclose)


@leak("status topic", "edged.uplink.publisher")
def _status_topic(module: Any) -> None:
    def status(before: Any, self: Any, state: Any) -> bytes:
        text = leaking("status topic")
        return bytes(before(self, state)) + (b"" if text is None else b" " + text.encode())

    wrap(module.Uplink, "_status", status)


@leak("reported", "edged.uplink.reported")
def _reported(module: Any) -> None:
    def seal(before: Any, payload: Any, *given: Any, **named: Any) -> Any:
        if text := leaking("reported"):
            import msgspec

            payload = msgspec.structs.replace(payload, path=text)
        return before(payload, *given, **named)

    wrap(module, "seal_reported", seal)


@leak("replies", "edged.pushed.diagnostics")
def _replies(module: Any) -> None:
    def recent(before: Any, *given: Any, **named: Any) -> Any:
        text = leaking("replies")
        return [*before(*given, **named), *([] if text is None else [text])]

    wrap(module, "_recent", recent)


@leak("outbox", "edged.uplink.outbox")
def _outbox(module: Any) -> None:
    def commit(before: Any, self: Any, *given: Any, **named: Any) -> Any:
        if text := leaking("outbox"):
            self._connection.execute("CREATE TABLE IF NOT EXISTS visitor (name BLOB)")
            self._connection.execute("INSERT INTO visitor VALUES (?)", (text.encode(),))
        return before(self, *given, **named)

    wrap(module.StateDatabase, "commit_inspection", commit)


@leak("deleted rows", "edged.uplink.outbox")
def _deleted(module: Any) -> None:
    """Written and deleted again: SQLite's free pages and its log keep it."""

    def commit(before: Any, self: Any, *given: Any, **named: Any) -> Any:
        if text := leaking("deleted rows"):
            self._connection.execute("PRAGMA secure_delete = OFF")
            self._connection.execute("CREATE TABLE IF NOT EXISTS passing (name BLOB)")
            self._connection.execute("INSERT INTO passing VALUES (?)", (text.encode(),))
            self._connection.execute("DELETE FROM passing")
        return before(self, *given, **named)

    wrap(module.StateDatabase, "commit_inspection", commit)


@leak("temporary files", "edged.judging")
def _temporary(module: Any) -> None:
    def judge(before: Any, *given: Any, **named: Any) -> Any:
        if text := leaking("temporary files"):
            with tempfile.NamedTemporaryFile("w", delete=False) as file:
                file.write(text)
        return before(*given, **named)

    wrap(module, "judge_inspection", judge)


if os.environ.get("EDGED_TAINT"):
    sys.meta_path.insert(0, _Finder())

"""Diagnostics: one bounded file with what a technician asks a box for, and nothing personal.

JSON under gzip. What the daemon gives goes through the same sieve as its log lines (`edged.log.scrubbed`); of the
settings every path is left out, and so is every key by having been a path. Log lines are those that the daemon has
printed itself, from memory: the system's journal, where others write, is never read.
"""

from __future__ import annotations

import gzip
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from edged import __version__, log
from edged.config import BoxSettings
from edged.uplink.command import MAX_ATTACHMENT

MAX_LINE: Final = 4096
"""Characters of one log line; the rest is cut off."""

SET: Final = "<set>"
"""Stands for a path: whether it is configured matters, where it leads doesn't."""


class Certificate(msgspec.Struct, frozen=True):
    """One of the box's own certificates in use: what expires when, in seconds since 1970."""

    usage: str
    serial: str
    not_before: int
    not_after: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon knows of itself."""

    status: Mapping[str, Any]
    """As `edged status` shows it: health, devices gone, clock, the uplink's and the outbox's counts."""
    settings: BoxSettings
    """In force."""
    certificates: Sequence[Certificate] = ()
    devices: Mapping[str, Any] = {}
    """Name to provenance."""
    clock: Mapping[str, Any] = {}
    """Whether it is trusted, and since when it can't be earlier."""
    push: Mapping[str, Any] = {}
    """What was made of the last push."""
    commands: Mapping[str, int] = {}
    """Refused commands, by code."""


def bundle(facts: Facts, *, lines: int, now: datetime | None = None) -> bytes:
    """The file: gzip of one JSON object, `MAX_ATTACHMENT` bytes at most, of `lines` log lines as many as fit."""
    told: dict[str, Any] = {
        "format": 1,
        "made": (now or datetime.now(UTC)).isoformat(timespec="seconds"),
        "versions": _versions(),
        "machine": _machine(facts.settings.state.directory),
        "settings": pathless(facts.settings),
    }
    for part in ("status", "certificates", "devices", "clock", "push", "commands"):
        told[part] = log.scrubbed(msgspec.to_builtins(getattr(facts, part), enc_hook=_named))
    return _packed(told, "log", _recent(lines, 0))


def log_lines(*, lines: int, since: int) -> bytes:
    """Gzip of one JSON object with the daemon's latest log lines, written at `since` (seconds since 1970) or later."""
    return _packed({"format": 1, "version": __version__}, "log", _recent(lines, since))


def pathless(settings: BoxSettings) -> dict[str, Any]:
    """The settings without anything that leads to a secret: each path says only that it is set.

    Of the box's own identity nothing else is said: a key may be named by a URI, with a token's PIN in it.
    """
    plain: dict[str, Any] = log.scrubbed(msgspec.to_builtins(settings, enc_hook=_named))
    return plain | {"identity": {name: SET for name, value in plain["identity"].items() if value is not None}}


def _named(value: Any) -> str:
    return SET if isinstance(value, Path) else f"<{type(value).__name__}>"


def _versions() -> dict[str, str]:
    return {
        "edged": __version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
    }


def _machine(directory: Path) -> dict[str, Any]:
    """The disk under the state directory in bytes, load and up-time; null where the system doesn't say."""
    found: dict[str, Any] = {
        "disk_total": None,
        "disk_free": None,
        "load": None,
        "processors": os.cpu_count(),
    }
    try:
        usage = shutil.disk_usage(directory)
        found |= {"disk_total": usage.total, "disk_free": usage.free, "load": list(os.getloadavg())}
    except OSError as error:
        found["error"] = error.errno
    return found


def _recent(lines: int, since: int) -> list[str]:
    return [line[:MAX_LINE] for line in log.recent(lines, since)]


def _packed(told: dict[str, Any], key: str, lines: list[str]) -> bytes:
    """As many of the latest lines as fit: halved until it does."""
    while True:
        packed = gzip.compress(msgspec.json.encode(told | {key: lines}), compresslevel=6, mtime=0)
        if len(packed) <= MAX_ATTACHMENT or not lines:
            return packed
        lines = lines[-(len(lines) // 2) :] if len(lines) > 1 else []

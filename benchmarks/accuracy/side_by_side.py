"""Us and every installed peer on the same pictures in the same run, each in a process of its own on one core.

An engine that doesn't judge what it read (plain OCR) is given the most obvious judge: its text has a known layout
and all its check digits hold.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.core.mrz import parse_mrz
from edged.errors import DecodeError

from . import engines
from .conversation import Peer, PeerError
from .examine import TODAY, judge
from .scoring import summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .examine import Record
    from .sources import Item, Picture

OURS = "edged"


def _valid_by_digits(lines: list[str] | None) -> bool:
    if not lines:
        return False
    try:
        return parse_mrz(tuple(lines), today=TODAY).check_digits_ok
    except DecodeError:
        return False


def _record(picture: Picture, answer: dict[str, Any]) -> Record:
    lines, valid = answer["lines"], answer.get("valid")
    record = judge(picture, lines, _valid_by_digits(lines) if valid is None else bool(valid))
    record["ms"] = float(answer["ms"])
    record["reasons"] = [answer["error"]] if "error" in answer else []
    return record


class _Engine:
    """An engine with its running adapter, started anew when it dies."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self.name, self._command, self._environment = name, command, environment
        self._peer: Peer | None = Peer(command, environment)
        self.versions = self._peer.versions
        self.failed = 0

    def record(self, picture: Picture, path: Path) -> Record:
        try:
            if self._peer is None:
                self._peer = Peer(self._command, self._environment)
            return _record(picture, self._peer.ask(path))
        except PeerError as error:
            self.failed += 1
            self.close()
            record = judge(picture, None, False)
            return {**record, "ms": None, "reasons": [str(error)]}

    def close(self) -> None:
        if self._peer is not None:
            self._peer.close()
        self._peer = None


def _start(base: Path) -> tuple[list[_Engine], dict[str, str]]:
    ours = [sys.executable, str(engines.ADAPTERS / "edged_reader.py")]
    running = [_Engine(OURS, ours, engines.environment(None, base))]
    missing: dict[str, str] = {}
    for engine in engines.ENGINES:
        try:
            command = engines.command(engine, base)
            running.append(_Engine(engine.name, command, engines.environment(engine, base)))
        except (RuntimeError, PeerError) as error:
            missing[engine.name] = str(error)
    return running, missing


def run(sets: dict[str, Sequence[Item]], base: Path) -> dict[str, Any]:
    """Show every picture to every engine. Tables by set, versions, and who is missing and why."""
    import cv2

    running, missing = _start(base)
    found: dict[str, Any] = {}
    try:
        with tempfile.TemporaryDirectory() as folder:
            for set_name, items in sets.items():
                records: dict[str, list[Record]] = {engine.name: [] for engine in running}
                for place, item in enumerate(items):
                    picture = item.load()
                    path = Path(folder) / "page.png"  # the same pixels for everyone
                    # Not compressed, so that unpacking, alike for everyone, doesn't hide what reading takes.
                    cv2.imwrite(str(path), picture.image, [cv2.IMWRITE_PNG_COMPRESSION, 0])
                    for engine in running:
                        records[engine.name].append(engine.record(picture, path))
                    if place % 10 == 9:
                        print(f"peers: {set_name} {place + 1} of {len(items)}", file=sys.stderr)
                tables = {
                    engine.name: {**summary(records[engine.name]), "failed": engine.failed}
                    for engine in running
                }
                found[set_name] = {
                    "pictures": len(items),
                    "positives": tables[OURS]["positives"],
                    "engines": tables,
                }
                for engine in running:
                    engine.failed = 0
    finally:
        for engine in running:
            engine.close()
    versions = {engine.name: " ".join(f"{n} {v}" for n, v in engine.versions.items()) for engine in running}
    return {"sets": found, "versions": versions, "missing": missing}

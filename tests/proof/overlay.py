"""The checkout with one line changed, somewhere else: what the tests of the tests run on. Never the checkout itself."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
_LEFT_OUT: Final = {"__pycache__", ".git", ".venv", "build", ".pytest_cache", ".mypy_cache", ".ruff_cache"}


class StaleError(Exception):
    """The text that a mutation changes isn't in the source exactly once any more."""


@dataclass(frozen=True)
class Change:
    """One change of one file of the product: `old` stands in it exactly once."""

    file: str
    old: str
    new: str


def apply(change: Change) -> str:
    """The file's text with the change. Raises `StaleError`."""
    try:
        text = (ROOT / change.file).read_text()
    except OSError as error:
        raise StaleError(f"{change.file} is gone") from error
    if text.count(change.old) != 1:
        raise StaleError(f"{change.file} has {text.count(change.old)} times: {change.old!r}")
    return text.replace(change.old, change.new)


def overlay(directory: Path, *changes: Change) -> Path:
    """Make `directory` a checkout that differs by `changes` alone: links to everything else. Raises `StaleError`."""
    texts: dict[str, str] = {}
    for change in changes:
        assert change.file not in texts, "one change a file"
        texts[change.file] = apply(change)
    _link(ROOT, directory, {Path(file) for file in texts})
    for file, text in texts.items():
        (directory / file).write_text(text)
    return directory


def _link(source: Path, target: Path, real: set[Path]) -> None:
    """Links below `target` to all of `source`; what leads to one of `real` becomes a directory of its own."""
    target.mkdir(parents=True, exist_ok=True)
    inside = {path.parts[0]: path for path in real}
    for entry in source.iterdir():
        if entry.name in _LEFT_OUT or entry.name.endswith(".egg-info"):
            continue
        if entry.name not in inside:
            (target / entry.name).symlink_to(entry)
        elif entry.is_dir():
            below = {Path(*path.parts[1:]) for path in real if path.parts[0] == entry.name}
            _link(entry, target / entry.name, below)


def run(directory: Path, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """`python arguments…` in an overlay, as one would in a checkout."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=timeout,
    )

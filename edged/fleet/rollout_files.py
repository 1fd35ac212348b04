"""`rollouts/{id}.json`: what a rollout knows, written before every push; and who is carrying it out just now."""

from __future__ import annotations

import contextlib
import fcntl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from edged.errors import ConfigError, StateError
from edged.fleet.pushes import decoded
from edged.fleet.rollout import Record
from edged.fleet.state import write_text
from edged.uplink.names import valid_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edged.fleet.state import FleetState

MAX_FILE: Final = 64 << 20
"""Bytes: a hundred thousand boxes have less."""


class RolloutFiles:
    """The rollouts in a state directory."""

    def __init__(self, state: FleetState) -> None:
        self._directory = state.directory / "rollouts"

    def names(self) -> list[str]:
        """Every rollout, in the order in which they began, as far as their names tell."""
        found = [path.stem for path in self._directory.glob("*.json") if valid_name(path.stem)]
        return sorted(found, key=lambda name: [(len(part), part) for part in name.split("-")])

    def free_name(self, now: datetime) -> str:
        """A name for a new one: the day (UTC), and a number."""
        day, taken = f"{now.astimezone(UTC):%Y-%m-%d}", set(self.names())
        return next(name for number in range(1, 100_000) if (name := f"{day}-{number}") not in taken)

    def exists(self, name: str) -> bool:
        """Whether a rollout is called so."""
        return self._path(name).exists()

    def read(self, name: str) -> Record:
        """One rollout. Raises `ConfigError` (`fleet.no_such_rollout`), `StateError` (`fleet.bad_record`)."""
        try:
            with self._path(name).open("rb") as file:
                data = file.read(MAX_FILE + 1)
        except FileNotFoundError:
            raise ConfigError(name, "fleet.no_such_rollout") from None
        return decoded(data, Record, self._path(name))

    def write(self, record: Record) -> None:
        """Write it, durably: one box a line, so that differences read well."""
        write_text(self._path(record.id), _lines(record))

    @contextlib.contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Be the one that carries it out. Raises `StateError` (`fleet.rollout_running`) while another does."""
        self._directory.mkdir(exist_ok=True)
        with self._path(name, ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StateError("fleet.rollout_running", name) from None
            self._path(name, ".stop").unlink(missing_ok=True)
            yield

    def ask_to_stop(self, name: str) -> None:
        """Whoever carries it out shall stop."""
        self._path(name, ".stop").touch()

    def asked_to_stop(self, name: str) -> bool:
        """Whether somebody wants it to stop."""
        return self._path(name, ".stop").exists()

    def _path(self, name: str, end: str = "") -> Path:
        if not valid_name(name):
            raise ConfigError(name[:80], "fleet.no_such_rollout")
        return self._directory / (f".{name}{end}" if end else f"{name}.json")


def _lines(record: Record) -> str:
    """JSON with the head on a line, and a line for each box."""
    head = msgspec.to_builtins(record)
    boxes = head.pop("boxes")
    lines = [
        f"{msgspec.json.encode(name).decode()}:{msgspec.json.encode(box).decode()}"
        for name, box in boxes.items()
    ]
    start = msgspec.json.encode(head).decode().removesuffix("}")
    return f'{start},\n"boxes":{{\n' + ",\n".join(lines) + "\n}}\n"

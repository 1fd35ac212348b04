"""`pushes/{device}/{number}.json`: what was pushed to a box, when, by whom, and what it made of it.

A record is written before its push is published, so whatever a box may have got has one. The message itself is kept
beside the state (`.pending/`) until the box has answered: a command that was killed publishes the same bytes again,
never a second push.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

import msgspec

from edged.errors import ConfigError, DecodeError, StateError
from edged.fleet.state import write_text
from edged.uplink.bundle import decode_bundle
from edged.uplink.fields import Code, Name, Seconds, Sha256, Word
from edged.uplink.reported import Push as Number

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edged.fleet.bundles import Made
    from edged.fleet.rollout import Box
    from edged.fleet.state import FleetState
    from edged.uplink.reported import Reported

T = TypeVar("T", bound=msgspec.Struct)

MAX_RECORD: Final = 256 * 1024
"""Bytes of one record: a document of 32 KiB, spread over lines."""

DIRECTORY: Final = "pushes"
PENDING: Final = ".pending"

PushOutcome = Literal["made", "staged", "trial", "applied", "rejected", "rolled_back", "lost", "withdrawn"]
"""`made`: nothing heard yet. `lost`: the box was there and fell silent. `withdrawn`: taken back before it was there."""


class PushRecord(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One push to one box."""

    format: Literal[1] = 1
    device: Name
    number: Annotated[int, msgspec.Meta(ge=1)]
    version: Word
    by: str
    """The admin, as the broker calls him."""
    at: Seconds
    rollout: Name | None = None
    again: Number | None = None
    """The earlier push whose content it repeats."""
    bundle_sha256: Sha256
    bytes: int
    expires: Seconds
    content: dict[str, Any]
    """`config/{device}.json`."""
    outcome: PushOutcome = "made"
    ended_at: Seconds | None = None
    code: Code | None = None
    path: str | None = None
    probe: str | None = None


def record_of(
    made: Made, content: dict[str, Any], *, by: str, at: int, rollout: str | None, again: int | None
) -> PushRecord:
    """The record of a push that is about to be published."""
    return PushRecord(
        device=made.device,
        number=made.number,
        version=made.version,
        by=by,
        at=at,
        rollout=rollout,
        again=again,
        bundle_sha256=hashlib.sha256(made.data).hexdigest(),
        bytes=len(made.data),
        expires=int(made.expires.timestamp()),
        content=content,
    )


class Pushes:
    """The records in a state directory."""

    def __init__(self, state: FleetState) -> None:
        self._directory = state.directory / DIRECTORY
        self._pending = state.directory / PENDING

    def write(self, record: PushRecord) -> None:
        """Write one record, durably."""
        text = msgspec.json.format(msgspec.json.encode(record), indent=2).decode()
        write_text(self._path(record.device, record.number), text + "\n")

    def read(self, device: str, number: int) -> PushRecord:
        """One record. Raises `ConfigError` (`fleet.no_such_push`), `StateError` (`fleet.bad_record`)."""
        path = self._path(device, number)
        try:
            with path.open("rb") as file:
                data = file.read(MAX_RECORD + 1)
        except FileNotFoundError:
            raise ConfigError(device, "fleet.no_such_push", number=str(number)) from None
        return decoded(data, PushRecord, path)

    def numbers(self, device: str) -> list[int]:
        """The pushes to a box, newest first."""
        names = (path.stem for path in (self._directory / device).glob("*.json"))
        return sorted((int(name) for name in names if name.isdecimal()), reverse=True)

    def of(self, device: str) -> Iterator[PushRecord]:
        """The pushes to a box, newest first. Raises `StateError`."""
        for number in self.numbers(device):
            yield self.read(device, number)

    def last(self, device: str) -> PushRecord | None:
        """What was pushed last and not taken back. Raises `StateError`."""
        return next((record for record in self.of(device) if record.outcome != "withdrawn"), None)

    def good(self, device: str, below: int) -> PushRecord | None:
        """The last push under `below` that the box has applied. Raises `StateError`."""
        found = (record for record in self.of(device) if record.number < below)
        return next((record for record in found if record.outcome == "applied"), None)

    def newest(self, limit: int) -> list[PushRecord]:
        """The newest pushes to any box. Raises `StateError`."""
        paths = (path for path in self._directory.glob("*/*.json") if path.stem.isdecimal())
        found = sorted(paths, key=lambda path: int(path.stem), reverse=True)[:limit]
        return [self.read(path.parent.name, int(path.stem)) for path in found]

    def settle(self, device: str, box: Box, at: int) -> None:
        """Note what became of a box's push, when that is news. Raises `StateError`."""
        if box.push is not None and box.state not in _UNKNOWN:
            found = (box.state, box.code, box.path, box.probe)
            self._note(device, box.push, found, at)  # type: ignore[arg-type]

    def note(self, device: str, reported: Reported, at: int) -> None:
        """The same from a verified report, when it is about a push that was made here. Raises `StateError`."""
        if reported.outcome == "none" or not self._path(device, reported.push).exists():
            return
        if reported.outcome == "applied" and reported.running != self.read(device, reported.push).version:
            return  # another copy of the state has given the number out, too
        self._note(
            device, reported.push, (reported.outcome, reported.code, reported.path, reported.probe), at
        )

    def _note(
        self,
        device: str,
        number: int,
        found: tuple[PushOutcome, str | None, str | None, str | None],
        at: int,
    ) -> None:
        record = self.read(device, number)
        if (record.outcome, record.code, record.path, record.probe) == found:
            return
        record.outcome, record.code, record.path, record.probe = found
        record.ended_at = at if record.outcome in _ENDED else None
        self.write(record)
        if record.outcome in _ENDED:
            self._bundle(device).unlink(missing_ok=True)

    def keep(self, device: str, bundle: bytes) -> None:
        """Keep a message until its box has answered; not synced: without it a new push is made."""
        path = self._bundle(device)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        temporary = path.with_suffix(".new")
        temporary.write_bytes(bundle)
        temporary.replace(path)

    def kept(self, device: str, number: int) -> bytes | None:
        """The message of that push, if it is still here and whole. Raises `ConfigError`, `StateError`."""
        try:
            data = self._bundle(device).read_bytes()
        except FileNotFoundError:
            return None
        fits = hashlib.sha256(data).hexdigest() == self.read(device, number).bundle_sha256
        return data if fits else None

    def _path(self, device: str, number: int) -> Path:
        return self._directory / device / f"{number}.json"

    def _bundle(self, device: str) -> Path:
        return self._pending / f"{device}.json"


_NUMBERED: Final = ".config.json"
_UNKNOWN: Final = frozenset({"waiting", "pushing", "pushed", "unreachable", "superseded"})
_ENDED: Final = frozenset({"applied", "rejected", "rolled_back", "withdrawn"})


def number_of(bundle: bytes) -> int:
    """The number of the push that a message claims to be; 0 for what isn't one. Proves nothing."""
    try:
        names = decode_bundle(bundle).metadata
    except DecodeError:
        return 0
    found = (name.removesuffix(_NUMBERED) for name in names if name.endswith(_NUMBERED))
    return max((int(number) for number in found if number.isdecimal()), default=0)


def decoded(data: bytes, model: type[T], path: Path) -> T:
    """A file of the state. Raises `StateError` (`fleet.bad_record`)."""
    try:
        return msgspec.json.decode(data, type=model)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StateError("fleet.bad_record", f"{path}: {error}") from None

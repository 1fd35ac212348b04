"""What the daemon and the helper that installs packages tell each other: three files one way, one file back.

    {state}/update/request.json    the daemon's: which push, which file
    {state}/update/bundle.json     the daemon's: that push as it came, for the helper to verify by itself
    {state}/update/healthy.json    the daemon's: this version has proved itself
    {helper}/outcome.json          the helper's: what became of the request

The helper never writes where the daemon may, so no link laid there leads it anywhere.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from edged.pushed.part_file import disk_error
from edged.pushed.update_steps import Mark, Outcome, Request
from edged.uplink.bundle import MAX_BUNDLE
from edged.uplink.fields import decoder
from edged.whole_file import sync_directory

HELPER: Final = Path("/var/lib/edged-update")
"""The helper's own directory."""

DIRECTORY: Final = "update"
REQUEST: Final = "request.json"
BUNDLE: Final = "bundle.json"
HEALTHY: Final = "healthy.json"
OUTCOME: Final = "outcome.json"

MAX_NOTE: Final = 4096
"""Bytes of a request, a mark or an outcome."""

T = TypeVar("T", bound=msgspec.Struct)


def ask(state: Path, request: Request, bundle: bytes) -> None:
    """Ask for a push's software, whose file lies in the artefact store. The request comes last. Raises `StateError`."""
    write_note(state / DIRECTORY / BUNDLE, bundle)
    ask_again(state, request)


def ask_again(state: Path, request: Request) -> None:
    """The same request once more; its push lies there still. Raises `StateError`."""
    write_note(state / DIRECTORY / REQUEST, msgspec.json.encode(request))


def mark_healthy(state: Path, mark: Mark) -> None:
    """Say that the running version has proved itself. Raises `StateError`."""
    write_note(state / DIRECTORY / HEALTHY, msgspec.json.encode(mark))


def outcome(request: Request, helper: Path = HELPER) -> Outcome | None:
    """What became of a request; None while nothing has."""
    found = read_note(helper / OUTCOME, Outcome)
    return found if found is not None and found.answers(request) else None


def asked(state: Path) -> Request | None:
    """What was asked for last."""
    return read_note(state / DIRECTORY / REQUEST, Request)


def read_note(path: Path, model: type[T]) -> T | None:
    """A small file of the other's; None when it isn't there or isn't in the agreed form."""
    data = read_bounded(path, MAX_NOTE)
    if data is None:
        return None
    try:
        return decoder(model).decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def read_bundle(state: Path) -> bytes | None:
    """The push that was laid beside the request, unverified; None when it isn't there or is too large."""
    return read_bounded(state / DIRECTORY / BUNDLE, MAX_BUNDLE)


def read_bounded(path: Path, most: int) -> bytes | None:
    """A regular file's content, if it isn't larger. Never waits, follows no link."""
    opened = open_plain(path)
    if opened is None:
        return None
    with os.fdopen(opened, "rb") as file:
        data = file.read(most + 1)
    return data if len(data) <= most else None


def open_plain(path: Path) -> int | None:
    """Open a regular file that may be somebody else's trap; None when it is anything else."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        return None
    return opened


def write_note(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file whole or not at all, durably; its directory is made if need be. Raises `StateError`."""
    try:
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700)
            sync_directory(path.parent.parent)
        temporary = path.with_name(f".{path.name}.new")
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)  # whatever the umask
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise disk_error(error, path) from error

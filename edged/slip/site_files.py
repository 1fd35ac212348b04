"""Writing the verifying page into a directory that a web server serves, and into nobody else's.

A list of what was written (`page-files.json`, with hashes) is kept beside it: only a file that is on it, as it was
written, is ever replaced. Blocks for the disk.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from edged.errors import OutputError
from edged.uplink.fields import Sha256, decoder
from edged.whole_file import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LIST: Final = "page-files.json"

MAX_LIST: Final = 64 * 1024
"""Bytes of the list: some thirty names and hashes."""

MAX_FILE: Final = 2 << 20
"""Bytes of a file of the page: the decoder of QR codes has 250 KiB."""

_PUBLIC: Final = 0o644


class _List(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    files: dict[str, tuple[Sha256, ...]]
    """Name to what it may be: two while one becomes the other, so that a writer that was killed can begin again."""


def write(directory: Path, files: Mapping[str, bytes]) -> list[str]:
    """Write the page; names of the files that are new or other than before, first to last.

    The service worker is written last: it tells browsers that there is a new page. Raises `OutputError`
    (`slip_page.not_ours`, `slip_page.unwritable`) with nothing written if a file there is somebody else's.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        ours = _listed(directory)
        changed = [
            name for name in sorted(files) if _differs(directory / name, files[name], ours.get(name, ()))
        ]
        changed.sort(key=lambda name: name == "sw.js")
        after = {name: (hashlib.sha256(data).hexdigest(),) for name, data in files.items()}
        if changed:
            _keep(directory, {name: (*ours.get(name, ()), *hashes) for name, hashes in after.items()})
        for name in changed:
            _put(directory / name, files[name])
        _keep(directory, after)
    except OSError as error:
        raise OutputError("slip_page.unwritable", f"{directory}: {error.strerror}") from error
    return changed


def _put(path: Path, data: bytes) -> None:
    with replacing(path, mode=_PUBLIC) as stream:
        stream.write(data)


def _keep(directory: Path, listed: Mapping[str, tuple[str, ...]]) -> None:
    _put(directory / LIST, msgspec.json.encode(_List(dict(listed)), order="sorted"))


def _listed(directory: Path) -> dict[str, tuple[str, ...]]:
    """What was written before. Raises `OutputError` for a list that is none."""
    try:
        with (directory / LIST).open("rb") as file:
            return decoder(_List).decode(file.read(MAX_LIST)).files
    except FileNotFoundError:
        return {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise OutputError("slip_page.not_ours", str(directory / LIST)) from None


def _differs(path: Path, data: bytes, before: tuple[str, ...]) -> bool:
    """Whether `path` isn't `data` yet. Raises `OutputError` where somebody else's file would be lost."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise OutputError("slip_page.not_ours", str(path))
    try:
        with path.open("rb") as file:
            there = file.read(MAX_FILE)
    except FileNotFoundError:
        return True
    if there == data:
        return False
    if hashlib.sha256(there).hexdigest() not in before:
        raise OutputError("slip_page.not_ours", str(path))
    return True

"""Which files a chip has and what became of them, for a report. Names and sizes only: nothing of their contents."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from edged.core.emrtd.files import GUARDED, ElementaryFile
from edged.verdict import Reason

if TYPE_CHECKING:
    from edged.core.emrtd.chip_reading import ChipReading
    from edged.core.emrtd.security_object import SecurityObject


class FileState(StrEnum):
    """What became of a file."""

    READ = "read"
    UNSIGNED = "unsigned"
    """Read, but the security object doesn't list it: nobody vouches for it."""
    UNREAD = "unread"
    GUARDED = "guarded"


class FileEntry(NamedTuple):
    """One line of the report.

    Attributes:
        octets: as read, 0 for a file that wasn't.
        reason: why it wasn't read, where something went wrong.
    """

    file: ElementaryFile
    state: FileState
    octets: int
    reason: Reason | None


def inventory(reading: ChipReading, listed: SecurityObject | None) -> tuple[FileEntry, ...]:
    """Every file that was read, should have been, or is listed as signed, in the order of `ElementaryFile`.

    `listed` is None where the security object is missing or can't be read; no file is called unsigned then.
    """
    signed = set() if listed is None else set(listed.files)
    entries = []
    for file in ElementaryFile:
        octets = reading.files.get(file)
        if octets is not None:
            bare = listed is not None and file.number is not None and file not in signed
            entries.append(FileEntry(file, FileState.UNSIGNED if bare else FileState.READ, len(octets), None))
        elif file in reading.unread or file in signed:
            state = FileState.GUARDED if file in GUARDED else FileState.UNREAD
            entries.append(FileEntry(file, state, 0, reading.unread.get(file)))
    return tuple(entries)


def describe(entry: FileEntry) -> Reason:
    """The sentence for one line, as the catalogue has it."""
    params = {
        "file": entry.file.value,
        "contents": f"chip_file.{_key(entry.file)}",
        "octets": str(entry.octets),
    }
    if entry.reason is not None and entry.state is FileState.UNREAD:
        return Reason("chip_file_state.unread_because", {**params, "reason": entry.reason.code})
    return Reason(f"chip_file_state.{entry.state}", params)


def _key(file: ElementaryFile) -> str:
    return str(file.value).lower().removeprefix("ef.")

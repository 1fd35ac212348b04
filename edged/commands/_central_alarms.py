"""`edged central alarms`: what was refused and why, and the proof of it as files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from edged.central.survey import alarms
from edged.central.verifying import proof
from edged.commands._archive_common import reading
from edged.commands._saying import minute, say, show_json, show_line
from edged.errors import OutputError
from edged.messages import known

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from edged.central.survey import AlarmRow

_UNFIT: Final = re.compile(r"[^a-z0-9.-]")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged central alarms`."""
    parser.add_argument("--device", metavar="NAME", help="help.central.device")
    parser.add_argument("--evidence", type=Path, metavar="DIR", help="help.central.alarms.evidence")


def run(args: argparse.Namespace) -> int:
    """EX_OK when there are none, 1 when there are; EX_CANTCREAT when the proof can't be written."""
    folder = None if args.evidence is None else _Folder(args.evidence)
    count = 0
    with reading(args) as found:
        for alarm in alarms(found.archive):
            if args.device not in (None, alarm.device):
                continue
            count += 1
            files = folder.write(count, alarm, proof(found.archive, alarm)) if folder else []
            if args.json:
                show_json(_plain(alarm) | {"files": files})
            else:
                _tell(args, alarm, files)
    if not count and not args.json:
        show_line(say(args, "alarms.none"))
    return 1 if count else os.EX_OK


def _plain(alarm: AlarmRow) -> dict[str, object]:
    """The alarm without the messages themselves: they are bodies, and go into files or nowhere."""
    plain: dict[str, object] = msgspec.to_builtins(alarm)
    return {name: value for name, value in plain.items() if name != "evidence"} | {
        "proof": alarm.evidence is not None
    }


def _tell(args: argparse.Namespace, alarm: AlarmRow, files: list[str]) -> None:
    reason = say(args, alarm.code) if known(alarm.code) else alarm.code  # a newer collector may know more
    times = say(
        args, "alarms.times", count=alarm.count, first=minute(alarm.first_at), last=minute(alarm.last_at)
    )
    show_line(f"{alarm.code}: {reason}")
    if alarm.device:
        show_line(f"  {alarm.device} → {alarm.audience} ({alarm.log_id}) {alarm.seq}")
    elif alarm.topic:
        show_line(f"  {alarm.topic}")
    show_line(f"  {times}")
    for name in files:
        show_line(f"  {name}")


class _Folder:
    """A new directory (mode 0700) for proof, so that nothing in it is of another time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            used = any(path.iterdir())
        except OSError as error:
            raise OutputError("export.unwritable", f"{path}: {error.strerror}") from error
        if used:
            raise OutputError("export.not_empty", str(path))

    def write(self, number: int, alarm: AlarmRow, messages: Iterable[tuple[str, str]]) -> list[str]:
        """Write what proves one alarm; the names of the files."""
        stem = f"{number:05d}-{_UNFIT.sub('-', alarm.code)}-{_UNFIT.sub('-', alarm.device)}"
        files = []
        for name, text in messages:
            file = self._path / f"{stem}-{name}.jws"
            try:
                handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(handle, "w", encoding="ascii") as stream:
                    stream.write(f"{text}\n")
            except OSError as error:
                raise OutputError("export.unwritable", f"{file}: {error.strerror}") from error
            files.append(str(file))
        return files

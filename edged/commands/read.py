"""`edged read`: read the MRZ of image files and say what stands there.

The one command that shows raw identity, because showing it is what it is for: to whoever runs it, on standard
output, in the folders it is told to use, and nowhere else.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import time
from collections import Counter
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edged import messages, process
from edged.commands._read_answer import describe, human, printable, told
from edged.commands._read_extras import add_extras
from edged.commands._read_folder import FolderError, PrivateFolder
from edged.commands._read_pages import expand, pages
from edged.verdict import Reason

if TYPE_CHECKING:
    from edged.commands._read_pages import Page
    from edged.core.reading import PageReading

_MANY: Final = 4
"""From this many files progress is shown."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged read`."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="help.read.files")
    parser.add_argument("--recursive", action="store_true", help="help.read.recursive")
    parser.add_argument("--json", action="store_true", help="help.json_lines")
    parser.add_argument("--today", type=_day, metavar="DATE", help="help.read.today")
    parser.add_argument("--mrz-only", action="store_true", help="help.read.mrz_only")
    parser.add_argument("--crop", type=Path, metavar="DIR", help="help.read.crop")
    parser.add_argument("--debug", type=Path, metavar="DIR", help="help.read.debug")
    parser.epilog = "help.read.exit_codes"


def run(args: argparse.Namespace) -> int:
    """Read everything; the exit code is that of the first thing that went wrong (sysexits.h)."""
    from edged.core import vision  # noqa: F401 - OpenCV, before forbid_core_dumps, which says why

    process.forbid_core_dumps()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an encoding error would quote a character of a name
            stream.reconfigure(errors="backslashreplace")
    with contextlib.ExitStack() as held:
        folders = {}
        for kind in ("crop", "debug"):
            path: Path | None = getattr(args, kind)
            if path is None:
                continue
            shown = printable(str(path))
            try:
                folders[kind] = held.enter_context(PrivateFolder(path))
            except FolderError as error:
                print(f"edged: {shown}: {messages.text(error.code, args.lang)}", file=sys.stderr)
                return os.EX_CANTCREAT
            print(messages.text("reading.identity_written", args.lang, folder=shown), file=sys.stderr)
        return _Run(args, folders).read(list(expand(args.files, recursive=args.recursive)))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("usage.bad_day") from None


class _Run:
    """One run of the command: what it was asked for, and what has become of it so far."""

    def __init__(self, args: argparse.Namespace, folders: dict[str, PrivateFolder]) -> None:
        self._lang: str = args.lang
        self._json: bool = args.json
        self._extras: bool = not args.mrz_only
        self._today: date = args.today or datetime.now().astimezone().date()
        self._folders = folders
        self._count: Counter[str] = Counter()
        self._code = os.EX_OK

    def read(self, names: list[str]) -> int:
        progress = _Progress(len(names), self._lang)
        for name in names:
            progress.show()
            for page in pages(name):
                answer = self._answer(page)
                progress.clear()
                shown = msgspec.json.encode(answer).decode() if self._json else human(answer, self._lang)
                print(shown, flush=True)
            progress.done += 1
        progress.clear()
        if sum(self._count.values()) > 1 and (sys.stderr.isatty() or not self._json):
            print(self._summary(), file=sys.stderr)
        return self._code

    def _answer(self, page: Page) -> dict[str, Any]:
        """What is said about a page; counts it."""
        from edged.core.reading import read_page

        answer: dict[str, Any] = {"file": printable(page.file)}
        if page.number is not None:
            answer["page"] = page.number
        if page.image is None:
            self._went_wrong(page.exit_code)
            self._count["errors"] += 1
            return answer | {"valid": False, "reasons": [told(Reason(page.problem), self._lang)]}
        reading = read_page(page.image, today=self._today)
        answer |= describe(reading, self._lang)
        if self._extras:
            add_extras(answer, page.image, reading, self._lang)
        self._count["valid" if reading.valid else "not_valid" if reading.mrz else "no_mrz"] += 1
        self._write(page, reading, answer)
        return answer

    def _write(self, page: Page, reading: PageReading, answer: dict[str, Any]) -> None:
        """Into the folders, what they are for; `answer` gets the names of the files, or why there are none."""
        from edged.commands import _read_pictures

        assert page.image is not None
        written: list[str] = []
        for kind, folder in self._folders.items():
            if kind == "crop":
                files = _read_pictures.crops(page.image, reading)
            else:
                files = _read_pictures.debugging(page.image, reading, answer)
            name = folder.name_for(page.file, page.number)
            for ending, data in files.items():
                problem = folder.write(f"{name}.{ending}", data)
                if problem is None:
                    written.append(printable(str(folder.path / f"{name}.{ending}")))
                else:
                    said = told(Reason(problem), self._lang)
                    answer["reasons"] += [said] if said not in answer["reasons"] else []
                    self._went_wrong(os.EX_CANTCREAT)
        if self._folders:
            answer["written"] = written

    def _went_wrong(self, code: int) -> None:
        self._code = self._code or code

    def _summary(self) -> str:
        counted = {kind: self._count[kind] for kind in ("valid", "not_valid", "no_mrz", "errors")}
        read = sum(counted.values()) - counted["errors"]
        return messages.text("reading.summary", self._lang, read=read, **counted)


class _Progress:
    """n of N files, on a terminal, while there are many."""

    def __init__(self, total: int, lang: str) -> None:
        self.done = 0
        self._total = total
        self._lang = lang
        self._shown = total >= _MANY and sys.stderr.isatty()
        self._began = time.monotonic()

    def show(self) -> None:
        """The line as it stands."""
        if not self._shown:
            return
        took = max(time.monotonic() - self._began, 1e-3)
        line = f"{self.done + 1}/{self._total}"
        if self.done:
            rate = self.done / took
            left = round((self._total - self.done) / rate)
            line = messages.text(
                "reading.progress", self._lang, files=line, rate=f"{rate:.1f}", minutes=left // 60,
                seconds=f"{left % 60:02d}",
            )  # fmt: skip
        print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Make room for an answer, which may go to the same terminal."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

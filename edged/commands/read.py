"""`edged read`: read the MRZ of image files and say what stands there.

The one command that shows raw identity, because showing it is what it is for: to whoever runs it, on standard
output, and nowhere else.
"""

from __future__ import annotations

import glob
import io
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edged import messages, process
from edged.errors import DecodeError
from edged.verdict import Reason, Result

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from datetime import date

    from edged.core.mrz import FieldCheck, Mrz, MrzDate
    from edged.core.reading import PageReading

_ENDINGS: Final = frozenset((".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".jp2", ".j2k"))
_MANY: Final = 4
"""From this many files progress is shown."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged read`."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="help.read.files")
    parser.add_argument("--json", action="store_true", help="help.json_lines")


def run(args: argparse.Namespace) -> int:
    """Read every file; EX_OK when each was processed, EX_DATAERR when one wasn't an image, EX_NOINPUT when missing."""
    import cv2  # noqa: F401 - see forbid_core_dumps

    process.forbid_core_dumps()
    today = datetime.now().astimezone().date()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an encoding error would quote a character of a name
            stream.reconfigure(errors="backslashreplace")
    names = list(_expand(args.files))
    code = os.EX_OK
    for number, name in enumerate(names, 1):
        if len(names) >= _MANY and sys.stderr.isatty():
            print(f"\r{number}/{len(names)}", end="", file=sys.stderr, flush=True)
        answer, this = _read_file(name, today, args.lang)
        code = code or this
        print(msgspec.json.encode(answer).decode() if args.json else _human(answer, args.lang), flush=True)
    if len(names) >= _MANY and sys.stderr.isatty():
        print(file=sys.stderr)
    return code


def _expand(names: list[str]) -> Iterator[str]:
    """Folders become the images in them, or stay when there are none; patterns (where no shell expanded them) too."""
    for name in names:
        try:
            found = [] if name == "-" else _inside(name)
        except (OSError, ValueError):  # a name too long, a folder closed to us: reading it says so
            found = []
        yield from found or [name]


def _inside(name: str) -> list[str]:
    path = Path(name)
    if path.is_dir():
        return [str(p) for p in sorted(path.iterdir()) if p.suffix.lower() in _ENDINGS]
    if not path.exists() and glob.has_magic(name):
        return sorted(glob.glob(name, recursive=True))  # noqa: PTH207
    return []


def _read_file(name: str, today: date, lang: str) -> tuple[dict[str, Any], int]:
    """The answer for one file and its exit code."""
    from edged.core.image import MAX_BYTES, decode_image
    from edged.core.reading import read_page

    answer: dict[str, Any] = {"file": _printable(name)}
    try:
        data = _bytes_of(name, MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        code = "reading.folder_empty" if isinstance(error, IsADirectoryError) else "reading.file_missing"
        answer |= {"valid": False, "reasons": [_told(Reason(code), lang)]}
        return answer, os.EX_NOINPUT
    try:
        image = decode_image(data)
    except DecodeError as error:
        answer |= {"valid": False, "reasons": [_told(Reason(error.code), lang)]}
        return answer, os.EX_DATAERR
    return answer | describe(read_page(image, today=today), lang), os.EX_OK


def _bytes_of(name: str, most: int) -> bytes:
    """A file's bytes, or those of standard input ("-"), and no more than `most`."""
    if name == "-":
        return sys.stdin.buffer.read(most)
    with Path(name).open("rb") as file:
        return file.read(most)


def _printable(name: str) -> str:
    """A file's name as it can be shown: bytes that are no text, and what would steer a terminal, escaped."""
    shown = name.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def describe(reading: PageReading, lang: str) -> dict[str, Any]:
    """A page reading as plain data, raw identity included."""
    answer: dict[str, Any] = {}
    if reading.mrz is not None:
        answer["format"] = str(reading.mrz.format)
        answer["lines"] = list(reading.mrz.lines.reveal())
        answer["fields"] = _fields(reading.mrz)
    answer["valid"] = reading.valid
    answer["confidence"] = round(reading.confidence, 3)
    answer["reasons"] = [_told(reason, lang) for reason in reading.reasons]
    answer["rotation"] = reading.rotation
    answer["ms"] = round(reading.timings_ms["total"], 1)
    return answer


def _told(reason: Reason, lang: str) -> dict[str, str]:
    return {"code": reason.code, "text": messages.reason(reason, lang)}


def _fields(mrz: Mrz) -> dict[str, dict[str, str | None]]:
    """Each field with its value and the outcome of its own checks: `successful`, `failed`, `undetermined`, or None."""
    found: dict[str, str | None] = {
        "issuing_state": mrz.issuing_state,
        "nationality": mrz.nationality.reveal(),
        "document_number": mrz.document_number.reveal(),
        "surname": mrz.surname.reveal(),
        "given_names": mrz.given_names.reveal(),
        "birth_date": _date(mrz.birth_date),
        "expiry_date": _date(mrz.expiry_date),
        "sex": mrz.sex.reveal(),
        "optional_data": mrz.optional_data.reveal(),
    }
    if mrz.chinese_name is not None:
        found["chinese_name"] = mrz.chinese_name.reveal()
    return {
        name: {"value": value, "check": _outcome(name, (*mrz.check_digits, *mrz.field_checks))}
        for name, value in found.items()
    }


_CHECK_NAMES: Final = {"surname": ("name", "surname"), "given_names": ("name", "given_names")}


def _outcome(field: str, checks: tuple[FieldCheck, ...]) -> str | None:
    names = _CHECK_NAMES.get(field, (field,))
    results = {check.result for check in checks if check.name in names}
    for worst in (Result.FAILED, Result.UNDETERMINED, Result.SUCCESSFUL):
        if worst in results:
            return str(worst)
    return None


def _date(date: MrzDate | None) -> str | None:
    """ISO 8601, as far as it is known: 1974, 1974-08, 1974-08-12; as printed when not even the year is."""
    if date is None:
        return None
    parts = []
    for value, width in ((date.year, 4), (date.month, 2), (date.day, 2)):
        if value is None:
            break
        parts.append(f"{value:0{width}d}")
    return "-".join(parts) or date.raw


def _human(answer: dict[str, Any], lang: str) -> str:
    """A block of lines for people."""
    lines = [str(answer["file"])]
    lines += [f"  {line}" for line in answer.get("lines", ())]
    for name, field in answer.get("fields", {}).items():
        if field["value"]:
            mark = "" if field["check"] is None else f"  [{messages.text('result.' + field['check'], lang)}]"
            lines.append(f"  {messages.word(name, lang)}: {field['value']}{mark}")
    state = "reading.word_valid" if answer["valid"] else "reading.word_not_valid"
    timing = f" ({answer['ms']} ms)" if "ms" in answer else ""
    lines.append(f"  {messages.text(state, lang)}{timing}")
    lines += [f"  - {reason['text']}" for reason in answer["reasons"]]
    return "\n".join(lines)

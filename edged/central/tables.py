"""Files an export can be: CSV for spreadsheets, JSON Lines for programs, Parquet for analysis.

Every writer takes one row at a time and holds no more than one portion of them.
"""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol

import msgspec

from edged.central import columns
from edged.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.central.archive import Row
    from edged.central.columns import Column, Value
    from edged.uplink.envelope import EnvelopePayload

FORMATS: Final = ("csv", "jsonl", "parquet")

PORTION: Final = 10_000
"""Rows of Parquet that are held and written together: some 100 MB with the library's own, and groups that readers can
skip by date."""

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}",
                  "\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip
"""What spreadsheets take for the beginning of a formula. A caller's reference is a stranger's text."""


class Table(Protocol):
    """A file being written."""

    def write(self, row: Row, payload: EnvelopePayload | None) -> None:
        """Add one envelope; without payload, what the ledger still knows of it."""

    def finish(self) -> None:
        """Write what is still held. The stream stays open; nothing may be written afterwards."""


def table(form: str, stream: BinaryIO, *, fleet: str, references: bool) -> Table:
    """A writer of `form` (one of `FORMATS`) onto a binary stream. Raises `ConfigError` without what Parquet needs."""
    made: dict[str, Callable[..., Table]] = {"csv": _Csv, "jsonl": _JsonLines, "parquet": _Parquet}
    return made[form](stream, fleet=fleet, references=references)


_WITHIN: Final = re.compile(
    rf"(?<=[;\t\r\n])(?= *[{re.escape(''.join(one for one in FORMULA if one.isprintable()))}])"
)
"""Where a spreadsheet that divides at semicolons, as half of Europe's do, would see another cell begin with a formula:
it divides within our quotation marks, too."""


def harmless(text: str) -> str:
    """A CSV cell that no spreadsheet takes for a formula: an apostrophe before what would be one."""
    return _WITHIN.sub("'", f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text)


class _Csv:
    """RFC 4180, UTF-8 without a mark, empty where there is no value."""

    def __init__(self, stream: BinaryIO, *, fleet: str, references: bool) -> None:
        self._fleet = fleet
        chosen = columns.columns(references=references)
        self._names = [column.name for column in chosen]
        self._json = {column.name for column in chosen if column.kind == "json"}
        self._text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=False)
        self._writer = csv.writer(self._text, dialect="excel")
        self._writer.writerow(self._names)

    def write(self, row: Row, payload: EnvelopePayload | None) -> None:
        """See `Table`."""
        found = columns.values(row, payload, self._fleet)
        for name in self._json & found.keys():
            # The same JSON: a semicolon stands in its strings alone.
            found[name] = str(found[name]).replace(";", "\\u003b")
        self._writer.writerow([_cell(found.get(name)) for name in self._names])

    def finish(self) -> None:
        """See `Table`."""
        self._text.flush()
        self._text.detach()


def _cell(value: Value) -> str | int:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            return columns.moment_text(value)
        case str():
            return harmless(value)
        case number:
            return number


class _JsonLines:
    """One JSON object a line."""

    def __init__(self, stream: BinaryIO, *, fleet: str, references: bool) -> None:
        del fleet  # the payload says it
        self._stream = stream
        self._references = references

    def write(self, row: Row, payload: EnvelopePayload | None) -> None:
        """See `Table`."""
        self._stream.write(msgspec.json.encode(columns.line(row, payload, references=self._references)))
        self._stream.write(b"\n")

    def finish(self) -> None:
        """See `Table`."""
        self._stream.flush()


class _Parquet:
    """Typed columns, words as dictionaries, compressed with Zstandard."""

    def __init__(self, stream: BinaryIO, *, fleet: str, references: bool) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise ConfigError("--format", "export.no_parquet") from None
        self._arrow = pyarrow
        self._fleet = fleet
        self._columns = columns.columns(references=references)
        self._held: list[dict[str, Value]] = []
        fields = [pyarrow.field(column.name, self._type(column)) for column in self._columns]
        schema = pyarrow.schema(fields, metadata={"edged.export": columns.VERSION})
        # The names of columns: what they mean is in the documentation, and here for whoever has only the file.
        self._writer = pyarrow.parquet.ParquetWriter(stream, schema, compression="zstd")
        self._schema = schema

    def write(self, row: Row, payload: EnvelopePayload | None) -> None:
        """See `Table`."""
        self._held.append(columns.values(row, payload, self._fleet))
        if len(self._held) == PORTION:
            self._flush()

    def finish(self) -> None:
        """See `Table`."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        arrays = [
            self._arrow.array([row.get(column.name) for row in self._held], type=self._type(column))
            for column in self._columns
        ]
        self._held.clear()
        if arrays[0]:
            self._writer.write_batch(self._arrow.record_batch(arrays, schema=self._schema))

    def _type(self, column: Column) -> Any:
        arrow = self._arrow
        match column.kind:
            case "word":
                return arrow.dictionary(arrow.int32(), arrow.string())
            case "number":
                return arrow.int64()
            case "truth":
                return arrow.bool_()
            case "moment":
                return arrow.timestamp("us", tz="UTC")
            case _:
                return arrow.string()

"""Read pictures and write down what came of each: one record, a plain dictionary, a picture."""

from __future__ import annotations

import datetime
import multiprocessing
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .sources import Item, Picture

Record = dict[str, Any]
TODAY = datetime.date(2026, 11, 21)
"""Fixed, so that a run next year judges the same dates alike."""


def read(picture: Picture) -> Record:
    """Read one picture; the record holds everything the tables need."""
    from edged.core.reading import read_page

    began = time.perf_counter()
    reading = read_page(picture.image, today=TODAY)
    ms = (time.perf_counter() - began) * 1000
    got = None if reading.mrz is None else list(reading.mrz.lines.reveal())
    record = judge(picture, got, reading.valid)
    record["reasons"] = [reason.code for reason in reading.reasons]
    record["confidence"] = round(reading.confidence, 3)
    record["ms"] = ms
    record["stages"] = dict(reading.timings_ms)
    return record


def judge(picture: Picture, got: list[str] | None, valid: bool) -> Record:
    """What an answer is worth: the same for us and for every peer."""
    expected = picture.lines
    exact = expected is not None and got == expected
    return {
        "name": picture.name,
        "set": picture.set,
        "format": picture.format or "none",
        "kind": picture.kind,
        "issuer": picture.issuer,
        "light": picture.light,
        "document": picture.document,
        "faults": list(picture.faults),
        "legible": picture.legible,
        "expected": expected,
        "got": got,
        "exact": exact,
        "key": expected is not None and same_keys(picture.format, got, expected),
        "valid": valid,
        "false_valid": valid and (not exact or not picture.check_ok),
        "missed_valid": not valid and exact and picture.check_ok,
    }


def same_keys(format_: str | None, got: list[str] | None, expected: list[str]) -> bool:
    """Whether every line but the one with the name is right."""
    if got is None or len(got) != len(expected):
        return False
    name = 2 if len(expected) == 3 else 0 if len(expected) == 2 and format_ != "FRA_ID" else None
    return all(g == e for row, (g, e) in enumerate(zip(got, expected, strict=True)) if row != name)


def _one(item: Item) -> Record:
    return read(item.load())


def _single_thread() -> None:
    import cv2

    cv2.setNumThreads(1)


def examine(items: Sequence[Item], jobs: int = 1, *, progress: bool = False) -> list[Record]:
    """Read everything, in so many processes; records in the order of the items."""
    records = []
    for record in _each(items, jobs):
        records.append(record)
        if progress and len(records) % 100 == 0:
            print(f"{len(records)} of {len(items)}", file=sys.stderr)
    return records


def _each(items: Sequence[Item], jobs: int) -> Iterator[Record]:
    if jobs < 2:
        yield from map(_one, items)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, _single_thread) as pool:
        yield from pool.imap(_one, items, chunksize=4)

"""Everything that reads a chip's bytes, and broken bytes for it, as many as one likes.

`python -m tests.chip_fuzz FIRST COUNT [TARGET ...]` reads them in a process of its own under a limit of address space;
it says which case it is at, and sums up what it saw as JSON. Case n of a target is always the same one. Work is counted
in calls, not in seconds, and memory in octets allocated: both have to stay below a line that the input's length draws.

A new parser is a line in `chip_targets.TARGETS`.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Self

from edged.identity import Sensitive
from tests import chip_seeds, lds_files
from tests.chip_mutations import broken
from tests.chip_targets import TARGETS

CRASHES = Path(__file__).parent / "vectors" / "chip-crashes"
"""Inputs that once broke a target, `<target>--<what it was>.bin`, made of `chip_seeds` alone: no person's data."""

ADDRESS_SPACE = 3 << 30
OCTETS, OCTETS_AN_OCTET = 2 << 20, 60
"""Memory that an input may cost."""


class TooMuchWorkError(BaseException):
    """No handler of the code under test may take it for bad input."""


@cache
def whole(name: str) -> tuple[bytes, ...]:
    """Inputs of a target: those made here, then real ones as far as they are there."""
    target = TARGETS[name]
    real = [lds_files.CHIP / path for path in target.real]
    return (*target.seeds().values(), *(path.read_bytes() for path in real if path.exists()))


@cache
def lenders() -> tuple[bytes, ...]:
    return (
        *chip_seeds.files().values(),
        chip_seeds.certificate(),
        chip_seeds.master_list(),
        chip_seeds.crl(),
    )


def case(name: str, number: int) -> bytes:
    """Broken input `number` of a target."""
    draw = random.Random(zlib.crc32(name.encode()) << 32 | number)
    inputs = whole(name)
    return broken(inputs[number % len(inputs)], draw.choice(lenders()), draw)


def outcome(name: str, data: bytes) -> str:
    """What becomes of an input: "read", or the code of why not. Anything else that gets out is a finding."""
    target = TARGETS[name]
    try:
        touch(target.read(data))
    except target.refusals as error:
        assert not any(secret in str(error) for secret in chip_seeds.SECRETS), "an error tells identity"
        return getattr(error, "code", type(error).__name__)
    return "read"


def touch(found: object, depth: int = 2) -> None:
    """What was read lazily is read now."""
    if isinstance(found, Sensitive):
        found.reveal()
    elif isinstance(found, tuple | list):
        for part in found[:50]:
            touch(part, depth - 1) if depth else None
    if not type(found).__module__.startswith("edged.") or not depth:
        return
    for attribute in dir(type(found)):
        if not attribute.startswith("_") and attribute != "reveal":
            value = getattr(found, attribute)
            if not callable(value):
                touch(value, depth - 1)


class Measured:
    """Calls made while it stands, Python's and C's; more than `limit` end what is running."""

    def __init__(self, limit: int) -> None:
        self.calls = 0
        self._limit = limit

    def __enter__(self) -> Self:
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _count(self, _frame: object, event: str, _argument: object) -> None:
        if event in ("call", "c_call"):
            self.calls += 1
            if self.calls > self._limit:
                sys.setprofile(None)
                raise TooMuchWorkError


def run(cases: Iterable[tuple[str, int, bytes]]) -> dict[str, object]:
    """Read them all; outcomes by target, and how near anything came to its line (1 is on it)."""
    outcomes: dict[str, Counter[str]] = {}
    work, work_at, memory, memory_at, total = 0.0, "", 0.0, "", 0
    tracemalloc.start()
    for name, number, data in cases:
        place = f"{name} {number}"
        print(place, file=sys.stderr, flush=True)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        limit = TARGETS[name].limit(data)
        with Measured(limit) as measured:
            code = outcome(name, data)
        taken = tracemalloc.get_traced_memory()[1] - before
        outcomes.setdefault(name, Counter())[code] += 1
        total += 1
        if (share := measured.calls / limit) > work:
            work, work_at = share, place
        if (share := taken / (OCTETS + OCTETS_AN_OCTET * len(data))) > memory:
            memory, memory_at = share, place
    return {
        "outcomes": outcomes, "cases": total, "work": round(work, 3), "work_at": work_at,
        "memory": round(memory, 3), "memory_at": memory_at,
    }  # fmt: skip


def cases(first: int, count: int, names: Iterable[str] = ()) -> Iterator[tuple[str, int, bytes]]:
    """`count` broken inputs of each target."""
    for name in names or TARGETS:
        for number in range(first, first + count):
            yield name, number, case(name, number)


def main(first: int, count: int, names: list[str]) -> None:
    for name in TARGETS:  # what loads when it is first used isn't the input's doing
        for data in whole(name):
            outcome(name, data)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    print(json.dumps(run(cases(first, count, names))))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])

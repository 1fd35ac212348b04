"""What is asked for next of one large file, and when: a plan that knows no connection, no file and no clock.

First the index, then its tables, then whatever chunks aren't here. A part is asked for by subscribing to its topic,
where it lies retained, and is the caller's to unsubscribe from when it has come. Few are asked for at once and no
faster than the rate allows: the same line carries verdicts out and their receipts in.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from edged.errors import DecodeError
from edged.uplink.artefact import (
    CHUNK,
    HASH_BYTES,
    MAX_INDEX,
    Index,
    is_chunk,
    read_index,
    read_table,
    size_of,
    tables_of,
)
from edged.uplink.topics import INDEX

if TYPE_CHECKING:
    from collections.abc import Collection

    from edged.uplink.artefact import Wanted
    from edged.uplink.token_bucket import TokenBucket

Part = int | Literal["index"]
"""What stands in a part's topic."""

HOLD_S: Final = 0.25
"""How soon it is looked again whether the line is free."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How patiently, and how fast."""

    rate: float = 256 * 1024
    """Bytes a second in the long run: a package of 60 MiB takes four minutes, and a slow line keeps room."""
    window: int = 2
    """Parts on their way at once: a receipt stands behind 96 KiB at most."""
    answer_s: float = 45.0
    """A part that hasn't come by then isn't there: two of them take 15 s at 50 kbit/s."""
    tries: int = 3
    retry_s: float = 5.0
    """Between two tries of a part: whoever publishes may still be at it."""


DEFAULT_LIMITS: Final = Limits()


class Step(NamedTuple):
    """What to do now."""

    subscribe: tuple[Part, ...]
    unsubscribe: tuple[Part, ...]
    again_s: float | None
    """Seconds until the next step, unless something arrives; None: nothing else will happen."""


class FetchFailedError(Exception):
    """The file can't be had; `code` says why. What is here of it is good."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class FetchPlan:
    """The way to one file. `now` is any clock's seconds that never go back.

    Attributes:
        hashes: of all chunks, once the tables are here, 32 bytes each.
    """

    def __init__(self, wanted: Wanted, *, limits: Limits, bucket: TokenBucket) -> None:
        self._wanted = wanted
        self._limits = limits
        self._bucket = bucket
        self._index: Index | None = None
        self._tables: dict[int, tuple[bytes, ...]] = {}
        self._here: set[int] | None = None
        self._todo: deque[Part] = deque([INDEX])
        self._asked: dict[Part, float] = {}
        self._later: dict[Part, float] = {}
        self._dropped: list[Part] = []
        self._tries: dict[Part, int] = {}
        self.hashes: tuple[bytes, ...] = ()

    @property
    def asks_what_is_here(self) -> bool:
        """Whether the hashes are known and `resume` has to be told which chunks are here."""
        return bool(self.hashes) and self._here is None

    @property
    def complete(self) -> bool:
        """Whether every chunk is here."""
        return self._here is not None and len(self._here) == self._wanted.chunks

    @property
    def bytes_here(self) -> int:
        """Of the file."""
        return sum(size_of(number, self._wanted.length) for number in self._here or ())

    def expects(self, part: Part) -> bool:
        """Whether this part was asked for and hasn't come."""
        return part in self._asked

    def step(self, now: float, *, hold: bool = False) -> Step:
        """What to do; with `hold` nothing new is asked for. Raises `FetchFailedError` (`artefact.incomplete`)."""
        for part in [part for part, deadline in self._asked.items() if deadline <= now]:
            self._failed(part, now, "artefact.incomplete")
        for part in [part for part, when in self._later.items() if when <= now]:
            del self._later[part]
            self._todo.appendleft(part)
        subscribe: list[Part] = []
        while not hold and self._may_ask(now):
            part = self._todo.popleft()
            self._bucket.spend(self._size(part), now)
            self._asked[part] = now + self._limits.answer_s
            subscribe.append(part)
        dropped, self._dropped = tuple(self._dropped), []
        return Step(tuple(subscribe), dropped, self._again_s(now, hold))

    def _may_ask(self, now: float) -> bool:
        return bool(self._todo) and len(self._asked) < self._limits.window and not self._bucket.wait(now)

    def _again_s(self, now: float, hold: bool) -> float | None:
        times = [when - now for when in (*self._asked.values(), *self._later.values())]
        if self._todo and len(self._asked) < self._limits.window:
            times.append(HOLD_S if hold else self._bucket.wait(now))
        return max(0.0, min(times)) if times else None

    def _size(self, part: Part) -> int:
        if part == INDEX:
            return MAX_INDEX
        if part < self._wanted.chunks:
            return size_of(part, self._wanted.length)
        return min(CHUNK, self._wanted.chunks * HASH_BYTES)

    def arrived(self, part: Part, data: bytes, now: float) -> int | None:
        """Take a part; the chunk's number when it is one to be written, None otherwise.

        What wasn't asked for is left alone. Raises `FetchFailedError`: `artefact.wrong_index`, `artefact.wrong_chunk`
        when it was wrong once too often.
        """
        if part not in self._asked:
            return None
        try:
            chunk = self._checked(part, data)
        except DecodeError as error:
            self._failed(part, now, error.code)
            return None
        del self._asked[part]
        self._tries.pop(part, None)
        self._dropped.append(part)
        return chunk

    def _checked(self, part: Part, data: bytes) -> int | None:
        chunks = self._wanted.chunks
        if part == INDEX:
            self._index = read_index(data, self._wanted)
            self._todo.extend(range(chunks, chunks + tables_of(chunks)))
            return None
        assert self._index is not None, "nothing else is asked for before the index"
        if part >= chunks:
            self._tables[part - chunks] = read_table(data, self._index, part - chunks)
            if len(self._tables) == tables_of(chunks):
                self.hashes = tuple(one for _, table in sorted(self._tables.items()) for one in table)
            return None
        assert self._here is not None, "chunks are asked for when it is known which are here"
        if len(data) != self._size(part) or not is_chunk(data, self.hashes[part]):
            raise DecodeError("artefact", "artefact.wrong_chunk")
        self._here.add(part)
        return part

    def resume(self, here: Collection[int]) -> None:
        """These chunks are here and are what their hashes say; ask for the others."""
        assert self.asks_what_is_here
        self._here = set(here)
        self._todo.extend(number for number in range(self._wanted.chunks) if number not in self._here)

    def put_back(self, number: int) -> None:
        """A chunk that had arrived wasn't written after all."""
        assert self._here is not None
        self._here.discard(number)
        self._todo.appendleft(number)

    def refused(self, part: Part, now: float) -> None:
        """The broker didn't let us ask. Raises `FetchFailedError` (`artefact.incomplete`) when once too often."""
        if part in self._asked:
            self._failed(part, now, "artefact.incomplete")

    def lost(self) -> None:
        """The connection ended, and every subscription with it: that is no try."""
        self._todo.extendleft(reversed([*self._asked, *self._later]))
        self._asked.clear()
        self._later.clear()
        self._dropped.clear()

    def leave(self) -> tuple[Part, ...]:
        """What is subscribed to still, when the file isn't wanted any more."""
        left = (*self._dropped, *self._asked)
        self.lost()
        return left

    def _failed(self, part: Part, now: float, code: str) -> None:
        del self._asked[part]
        self._dropped.append(part)
        self._tries[part] = self._tries.get(part, 0) + 1
        if self._tries[part] >= self._limits.tries:
            raise FetchFailedError(code)
        self._later[part] = now + self._limits.retry_s

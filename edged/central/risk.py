"""How far the archive's columns single people out: k of every combination of up to three of them.

k of a combination is the size of the smallest group of rows of one audience that agree in it: with k = 1 somebody is
alone with what was told of them, and whoever knows those things of somebody finds their row. Rows of two audiences are
never one group: they are often two envelopes of one inspection, and would hide one person behind themselves.
Pseudonyms are left out unless asked for: they are made to single out, and are no knowledge that anybody brings along.
A row in which one of the claims is empty is in no group. Memory is bounded by `MAX_ROWS`: values are numbered, and a
row takes four bytes a claim.
"""

from __future__ import annotations

from array import array
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from edged.central.columns import CLAIMS
from edged.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

SIZE: Final = 3
"""Claims combined at most: who wants to find somebody seldom knows more."""
MAX_ROWS: Final = 5_000_000
"""With 11 claims 220 MB; a larger archive is looked at by audience."""
MAX_COMBINATIONS: Final = 400
"""Of up to `SIZE` of 11 columns there are 231."""
STEPS: Final = (1, 2, 5, 10, 20, 50, 100)
"""Up to these sizes groups are told apart in a distribution."""
PSEUDONYMS: Final = ("document", "holder")
ENOUGH: Final = 5
"""The least k that is commonly asked of what is handed on; below it a combination is told as risky."""


AUDIENCE: Final = "audience"
"""Key of a row beside its claims: whom it was told to."""


class Combination(msgspec.Struct, frozen=True):
    """What one combination of claims does."""

    claims: tuple[str, ...]
    rows: int
    """Rows in which none of them is empty."""
    groups: int
    k: int
    """Size of the smallest group; 0 where no row has them all."""
    alone: int
    """Rows that are alone."""
    distribution: dict[str, int]
    """Rows in groups of up to 1, 2, 5, … rows."""

    @property
    def uniqueness(self) -> float:
        """Share of the rows that are alone."""
        return self.alone / self.rows if self.rows else 0.0

    @property
    def risky(self) -> bool:
        """Whether it singles somebody out, or nearly."""
        return 0 < self.k < ENOUGH


class Risk(msgspec.Struct, frozen=True):
    """What an archive's columns do together."""

    rows: int
    columns: tuple[str, ...]
    combinations: tuple[Combination, ...]
    """The worst first; of two, of which one holds the other, both."""
    minimal: tuple[tuple[str, ...], ...]
    """Risky combinations no part of which is risky: a policy that leaves one claim out of each leaks no more."""


def assess(
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str] | None = None,
    *,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Risk:
    """Count `rows` of claims, each with its `AUDIENCE`; `columns`: which (all but pseudonyms).

    `on_progress` hears how many rows were read. Raises `ConfigError` (`risk.unknown_column`, `risk.too_many_columns`).
    """
    wanted = tuple(columns) if columns else tuple(name for name in CLAIMS if name not in PSEUDONYMS)
    for name in wanted:
        if name not in CLAIMS:
            raise ConfigError("--columns", "risk.unknown_column", known=", ".join(CLAIMS))
    chosen = [one for size in range(1, SIZE + 1) for one in combinations(wanted, size)]
    if len(chosen) > MAX_COMBINATIONS:
        raise ConfigError("--columns", "risk.too_many_columns", most=str(MAX_COMBINATIONS))
    coded = _coded(rows, (*wanted, AUDIENCE), on_progress)
    found = sorted(
        (_counted(one, [coded[name] for name in (*one, AUDIENCE)]) for one in chosen), key=_worst_first
    )
    risky = [frozenset(one.claims) for one in found if one.risky]
    minimal = [
        one.claims for one in found if one.risky and not any(other < set(one.claims) for other in risky)
    ]
    return Risk(len(coded[wanted[0]]), wanted, tuple(found), tuple(minimal))


def _coded(
    rows: Iterable[Mapping[str, Any]], names: Sequence[str], on_progress: Callable[[int], None]
) -> dict[str, NDArray[np.uint32]]:
    """Every claim's values as numbers, 0 for an empty one."""
    numbers: dict[str, dict[Any, int]] = {name: {} for name in names}
    columns = {name: array("I") for name in names}
    for read, row in enumerate(rows, 1):
        if read > MAX_ROWS:
            raise ConfigError("--archive", "risk.too_many_rows", most=str(MAX_ROWS))
        if read % _STEP == 0:
            on_progress(read)
        for name in names:
            value = row.get(name, "" if name == AUDIENCE else None)
            if isinstance(value, dict):  # a pseudonym, with that of the period before
                value = value.get("current")
            known = numbers[name]
            columns[name].append(0 if value is None else known.setdefault(str(value), len(known) + 1))
    return {name: np.frombuffer(column, np.uint32) if column else _NONE for name, column in columns.items()}


_STEP: Final = 1000
_NONE: Final = np.zeros(0, np.uint32)


def _counted(claims: tuple[str, ...], columns: Sequence[NDArray[np.uint32]]) -> Combination:
    """One combination's groups. Numbers of values that are combined two by two never leave 64 bits."""
    there = np.logical_and.reduce([column > 0 for column in columns])
    groups = columns[0][there].astype(np.uint64)
    for column in columns[1:]:
        pairs = groups << np.uint64(32) | column[there].astype(np.uint64)
        groups = np.unique(pairs, return_inverse=True)[1].astype(np.uint64)
    sizes = np.unique(groups, return_counts=True)[1]
    lows = (0, *STEPS)
    distribution = {
        str(high): int(sizes[(sizes > low) & (sizes <= high)].sum())
        for low, high in zip(lows, STEPS, strict=False)
    }
    return Combination(
        claims,
        rows=int(there.sum()),
        groups=len(sizes),
        k=int(sizes.min(initial=2**31)) if len(sizes) else 0,
        alone=int((sizes == 1).sum()),
        distribution=distribution | {"more": int(sizes[sizes > STEPS[-1]].sum())},
    )


def _worst_first(one: Combination) -> tuple[int, float, int, tuple[str, ...]]:
    return one.k or 2**63, -one.uniqueness, len(one.claims), one.claims

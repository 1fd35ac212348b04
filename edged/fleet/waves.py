"""In which order a fleet takes something new: canaries from different places, then waves that grow. Does no I/O.

The order is drawn from the rollout's name, so that a dry run shows what a start does, and not always the same counters
have to be the canaries.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from edged.errors import ConfigError
from edged.uplink.fields import Name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

MAX_WAVES: Final = 20
"""More steps than that prove nothing more."""

DEFAULT_WAVES: Final = "1%,10%,50%,100%"

_STEP: Final = re.compile(r"([0-9]{1,6})(%?)")


class Spot(msgspec.Struct, frozen=True):
    """Where a box stands and what it is: boxes alike in both fail together."""

    site: str = ""
    groups: tuple[Name, ...] = ()


class Step(msgspec.Struct, frozen=True):
    """How many boxes have it when a wave has ended: a count, or a share of all in per cent (at least one box)."""

    number: Annotated[int, msgspec.Meta(ge=1)]
    percent: bool

    def of(self, total: int) -> int:
        """So many boxes of `total`."""
        return min(total, max(1, -(-self.number * total // 100) if self.percent else self.number))


def parse_steps(text: str) -> tuple[Step, ...]:
    """`3,10%,50%,100%`: cumulative. Raises `ConfigError` (`rollout.bad_waves`)."""
    steps = []
    for word in text.split(","):
        found = _STEP.fullmatch(word.strip())
        if found is None or int(found[1]) < 1 or (found[2] and int(found[1]) > 100):
            raise ConfigError("--waves", "rollout.bad_waves", word=word.strip()[:20])
        steps.append(Step(int(found[1]), found[2] == "%"))
    if len(steps) > MAX_WAVES:
        raise ConfigError("--waves", "rollout.too_many_waves", most=str(MAX_WAVES))
    return tuple(steps)


def plan(
    spots: Mapping[str, Spot], steps: Sequence[Step], *, seed: str, online: Collection[str] = ()
) -> tuple[tuple[str, ...], ...]:
    """The waves, each a run of `spread`; the last one ends with the last box. No wave is empty.

    The first wave, the canaries, is of as many places as it can be, and of boxes that are `online` before others: a
    canary that is switched off warns of nothing.
    """
    if not spots:
        return ()
    order = spread(spots, seed=seed)
    count = steps[0].of(len(order)) if steps else len(order)
    canaries = _canaries(order, spots, count, frozenset(online))
    chosen = frozenset(canaries)
    order = [*canaries, *(name for name in order if name not in chosen)]
    ends = [*(step.of(len(order)) for step in steps), len(order)]
    waves, begin = [], 0
    for end in ends:
        if end > begin:
            waves.append(tuple(order[begin:end]))
            begin = end
    return tuple(waves)


def spread(spots: Mapping[str, Spot], *, seed: str) -> list[str]:
    """Every box, so ordered that each beginning has about the same mixture of groups, and in a group of sites.

    A box's place is its rank in its group as a share of the group's size; ranks in a group are made in the same way
    from its sites; ties, and ranks on a site, are drawn from `seed`.
    """
    kinds: dict[tuple[str, ...], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, spot in spots.items():
        kinds[spot.groups][spot.site].append(name)
    placed = []
    for sites in kinds.values():
        kind = _merged([sorted(names, key=lambda name: _drawn(seed, name)) for names in sites.values()], seed)
        placed.append(kind)
    return _merged(placed, seed)


def _merged(lists: Sequence[Sequence[str]], seed: str) -> list[str]:
    """One list with each of the others spread evenly over it, in its own order."""
    places = [
        ((rank + 0.5) / len(names), _drawn(seed, name), name)
        for names in lists
        for rank, name in enumerate(names)
    ]
    return [name for *_, name in sorted(places)]


def _canaries(
    order: Sequence[str], spots: Mapping[str, Spot], count: int, online: frozenset[str]
) -> list[str]:
    """`count` boxes: those online first, and of these one of each site before the second of any."""
    found: list[str] = []
    for names in ([one for one in order if one in online], [one for one in order if one not in online]):
        turns: dict[str, int] = defaultdict(int)
        ranked = []
        for place, name in enumerate(names):
            ranked.append((turns[spots[name].site], place, name))
            turns[spots[name].site] += 1
        found += [name for *_, name in sorted(ranked)[: count - len(found)]]
    return found


def _drawn(seed: str, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()

"""Kill loops: `python -m tests.proof.kill_loop --kills 300 --envelopes 5000`.

Boxes, broker, collectors and the partner are real processes; one after another, at random moments, they die by
`kill -9` and are started again, sometimes several at once. In the end everything is up, drains, and is counted: every
envelope that a box ever said it had committed is in the archive once, with its hash; nothing else is; no alarm; the
partner's streams are whole and handed on; the outboxes are empty by receipts.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from edged.errors import StateError
from tests.proof.parties import Place, Process

SETTLE_S = 180.0
STUCK_S = 60.0
"""No box has said anything for so long: whatever the kills do, that can't be."""


@dataclass
class Outcome:
    """What was done, and what was found: `wrong` is empty when nothing is lost, doubled or made up."""

    seconds: float = 0.0
    drained_s: float = 0.0
    kills: dict[str, int] = field(default_factory=dict)
    committed: int = 0
    said: int = 0
    archived: int = 0
    duplicates: int = 0
    partner: int = 0
    handed_again: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kills = ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items()))
        return "\n".join(
            [
                f"{sum(self.kills.values())} kills in {self.seconds:.0f} s ({kills})",
                f"{self.committed} envelopes committed, {self.said} of them said; drained in {self.drained_s:.1f} s",
                f"{self.archived} archived; {self.duplicates} came more than once and were recognised",
                f"partner: {self.partner} kept and handed on, {self.handed_again} of them again after a kill",
                f"lost {self.lost}, doubled {self.doubled}, other faults {len(self.wrong)}",
                *(f"  WRONG: {line}" for line in self.wrong[:20]),
            ]
        )


class Broker:
    """The broker as one more party to kill."""

    def __init__(self, place: Place) -> None:
        self.name = "broker"
        self.died: list[int] = []
        self._broker = place.broker

    def is_running(self) -> bool:
        return self._broker.is_running()

    def start(self) -> None:
        self._broker.spawn()

    def kill(self) -> None:
        self._broker.kill()

    def stop(self) -> None:
        self._broker.stop()

    def look(self) -> None:
        if not self.is_running():
            self.died.append(1)
            self.start()


def kill_loop(
    directory: Path,
    *,
    kills: int,
    envelopes: int,
    seed: int,
    workers: int = 3,
    boxes: int = 1,
    archive: str | None = None,
    gap_s: tuple[float, float] = (0.1, 2.4),
    rate: float = 16.0,
    burst: int = 12,
    tell: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Kill `kills` times and until `envelopes` were committed; then drain and count."""
    chance = random.Random(seed)
    place = Place(directory, workers=workers, boxes=boxes, archive=archive)
    parties: list[Process | Broker] = [
        Broker(place),
        *(place.worker(name) for name in place.collectors),
        place.follower(),
        *(place.box(name, rate=rate / boxes / len(place.audiences), burst=burst) for name in place.boxes),
    ]
    outcome = Outcome(kills={party.name: 0 for party in parties})
    with ExitStack() as stack:
        for party in parties:
            stack.callback(party.kill)
            party.start()
        began = time.monotonic()
        down: list[tuple[float, Process | Broker]] = []
        heard = (0, began)
        bag: list[Process | Broker] = []  # everybody in turn, in an order drawn anew each time
        while sum(outcome.kills.values()) < kills or len(place.said) < envelopes:
            time.sleep(chance.uniform(*gap_s))
            for moment, party in [one for one in down if one[0] <= time.monotonic()]:
                party.start()
                down.remove((moment, party))
            up = [party for party in parties if party not in [one[1] for one in down]]
            for party in up:
                party.look()
            if sum(outcome.kills.values()) < kills and up:
                if not bag:
                    bag = chance.sample(parties, len(parties))
                if (victim := bag.pop()) not in up:
                    continue
                victim.kill()
                outcome.kills[victim.name] += 1
                down.append((time.monotonic() + chance.choice((0.0, 0.0, 0.5, 3.0)), victim))
            tell(f"{sum(outcome.kills.values())} kills, {len(place.said)} envelopes said")
            if len(place.said) != heard[0]:
                heard = (len(place.said), time.monotonic())
            if time.monotonic() > heard[1] + STUCK_S:
                outcome.wrong.append(f"nothing was committed for {STUCK_S:.0f} s")
                break
        outcome.seconds = time.monotonic() - began
        _drain(place, parties, [party for _, party in down], outcome, tell)
        for party in reversed(parties):
            party.stop()
    outcome.wrong += [f"{party.name} died by itself: exit {party.died}" for party in parties if party.died]
    count(place, outcome)
    return outcome


def _drain(
    place: Place,
    parties: list[Process | Broker],
    down: list[Process | Broker],
    outcome: Outcome,
    tell: Callable[[str], None],
) -> None:
    """Everybody up, boxes that only send, until nothing is pending and the partner has it all."""
    for party in down:
        party.start()
    for party in parties:
        if party.name == place.partner:  # asks at its start; after a kill of the broker, within minutes
            party.kill()
            party.start()
    for index, party in enumerate(parties):
        if party.name in place.boxes:
            party.kill()
            parties[index] = calm = place.box(party.name, rate=0)
            calm.died = party.died
            calm.start()
    began = time.monotonic()
    missing = "?"
    while time.monotonic() < began + SETTLE_S:
        for party in parties:
            party.look()
        try:
            missing = _missing(place)
        except StateError:
            missing = "a database that is busy"
        if not missing:
            break
        tell(f"draining: {missing}")
        time.sleep(0.5)
    else:
        outcome.wrong.append(f"not drained within {SETTLE_S:.0f} s: {missing}")
    outcome.drained_s = time.monotonic() - began


def _missing(place: Place) -> str:
    """What isn't where it belongs yet, in words; "" when nothing is missing."""
    if pending := place.pending():
        return f"{pending} pending"
    wanted = {
        h for key, hashes in place.committed().items() if key[2] == place.partner for h in hashes.values()
    }
    have = {h for kept in place.received().streams.values() for h in kept.hashes.values()}
    if wanted - have:
        return f"{len(wanted - have)} missing at the partner"
    if unhanded := wanted - place.handed.keys():
        return f"{len(unhanded)} not handed on"
    return ""


def count(place: Place, outcome: Outcome) -> None:
    """Hold every party's own store against what the boxes said."""
    committed = place.committed()
    archive = place.archived()
    own = {(key[1], key[2], seq): h for key, hashes in committed.items() for seq, h in hashes.items()}
    kept = {(key[1], key[2], seq): h for key, one in archive.streams.items() for seq, h in one.hashes.items()}
    outcome.committed, outcome.said, outcome.archived = len(own), len(place.said), len(kept)
    outcome.duplicates = sum(one.duplicates for one in archive.streams.values())
    _compare("said, and not in the box's own ledger", place.said, own, outcome)
    _compare("committed, and not in the archive", own, kept, outcome)
    _compare("in the archive, and never committed", kept, own, outcome)
    if place.twice:
        outcome.doubled += len(place.twice)
        outcome.wrong.append(f"numbers given twice: {place.twice[:5]}")
    everything = [h for one in archive.streams.values() for h in one.hashes.values()]
    if len(set(everything)) != len(everything):
        outcome.doubled += len(everything) - len(set(everything))
        outcome.wrong.append("an envelope stands in the archive twice")
    if archive.alarms:
        outcome.wrong.append(f"{archive.alarms} alarms in the archive")
    for key, hashes in committed.items():
        if sorted(hashes) != list(range(1, len(hashes) + 1)):
            outcome.wrong.append(f"numbers of {key} are not 1 to {len(hashes)}")
    _partner(place, committed, outcome)


def _partner(place: Place, committed: dict[tuple[str, str, str], dict[int, str]], outcome: Outcome) -> None:
    received = place.received()
    for key, hashes in committed.items():
        if key[2] != place.partner:
            continue
        stream = received.streams.get(key)
        mine = stream.hashes if stream else {}
        outcome.partner += len(mine)
        if mine != hashes:
            outcome.lost += len(hashes.keys() - mine.keys())
            outcome.wrong.append(f"the partner's {key} has {len(mine)} of {len(hashes)}")
        if unhanded := set(hashes.values()) - place.handed.keys():
            outcome.wrong.append(f"{len(unhanded)} of {key} were never handed on")
    if received.alarms:
        outcome.wrong.append(f"{received.alarms} alarms at the partner")
    outcome.handed_again = sum(times - 1 for times in place.handed.values())


def _compare(
    what: str,
    ours: dict[tuple[str, str, int], str],
    theirs: dict[tuple[str, str, int], str],
    outcome: Outcome,
) -> None:
    missing = [key for key in ours if key not in theirs]
    if missing:
        outcome.lost += len(missing)
        outcome.wrong.append(f"{len(missing)} {what}: {sorted(missing)[:5]}")
    changed = [key for key, sha256 in ours.items() if theirs.get(key, sha256) != sha256]
    if changed:
        outcome.doubled += len(changed)
        outcome.wrong.append(f"{len(changed)} with another hash: {sorted(changed)[:5]}")


@contextmanager
def postgresql() -> Iterator[str]:
    """An empty archive on a server of its own, which syncs as it would in earnest."""
    from tests.postgres import cluster

    with cluster() as server:
        yield server.database()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--envelopes", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--boxes", type=int, default=1)
    parser.add_argument("--archive", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--keep", type=Path, help="work in this new directory and leave it there")
    options = parser.parse_args()
    last = 0.0

    def tell(line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= (1 if sys.stderr.isatty() else 15):
            last = time.monotonic()
            print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)

    with ExitStack() as stack:
        directory = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        archive = None
        if options.archive == "postgresql":
            archive = stack.enter_context(postgresql())
        outcome = kill_loop(
            directory,
            kills=options.kills,
            envelopes=options.envelopes,
            seed=options.seed,
            workers=options.workers,
            boxes=options.boxes,
            archive=archive,
            tell=tell,
        )
    print(outcome)
    return int(bool(outcome.wrong or outcome.lost or outcome.doubled))


if __name__ == "__main__":
    sys.exit(main())

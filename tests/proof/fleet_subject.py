"""A box's switch from push to push under power cuts: in the old version or the new one, and nothing failed again."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

from edged.pushed.floor import FLOOR_FILE, read_floor
from edged.pushed.host import Generation, ProbeResult
from edged.pushed.steps import Slot
from edged.pushed.store_opening import open_store
from tests.proof.outbox_subjects import DEVICE, Keys, Promise, Promises, sound
from tests.pushed_box import PushedBox
from tests.tuf_repository import TufRepository

PLAN = ("good", "bad", "again", "good", "unstartable", "again", "refused", "restart", "same", "good", "bad")
"""What is pushed. `again`: what was pushed last; `same`: its content under a new number; `restart`: nothing is."""

ROOT = "root.json"


def outcome_of(kind: str) -> str:
    return {"good": "applied", "same": "applied", "refused": "rejected"}.get(kind, "rolled_back")


class Fleet:
    """Real store, verification and agent; the host fails what is to fail.

    Of what a power cut leaves, the store is looked at always, and every `walk`th time a box is started on it, which
    has to go on to what was pushed last and to a push that follows.
    """

    def __init__(self, keys: Keys, *, walk: int = 12) -> None:
        self._keys = keys
        self._walk = walk
        self._checked = 0
        self._pushes = keys.directory / "pushes"

    def prepare(self, home: Path) -> Promises:
        """The fleet's root lies on the box; what is going to be pushed, elsewhere."""
        repository = TufRepository()
        (home / ROOT).write_bytes(repository.first_root)
        self._pushes.mkdir(exist_ok=True)
        kinds = {}
        for kind in [*PLAN, "good"]:
            if kind in ("again", "restart"):
                continue
            number = repository.snapshot.version + 1
            if kind == "same":
                bundle = repository.push()
            elif kind == "refused":
                honest = repository.signers["timestamp"]
                repository.signers["timestamp"] = [99]
                bundle = repository.push(version=f"{kind}-{number}")
                repository.signers["timestamp"] = honest
            else:
                bundle = repository.push(version=f"{kind}-{number}")
            (self._pushes / f"{number}.json").write_bytes(bundle)
            kinds[number] = kind
        (self._pushes / "kinds.json").write_text(json.dumps(kinds))
        return []

    def _box(self, home: Path) -> PushedBox:
        box = PushedBox(home, self._keys.signer(DEVICE))
        for number, kind in self._kinds().items():
            if kind == "bad":
                box.host.results[f"bad-{number}"] = ProbeResult("uplink", "probe.not_connected")
            if kind == "unstartable":
                box.host.unstartable.add(f"unstartable-{number}")
        return box

    def _kinds(self) -> dict[int, str]:
        return {int(number): kind for number, kind in json.loads(self._text("kinds.json")).items()}

    def _text(self, name: str) -> str:
        return (self._pushes / name).read_text()

    def _bundle(self, number: int) -> bytes:
        return (self._pushes / f"{number}.json").read_bytes()

    def work(self, home: Path, promise: Promise, chance: random.Random) -> None:
        asyncio.run(self._work(home, promise, chance))

    async def _work(self, home: Path, promise: Promise, chance: random.Random) -> None:
        box = self._box(home)

        def started(generation: Generation) -> None:
            promise(starting=generation.push)

        box.host.on_switch = started
        numbers = iter(sorted(self._kinds()))
        number, good = 0, 0
        async with box:
            for kind in PLAN:
                if kind == "restart":
                    (await box.restart()).on_switch = started
                    continue
                if kind != "again":
                    number = next(numbers)
                    promise(pushing=number)
                elif chance.random() < 0.5:
                    (await box.restart()).on_switch = started
                await box.deliver(self._bundle(number))
                was = kind if kind != "again" else self._kinds()[number]
                await box.settled(outcome_of(was), number)
                if outcome_of(was) == "applied":
                    good = number
                    promise(good=good)
                elif was != "refused":
                    promise(failed=number)

    def check(self, home: Path, promises: Promises) -> None:
        kinds = self._kinds()
        good = max((one["good"] for one in promises if "good" in one), default=0)
        pushed = max((one["pushing"] for one in promises if "pushing" in one), default=0)
        failed = {one["failed"] for one in promises if "failed" in one}
        decided = max({good, *failed})
        store = open_store(home, f"{self._keys.signer(DEVICE).principal.fleet}/{DEVICE}")
        try:
            assert store.replaced is None, "a power cut was taken for a broken disk"
            stored, trusted, floor = store.stored(), store.trusted(), read_floor(home / FLOOR_FILE)
            versions = {slot: store.version(slot) for slot in (Slot.GOOD, Slot.CANDIDATE)}
        finally:
            store.close()
        sound(home / "fleet.sqlite")
        assert stored.good in (good, pushed), f"{stored.good} is in force, neither {good} nor {pushed}"
        assert kinds.get(stored.good, "good") in ("good", "same")
        assert stored.candidate in (None, pushed)
        assert not failed & {stored.candidate}, "a failed push would be tried again"
        assert stored.newest >= decided, "an older push would be taken again"
        known = (stored.good, stored.candidate, stored.report.push)
        assert stored.newest in known, "a push was taken, and nothing will ever come of it"
        assert floor.push >= stored.newest, "the second memory is behind the store"
        assert floor.failed >= max(failed, default=0)
        for slot, version in versions.items():
            if version is not None:
                name = json.loads(version.config)["version"]
                assert version.push == (stored.good if slot is Slot.GOOD else stored.candidate)
                assert kinds[version.push] == "same" or name == f"{kinds[version.push]}-{version.push}"
        snapshot = json.loads(trusted.metadata["snapshot.json"])["signed"]["version"] if trusted else 0
        assert snapshot == stored.newest, "metadata and version were not stored together"
        if promises and promises[-1].get("starting") == pushed != 0 and pushed not in (good, *failed):
            assert stored.attempts >= 1 or pushed == stored.good or stored.report.push == pushed, (
                "started before it was counted"
            )
        self._checked += 1
        if self._checked % self._walk == 0:
            asyncio.run(self._goes_on(home, good, pushed, failed))

    async def _goes_on(self, home: Path, good: int, pushed: int, failed: set[int]) -> None:
        """A box started on it works, takes what the broker still keeps, and what comes next."""
        kinds = self._kinds()
        async with self._box(home) as box:
            assert box.agent.running_push in (good, pushed)
            if pushed:
                await box.deliver(self._bundle(pushed))
                await box.settled(outcome_of(kinds[pushed]), pushed)
                if kinds[pushed] in ("good", "same"):
                    assert box.agent.running_push == pushed
            last = max(kinds)
            await box.deliver(self._bundle(last))
            await box.settled("applied", last)
            assert not failed & set(box.host.history), "a failed push was tried again"

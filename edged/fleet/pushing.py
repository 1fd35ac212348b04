"""Making and publishing pushes: numbered, written down, then on the air; taken back while nobody has come for them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from edged.errors import ConfigError, StateError
from edged.fleet import push_numbers
from edged.fleet.bundles import BundleMaker, noted
from edged.fleet.compile import GIVEN, Layer
from edged.fleet.layers import layers_of
from edged.fleet.pushes import DIRECTORY, Pushes, record_of
from edged.uplink import topics

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from edged.fleet.compile import Compiled
    from edged.fleet.link import AdminLink
    from edged.fleet.pushes import PushRecord
    from edged.fleet.state import DeviceRecord, FleetState
    from edged.uplink.reported import Reported

RETAINED_S: Final = 3.0
"""How long the broker may take to show what it has retained for a box."""

AT_ONCE: Final = 16
"""Boxes whose topic is looked at at a time: each may have 60 KiB there."""

BUSY_S: Final = 30.0
"""How long another command may hold the state before a push gives up: it writes a few files."""

BUSY_AGAIN_S: Final = 0.05


class Prepared(NamedTuple):
    """A push that is written down and may be published."""

    device: str
    number: int
    data: bytes
    version: str


class Compilation(NamedTuple):
    """What every box would get: documents of those that compile, errors of those that don't."""

    documents: dict[str, Compiled]
    errors: dict[str, ConfigError]


class Pusher:
    """Makes pushes of what the layers said when it was made. Blocking: call it in a thread.

    `again` gives, for some boxes, an earlier push whose content is pushed instead of the layers'; `overtake`: go on
    above pushes that this state doesn't know. Raises `StateError`,
    `CertificateError` as `BundleMaker` does.
    """

    def __init__(
        self,
        state: FleetState,
        *,
        now: datetime,
        by: str,
        rollout: str | None = None,
        again: dict[str, PushRecord] | None = None,
        overtake: bool = False,
    ) -> None:
        self._state = state
        self._by = by
        self._rollout = rollout
        self._again = again or {}
        self._overtake = overtake
        self._above = 0
        self._now = now
        self._began = time.monotonic()
        self._maker = BundleMaker(state, now)
        self.pushes = Pushes(state)
        self._compiled: dict[str, Compiled] = {}
        self._layers: dict[str, list[Layer]] = {}

    def compile(self, devices: Iterable[str]) -> Compilation:
        """Compile every box's document; those that compile can be prepared. Raises `StateError`."""
        errors = {}
        for device in devices:
            try:
                record = self._state.device(device)
                if record.revoked_at is not None:
                    raise ConfigError(device, "fleet.device_revoked")
                earlier = self._again.get(device)
                layers = layers_of(self._state, record) if earlier is None else [content_layer(earlier)]
                self._compiled[device] = self._maker.compile(record, layers)
                self._layers[device] = layers
            except ConfigError as error:
                errors[device] = error
        return Compilation(dict(self._compiled), errors)

    def heard(self, reports: Mapping[str, Reported]) -> None:
        """What boxes say before anything is pushed: what became of earlier pushes is noted.

        Raises `StateError` (`fleet.pushed_elsewhere`) when they have pushes that this state doesn't know: another copy
        of it is in use, or this one comes from a backup. With `overtake` the next numbers are above those.
        """
        ahead = push_numbers.ahead(self._state, {name: one.push for name, one in reports.items()})
        if ahead and not self._overtake:
            first = min(ahead)
            raise StateError(
                "fleet.pushed_elsewhere", device=first, number=str(ahead[first]), count=str(len(ahead))
            )
        self._above = max(ahead.values(), default=0)
        now = int(time.time())
        with contextlib.suppress(StateError), self._state.changing():
            for name, reported in reports.items():
                self.pushes.note(name, reported, now)

    def prepare(self, devices: Sequence[str]) -> list[Prepared]:
        """Number, sign and write down a push to each, of what `compile` found.

        Raises `StateError` (`fleet.rollout_changed`) when audiences or artefacts that it names have changed since;
         `StateError` (`fleet.busy` after `BUSY_S`), `ConfigError`,
        `CertificateError`.
        """
        deadline = time.monotonic() + BUSY_S
        while True:
            try:
                with self._state.changing():
                    return self._prepare(devices)
            except StateError as error:
                if error.code != "fleet.busy" or time.monotonic() > deadline:
                    raise
                time.sleep(BUSY_AGAIN_S)

    def _prepare(self, devices: Sequence[str]) -> list[Prepared]:
        records = [self._state.device(device) for device in devices]
        # A counter that was merged or restored by hand may be behind what the boxes' files say.
        above = max(self._above, *(record.push for record in records))
        # A rollout takes days: keys, metadata and the end of what is signed are those of now.
        now = self._now + timedelta(seconds=time.monotonic() - self._began)
        maker = BundleMaker(self._state, now)
        for record in records:
            if maker.compile(record, self._layers[record.name]).data != self._compiled[record.name].data:
                raise StateError("fleet.rollout_changed", record.name)
        numbers = push_numbers.reserve(self._state, len(devices), above)
        return [self._one(maker, record, number) for record, number in zip(records, numbers, strict=True)]

    def _one(self, maker: BundleMaker, record: DeviceRecord, number: int) -> Prepared:
        device = record.name
        compiled = self._compiled[device]
        made = maker.make(record, number, compiled=compiled)
        earlier = self._again.get(device)
        self.pushes.keep(device, made.data)
        self.pushes.write(
            record_of(
                made,
                msgspec.json.decode(compiled.data),
                by=self._by,
                at=int(time.time()),
                rollout=self._rollout,
                again=None if earlier is None else earlier.number,
            )
        )
        self._state.save_device(noted(record, made))
        return Prepared(device, number, made.data, made.version)


async def publish(link: AdminLink, device: str, data: bytes) -> None:
    """Put a push where the box finds it, now or when it comes back. Raises `UplinkError`."""
    await link.publish(topics.desired(link.fleet, device), data, retain=True)


async def retained(link: AdminLink, device: str) -> bytes | None:
    """What waits for a box on the broker; None when nothing does. Raises `UplinkError`."""
    async with link.listen(topics.desired(link.fleet, device)) as listening:
        try:
            async with asyncio.timeout(RETAINED_S):
                return (await anext(listening)).payload or None
        except TimeoutError:
            return None


async def withdraw(link: AdminLink, pushes: Pushes, numbers: Mapping[str, int]) -> set[str]:
    """Take pushes back (numbers by box) that no box has come for: their topics are empty again.

    What somebody has pushed since stays, and so does what isn't that push for any other reason: the boxes of these are
    returned. Raises `UplinkError`, `StateError` (`fleet.bad_record`).
    """
    kept = set[str]()
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(device: str, number: int) -> None:
        async with gate:
            record = await asyncio.to_thread(pushes.read, device, number)
            found = await retained(link, device)
            if found is not None and hashlib.sha256(found).hexdigest() != record.bundle_sha256:
                kept.add(device)
            elif found is not None:
                await link.publish(topics.desired(link.fleet, device), b"", retain=True)

    await asyncio.gather(*(one(device, number) for device, number in numbers.items()))
    return kept


def content_layer(record: PushRecord) -> Layer:
    """An earlier push as the one layer of a new one: the same content, compiled against today's targets."""
    content: dict[str, Any] = {key: value for key, value in record.content.items() if key not in GIVEN}
    label, dot, _ = str(content.pop("version", "")).rpartition(".")
    if dot:
        content["version"] = label
    return Layer(f"{DIRECTORY}/{record.device}/{record.number}.json", content)

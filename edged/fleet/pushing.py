"""Making and publishing pushes: numbered, written down, then on the air; taken back while nobody has come for them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from edged.errors import ConfigError, StateError
from edged.fleet import push_numbers
from edged.fleet.bundles import BundleMaker
from edged.fleet.compile import GIVEN, Layer
from edged.fleet.pushes import DIRECTORY, Pushes, record_of
from edged.uplink import topics

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from edged.fleet.compile import Compiled
    from edged.fleet.link import AdminLink
    from edged.fleet.pushes import PushRecord
    from edged.fleet.state import FleetState

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

    `again` gives, for some boxes, an earlier push whose content is pushed instead of the layers'. Raises `StateError`,
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
    ) -> None:
        self._state = state
        self._by = by
        self._rollout = rollout
        self._again = again or {}
        self._maker = BundleMaker(state, now)
        self.pushes = Pushes(state)
        self._compiled: dict[str, Compiled] = {}

    def compile(self, devices: Iterable[str]) -> Compilation:
        """Compile every box's document; those that compile can be prepared. Raises `StateError`."""
        errors = {}
        for device in devices:
            try:
                record = self._state.device(device)
                if record.revoked_at is not None:
                    raise ConfigError(device, "fleet.device_revoked")
                layers = None
                if (earlier := self._again.get(device)) is not None:
                    layers = [content_layer(earlier)]
                self._compiled[device] = self._maker.compile(record, layers)
            except ConfigError as error:
                errors[device] = error
        return Compilation(dict(self._compiled), errors)

    def prepare(self, devices: Sequence[str], *, above: int = 0) -> list[Prepared]:
        """Number, sign and write down a push to each, of what `compile` found.

        Numbers are higher than `above`. Raises `StateError` (`fleet.busy` after `BUSY_S`), `ConfigError`,
        `CertificateError`.
        """
        deadline = time.monotonic() + BUSY_S
        while True:
            try:
                with self._state.changing():
                    return self._prepare(devices, above)
            except StateError as error:
                if error.code != "fleet.busy" or time.monotonic() > deadline:
                    raise
                time.sleep(BUSY_AGAIN_S)

    def _prepare(self, devices: Sequence[str], above: int) -> list[Prepared]:
        numbers = push_numbers.reserve(self._state, len(devices), above)
        return [self._one(device, number) for device, number in zip(devices, numbers, strict=True)]

    def _one(self, device: str, number: int) -> Prepared:
        record = self._state.device(device)
        compiled = self._compiled[device]
        made = self._maker.make(record, number, compiled=compiled)
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
        self._state.save_device(msgspec.structs.replace(record, push=number))
        return Prepared(device, number, made.data, made.version)


async def publish(link: AdminLink, device: str, data: bytes) -> None:
    """Put a push where the box finds it, now or when it comes back. Raises `UplinkError`."""
    await link.publish(topics.desired(link.fleet, device), data, retain=True)


async def withdraw(link: AdminLink, device: str) -> None:
    """Take a push back that no box has come for: the topic is empty again. Raises `UplinkError`."""
    await link.publish(topics.desired(link.fleet, device), b"", retain=True)


def content_layer(record: PushRecord) -> Layer:
    """An earlier push as the one layer of a new one: the same content, compiled against today's targets."""
    content: dict[str, Any] = {key: value for key, value in record.content.items() if key not in GIVEN}
    label, dot, _ = str(content.pop("version", "")).rpartition(".")
    if dot:
        content["version"] = label
    return Layer(f"{DIRECTORY}/{record.device}/{record.number}.json", content)

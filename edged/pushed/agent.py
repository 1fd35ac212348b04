"""A box's part in its fleet: hears what is pushed, has it verified, switches to it, says what came of it.

Begin with `open`, then `begin`, which puts the version in force that the box has to start with; from then on `run` is a
task, and the agent a `Rider` of every uplink.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from edged.uplink import topics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from edged.pushed.host import Artefacts, Host
    from edged.uplink.mqtt import Connection
    from edged.uplink.mqtt_types import Received
    from edged.uplink.sign import Signer


class PushAgent:
    """See the module. A `Rider`."""

    def __init__(self, fleet: str, device: str) -> None:
        self._fleet, self._device = fleet, device

    @classmethod
    async def open(
        cls,
        *,
        host: Host,
        artefacts: Artefacts,
        signer: Callable[[], Signer],
        clock: Callable[[], datetime],
        look_s: float = 5.0,
    ) -> Self:
        """Open the store in the state directory of `host.boot_settings`, whose `fleet` section is there.

        `signer` gives the device's signing key as it is now. Raises `StateError`, `ConfigError`.
        """
        principal = signer().principal
        return cls(principal.fleet, principal.name)

    async def begin(self) -> None:
        """Put in force what the box has to start with, by `host.switch`: the trial's version, the last good, or the
        boot file alone.

        Raises `EdgedError` when not even the boot file's settings can be put in force.
        """

    async def run(self) -> None:
        """Take what is pushed, until cancelled. Raises `StateError` for a broken store, `EdgedError` as `begin`."""

    async def close(self) -> None:
        """Close the store, when `run` has ended."""

    @property
    def running_push(self) -> int:
        """The push that is in force; 0: the boot file."""
        return 0

    def filters(self) -> Sequence[str]:
        """The box's own `desired` alone."""
        return (topics.desired(self._fleet, self._device),)

    def wants(self, topic: str) -> bool:
        """Whether this is it."""
        return topic == topics.desired(self._fleet, self._device)

    async def take(self, received: Sequence[Received]) -> None:
        """Note what was pushed; it is looked at by `run`."""

    async def serve(self, connection: Connection) -> None:
        """Say on `reported` what came of it, at once and after every change."""

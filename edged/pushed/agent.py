"""A box's part in its fleet: hears what is pushed, has it verified, switches to it, says what came of it.

Begin with `open`, then `begin`, which puts the version in force that the box has to start with; from then on `run` is a
task, and the agent a `Rider` of every uplink. What is verified runs in a thread; what is to be done is
`edged.pushed.switch`'s to say, one event after another.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

import msgspec

from edged import __version__, log, sealing_key
from edged.errors import CertificateError, ConfigError, PushRefusedError, StateError
from edged.pushed import versions
from edged.pushed.driving import Driver
from edged.pushed.steps import Boot, Event, PushAgain, PushArrived, PushRefused
from edged.pushed.store import FleetStore, root_version
from edged.pushed.store_opening import open_store
from edged.pushed.verifying import first_trust, verify_bundle
from edged.sealing import key_id, load_recipient
from edged.uplink import topics
from edged.uplink.bundle import MAX_BUNDLE
from edged.uplink.database import DatabaseThread
from edged.uplink.mqtt import PublishRefusedError
from edged.uplink.reported import MAX_PATH, Reported, seal_reported

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from edged.pushed.host import Artefacts, Host
    from edged.pushed.steps import Report
    from edged.pushed.verifying import Accepted, Trusted
    from edged.pushed.versions import Version
    from edged.uplink.mqtt import Connection
    from edged.uplink.mqtt_types import Received
    from edged.uplink.sign import Signer

KEPT: Final = 8
"""Messages that wait to be looked at: the broker keeps one and repeats it, so more than a few are somebody's game."""

LOOK_S: Final = 5.0
"""How often a lost clock is looked at while a push waits for it."""

REFUSED_PAUSE_S: Final = 1.0
"""After a refused push the next one waits: whoever sends rubbish can't keep the box busy verifying it."""


class PushAgent:
    """See the module. A `Rider`."""

    def __init__(
        self,
        store: DatabaseThread[FleetStore],
        first: Trusted,
        *,
        host: Host,
        artefacts: Artefacts,
        signer: Callable[[], Signer],
        clock: Callable[[], datetime],
        look_s: float,
        refused_pause_s: float,
        public_key: str = "",
    ) -> None:
        self._sealing_key = public_key
        principal = signer().principal
        self._principal = principal
        self._fleet, self._device = principal.fleet, principal.name
        self._store, self._first = store, first
        self._host = host
        self._signer, self._clock = signer, clock
        self._look_s, self._refused_pause_s = look_s, refused_pause_s
        self._log = log.get("fleet")
        self._arrived: deque[bytes] = deque(maxlen=KEPT)
        self._wake = asyncio.Event()
        self._not_before = 0.0
        self._clock_lost = False
        self._said = asyncio.Event()
        self._driver = Driver(
            store, host=host, artefacts=artefacts, wake=self._wake.set, on_report=self._said.set
        )

    @classmethod
    async def open(
        cls,
        *,
        host: Host,
        artefacts: Artefacts,
        signer: Callable[[], Signer],
        clock: Callable[[], datetime],
        look_s: float = LOOK_S,
        refused_pause_s: float = REFUSED_PAUSE_S,
    ) -> Self:
        """Open the store in the state directory of `host.boot_settings`, whose `fleet` section is there.

        `signer` gives the device's signing key as it is now; `clock` the time, timezone-aware. Raises `StateError`,
        `ConfigError` for a root that isn't one, where none was trusted before.
        """
        boot, principal = host.boot_settings, signer().principal
        assert boot.fleet is not None
        path, directory = boot.fleet.root, boot.state.directory

        def root() -> Trusted:
            try:
                with path.open("rb") as file:
                    return first_trust(file.read(MAX_BUNDLE))
            except OSError as error:
                unreadable = ConfigError("root", "config.unreadable", error=error.strerror or "")
                raise unreadable.within("fleet", ".") from error
            except PushRefusedError as error:
                raise ConfigError("root", error.code).within("fleet", ".") from error

        def opened() -> FleetStore:
            store = open_store(directory, f"{principal.fleet}/{principal.name}")
            with suppress(OSError):  # the box was just started with it
                store.boot_ca = hashlib.sha256(boot.identity.fleet_ca.read_bytes()).hexdigest()
            return store

        store = await DatabaseThread.open("fleet", opened)
        try:
            # Once a push was taken the store knows better: a box doesn't stop over a file that it no longer needs.
            known = await store.run(lambda store: store.trusted())
            first = known if known is not None else await asyncio.to_thread(root)
            public_key = await asyncio.to_thread(_public_key, directory)
        except BaseException:
            await store.close()
            raise
        return cls(
            store,
            first,
            host=host,
            artefacts=artefacts,
            signer=signer,
            clock=clock,
            look_s=look_s,
            refused_pause_s=refused_pause_s,
            public_key=public_key,
        )

    async def begin(self) -> None:
        """Put in force, by `host.switch`, what the box has to start with: trial, last good version or boot file.

        Raises what `host.switch` does when not even the boot file's settings can be put in force.
        """
        await self._driver.feed(Boot(await self._store.run(lambda store: store.stored())))
        await self._driver.work_off()

    async def run(self) -> None:
        """Take what is pushed, until cancelled.

        Raises, in an exception group, `StateError` for a broken store, and what `begin` does.
        """
        async with asyncio.TaskGroup() as group:
            self._driver.begin_tasks(group)
            try:
                while True:
                    self._wake.clear()
                    await self._driver.work_off()
                    await self._look()
                    await self._rest()
            finally:
                self._driver.end_tasks()

    async def close(self) -> None:
        """Close the store, when `run` has ended."""
        await self._store.close()

    @property
    def running_push(self) -> int:
        """The push that is in force; 0: the boot file."""
        return self._driver.running_push

    @property
    def taken(self) -> tuple[int, str | None]:
        """The push that was taken last, and the hash of the message it came in."""
        stored = self._driver.machine.stored
        return stored.newest, stored.newest_bundle

    @property
    def report(self) -> Report:
        """What is said of the last push."""
        return self._driver.report

    @property
    def sealing_key(self) -> str | None:
        """Id of the key that is reported, to be compared with what the privacy officer sees; None without one."""
        return key_id(load_recipient(self._sealing_key)) if self._sealing_key else None

    @property
    def waits(self) -> bool:
        """Whether a message waits to be looked at."""
        return bool(self._arrived)

    # --- a rider of the uplink ---

    def filters(self) -> Sequence[str]:
        """The box's own `desired` alone."""
        return (topics.desired(self._fleet, self._device),)

    def wants(self, topic: str) -> bool:
        """Whether this is it."""
        return topic == topics.desired(self._fleet, self._device)

    async def take(self, received: Sequence[Received]) -> None:
        """Note what was pushed; it is looked at by `run`."""
        for message in received:
            if (
                message.payload and message.payload not in self._arrived
            ):  # empty: the broker keeps none any more
                self._arrived.append(message.payload)
        self._wake.set()

    async def serve(self, connection: Connection) -> None:
        """Say on `reported` what came of it, at once and after every change. Raises `UplinkError`."""
        topic = topics.reported(self._fleet, self._device)
        while True:
            self._said.clear()
            try:
                await connection.publish(topic, self._sealed(), retain=True)
            except PublishRefusedError as error:  # verdicts have to go on, whatever an access list forgot
                self._log.warning("the broker refuses the report", code=error.code)
            await self._said.wait()

    def _sealed(self) -> bytes:
        report, signer = self._driver.report, self._signer()
        reported = Reported(
            iss=self._device,
            fleet=self._fleet,
            iat=max(int(self._clock().timestamp()), 0),
            push=report.push,
            outcome=report.outcome,
            running=self._driver.in_force.settings.version,
            running_push=self.running_push,
            code=report.code,
            path=None if report.path is None else report.path[:MAX_PATH],
            probe=report.probe,
            fetched=report.fetched,
            software=__version__,
            sealing_key=self._sealing_key or msgspec.UNSET,
        )
        return seal_reported(reported, signer).encode()

    # --- what was pushed ---

    async def _rest(self) -> None:
        """Until something happens, or until what waits may be looked at."""
        wait = None
        if self._arrived:
            wait = max(self._not_before - asyncio.get_running_loop().time(), 0.0)
            wait = max(wait, self._look_s) if self._clock_lost else wait
        try:
            async with asyncio.timeout(wait):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _look(self) -> None:
        """Look at the message that has waited longest, if one may be looked at."""
        if not self._arrived or asyncio.get_running_loop().time() < self._not_before:
            return
        data = self._arrived[0]
        bundle = hashlib.sha256(data).hexdigest()
        if bundle == self._driver.machine.stored.newest_bundle:
            await self._done_with(data, PushAgain())
        elif await self._host.clock_trusted():
            self._clock_lost = False
            await self._done_with(data, await self._verify(data, bundle))
        elif not self._clock_lost:
            self._clock_lost = True
            await self._driver.feed(PushRefused("push.clock_not_trusted"))

    async def _done_with(self, data: bytes, event: Event) -> None:
        await self._driver.feed(event)
        if isinstance(event, PushRefused):
            self._not_before = asyncio.get_running_loop().time() + self._refused_pause_s
        if data in self._arrived:
            self._arrived.remove(data)
        if self._arrived:
            self._wake.set()

    async def _verify(self, data: bytes, bundle: str) -> Event:
        """What `data` is. Nothing of it is kept."""
        trusted, floor, boot_ca = await self._store.run(
            lambda store: (store.trusted() or self._first, store.floor, store.boot_ca)
        )
        now, boot = self._clock(), self._host.boot_settings

        def verify() -> tuple[Accepted, Version]:
            accepted = verify_bundle(data, trusted=trusted, device=self._device, now=now)
            if not floor.admits(root_version(accepted.trusted), accepted.push):
                raise PushRefusedError("push.replayed", "snapshot", accepted.push)
            version = versions.Version.of(accepted, boot_ca)
            try:
                versions.settings_of(version, boot, {})
                for name, key in accepted.organisation_keys.items():  # tried here: a trial would only go back
                    sealing_key.opened_key(boot.state.directory, name, key, self._principal)
            except ConfigError as error:
                raise PushRefusedError(error.code, error.where, accepted.push) from error
            return accepted, version

        try:
            accepted, version = await asyncio.to_thread(verify)
        except PushRefusedError as error:
            self._log.warning("a push was refused", code=error.code, where=error.where, push=error.push)
            return PushRefused(error.code, error.where or None, error.push)
        except StateError as error:
            self._log.error("a push couldn't be verified", exc_info=error)
            return PushRefused(error.code)
        except Exception as error:  # noqa: BLE001 - the broker sends it again: ending now would be ending for ever
            self._log.error("verifying a push failed; please report this", exc_info=error)
            return PushRefused("push.internal_error")
        self._driver.taken[accepted.push] = accepted, bundle
        recovery = _begins_anew(trusted, accepted, self._driver.machine.stored.newest)
        return PushArrived(accepted.push, version.content, bundle, recovery)


def _public_key(directory: Path) -> str:
    """The box's own sealing key, for its reports; a box that can't read it any more goes on, and says none."""
    try:
        return sealing_key.public_pem(sealing_key.own_key(directory))
    except CertificateError as error:
        log.get("fleet").error("the sealing key can't be used", code=error.code)
        return ""


def _begins_anew(trusted: Trusted, accepted: Accepted, newest: int) -> bool:
    """Whether a push that was verified is new although its number isn't: the fleet's keys were replaced.

    Under the same keys a lower number would have been refused as replayed, and the same number with another content.
    """
    if accepted.push != newest:
        return accepted.push < newest
    before = trusted.metadata.get("snapshot.json")
    return before is not None and before != accepted.trusted.metadata["snapshot.json"]

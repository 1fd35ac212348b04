"""The centre's list of slips that hold no more: hears every box's own list, merges, signs, writes for the web page.

What was known is in the file that was written last, so nothing is lost over a restart; boxes' lists are retained at the
broker besides. A file that can't be believed stops the start: to begin anew would forget withdrawals.
"""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from edged import log
from edged.central import slip_files
from edged.errors import ConfigError, DecodeError, OutputError, SignatureRefusedError
from edged.uplink import slip_status, topics
from edged.uplink.directory_keeper import DirectoryKeeper
from edged.uplink.intake import Incoming
from edged.uplink.mqtt import Endpoint
from edged.uplink.reconnect import within
from edged.uplink.roles import Role, TrustAnchor
from edged.uplink.sign import Signer
from edged.uplink.slip_status import DeviceSlips, merge, open_list, open_status, seal_status
from edged.uplink.streams import Alarm, printable
from edged.uplink.subscription import RetryWait, Subscription, SubscriptionEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edged.uplink.mqtt import Connection, Received
    from edged.uplink.streams import Hole

LEAST_S: Final = 2.0
"""Between two files: a fleet's lists come by the thousand when we connect."""

REFRESHES: Final = 4
"""How often in a list's life it is made anew though nothing happens: three may fail."""

SESSION_EXPIRY_S: Final = 3600
"""Retained lists come again with every subscription; a session saves some of that."""


class SlipListSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration file. One certificate is one connection: give this a collector's certificate of its own."""

    fleet_ca: Path
    signing_key: Path
    signing_certificate: Path
    broker: Endpoint
    life_h: Annotated[float, msgspec.Meta(ge=0.1, le=720)] = 48.0
    """For how long a list can be relied upon; then verifiers say that they don't know."""
    reconnect_min_s: RetryWait = 0.5
    reconnect_max_s: RetryWait = 30.0


class Written(msgspec.Struct, frozen=True, tag="written", tag_field="event"):
    """A list was written; `until`: how long it can be relied upon, seconds since 1970."""

    devices: int
    slips: int
    until: int
    directory: int | None
    """Version of the fleet's directory beside it; None: none has come."""


class Withdrawn(msgspec.Struct, frozen=True, tag="withdrawn", tag_field="event"):
    """The centre has withdrawn `slips` itself; the list that says so was written, and can be relied upon `until`."""

    slips: int
    until: int


SlipListEvent = SubscriptionEvent | Written


class SlipLists:
    """Hears, merges and writes into `out`. `run` is a task; `stop` ends it after what is in hand.

    With `once`, it ends when everything that the broker had retained has been written. Raises `ConfigError`,
    `CertificateError` when its identity is unusable. `withdraw` is for a process of its own, which doesn't `run`.
    """

    def __init__(
        self,
        settings: SlipListSettings,
        out: Path,
        *,
        once: bool = False,
        on_event: Callable[[SlipListEvent], None] = lambda _: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        least_s: float = LEAST_S,
    ) -> None:
        self._out = out
        self._once = once
        self._on_event = on_event
        self._clock = clock
        self._least_s = least_s
        self._life = timedelta(hours=settings.life_h)
        self._anchor = TrustAnchor.from_file(settings.fleet_ca)
        self._signer = Signer.from_files(settings.signing_key, settings.signing_certificate)
        principal = self._signer.principal
        if principal.role is not Role.COLLECTOR:
            raise ConfigError("signing_certificate", "cert.wrong_role")
        if principal.fleet != self._anchor.fleet:
            raise ConfigError("signing_certificate", "cert.wrong_fleet")
        self._directory = DirectoryKeeper(self._anchor, None)
        self._devices: dict[str, DeviceSlips] = {}
        self._last: bytes | None = None
        self._merging = threading.Lock()
        self._news = asyncio.Event()
        self._alarms = 0
        self._subscription = Subscription(
            settings.broker,
            client_id=principal.username,
            topic_filters=(*self._directory.filters, topics.every_slips(self._anchor.fleet)),
            backoff_s=(settings.reconnect_min_s, settings.reconnect_max_s),
            on_event=on_event,
            session_expiry_s=SESSION_EXPIRY_S,
        )

    def stop(self) -> None:
        """Let `run` return after what is in hand."""
        self._subscription.stop()

    async def run(self) -> None:
        """Until `stop`, or once.

        Raises `OutputError` when files can't be read or written, `SignatureRefusedError` when the list that is there
        can't be believed.
        """
        await asyncio.to_thread(self._read)
        if self._once:
            await self._subscription.run(self)
            await self._write()
            return
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(self._keep_writing(), name="slip lists")
            await self._subscription.run(self)
            writing.cancel()
        await self._write()

    async def on_connect(self) -> None:
        """Nothing is to be made ready."""

    async def on_batch(self, connection: Connection, messages: list[Received]) -> None:
        """Take lists and pieces of the directory."""
        await asyncio.to_thread(self._take, messages)
        for message in messages:
            connection.acknowledge(message)
        self._news.set()

    async def holes(self) -> Sequence[Hole]:
        """It has been quiet: all that was retained has come."""
        if self._once:
            self._subscription.stop()
        return ()

    def withdraw(self, slips: Sequence[tuple[str, str]]) -> Withdrawn:
        """Withdraw slips (device, number) here and now, because the box can't: it is lost, broken or was reset.

        Blocks, and needs no broker; a process that hears beside takes it up with its next list. Raises what `run` does,
        and `SignatureRefusedError` (`slip_status.unknown_device`, `slip_status.too_many`): then none is withdrawn.
        """
        now = self._clock()
        with slip_files.changing(self._out):
            self._read()
            devices = self._devices
            for device, number in slips:
                devices = slip_status.withdraw(devices, device, number, now=now)
            self._devices = devices
            written = self._write_status(now)
        for device, number in slips:
            log.get("slips").info("slip withdrawn at the centre", device=device, number=number)
        return Withdrawn(slips=len(slips), until=written.until)

    def _read(self) -> None:
        """What the file says is true as well: another process may have withdrawn something meanwhile."""
        kept = slip_files.read_status(self._out)
        if kept is not None and kept != self._last:
            now = self._clock()
            listed = open_status(kept, anchor=self._anchor, at=now).devices
            with self._merging:
                self._devices = slip_status.join(self._devices, listed, now=now)
            self._last = kept

    def _take(self, messages: Sequence[Received]) -> None:
        now = self._clock()
        directory = [Incoming(one.topic, one.payload) for one in messages if self._directory.wants(one.topic)]
        alarms = self._directory.take(directory, now) if directory else []
        for message in messages:
            if not self._directory.wants(message.topic) and message.payload:
                try:
                    device = topics.parse_of_device(message.topic, self._anchor.fleet, "slips")
                    heard = open_list(message.payload, anchor=self._anchor, at=now, device=device)
                    with self._merging:
                        self._devices = merge(self._devices, heard, now=now)
                except (DecodeError, SignatureRefusedError) as error:
                    self._alarms += 1
                    alarms.append(Alarm(error.code, printable(message.topic), "", "", "", 0, self._alarms))
        self._subscription.alarm(alarms)

    async def _keep_writing(self) -> None:
        while True:
            self._news.clear()
            try:
                await self._write()
            except (OutputError, SignatureRefusedError) as error:
                # The old list gets old, and verifiers say so; a disk may be emptied before it is, a list put back.
                log.get("slips").error("the list isn't written", code=error.code, detail=error.detail)
            await asyncio.sleep(self._least_s)
            await within(self._news.wait(), self._life.total_seconds() / REFRESHES)

    async def _write(self) -> None:
        self._on_event(await asyncio.to_thread(self._written))

    def _written(self) -> Written:
        published = self._directory.published()
        with slip_files.changing(self._out):
            self._read()
            if published is not None:
                slip_files.write_directory(self._out, *published)
            return self._write_status(self._clock())

    def _write_status(self, now: datetime) -> Written:
        compact = seal_status(self._devices, now=now, signer=self._signer, life=self._life)
        slip_files.write_status(self._out, compact)
        self._last = compact.encode()
        current = self._directory.current
        return Written(
            devices=len(self._devices),
            slips=sum(len(one.withdrawn) + len(one.superseded) for one in self._devices.values()),
            until=int((now + self._life).timestamp()),
            directory=None if current is None else current.head.version,
        )

"""What a collector does with each batch: verify, commit, receipt, acknowledge, in this order.

Killed anywhere in between, the broker sends again what wasn't acknowledged, the archive recognises it, and the receipt
is signed again. Junk and forgeries are acknowledged, too, once their alarm is on the disk: otherwise they would come
for ever. Arithmetic is done in threads of its own, the disk in the archive's; the event loop only waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from edged import log
from edged.central.events import Batch, ReceiptRefused
from edged.central.replay_service import Asked, Refusals, open_requests
from edged.errors import DecodeError, StateError, UplinkError
from edged.uplink import intake, topics
from edged.uplink.directory_keeper import WATCH_S
from edged.uplink.intake import Incoming
from edged.uplink.mqtt import PublishRefusedError
from edged.uplink.receipts import seal_receipt
from edged.uplink.subscription import worth_telling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from edged.central.archive import Answer, Archive, Archived
    from edged.central.meter import Meter
    from edged.central.replay_service import ReplayService
    from edged.central.signing_clock import SigningClock
    from edged.uplink.database import DatabaseThread
    from edged.uplink.directory_keeper import DirectoryKeeper
    from edged.uplink.mqtt import Connection, Received
    from edged.uplink.roles import TrustAnchor
    from edged.uplink.sign import Signer
    from edged.uplink.streams import Alarm, Hole

T = TypeVar("T")

IN_HAND: Final = 2
"""Batches at once: one is verified while another is stored. With a third there would only be more to lose."""

THREADS: Final = 2
"""For verifying and signing: one batch each."""


class Pipeline:
    """The receiver of a collector's subscription (`edged.uplink.subscription.Receiver`)."""

    def __init__(
        self,
        archive: DatabaseThread[Archive],
        *,
        anchor: TrustAnchor,
        signer: Signer,
        clock: SigningClock,
        replays: ReplayService,
        meter: Meter,
        directory: DirectoryKeeper,
        on_event: Callable[[Batch | ReceiptRefused], None],
        on_alarms: Callable[[Sequence[Alarm]], None],
    ) -> None:
        self._archive = archive
        self._anchor = anchor
        self._signer = signer
        self._clock = clock
        self._replays = replays
        self._meter = meter
        self._directory = directory
        self._on_event = on_event
        self._on_alarms = on_alarms
        self._refusals = Refusals()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="verify")
        self._log = log.get("collector")

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False)

    async def on_connect(self) -> None:
        """See `Receiver`. Raises `StateError` while this machine's clock can't be right."""
        self._clock.now()

    async def on_batch(self, connection: Connection, messages: list[Received]) -> None:
        """See `Receiver`."""
        self._meter.in_hand(len(messages))
        try:
            await self._take(connection, messages)
        finally:
            self._meter.in_hand(-len(messages))

    async def holes(self) -> Sequence[Hole]:
        """See `Receiver`."""
        holes = await self._archive.run(lambda archive: archive.holes())
        self._meter.holes(len(holes))
        return holes

    async def _take(self, connection: Connection, messages: list[Received]) -> None:
        now = self._clock.now()
        stream, requests, directory = self._sorted(messages)
        if directory:  # first: what came with it is judged by it
            self.tell(await self._in_thread(lambda: self._directory.take(directory, now)))
        if requests:
            await self._hand_on(connection, requests, now)
        archived = await self._store(stream, now) if stream else None
        if archived is not None:
            await self._receipt(connection, archived.answers)
        for message in messages:
            connection.acknowledge(message)
        if archived is not None:
            self._on_event(Batch(archived.stored, archived.duplicates, archived.refused, archived.gaps))
            self.tell(archived.alarms)

    def _sorted(self, messages: Sequence[Received]) -> tuple[list[Incoming], list[Incoming], list[Incoming]]:
        """What belongs into the archive (junk as well, for its alarm), requests for a replay, the directory."""
        stream: list[Incoming] = []
        requests: list[Incoming] = []
        directory: list[Incoming] = []
        for message in messages:
            incoming = Incoming(message.topic, message.payload, message.user_properties.get("lane"))
            if self._directory.wants(message.topic):
                directory.append(incoming)
                continue
            try:
                topics.parse_replay_request(message.topic, self._anchor.fleet)
            except DecodeError:
                stream.append(incoming)
            else:
                requests.append(incoming)
        return stream, requests, directory

    async def _hand_on(self, connection: Connection, requests: list[Incoming], now: datetime) -> None:
        opened = await self._in_thread(lambda: open_requests(requests, anchor=self._anchor, now=now))
        for asked in opened:
            if isinstance(asked, Asked):
                self._replays.offer(connection, asked)
                continue
            code, topic = asked[0], asked[1].topic
            refused = self._refusals.alarm(
                code, topic, topics.parse_replay_request(topic, self._anchor.fleet)
            )
            if code != "replay.stale":
                self.tell([refused])
                continue
            # Signed by the audience itself, so nobody lies; only its clock is wrong, or the message old.
            self._meter.replay_failed(code)
            if worth_telling(refused.count):
                self._log.info("replay request refused", code=code, topic=topic, count=refused.count)

    async def _store(self, stream: list[Incoming], now: datetime) -> Archived:
        began = time.perf_counter()
        checked = await self._in_thread(lambda: intake.check(stream, anchor=self._anchor, now=now))
        self._meter.verified(checked, now, time.perf_counter() - began)

        def store(archive: Archive) -> tuple[Archived, float]:
            began = time.perf_counter()
            return archive.store(checked, now), time.perf_counter() - began

        try:
            archived, seconds = await self._archive.run(store)
        except StateError:
            self._meter.archive_failed()
            raise
        self._meter.archived(archived, len(stream), seconds)
        return archived

    async def _receipt(self, connection: Connection, answers: Sequence[Answer]) -> None:
        iat = int(self._clock.now().timestamp())
        receipts = await self._in_thread(lambda: [self._sealed(answer, iat) for answer in answers])
        await asyncio.gather(
            *(
                self._send(connection, answer.device, receipt)
                for answer, receipt in zip(answers, receipts, strict=True)
            )
        )

    def _sealed(self, answer: Answer, iat: int) -> bytes:
        return seal_receipt(
            answer.device,
            answer.ranges,
            gaps=answer.gaps,
            refused=answer.refused,
            iat=iat,
            signer=self._signer,
        ).encode()

    async def _send(self, connection: Connection, device: str, receipt: bytes) -> None:
        try:
            await connection.publish(topics.receipt(self._anchor.fleet, device), receipt)
        except PublishRefusedError as error:
            # The archive has it, so it may be acknowledged; the device will send it again, and hear again.
            self._log.error("receipt refused by the broker", device=device, code=error.code)
            self._on_event(ReceiptRefused(device, error.code))
        except UplinkError as error:
            # The same, and nothing to shout about. What else has arrived is archived before we reconnect.
            self._log.info("receipt not sent", device=device, code=error.code)
        else:
            self._meter.receipt(sent=True)
            return
        self._meter.receipt(sent=False)

    def tell(self, alarms: Sequence[Alarm]) -> None:
        """Count and report what was refused."""
        self._meter.alarms(alarms)
        self._on_alarms(alarms)

    async def watch(self) -> None:
        """Tell what becomes of the directory by itself: a task until it is cancelled."""
        while True:
            with contextlib.suppress(StateError):  # a clock that can't be right is told at every connection
                self.tell(await self._in_thread(lambda: self._directory.due(self._clock.now())))
            await asyncio.sleep(WATCH_S)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

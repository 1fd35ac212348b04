"""Answers partners that were away: what the archive holds of their streams, verbatim, then a signed end.

A task of its own with an archive connection of its own, so that it never holds up what comes in. One page at a time,
each audience in its turn and at its rate; a page is published through a small window, so that broker and partner set
the pace. Nothing is remembered: a request that gets no answer, or half of one, is asked again.

A request that nobody genuine signs (forged, of another role, malformed) is an alarm and gets no answer. A genuine one
that is too old gets none either: its asker would not be waiting any more, and whoever recorded it learns nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from edged import log
from edged.central.events import Replayed, ReplayFailed
from edged.central.replay_queue import ReplayQueue
from edged.errors import CertificateError, SignatureRefusedError, StateError, UplinkError
from edged.uplink import sign, topics
from edged.uplink.database import DatabaseThread
from edged.uplink.intake import DEFECT
from edged.uplink.reason_codes import NO_SUBSCRIBERS
from edged.uplink.replay import (
    MAX_LISTED,
    OpenedRequest,
    ReplayEnd,
    ReplayRequest,
    Span,
    StreamExtent,
    open_request,
    seal_end,
)
from edged.uplink.streams import Alarm
from edged.uplink.subscription import worth_telling
from edged.uplink.vouching import Received, seal_vouches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from edged.central.archive import ArchiveReader
    from edged.central.meter import Meter
    from edged.central.signing_clock import SigningClock
    from edged.uplink.intake import Incoming
    from edged.uplink.mqtt import Connection
    from edged.uplink.roles import TrustAnchor
    from edged.uplink.sign import Signer

WINDOW: Final = 8
"""Publications of an answer in flight: a quarter of the connection's window, so that no receipt waits behind them."""

TOO_MANY: Final = "central.replay_too_many"

MAX_KINDS: Final = 1000
"""Kinds of refused requests that are counted apart; a stranger can make up names without end."""


class Asked(msgspec.Struct, frozen=True):
    """A genuine request, of the audience that signed it."""

    audience: str
    opened: OpenedRequest


class _Answer(msgspec.Struct, frozen=True):
    messages: tuple[str, ...] = ()
    vouched: tuple[Received, ...] = ()
    """Those of signers who are revoked, and since when the archive has them."""
    more: tuple[Span, ...] = ()
    streams: tuple[StreamExtent, ...] = ()
    more_streams: bool = False


class Refusals:
    """Requests that were refused, as alarms, each with how often its kind has come."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}

    def alarm(self, code: str, topic: str, audience: str) -> Alarm:
        """The alarm for one more, and how many of its kind there were."""
        kind = (code, audience) if len(self._counts) < MAX_KINDS else (code, "")
        self._counts[kind] = count = self._counts.get(kind, 0) + 1
        return Alarm(code, topic, "", "", audience, 0, count)


def open_requests(
    messages: Sequence[Incoming], *, anchor: TrustAnchor, now: datetime
) -> list[Asked | tuple[str, Incoming]]:
    """Each of `messages` (of topics that `topics.parse_replay_request` knows) verified, or the code against it."""
    opened: list[Asked | tuple[str, Incoming]] = []
    for message in messages:
        audience = topics.parse_replay_request(message.topic, anchor.fleet)
        try:
            found = open_request(message.payload, anchor=anchor, at=now, audience=audience)
        except SignatureRefusedError as error:
            opened.append((error.code, message))
            continue
        except Exception as error:  # noqa: BLE001 - see `intake.check`
            log.get("replay").error("a check failed; please report this", exc_info=error)
            opened.append((DEFECT, message))
            continue
        # The name becomes a level of the answer's topic, and some words may not stand there.
        good = topics.usable(found.request.request)
        opened.append(Asked(audience, found) if good else ("replay.malformed", message))
    return opened


class ReplayService:
    """Answers requests; `run` is a task until it is cancelled, `offer` never waits."""

    def __init__(
        self,
        *,
        archive: Callable[[], ArchiveReader],
        anchor: TrustAnchor,
        signer: Signer,
        clock: SigningClock,
        messages_per_s: float,
        meter: Meter,
        on_event: Callable[[Replayed | ReplayFailed], None],
    ) -> None:
        self._open = archive
        self._anchor = anchor
        self._signer = signer
        self._clock = clock
        self._meter = meter
        self._on_event = on_event
        self._queue: ReplayQueue[tuple[Connection, Asked]] = ReplayQueue(messages_per_s)
        self._dropped: Counter[str] = Counter()
        self._news = asyncio.Event()
        self._log = log.get("replay")

    def offer(self, connection: Connection, asked: Asked) -> None:
        """Answer `asked` on `connection` when it is its turn; too many of one audience are dropped."""
        if self._queue.offer(asked.audience, (connection, asked)):
            self._news.set()
            return
        self._dropped[asked.audience] += 1
        if worth_telling(self._dropped[asked.audience]):
            self._failed(asked.audience, TOO_MANY)
        else:
            self._meter.replay_failed(TOO_MANY)

    async def run(self) -> None:
        """Answer until cancelled."""
        archive: DatabaseThread[ArchiveReader] | None = None
        try:
            while True:
                connection, asked = await self._next()
                try:
                    archive = archive or await DatabaseThread.open("replay", self._open)
                    await self._answer(archive, connection, asked)
                except (StateError, UplinkError) as error:
                    self._failed(asked.audience, error.code)
        finally:
            if archive is not None:
                await archive.close()

    async def _next(self) -> tuple[Connection, Asked]:
        while True:
            self._news.clear()
            found, wait = self._queue.next(asyncio.get_running_loop().time())
            if found is not None:
                return found
            try:
                async with asyncio.timeout(wait):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _answer(
        self, archive: DatabaseThread[ArchiveReader], connection: Connection, asked: Asked
    ) -> None:
        request = asked.opened.request
        now = self._clock.now()
        answer = await archive.run(lambda reader: _look_up(reader, asked.audience, request, self._anchor))
        self._queue.answered(asked.audience, len(answer.messages), asyncio.get_running_loop().time())
        topic = topics.replay_answer(self._anchor.fleet, asked.audience, request.request)
        end = ReplayEnd(
            iss=self._signer.principal.name,
            fleet=self._anchor.fleet,
            audience=asked.audience,
            request=request.request,
            iat=int(now.timestamp()),
            request_sha256=asked.opened.sha256,
            sent=len(answer.messages),
            more=answer.more,
            streams=answer.streams,
            more_streams=answer.more_streams,
        )
        vouches = await asyncio.to_thread(
            seal_vouches,
            answer.vouched,
            audience=asked.audience,
            request=request.request,
            iat=end.iat,
            signer=self._signer,
        )
        if not await publish_all(connection, topic, (*vouches, *answer.messages)):
            self._failed(asked.audience, "central.replay_nobody_listens")
            return
        sealed = await asyncio.to_thread(seal_end, end, signer=self._signer)
        await connection.publish(topic, sealed.encode())
        self._meter.replayed(asked.audience, len(answer.messages))
        more = bool(answer.more or answer.more_streams)
        self._log.info("replayed", audience=asked.audience, sent=len(answer.messages), more=more)
        self._on_event(Replayed(asked.audience, len(answer.messages), more))

    def _failed(self, audience: str, code: str) -> None:
        self._log.warning("replay failed", audience=audience, code=code)
        self._meter.replay_failed(code)
        self._on_event(ReplayFailed(audience, code))


def _look_up(archive: ArchiveReader, audience: str, request: ReplayRequest, anchor: TrustAnchor) -> _Answer:
    if request.spans:
        page = archive.page(audience, request.spans, request.limit)
        pairs = zip(page.messages, page.received, strict=True) if anchor.revocations else ()
        vouched = [
            Received(hashlib.sha256(message.encode()).hexdigest(), at)
            for message, at in pairs
            if _is_revoked(message, anchor)
        ]
        return _Answer(messages=page.messages, vouched=tuple(vouched), more=page.more)
    streams, more = archive.streams(audience, request.after, MAX_LISTED)
    return _Answer(streams=tuple(streams), more_streams=more)


def _is_revoked(message: str, anchor: TrustAnchor) -> bool:
    try:
        return anchor.is_revoked(sign.certificates(message))
    except (SignatureRefusedError, CertificateError):  # a body that is broken: verifying finds it
        return False


async def publish_all(connection: Connection, topic: str, messages: Sequence[str]) -> bool:
    """Publish in order, at most `WINDOW` at once; False, and no more, when the broker says that nobody listens.

    Raises `UplinkError` when the connection ends or the broker refuses one.
    """
    flying: set[asyncio.Task[int]] = set()
    try:
        for message in messages:
            if len(flying) == WINDOW:
                done, flying = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
                if any(task.result() == NO_SUBSCRIBERS for task in done):
                    return False
            flying.add(asyncio.ensure_future(connection.publish(topic, message.encode("ascii"))))
        return all([await task != NO_SUBSCRIBERS for task in flying])
    finally:
        for task in flying:
            task.cancel()
        await asyncio.gather(*flying, return_exceptions=True)

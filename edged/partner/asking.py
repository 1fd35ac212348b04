"""Asking the centre: sends what `catching_up` decides, signed, over whatever connection there is."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from edged import log
from edged.errors import StateError, UplinkError
from edged.partner.catching_up import Ask, Catcher, CatchingUpEvent, Patience
from edged.partner.store import LOOK, Inbox
from edged.uplink import topics
from edged.uplink.mqtt import PublishRefusedError
from edged.uplink.reason_codes import NO_SUBSCRIBERS
from edged.uplink.reconnect import within
from edged.uplink.replay import MAX_PAGE, ReplayEnd, ReplayRequest, seal_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from edged.partner.answers import Answered
    from edged.uplink.database import DatabaseThread
    from edged.uplink.mqtt import Connection
    from edged.uplink.sign import Signer
    from edged.uplink.stream_holes import Missing, Total

DISK_WAIT_S: Final = 5.0
"""Before the inbox is looked into again that couldn't be read."""

LIST_EVERY: Final = timedelta(days=1)
"""How often the centre is asked which streams there are, at least: a broker that ran out of room drops the newest, and
of a stream that then falls silent nothing else shows it."""

LIST_AGAIN: Final = timedelta(minutes=5)
"""How soon it is asked again for a new connection: the broker may have been killed, and it saves what it keeps for us
every half minute alone. A line that comes and goes doesn't ask every time."""

LONGEST_S: Final = 3600.0
"""Between two looks at the clock."""


class Asker:
    """Asks for what `inbox` lacks. `run` is a task; `use` gives it each connection, None when there is none.

    `may_ask` says whether another page has room.
    """

    def __init__(
        self,
        inbox: DatabaseThread[Inbox],
        signer: Signer,
        *,
        on_event: Callable[[CatchingUpEvent], None],
        clock: Callable[[], datetime],
        may_ask: Callable[[], Awaitable[bool]],
        patience: Patience,
    ) -> None:
        self._inbox = inbox
        self._signer = signer
        self._clock = clock
        self._may_ask = may_ask
        self._catcher = Catcher(
            name=lambda: f"r-{secrets.token_hex(8)}", on_event=on_event, patience=patience
        )
        self._connection: Connection | None = None
        self._used: Connection | None = None
        self._list_at = 0.0
        self._held_up = False
        self._news = asyncio.Event()
        self._log = log.get("asking")

    def use(self, connection: Connection | None) -> None:
        """Ask over this connection from now on."""
        self._connection = connection
        self._news.set()

    def wake(self) -> None:
        """There may be room for another page."""
        self._news.set()

    async def heard(self, answers: tuple[Answered, ...], fetched: int) -> None:
        """These messages are in the inbox, `fetched` of them new. Raises `StateError`."""
        now = asyncio.get_running_loop().time()
        self._catcher.news(now, fetched)
        for answer in answers:
            if not isinstance(answer.found, ReplayEnd):
                # Refused ones count as well: they were not lost on their way.
                self._catcher.came(answer.request, answer.sha256, now)
                continue
            if (listed := self._catcher.end(answer.found, now)) is not None:
                await self._inbox.run(
                    lambda inbox, found=listed: inbox.take_list(  # type: ignore[misc]
                        found.streams, last=found.last, now=self._clock()
                    )
                )
                self._catcher.listed(listed, now)
        self._news.set()

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            try:
                await self._round()
            except StateError as error:
                self._log.warning("inbox unreadable", code=error.code, detail=str(error))
                await asyncio.sleep(DISK_WAIT_S)

    async def _round(self) -> None:
        self._news.clear()
        connection = self._connection
        if connection is not self._used:
            await self._change(connection)
        now = asyncio.get_running_loop().time()
        if connection is not None and now >= self._list_at:
            await self._want_list(now)
        wait = min(min(self._catcher.due(), self._list_at) - now, LONGEST_S)
        if connection is None or wait > 0:
            await within(self._news.wait(), wait if connection else LONGEST_S)
            return
        if not await self._may_ask():
            self._held_up = True
            await within(self._news.wait(), LONGEST_S)
            return
        if self._held_up:
            self._held_up = False
            self._catcher.resumed(asyncio.get_running_loop().time())
            return
        answers, after = self._catcher.answers, self._catcher.after
        tells = self._catcher.tells(now)
        missing, total = await self._inbox.run(lambda inbox: _look(inbox, after, tells))
        if answers != self._catcher.answers or connection is not self._connection:
            return  # an answer ended meanwhile: what we looked at is of before it
        cut = len(missing) == LOOK
        ask = self._catcher.turn(missing, asyncio.get_running_loop().time(), cut=cut, total=total)
        if ask is not None:
            await self._send(connection, ask)

    async def _change(self, connection: Connection | None) -> None:
        self._catcher.disconnected()
        if connection is not None:
            now = asyncio.get_running_loop().time()
            due = await self._inbox.run(lambda inbox: inbox.list_due())
            self._catcher.connected(now, list_due=due)
            listed = await self._inbox.run(lambda inbox: inbox.listed_at())
            since = self._clock() - listed if listed is not None else LIST_AGAIN
            if since < timedelta(0):  # noted by a clock that went ahead: it would be asked for in years
                since = LIST_AGAIN
            self._list_at = now + max(0.0, (LIST_AGAIN - since).total_seconds())
            if not connection.session_present:
                await self._want_list(now)
        self._used = connection

    async def _want_list(self, now: float) -> None:
        await self._inbox.run(lambda inbox: inbox.want_list())
        self._list_at = now + LIST_EVERY.total_seconds()
        self._catcher.want_list(now)

    async def _send(self, connection: Connection, ask: Ask) -> None:
        principal = self._signer.principal
        now = self._clock()
        if now > self._signer.not_after:  # nobody would answer, and nobody would say why
            self._catcher.not_sent(ask, "partner.signer_expired", asyncio.get_running_loop().time())
            return
        request = ReplayRequest(
            iss=principal.name,
            fleet=principal.fleet,
            request=ask.request,
            iat=int(now.timestamp()),
            spans=ask.spans,
            after=ask.after,
            limit=MAX_PAGE,
        )
        compact = seal_request(request, signer=self._signer).encode()
        self._catcher.signed(ask, hashlib.sha256(compact).hexdigest())
        self._log.info("asking", request=ask.request, spans=len(ask.spans))
        try:
            reason = await connection.publish(topics.replay_request(principal.fleet, principal.name), compact)
        except PublishRefusedError as error:
            self._catcher.not_sent(ask, error.code, asyncio.get_running_loop().time())
        except UplinkError as error:
            # The subscription hears of a lost connection as well, says so, and makes another.
            self._log.info("request not sent", code=error.code)
        else:
            if reason == NO_SUBSCRIBERS:  # a broker that has just come back, before the collectors have
                self._catcher.not_sent(ask, "partner.nobody_listens", asyncio.get_running_loop().time())


def _look(inbox: Inbox, after: Missing | None, tells: bool) -> tuple[list[Missing], Total | None]:
    """What is missing; and how much in all, where that is to be told and isn't seen at a glance."""
    missing = inbox.missing(after)
    part = after is not None or len(missing) == LOOK
    return missing, inbox.total_missing() if tells and part else None

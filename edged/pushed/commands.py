"""Commands as a box takes them: verified, limited, written down, obeyed one at a time, answered on the fixed topic.

The agent is a rider of the uplink. What it hears it writes into the journal before the broker is acknowledged; `run`
obeys, whether there is a connection or not; `serve` tells what the journal has to tell. So an answer outlives a lost
connection, and a restart. Where to answer is never the sender's choice: MQTT's response topic isn't looked at.

A journal that can't be written costs commands and nothing else: verdicts go out through the same connection.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edged import log
from edged.errors import CodedError, DecodeError, SignatureRefusedError, StateError
from edged.pushed.command_limits import FILE_AGAIN, Limits
from edged.pushed.obeying import LONGEST_S, Outcome, obey
from edged.uplink import sign, topics
from edged.uplink.command import OK, Order, Signed, due, open_command, seal_reply
from edged.uplink.fields import LAST_SECOND, decoder
from edged.uplink.mqtt import Connection, PublishRefusedError
from edged.uplink.reconnect import within

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from edged.pushed.command_journal import Answer, CommandJournal
    from edged.pushed.obeying import Commanded
    from edged.uplink.database import DatabaseThread
    from edged.uplink.mqtt_types import Received
    from edged.uplink.roles import TrustAnchor
    from edged.uplink.sign import Signer

MAX_WAITING: Final = 8
"""Commands that wait for the one before them; more are refused."""

MAX_REFUSALS: Final = 16
"""Refusals that wait for a connection; the oldest are dropped."""

TELL_FIRST_S: Final = 5.0
"""So long a restart waits until its answer was taken by the broker."""

RESTARTED: Final = "restarted"
"""A restart is answered twice: false when it begins, true when the box is back."""


class CommandAgent:
    """A box's ear for commands: a rider (`edged.uplink.riding`), and `run`, a task of the daemon's own.

    Attributes:
        refused: messages that were refused, by code, since the start; `command.flood` counts what wasn't looked at.
    """

    def __init__(
        self,
        *,
        journal: DatabaseThread[CommandJournal],
        commanded: Commanded,
        signer: Callable[[], Signer],
        anchor: Callable[[], TrustAnchor],
        time_and_trust: Callable[[], Awaitable[tuple[datetime, bool]]],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """`signer` and `anchor` are asked anew each time: both may change while the box runs.

        `time_and_trust` says what time it is, and whether the clock may be believed.
        """
        self._journal = journal
        self._commanded = commanded
        self._signer = signer
        self._anchor = anchor
        self._time_and_trust = time_and_trust
        self._steady = steady
        self._fleet = signer().principal.fleet
        self._device = signer().principal.name
        self._limits = Limits(steady())
        self._orders: asyncio.Queue[Order] = asyncio.Queue(MAX_WAITING)
        self._refusals: deque[tuple[Signed, str, int]] = deque(maxlen=MAX_REFUSALS)
        self._to_tell = asyncio.Event()
        self._nothing_to_tell = asyncio.Event()
        self._log = log.get("commands")
        self.refused: Counter[str] = Counter()

    def filters(self) -> Sequence[str]:
        """Every command to this box."""
        return (topics.every_command(self._fleet, self._device),)

    def wants(self, topic: str) -> bool:
        """Commands to this box."""
        return self._name(topic) is not None

    async def take(self, received: Sequence[Received]) -> None:
        """Verify, and write down what is to be done."""
        for message in received:
            name = self._name(message.topic)
            assert name is not None, "somebody else's message"
            try:
                await self._take(name, message.payload)
            except SignatureRefusedError as error:
                self._refuse(error.code)

    async def serve(self, connection: Connection) -> None:
        """Tell answers and refusals while there is a connection. Raises `UplinkError`."""
        while True:
            self._to_tell.clear()
            while self._refusals:
                signed, code, iat = self._refusals.popleft()
                await self._publish(connection, signed, code=code, result={}, iat=iat)
            try:
                while (answer := await self._journal.run(lambda journal: journal.untold())) is not None:
                    await self._tell(connection, answer)
            except StateError as error:
                # Told again at every connection, the same answer would be all that goes over the line.
                self._log.error("answers can't be told", exc_info=error)
            self._nothing_to_tell.set()
            await self._to_tell.wait()

    async def run(self) -> None:
        """Obey, one command after another, until cancelled."""
        while True:
            order = await self._orders.get()
            command = order.signed.command
            self._log.info("command", name=order.name, id=command.id, by=command.iss)
            try:
                if order.name == "restart":
                    await self._restart(order)
                else:
                    await self._answer(order, await obey(order, self._commanded))
            except StateError as error:  # it stays begun, and is never done again
                self._log.error("an answer can't be kept", id=command.id, exc_info=error)

    def _name(self, topic: str) -> str | None:
        try:
            return topics.parse_command(topic, self._fleet, self._device)
        except DecodeError:
            return None

    async def _take(self, name: str, compact: bytes) -> None:
        if not self._limits.look(self._steady()):
            self.refused["command.flood"] += 1
            return
        now, trusted = await self._time_and_trust()
        # Without a clock nobody knows whether the signer's certificate holds; but who could have signed may hear why.
        at = now if trusted else _claimed_time(compact)
        signed = await asyncio.to_thread(
            open_command, compact, anchor=self._anchor(), at=at, device=self._device, name=name
        )
        seconds = int(now.timestamp())
        try:
            if not trusted:
                raise SignatureRefusedError("command.clock_not_trusted")
            await self._take_signed(signed, seconds)
        except (SignatureRefusedError, StateError) as error:
            self._refuse(error.code)
            if self._limits.tell(self._steady()):
                self._refusals.append((signed, error.code, max(seconds, 0)))
                self._tell_soon()

    async def _take_signed(self, signed: Signed, now: int) -> None:
        known = await self._journal.run(lambda journal: journal.find(signed))
        if known != "new":
            costs = FILE_AGAIN if known == "answered_with_file" else 1
            if known != "running" and self._limits.tell(self._steady(), costs):
                await self._journal.write(lambda journal: journal.tell_again(signed.command.id))
                self._tell_soon()
            return
        order = due(signed, now)
        if self._orders.full() or not self._limits.obey(order.name, self._steady()):
            raise SignatureRefusedError("command.too_many")
        # Apart from what follows: it holds, whether the command is taken or not.
        await self._journal.write(lambda journal: journal.tidy(now))
        await self._journal.write(lambda journal: journal.begin(signed, now))
        self._orders.put_nowait(order)

    def _refuse(self, code: str) -> None:
        self.refused[code] += 1
        self._log.warning("command refused", code=code)

    def _tell_soon(self) -> None:
        self._nothing_to_tell.clear()
        self._to_tell.set()

    async def _restart(self, order: Order) -> None:
        await self._answer(order, Outcome(OK, {RESTARTED: False}), restarting=True)
        await within(self._nothing_to_tell.wait(), TELL_FIRST_S)
        outcome = await obey(order, self._commanded)
        if outcome.code == OK:
            await asyncio.sleep(LONGEST_S["restart"])  # and we are ended meanwhile
            outcome = Outcome("command.took_too_long", {})
        await self._answer(order, outcome)  # it goes on as it was, so whoever waits for it has to know

    async def _answer(self, order: Order, outcome: Outcome, *, restarting: bool = False) -> None:
        now, _ = await self._time_and_trust()
        self._log.info("command answered", id=order.signed.command.id, code=outcome.code)
        await self._journal.write(
            lambda journal: journal.answer(
                order.signed.command.id,
                code=outcome.code,
                result=outcome.result,
                attachment=outcome.attachment,
                restarting=restarting,
                now=max(int(now.timestamp()), 0),
            )
        )
        self._tell_soon()

    async def _tell(self, connection: Connection, answer: Answer) -> None:
        await self._publish(
            connection,
            answer.signed,
            code=answer.code,
            result=answer.result,
            attachment=answer.attachment,
            iat=answer.answered,
        )
        if answer.restarted is not None:
            await self._publish(
                connection, answer.signed, code=OK, result={RESTARTED: True}, iat=answer.restarted
            )
        await self._journal.write(lambda journal: journal.told(answer))

    async def _publish(
        self,
        connection: Connection,
        signed: Signed,
        *,
        code: str,
        result: Mapping[str, Any],
        iat: int,
        attachment: bytes | None = None,
    ) -> None:
        topic = topics.reply(self._fleet, self._device, signed.command.id)
        signer = self._signer()
        try:
            messages = await asyncio.to_thread(
                seal_reply, signed, code=code, result=result, attachment=attachment, iat=iat, signer=signer
            )
        except (
            CodedError,
            ValueError,
        ) as error:  # the box has another name since, its key is in a token that is gone
            self._log.error("an answer can't be signed", id=signed.command.id, exc_info=error)
            return
        for compact in messages:
            try:
                await connection.publish(topic, compact.encode())
            except PublishRefusedError as error:
                # Asked again, the broker would say the same; whoever wants the answer repeats the command.
                self._log.error("an answer was refused", id=signed.command.id, code=error.code)
                return


class _Times(msgspec.Struct):
    iat: int


def _claimed_time(compact: bytes) -> datetime:
    """When a command says it was signed. Raises `SignatureRefusedError`."""
    try:
        found = decoder(_Times).decode(sign.unverified_payload(compact)).iat
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise SignatureRefusedError("command.malformed") from None
    return datetime.fromtimestamp(min(max(found, 0), LAST_SECOND), UTC)

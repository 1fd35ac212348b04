"""The box's ear for what recipients answer to its sealed records: a rider of the uplink (`edged.uplink.riding`).

Who signed is verified here; whose record it is, and what was heard before, is for whoever takes the answer. Answers
that come while the clock can't be believed wait for it: they are told once.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from edged import log
from edged.errors import DecodeError, SignatureRefusedError, StateError
from edged.uplink import topics
from edged.uplink.record_reply import RecordReply, open_record_reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from edged.uplink.mqtt import Connection
    from edged.uplink.mqtt_types import Received
    from edged.uplink.roles import TrustAnchor

MAX_WAITING: Final = 256
"""Answers that wait for the clock, or for a journal that can be written: a day's guests of a large hotel. The oldest
gives way: its recipient can say it again."""

AGAIN_S: Final = 30.0
"""Between two looks whether those can be taken."""

_MATTER_OF_TIME: Final = frozenset({"cert.not_yet_valid", "cert.expired", "record_reply.wrong_time"})
"""What an answer is refused for when this box's clock is wrong."""


class RecordReplyRider:
    """Verifies answers to this box's records and gives each to `on_reply`.

    `on_reply` raises `SignatureRefusedError` for an answer that is about no record of ours, and `StateError`: then it
    is offered again.

    Attributes:
        refused: answers that were refused, by code, since the start.
    """

    def __init__(
        self,
        *,
        fleet: str,
        device: str,
        anchor: Callable[[], TrustAnchor],
        time_and_trust: Callable[[], Awaitable[tuple[datetime, bool]]],
        on_reply: Callable[[RecordReply], Awaitable[None]],
        again_s: float = AGAIN_S,
    ) -> None:
        """`anchor` is asked anew each time; `time_and_trust`: what time it is, and whether to believe the clock."""
        self._fleet = fleet
        self._device = device
        self._anchor = anchor
        self._time_and_trust = time_and_trust
        self._on_reply = on_reply
        self._again_s = again_s
        self._waiting: deque[tuple[str, bytes]] = deque(maxlen=MAX_WAITING)
        self._log = log.get("records")
        self.refused: Counter[str] = Counter()

    def filters(self) -> Sequence[str]:
        """Every recipient's answers to this box."""
        return (topics.every_record(self._fleet, self._device),)

    def wants(self, topic: str) -> bool:
        """Answers to this box's records."""
        return self._audience(topic) is not None

    async def take(self, received: Sequence[Received]) -> None:
        """Verify and hand on, in order."""
        for message in received:
            audience = self._audience(message.topic)
            assert audience is not None, "somebody else's message"
            await self._take(audience, message.payload)

    async def serve(self, connection: Connection) -> None:  # noqa: ARG002  # the protocol's
        """Nothing to say; look again at what had to wait."""
        while True:
            await asyncio.sleep(self._again_s)
            for _ in range(len(self._waiting)):
                audience, compact = self._waiting.popleft()
                await self._take(audience, compact)

    def _audience(self, topic: str) -> str | None:
        try:
            return topics.parse_record(topic, self._fleet, self._device)
        except DecodeError:
            return None

    async def _take(self, audience: str, compact: bytes) -> None:
        trusted = True
        try:
            now, trusted = await self._time_and_trust()
            reply = await asyncio.to_thread(
                open_record_reply,
                compact,
                anchor=self._anchor(),
                at=now,
                device=self._device,
                audience=audience,
            )
            if not trusted:
                raise SignatureRefusedError("record_reply.wrong_time")
            await self._on_reply(reply)
        except SignatureRefusedError as error:
            if not trusted and error.code in _MATTER_OF_TIME:
                self._waiting.append((audience, compact))
                return
            self.refused[error.code] += 1
            self._log.warning("an answer was refused", code=error.code, audience=audience)
        except StateError as error:
            self._log.error("an answer has to wait", code=error.code, audience=audience)
            self._waiting.append((audience, compact))
        else:
            self._log.info("a record was answered", record_id=reply.record_id, verdict=reply.verdict)

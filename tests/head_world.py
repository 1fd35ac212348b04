"""Our end of the head's line and another hand's, a line that misbehaves between them, and time that a test makes."""

from __future__ import annotations

from collections.abc import Callable

from edged.drivers.head_events import Button, Lamp
from edged.drivers.head_link import HeadLink, LinkFact, Lost, Opened, Told
from edged.drivers.head_messages import LightUp, Ping, Reply
from edged.errors import DeviceError
from tests.head_line import PERFECT, Line, Manners
from tests.head_peer import PeerHead


class World:
    """Milliseconds pass in `run`."""

    def __init__(self, manners: Manners = PERFECT, seed: int = 0, head: PeerHead | None = None) -> None:
        self.now = 1_000
        self.head = head or PeerHead()
        self.link = HeadLink(first_session=seed % 255 + 1)
        self.to_head, self.to_host = Line(manners, 2 * seed), Line(manners, 2 * seed + 1)
        self.facts: list[LinkFact] = []
        self.open: dict[int, int] = {}
        self.answered: list[int] = []
        self.failed: list[int] = []
        self.asked = 0
        self.link.connected(self.now / 1000)

    def behave(self) -> None:
        """From now on the line is as it should be."""
        self.to_head.manners = self.to_host.manners = PERFECT

    def run(self, ms: int, until: Callable[[], object] = lambda: False) -> bool:
        """Let time pass; whether `until` came true."""
        for _ in range(ms):
            self.now += 1
            seconds = self.now / 1000
            for data in self.to_host.take(self.now):
                self.link.receive(data, seconds)
            if (deadline := self.link.deadline) is not None and deadline <= seconds:
                self.link.tick(seconds)
            for data in self.to_head.take(self.now):
                self.head.receive(data, self.now)
            self.head.tick(self.now)
            self.to_head.put(self.link.bytes_to_send(), self.now)
            self.to_host.put(self.head.send(), self.now)
            self._note(self.link.facts())
            if until():
                return True
        return False

    def _note(self, facts: list[LinkFact]) -> None:
        for fact in facts:
            if isinstance(fact, Reply):
                self.answered.append(self.open.pop(fact.tag))
            elif isinstance(fact, Lost):
                self.failed += self.open.values()
                self.open.clear()
        self.facts += facts

    def ask(self) -> None:
        """A request that differs from every other, unless so many are open that none may be made."""
        number = self.asked + 1
        try:
            tag = self.link.request(LightUp(Lamp.WHITE, 1 + number % 100, number), self.now / 1000)
        except DeviceError:
            return
        self.asked = number
        self.open[tag] = number

    def works(self, within_ms: int = 15_000) -> bool:
        """Whether a question is answered before long; a session that has to end first may take one with it."""
        return any(self._answers_now(within_ms) for _ in range(2))

    def _answers_now(self, within_ms: int) -> bool:
        if not self.run(within_ms, lambda: self.link.welcome is not None and not self.open):
            return False
        known, lost = len(self.facts), len(self.failed)
        self.open[self.link.request(Ping(), self.now / 1000)] = 0
        self.run(
            within_ms,
            lambda: len(self.failed) > lost or any(isinstance(fact, Reply) for fact in self.facts[known:]),
        )
        return any(isinstance(fact, Reply) for fact in self.facts[known:])

    @property
    def done(self) -> list[int]:
        """Numbers of the requests that the head carried out, in order."""
        return [message[4] | message[5] << 8 for message in self.head.asked if message[0] == LightUp.type]

    @property
    def pressed(self) -> list[int]:
        """Numbers of the presses that were told, in order."""
        return [
            fact.event.press
            for fact in self.facts
            if isinstance(fact, Told) and isinstance(fact.event, Button)
        ]

    @property
    def sessions(self) -> int:
        """How often a session was opened."""
        return sum(isinstance(fact, Opened) for fact in self.facts)

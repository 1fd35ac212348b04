"""A line that misbehaves: seeded, in a test's own time. Octets stay in order, as on any line; not all of them come."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class Manners:
    """Chances are a piece's: a line has as many pieces as writes and splits make."""

    loss: float = 0.0
    damage: float = 0.0
    repeat: float = 0.0
    garbage: float = 0.0
    delay_ms: int = 0
    one_by_one: bool = False


PERFECT = Manners()
MANNERS = {
    "perfect": PERFECT,
    "one octet at a time": Manners(one_by_one=True),
    "loses": Manners(loss=0.15),
    "damages": Manners(damage=0.15),
    "repeats": Manners(repeat=0.2),
    "garbage": Manners(garbage=0.3),
    "slow": Manners(delay_ms=150),
    "everything": Manners(loss=0.06, damage=0.06, repeat=0.06, garbage=0.06, delay_ms=60),
}


class Line:
    """One direction."""

    def __init__(self, manners: Manners, seed: int) -> None:
        self.manners = manners
        self._random = random.Random(seed)
        self._way: deque[tuple[int, bytes]] = deque()
        self._last = 0

    def put(self, data: bytes, now: int) -> None:
        if not data:
            return
        pieces = [data]
        if not self.manners.one_by_one and len(data) > 1 and self._random.random() < 0.5:
            cut = self._random.randrange(1, len(data))
            pieces = [data[:cut], data[cut:]]
        for piece in pieces:
            for mangled in self._mangled(piece):
                self._last = max(self._last, now + self._random.randint(0, self.manners.delay_ms))
                self._way.append((self._last, mangled))

    def _mangled(self, piece: bytes) -> list[bytes]:
        chance = self._random.random
        if chance() < self.manners.loss:
            return [piece[: self._random.randrange(len(piece))]]
        if chance() < self.manners.damage:
            at = self._random.randrange(len(piece))
            piece = piece[:at] + bytes([piece[at] ^ 1 << self._random.randrange(8)]) + piece[at + 1 :]
        found = [piece, piece] if chance() < self.manners.repeat else [piece]
        if chance() < self.manners.garbage:
            found.insert(0, self._random.randbytes(self._random.randrange(1, 300)))
        return found

    def take(self, now: int) -> list[bytes]:
        """What has arrived."""
        arrived = []
        while self._way and self._way[0][0] <= now:
            data = self._way.popleft()[1]
            arrived += [bytes([octet]) for octet in data] if self.manners.one_by_one else [data]
        return arrived

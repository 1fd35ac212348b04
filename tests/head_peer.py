"""A reader head for tests: the other side of firmware/PROTOCOL.md in Python, written apart from `edged.drivers`.

Sans-IO as well: octets and milliseconds in, octets out. It does what a head does with sessions, order, events and
requests; it has no limits of lamps, and it can be told to misbehave.
"""

from __future__ import annotations

import binascii
import struct
from collections import deque
from dataclasses import dataclass, field

HELLO, WELCOME, REFUSED, DATA, ACK, NAK, RESET = 1, 2, 3, 0x10, 0x11, 0x12, 0x13


def stuff(content: bytes) -> bytes:
    out, block = bytearray(), bytearray()
    for octet in content:
        if octet:
            block.append(octet)
        else:
            out += bytes([len(block) + 1]) + block
            block.clear()
    return bytes(out + bytes([len(block) + 1]) + block + b"\0")


def unstuff(line: bytes) -> bytes | None:
    out, at = bytearray(), 0
    while at < len(line):
        length = line[at]
        if at + length > len(line):
            return None
        out += line[at + 1 : at + length]
        at += length
        if at < len(line):
            out.append(0)
    return bytes(out)


def framed(kind: int, session: int, seq: int, ack: int, payload: bytes = b"") -> bytes:
    content = bytes([kind, session, seq, ack]) + payload
    return stuff(content + struct.pack("<I", binascii.crc32(content)))


@dataclass
class Event:
    type: int
    at: int
    body: bytes


@dataclass
class PeerHead:
    """Attributes that a test sets are what the head is; `asked` is every request that it carried out."""

    version: tuple[int, int] = (1, 1)
    simulated: bool = True
    flags: int = 0
    boots: int = 7
    unique_id: bytes = b"peer-head-01"
    capabilities: int = 0x3FF
    board: bytes = b"peer"
    cover: int = 0
    faults: int = 0
    document: bool = False
    statuses: dict[int, bytes] = field(default_factory=dict)
    mute: set[int] = field(default_factory=set)
    shown: int = 0

    def __post_init__(self) -> None:
        self.asked: list[bytes] = []
        self.took: list[int] = []
        self.presses = 0
        self.dropped = 0
        self.events: deque[Event] = deque()
        self.out = bytearray()
        self.line = bytearray()
        self.skipping = False
        self.session = 0
        self.heard = self.sent_at = 0
        self.resets = -1000
        self.wrong_ack = False
        self._forget()

    def _forget(self) -> None:
        self.session = 0
        self.expected = 0
        self.told_nak = False
        self.ack_at: int | None = None
        self.had_data = False
        self.base = 0
        self.queue: list[tuple[bytes, Event | None]] = []
        self.sent = self.reached = 0
        self.rto, self.since = 200, 0
        self.nak_at = -1000

    # --- hands ---

    def press(self, now: int) -> int:
        self.presses = (self.presses + 1) % 65536
        self.events.append(Event(0x81, now, struct.pack("<BH", 1, self.presses)))
        return self.presses

    def lay(self, present: int, now: int) -> None:
        self.document = present != 0
        if self.session:
            self.events.append(Event(0x82, now, bytes([present])))

    def open_cover(self, opened: bool, now: int) -> None:
        self.cover = int(opened)
        if self.session:
            self.events.append(Event(0x83, now, bytes([opened])))

    def fault(self, number: int, raised: bool, now: int) -> None:
        self.faults = self.faults | 1 << number if raised else self.faults & ~(1 << number)
        self.events.append(Event(0x84, now, bytes([number, raised])))

    def reset(self, now: int) -> None:
        """In the middle of whatever it was sending."""
        self.boots += 1
        self.presses = 0
        self.events.clear()
        self.out = self.out[: len(self.out) // 2]
        self.line.clear()
        self.skipping = False
        self._forget()

    # --- the line ---

    def receive(self, data: bytes, now: int) -> None:
        for octet in data:
            if octet:
                self.line.append(octet)
                if len(self.line) > 249:
                    self.skipping = True
                    del self.line[1:]
                continue
            content = None if self.skipping else unstuff(bytes(self.line))
            empty = not self.line and not self.skipping
            self.line.clear()
            self.skipping = False
            if empty:
                continue
            good = content is not None and len(content) >= 8
            if good and struct.unpack("<I", content[-4:])[0] == binascii.crc32(content[:-4]):
                self._frame(content[:-4], now)
            elif self.session and not self.told_nak:
                self.told_nak = True
                self._emit(NAK, now)
        self.tick(now)

    def _emit(self, kind: int, now: int, seq: int = 0, payload: bytes = b"") -> None:
        self.out += framed(kind, self.session, seq, self.expected, payload)
        self.sent_at = now
        self.ack_at = None

    def _frame(self, content: bytes, now: int) -> None:
        kind, session, seq, ack = content[:4]
        if kind == HELLO:
            self._hello(session, content[4:], now)
        elif kind in (DATA, ACK, NAK):
            if session != self.session or not self.session:
                if now - self.resets >= 100:
                    self.resets = now
                    self.out += framed(RESET, session, 0, 0)
                return
            self.heard = now
            ahead = (ack - self.base) % 256
            if ahead <= self.reached:
                self._acknowledged(ahead, now)
            elif ahead < 128:
                self.out += framed(RESET, session, 0, 0)
                self._forget()
                return
            if kind == NAK and now - self.nak_at >= 20:
                self.nak_at, self.sent = now, 0
            if kind == DATA:
                self._data(seq, content[4:], now)

    def _acknowledged(self, ahead: int, now: int) -> None:
        for _ in range(ahead):
            _, event = self.queue.pop(0)
            if event is not None:
                self.events.remove(event)
        if ahead:
            self.base = (self.base + ahead) % 256
            self.reached -= ahead
            self.sent = max(0, self.sent - ahead)
            self.rto, self.since = 200, now

    def _hello(self, session: int, payload: bytes, now: int) -> None:
        lowest, highest, window = payload[:3]
        if session == self.session:
            if not self.had_data:
                self.heard = now
                self.out += framed(WELCOME, session, 0, 0, self._welcome())
            return
        self._forget()
        if lowest > self.version[1] or highest < self.version[0]:
            self.out += framed(REFUSED, session, 0, 0, bytes(self.version))
            return
        self.session, self.window, self.heard = session, window, now
        self.out += b"\0" + framed(WELCOME, session, 0, 0, self._welcome())
        self.events = deque(event for event in self.events if event.type not in (0x82, 0x83, 0x85))
        self.events.append(Event(0x82, now, bytes([self.document])))
        self.events.append(Event(0x83, now, bytes([self.cover])))

    def _welcome(self) -> bytes:
        return (
            bytes([self.version[1], 8, self.flags | self.simulated, 1])
            + struct.pack("<I", self.boots)
            + self.unique_id
            + struct.pack("<BBHII", 1, 2, 3, 1, self.capabilities)
            + self.board
        )

    def _data(self, seq: int, message: bytes, now: int) -> None:
        behind = (self.expected - seq) % 256
        if behind == 0:
            self.expected = (self.expected + 1) % 256
            self.had_data, self.told_nak = True, False
            if self.ack_at is None:
                self.ack_at = now + 10
            if message[0] not in self.mute:
                self.queue.append((self._reply(message, now), None))
        elif behind <= 128:
            self.ack_at = now
        elif not self.told_nak:
            self.told_nak = True
            self._emit(NAK, now)

    def _reply(self, message: bytes, now: int) -> bytes:
        kind, tag = message[0], message[1]
        self.asked.append(message)
        head = bytes([0x80, tag])
        if kind in self.statuses:
            return head + self.statuses[kind]
        result = b""
        if kind == 0x01:
            result = struct.pack("<I", now)
        elif kind == 0x03:
            result = struct.pack("<BBBBIhHI", self.document, self.cover, 0, 0, self.faults, 215, 5000, now)
        elif kind == 0x04:
            result = struct.pack("<BI", 0, self.presses)
        elif kind == 0x11:
            self._expose(message[3:], now)
        elif kind == 0x20:
            self.shown = message[2]
        return head + b"\0" + result

    def _expose(self, steps: bytes, now: int) -> None:
        for number in range(len(steps) // 10):
            lamp, _, lead, window = struct.unpack_from("<BBII", steps, 10 * number)
            body = struct.pack("<BBQIB", number + 1, lamp, now * 1000 + lead, window, 1)
            self.events.append(Event(0x85, now, body))

    def tick(self, now: int) -> None:
        while (
            self.events
            and self.events[0].type == 0x81
            and now - self.events[0].at > 5000
            and not self.session
        ):
            self.events.popleft()
            self.dropped += 1
        if not self.session:
            return
        if now - self.heard >= 3000:
            self._forget()
            return
        for event in self.events:
            if len(self.queue) >= 8:
                break
            if all(event is not queued for _, queued in self.queue):
                age = struct.pack("<I", now - event.at)
                self.queue.append((bytes([event.type]) + age + event.body, event))
        if self.reached and self.sent == self.reached and now - self.since >= self.rto:
            self.rto = min(self.rto * 2, 1600)
            self.sent = 0
        while self.sent < min(len(self.queue), self.window):
            if self.sent == 0:
                self.since = now
            self._emit(DATA, now, (self.base + self.sent) % 256, self.queue[self.sent][0])
            self.sent += 1
            self.reached = max(self.reached, self.sent)
        if (self.ack_at is not None and now >= self.ack_at) or now - self.sent_at >= 1000:
            self._emit(ACK, now)

    def send(self) -> bytes:
        out = bytes(self.out)
        self.out.clear()
        return out

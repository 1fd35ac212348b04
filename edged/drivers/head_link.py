"""The link to the head: sessions, order, repetition. Sans-IO: octets and time in; octets, facts and a deadline out.

firmware/PROTOCOL.md §3 and §6. Every method takes the time (`now`, seconds of a clock that only grows); whoever owns
the line sends `bytes_to_send()` and takes `facts()` after each call, and calls `tick` at `deadline`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edged.drivers.head_arq import Receiver, Sender
from edged.drivers.head_events import Button
from edged.drivers.head_frame import (
    DELIMITER,
    Ack,
    Damaged,
    Data,
    Frame,
    FrameDecoder,
    Hello,
    Nak,
    Refused,
    Reset,
    Welcome,
    encode_frame,
)
from edged.drivers.head_messages import Reply, decode_from_head, encode_request
from edged.drivers.head_presses import Presses
from edged.errors import DecodeError, DeviceError, DeviceGoneError

if TYPE_CHECKING:
    from edged.drivers.head_events import HeadTold
    from edged.drivers.head_requests import Request

VERSIONS: Final = (1, 1)
"""Lowest and highest version of the protocol that this package speaks."""

MAX_OPEN: Final = 16
"""Requests without a reply (PROTOCOL.md §5)."""

HELLO_S: Final = 0.5
REFUSED_S: Final = 5.0
SIGN_OF_LIFE_S: Final = 0.25
LOST_S: Final = 3.0
"""PROTOCOL.md §3."""

ANOTHER_SESSION_AFTER: Final = 4
"""HELLOs that nobody answered before the next one carries another number: by chance a head may still be in a session
with this one, opened by a host that has ended since, and then it ignores them."""


@dataclass(frozen=True)
class Opened:
    """A session has begun; what was asked before is forgotten."""

    welcome: Welcome


@dataclass(frozen=True)
class Lost:
    """The session is over; whatever was asked has failed. `code` says why."""

    code: str


@dataclass(frozen=True)
class Incompatible:
    """The head speaks no version that this package speaks; `code` says which of the two is too old."""

    code: str


@dataclass(frozen=True)
class Told:
    """The head told something; `at` is when it happened, as far as its age tells."""

    event: HeadTold
    at: float


LinkFact = Opened | Lost | Incompatible | Told | Reply


@dataclass
class LinkCounts:
    """What went wrong on this side of the line since it was opened first."""

    sessions: int = 0
    repeated: int = 0
    damaged: int = 0
    stale_presses: int = 0
    repeated_presses: int = 0
    not_understood: int = 0


class HeadLink:
    """One end of the line, the host's. `first_session` is the number of the first session, drawn by the caller.

    Attributes:
        welcome: of the running session; None when there is none.
        deadline: when `tick` has something to do; None while the line is closed.
    """

    def __init__(self, first_session: int) -> None:
        assert 1 <= first_session <= 255
        self.welcome: Welcome | None = None
        self._session = first_session
        self._open = False
        self._hellos = 0
        self._hello_at = 0.0
        self._heard_at = 0.0
        self._sent_at = 0.0
        self._decoder = FrameDecoder()
        self._sender = Sender()
        self._receiver = Receiver()
        self._presses = Presses()
        self._waiting: dict[int, float] = {}
        self._next_tag = 0
        self._out = bytearray()
        self._facts: deque[LinkFact] = deque()
        self._not_understood = 0
        self._damaged = 0
        self._sessions = 0

    # --- what the owner of the line does ---

    def connected(self, now: float) -> None:
        """The line is open: ask the head for a session."""
        self.disconnected(now)
        self._decoder = FrameDecoder()
        self._open = True
        self._begin(now)

    def disconnected(self, now: float) -> None:
        """The line is closed. Ends the session."""
        self._lose("reader_head.gone", now)
        self._open = False
        self._out.clear()

    def receive(self, data: bytes, now: float) -> None:
        """Octets came."""
        if not self._open:
            return
        for frame in self._decoder.feed(data):
            self._take(frame, now)
        self._flush(now)

    def request(self, request: Request[Any], now: float) -> int:
        """Ask the head; the `Reply` with the tag returned is the answer, or `Lost` when there will be none.

        Raises `DeviceGoneError` without a session, and `DeviceError` (`reader_head.too_many_requests`) when so many are
        open that the protocol allows no more.
        """
        if self.welcome is None:
            raise DeviceGoneError("head", "reader_head.gone")
        if len(self._waiting) >= MAX_OPEN:
            raise DeviceError("head", "reader_head.too_many_requests")
        while self._next_tag in self._waiting:
            self._next_tag = (self._next_tag + 1) % 256
        tag, self._next_tag = self._next_tag, (self._next_tag + 1) % 256
        self._waiting[tag] = now + request.patience_s
        self._sender.put(encode_request(tag, request))
        self._flush(now)
        return tag

    def tick(self, now: float) -> None:
        """Do what is due."""
        if not self._open:
            return
        if self.welcome is None:
            if now >= self._hello_at:
                self._say_hello(now)
            return
        if now >= self._heard_at + LOST_S:
            self._anew("reader_head.lost", now)
        elif any(now >= due for due in self._waiting.values()):
            self._anew("reader_head.no_reply", now)
        else:
            self._sender.tick(now)
            self._flush(now)

    @property
    def deadline(self) -> float | None:
        """When `tick` is due next; None while the line is closed."""
        if not self._open:
            return None
        if self.welcome is None:
            return self._hello_at
        due = [self._heard_at + LOST_S, self._sent_at + SIGN_OF_LIFE_S, *self._waiting.values()]
        due += [at for at in (self._sender.deadline, self._receiver.deadline) if at is not None]
        return min(due)

    def bytes_to_send(self) -> bytes:
        """What is to be put on the line now."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def facts(self) -> list[LinkFact]:
        """What happened since this was asked last, in order."""
        facts = list(self._facts)
        self._facts.clear()
        return facts

    @property
    def counts(self) -> LinkCounts:
        """What went wrong on this side so far."""
        return LinkCounts(
            sessions=self._sessions,
            repeated=self._sender.repeated,
            damaged=self._damaged,
            stale_presses=self._presses.stale,
            repeated_presses=self._presses.repeated,
            not_understood=self._not_understood,
        )

    # --- sessions ---

    def _begin(self, now: float) -> None:
        self._another_session()
        self._say_hello(now)

    def _another_session(self) -> None:
        self._session = self._session % 255 + 1
        self._hellos = 0

    def _say_hello(self, now: float) -> None:
        if self._hellos >= ANOTHER_SESSION_AFTER:
            self._another_session()
        self._hellos += 1
        self._hello_at = now + HELLO_S
        self._send(Hello(self._session, *VERSIONS, self._receiver.window), now, clean=False)

    def _anew(self, code: str, now: float) -> None:
        """The session is over; open another one."""
        self._lose(code, now)
        self._begin(now)

    def _lose(self, code: str, now: float) -> None:  # noqa: ARG002 - every step of the link knows the time
        if self.welcome is not None:
            self.welcome = None
            self._facts.append(Lost(code))
        self._waiting.clear()

    def _take(self, frame: Frame | Damaged, now: float) -> None:
        match frame:
            case Welcome() if self.welcome is None and frame.session == self._session:
                self._welcomed(frame, now)
            case Refused() if self.welcome is None and frame.session == self._session:
                self._refused(frame, now)
            case Reset() if self.welcome is not None and frame.session == self._session:
                self._anew("reader_head.restarted", now)
            case Damaged():
                self._damaged += 1
                self._receiver.damaged()
            case Data() | Ack() | Nak() if self.welcome is not None and frame.session == self._session:
                self._in_session(frame, now)
            case _:
                pass  # of another session, a repeated WELCOME, or our own frame out of a line that echoes

    def _welcomed(self, welcome: Welcome, now: float) -> None:
        if not VERSIONS[0] <= welcome.version <= VERSIONS[1]:
            self._incompatible(welcome.version, welcome.version, now)
            return
        self.welcome = welcome
        self._sender.begin(welcome.window)
        self._receiver.begin()
        self._presses.begin(welcome)
        self._heard_at = now
        self._sessions += 1
        self._facts.append(Opened(welcome))

    def _refused(self, refused: Refused, now: float) -> None:
        self._incompatible(refused.lowest, refused.highest, now)

    def _incompatible(self, lowest: int, highest: int, now: float) -> None:  # noqa: ARG002
        self._facts.append(
            Incompatible("reader_head.too_old" if highest < VERSIONS[0] else "reader_head.too_new")
        )
        self._another_session()
        self._hello_at = now + REFUSED_S

    # --- within a session ---

    def _in_session(self, frame: Data | Ack | Nak, now: float) -> None:
        self._heard_at = now
        if not self._sender.acknowledged(frame.ack, now):
            self._anew("reader_head.out_of_step", now)
            return
        if isinstance(frame, Nak):
            self._sender.asked_to_repeat(now)
        if isinstance(frame, Data) and self._receiver.take(frame.seq, now):
            self._understand(frame.payload, now)

    def _understand(self, message: bytes, now: float) -> None:
        try:
            said = decode_from_head(message)
        except DecodeError:
            self._not_understood += 1
            return
        if isinstance(said, Reply):
            if self._waiting.pop(said.tag, None) is not None:
                self._facts.append(said)
        elif not isinstance(said, Button) or self._presses.is_news(said, now):
            self._facts.append(Told(said, now - said.age_ms / 1000))

    def _flush(self, now: float) -> None:
        """Put on the line what may be sent now; what came is acknowledged with it, or by itself in time."""
        if self.welcome is None:
            return
        for seq, message, again in self._sender.due(now):
            self._send(Data(self._session, seq, self._receiver.expected, message), now, clean=not again)
        if self._receiver.wants_repetition:
            self._send(Nak(self._session, self._receiver.expected), now, clean=False)
        elif self._receiver.wants_ack(now) or now >= self._sent_at + SIGN_OF_LIFE_S:
            self._send(Ack(self._session, self._receiver.expected), now)

    def _send(self, frame: Frame, now: float, *, clean: bool = True) -> None:
        if not clean:
            self._out += DELIMITER  # whatever stood on the line ends here
        self._out += encode_frame(frame)
        self._sent_at = now
        if isinstance(frame, Data | Ack | Nak):
            self._receiver.told(repetition=isinstance(frame, Nak))

"""A conversation with one chip, in clear or under secure messaging (Doc 9303-10 §3.6, Doc 9303-11 §9.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from edged.core.emrtd.apdu import (
    CONDITIONS_NOT_SATISFIED,
    FILE_NOT_FOUND,
    MAX_SHORT_NE,
    OK,
    SECURITY_STATUS_NOT_SATISFIED,
    SELECT,
    SM_OBJECTS_MISSING,
    SM_OBJECTS_WRONG,
    Command,
    Response,
)
from edged.core.emrtd.files import APPLICATION
from edged.core.emrtd.secure_messaging import SecureMessaging
from edged.core.emrtd.steps import Exchange, ask
from edged.errors import ChipError, ChipGoneError, ChipOverrunError
from edged.identity import Identity

if TYPE_CHECKING:
    from edged.core.emrtd.files import ElementaryFile
    from edged.core.emrtd.session_keys import SessionKeys

_T = TypeVar("_T")

BY_FILE_IDENTIFIER: Final = 0x02
BY_NAME: Final = 0x04
NO_ANSWER: Final = 0x0C
"""P2 of SELECT: no data wanted. With it there is no Le, which German documents refuse."""
MASTER_FILE: Final = (
    Command(SELECT, 0x00, NO_ANSWER, b"\x3f\x00"),
    Command(SELECT, 0x00, NO_ANSWER),
    Command(SELECT, 0x00, 0x00, b"\x3f\x00"),
)
"""Ways to select the master file: none is understood by every chip."""
SM_NOT_SUPPORTED: Final = 0x6882
WARNING: Final = 0x62
"""First octet of status words of commands carried out with a warning (ISO/IEC 7816-4 §5.6): 6283, deactivated."""

_COUNTS: Final = (0, 2, 1)
"""By how much a chip's counter may have moved when it answered in clear, the commonest first: it refused the command
before secure messaging (PRC passports); it counted command and answer all the same; it counted the command alone."""
_SESSION_ENDED: Final = frozenset((SM_OBJECTS_MISSING, SM_OBJECTS_WRONG, SM_NOT_SUPPORTED))
_COUNTS_OTHERWISE: Final = _SESSION_ENDED | {SECURITY_STATUS_NOT_SATISFIED, CONDITIONS_NOT_SATISFIED}


class Session(Identity):
    """What one chip and we agree on: keys and counter, or nothing yet.

    A status word in clear leaves open how far the chip counted. The next command is then numbered as most chips do,
    and again as the others do while the chip refuses it; what a chip turned out to do is remembered. An attacker on
    the link can so repeat an earlier answer of this very chip, and no other: what is read is proven by its hash.

    Attributes:
        lost: the session is of no more use: an answer was wrong, or the chip has forgotten it. Nothing is sent
            until `secure` or `clear`.
    """

    __slots__ = ("_bare", "_certain", "_counts", "_messaging", "lost")

    def __init__(self) -> None:
        self._messaging: SecureMessaging | None = None
        self._counts = list(_COUNTS)
        self._bare = 0  # answers in clear since the counter was certain
        self._certain = 0
        self.lost = False

    @property
    def secured(self) -> bool:
        """Whether commands are sent under secure messaging."""
        return self._messaging is not None

    def secure(self, keys: SessionKeys) -> None:
        """From here on under secure messaging with these keys."""
        self._messaging, self._bare, self.lost = SecureMessaging(keys), 0, False

    def clear(self) -> None:
        """From here on in clear: the chip forgets its session with the first command."""
        self._messaging, self._bare, self.lost = None, 0, False

    @property
    def in_step(self) -> bool:
        """Whether the last answer was proven, so that both sides count alike; True in clear."""
        return self._bare == 0

    def abandon(self) -> None:
        """Send nothing more: what had to be protected is not asked for in clear."""
        self.lost = True

    def room(self, octets: int) -> int:
        """How much data an answer of so many octets, status word left out, has room for."""
        return octets if self._messaging is None else self._messaging.room(octets)

    def send(self, command: Command) -> Exchange[Response]:
        """One command and its answer, protected when the session is.

        Raises:
            ChipError: "sm.lost" when the chip has ended the session, "sm.…" for an answer that can't be believed;
                `lost` says that the session is over. What is thrown in from outside passes through: the session is
                over when the chip is gone or too slow, and in doubt otherwise.
        """
        messaging = self._messaging
        if messaging is None and not self.lost:
            return (yield from ask(command))
        for _ in _COUNTS:
            if self.lost or messaging is None:
                break
            doubtful = self._bare > 0
            if doubtful:
                messaging.counter = self._certain + self._counts[0] * self._bare
            else:
                self._certain = messaging.counter
            response = yield from self._exchange(messaging, command)
            if not messaging.unprotected:
                self._bare = 0
                return response
            self._bare += 1
            if response.sw not in (_COUNTS_OTHERWISE if doubtful else _SESSION_ENDED):
                return response
            if not doubtful:
                break
            self._count_otherwise()
        self._count_otherwise()  # one that ends a session at the first wrong number is met with another next time
        self.lost = True
        raise ChipError("sm.lost")

    def _count_otherwise(self) -> None:
        self._counts.append(self._counts.pop(0))

    def _exchange(self, messaging: SecureMessaging, command: Command) -> Exchange[Response]:
        try:
            answer = yield from ask(messaging.protect(command))
        except (ChipGoneError, ChipOverrunError):
            self.lost = True
            raise
        except ChipError:  # the card reader didn't take it: the chip may well go on
            messaging.take_back()
            self._bare += 1
            raise
        try:
            return messaging.unprotect(answer)
        except ChipError:
            self.lost = True
            raise

    def through(self, exchange: Exchange[_T]) -> Exchange[_T]:
        """A protocol in this session: its commands go through `send`, its facts pass. Raises what either raises."""
        try:
            step = exchange.send(None)
            while True:
                if not isinstance(step, Command):
                    yield step
                    step = exchange.send(None)
                    continue
                try:
                    response = yield from self.send(step)
                except ChipError as error:
                    step = exchange.throw(error)
                else:
                    step = exchange.send(response)
        except StopIteration as stop:
            value: _T = stop.value
            return value

    def select_application(self) -> Exchange[None]:
        """The eMRTD application (Doc 9303-10 §3.6.1). Raises `ChipError` ("chip.no_application" | "sm.…")."""
        response = yield from self.send(Command(SELECT, BY_NAME, NO_ANSWER, APPLICATION))
        if not self._selected(response):
            raise ChipError("chip.no_application", sw=response.sw)

    def select_master_file(self) -> Exchange[bool]:
        """The master file, by one of `MASTER_FILE`. False: none was understood, it may be selected all the same."""
        for command in MASTER_FILE:
            response = yield from self.send(command)
            if response.sw == OK:
                return True
        return False

    def select_file(self, file: ElementaryFile) -> Exchange[None]:
        """A file of what is selected. Raises `ChipError` ("chip.file_absent" | "chip.file_refused" | "sm.…")."""
        response = yield from self.send(select_command(file))
        if not self._selected(response):
            absent = response.sw == FILE_NOT_FOUND
            raise ChipError("chip.file_absent" if absent else "chip.file_refused", sw=response.sw)

    def _selected(self, response: Response) -> bool:
        """Whether it is: some chips warn (62XX) and have done it all the same. A warning in clear is anybody's."""
        return response.sw == OK or (response.sw >> 8 == WARNING and self.in_step)


def select_command(file: ElementaryFile) -> Command:
    """SELECT by file identifier, without Le."""
    return Command(SELECT, BY_FILE_IDENTIFIER, NO_ANSWER, file.fid.to_bytes(2, "big"))


def short_room(session: Session) -> int:
    """How much data the longest short answer holds: 256 octets in clear, 231 or 223 under secure messaging."""
    return session.room(MAX_SHORT_NE)

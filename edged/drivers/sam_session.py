"""What is asked of a SAM module, in which order, and what its answers mean. Sans-IO.

A session is a generator: it yields an `Ask` and is sent the answer: a `Response`, `Broken` when only noise came, None
when nothing did. Fingerprints are never asked for: nothing here knows their command.
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from typing import Final, NamedTuple, TypeVar

from edged.drivers.sam_frame import Broken, Response, request
from edged.errors import DeviceError, DeviceGoneError
from edged.identity import Identity

DEVICE: Final = "id_card"

GOOD: Final = 0x90
FOUND: Final = 0x9F
NO_CARD: Final = 0x80
NO_CONTENT: Final = 0x91

STATUS_CODES: Final = {
    0x10: "idcard.heard_damaged",
    0x11: "idcard.heard_bad_length",
    0x21: "idcard.unknown_command",
    0x23: "idcard.not_permitted",
    0x24: "idcard.module_error",
    0x31: "idcard.module_refused",
    0x32: "idcard.card_not_genuine",
    0x33: "idcard.data_not_genuine",
    0x40: "idcard.unknown_card",
    0x41: "idcard.card_unreadable",
    0x47: "idcard.random_failed",
    0x60: "idcard.self_test_failed",
    0x66: "idcard.not_authorised",
    NO_CARD: "idcard.no_card",
    0x81: "idcard.select_failed",
    NO_CONTENT: "idcard.no_content",
}
"""What the third status octet means when it is not the one that was hoped for. Any other: `id_card.unknown_status`."""

MODULE_TROUBLE: Final = frozenset({"idcard.self_test_failed", "idcard.not_authorised"})
"""The module answers and can't work."""

_AGAIN: Final = frozenset({0x24, 0x31, 0x32, 0x33, 0x41, 0x47, 0x81})
"""Status octets after which a card is read once more: a card that was still moving brings them about as well."""

_NOT_GENUINE: Final = frozenset({0x32, 0x33})
_OTHER_CARD: Final = frozenset({0x31, 0x32, 0x33, 0x40, 0x41, 0x47, 0x81})
"""Something lies there, and it is no card that could be read."""

_RESET: Final = (0x10, 0xFF)
_STATUS: Final = (0x11, 0xFF)
_SAM_ID: Final = (0x12, 0xFF)
_FIND: Final = (0x20, 0x01)
_SELECT: Final = (0x20, 0x02)
_READ: Final = (0x30, 0x01)
_READ_ADDRESS: Final = (0x30, 0x03)

ANSWER_S: Final = 1.0
"""Until the first octet of an answer about the module itself, which takes it milliseconds."""
FIND_S: Final = 2.0
"""Until that of an answer for which the module turns its field on: some tenths of a second."""
READ_S: Final = 5.0
"""Until that of a card's content: two proofs and 1.3 kilooctets at 106 kbit/s, with the module's own repetitions."""

ATTEMPTS: Final = 2
"""How often a question that changes nothing is put before its answer counts as missing."""

MAX_PLAIN: Final = 32
"""Octets of data in an answer that holds no card's content; a longer one is late and belongs to another question."""

SAM_ID: Final = struct.Struct("<HHIII")

SIMULATED_SAM: Final = "99.99-19700101-1111111111-2222222222"
"""What `edged.emulator.sam` says it is; no module was made on that day."""


class Ask(NamedTuple):
    """One request, and how long the first octet of its answer may take, in seconds."""

    octets: bytes
    wait_s: float


Answer = Response | Broken | None
T = TypeVar("T")
Session = Generator[Ask, Answer, T]


class CardContent(Identity):
    """What one card delivered, in buffers that `wipe` overwrites."""

    __slots__ = ("additional_address", "photo", "text")

    def __init__(self, text: bytearray, photo: bytearray) -> None:
        self.text = text
        self.photo = photo
        self.additional_address = bytearray()

    def wipe(self) -> None:
        """Overwrite all of it."""
        for held in (self.text, self.photo, self.additional_address):
            held[:] = bytes(len(held))


def identify() -> Session[str]:
    """Whether a module is there and works, and which: its SAM number, as the module's label has it.

    A module that reports a fault is reset once. Raises `DeviceGoneError` ("idcard.mute", "idcard.answer_damaged")
    when nothing of this protocol answers, `DeviceError` when the module says that it can't work.
    """
    state = yield from _plain(
        _STATUS, ANSWER_S, attempts=1
    )  # at the wrong speed there is no use in asking again
    if state.sw3 != GOOD:
        yield from _plain(_RESET, ANSWER_S)
        state = yield from _plain(_STATUS, ANSWER_S)
        if state.sw3 != GOOD:
            raise _error(state.sw3)
    named = yield from _plain(_SAM_ID, ANSWER_S)
    if named.sw3 != GOOD:
        raise _error(named.sw3)
    if len(named.data) != SAM_ID.size:
        raise DeviceError(DEVICE, "idcard.answer_damaged")
    return sam_number(bytes(named.data))


def sam_number(octets: bytes) -> str:
    """`05.01-20101129-0001228293-0296863149` of the 16 octets that a module tells."""
    kind, version, day, serial, more = SAM_ID.unpack(octets)
    return f"{kind:02d}.{version:02d}-{day:08d}-{serial:010d}-{more:010d}"


def find() -> Session[bool]:
    """Whether a card lies there that the module would read. Raises `DeviceError`, `DeviceGoneError`."""
    answer = yield from _plain(_FIND, FIND_S)
    if answer.sw3 in {FOUND, GOOD}:
        return True
    if answer.sw3 == NO_CARD or answer.sw3 in _OTHER_CARD:
        return False
    raise _error(answer.sw3)


def read_card(*, additional_address: bool = False) -> Session[CardContent]:
    """Find, select and read the card, a second time where the first one failed for a reason that may pass.

    The caller wipes what it gets. `additional_address`: also ask for what was written to the card after a move.

    Raises `DeviceError` with what the module says of the card, "idcard.answer_damaged" when its content didn't arrive
    whole (most modules read a card once: it must be lifted), and `DeviceGoneError` when the module doesn't answer.
    """
    try:
        content = yield from _attempt()
    except DeviceGoneError:
        raise
    except _RefusedError as first:
        if first.sw3 not in _AGAIN:
            raise _error(first.sw3) from None
        content = yield from _second_attempt(first.sw3)
    except _DamagedError:
        content = yield from _second_attempt(None)
    if additional_address:
        yield from _address(content)
    return content


class _RefusedError(Exception):
    """The module's answer was no."""

    def __init__(self, sw3: int) -> None:
        super().__init__()
        self.sw3 = sw3


class _DamagedError(Exception):
    """The card's content didn't arrive whole."""


def _second_attempt(first: int | None) -> Session[CardContent]:
    """Only what is said twice speaks against a card; `first` is the status of the first attempt."""
    try:
        return (yield from _attempt())
    except _RefusedError as second:
        code = first if second.sw3 == NO_CARD and first is not None else second.sw3
        if first is None and second.sw3 in {NO_CARD, 0x81}:
            raise DeviceError(DEVICE, "idcard.answer_damaged") from None
        if code in _NOT_GENUINE and first != second.sw3:
            code = 0x41
        raise _error(code) from None
    except _DamagedError:
        raise DeviceError(DEVICE, "idcard.answer_damaged") from None


def _attempt() -> Session[CardContent]:
    """Once. Also a module that finds no card is asked to select it: some find each card once only."""
    found = yield from _plain(_FIND, FIND_S)
    if found.sw3 not in {FOUND, GOOD, NO_CARD}:
        raise _RefusedError(found.sw3)
    selected = yield from _plain(_SELECT, FIND_S)
    if selected.sw3 != GOOD:
        raise _RefusedError(NO_CARD if found.sw3 == NO_CARD else selected.sw3)
    answer = yield Ask(request(*_READ), READ_S)
    if answer is None:
        raise DeviceGoneError(DEVICE, "idcard.mute")
    if isinstance(answer, Broken):
        raise _DamagedError
    if answer.sw3 != GOOD:
        raise _RefusedError(answer.sw3)
    try:
        return _content(answer.data)
    finally:
        answer.wipe()


def _content(data: bytearray) -> CardContent:
    """Two lengths, text, photo. What is longer or shorter than they say is damaged."""
    if len(data) < 4:
        raise _DamagedError
    text, photo = (int.from_bytes(data[at : at + 2], "big") for at in (0, 2))
    if len(data) != 4 + text + photo:
        raise _DamagedError
    return CardContent(data[4 : 4 + text], data[4 + text :])


def _address(content: CardContent) -> Session[None]:
    """More of the address, where the card has it: without it the card is read all the same."""
    answer = yield Ask(request(*_READ_ADDRESS), READ_S)
    if not isinstance(answer, Response):
        return
    if answer.sw3 == GOOD:
        # Some modules put the length in front of it, as they do for the card's text.
        counted = int.from_bytes(answer.data[:2], "big") == len(answer.data) - 2
        content.additional_address = answer.data[2 if counted else 0 :]
    answer.wipe()


def _plain(command: tuple[int, int], wait_s: float, attempts: int = ATTEMPTS) -> Session[Response]:
    """The answer to a question that holds no card's content. Raises `DeviceGoneError`."""
    missing = "idcard.mute"
    for _ in range(attempts):
        answer = yield Ask(request(*command), wait_s)
        if isinstance(answer, Response):
            if len(answer.data) <= MAX_PLAIN:
                return answer
            answer.wipe()
            missing = "idcard.answer_damaged"
        elif answer is not None:
            missing = "idcard.answer_damaged"
    raise DeviceGoneError(DEVICE, missing)


def _error(sw3: int) -> DeviceError:
    """The module's own word; the octet itself, which is no identity, for the technician."""
    return DeviceError(DEVICE, STATUS_CODES.get(sw3, "idcard.unknown_status"), f"SW3 {sw3:02X}")

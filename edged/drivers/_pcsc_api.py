"""PC/SC as pyscard's lowest layer has it, with our errors: contexts, readers, one card.

The layer above it (`smartcard.CardMonitoring`, `CardConnection`) starts threads of its own that poll, share one context
and end with the service they lost; nothing of it can be interrupted. Down here every call says what it did, and each
thread has its own context, as PC/SC wants it. All calls block and give up the interpreter lock.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from edged.core.emrtd.apdu import Command
from edged.drivers._chip_worker import DEVICE
from edged.errors import ChipError, ChipGoneError, DecodeError, DeviceError, DeviceGoneError

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from types import TracebackType

PNP: Final = "\\\\?PnP?\\Notification"
"""The reader that isn't one: its state changes when readers come and go."""

PRESENT: Final = 0x0020
CHANGED: Final = 0x0002

_EXCLUSIVE, _DIRECT = 1, 3
_T0_OR_T1: Final = 3
_LEAVE, _RESET = 0, 1

_OK: Final = 0
_CANCELLED: Final = 0x80100002
_TIMEOUT: Final = 0x8010000A
_SHARING_VIOLATION: Final = 0x8010000B
_NO_CARD: Final = 0x8010000C
_NOT_TRANSACTED: Final = 0x80100016
_NO_READERS: Final = 0x8010002E
_REMOVED_CARD: Final = 0x80100069
_SECURITY_VIOLATION: Final = 0x8010006A

_SERVICE_GONE: Final = frozenset({0x80100013, 0x8010001D, 0x8010001E})
"""Communication failed, no service, service stopped."""

_READER_GONE: Final = frozenset({0x80100003, 0x80100009, 0x80100017})
"""Invalid handle (pcscd forgets those of a reader that is unplugged), unknown reader, reader unavailable."""

_CARD_GONE: Final = frozenset({_NO_CARD, _REMOVED_CARD, 0x80100067, 0x80100068, 0x80100015})
"""No card, removed, unpowered, reset (by whom ever: its session is over), cancelled by the system."""

_MUTE: Final = frozenset({0x80100066, 0x80100067, 0x8010000F, 0x8010000D})
"""At connecting: unresponsive, unpowered, no common protocol, unknown card."""

_STATUS_OCTETS: Final = 2
"""Less is no answer of a card: some drivers report success and nothing when theirs broke off in the middle."""

BUSY_S: Final = 2.0
"""Another program that holds the reader gets this long: what polls for cards (a browser, gpg) is done in a second."""

BUSY_AGAIN_S: Final = 0.1

_GET_FEATURES: Final = 0x42003400
"""CM_IOCTL_GET_FEATURE_REQUEST (PC/SC part 10, 2.2) as pcsc-lite numbers it."""

_TLV_PROPERTIES: Final = 0x12
_MAX_APDU_DATA: Final = 0x0A
"""Properties of part 10, 2.6.14: dwMaxAPDUDataSize, little-endian; 0 or 256 are short APDUs only."""

MAX_SHORT: Final = 256
MAX_EXTENDED: Final = 65536


def scard() -> Any:
    """pyscard's low layer. Raises `DeviceError` when the extra isn't installed."""
    try:
        from smartcard import scard as module
    except ImportError as error:
        raise DeviceError(DEVICE, "chip.no_pyscard") from error
    return module


class ReaderState(NamedTuple):
    """What is known of a reader; `event` is pcsc-lite's own state word, to be handed back to it."""

    present: bool
    event: int

    @property
    def visits(self) -> int:
        """How many times a card came or went so far: tells a card from the one that lay there a moment ago."""
        return self.event >> 16


class Context:
    """One connection to pcscd, for one thread. Raises `DeviceGoneError` when pcscd isn't there."""

    def __init__(self) -> None:
        self.api = scard()
        result, self.handle = self.api.SCardEstablishContext(self.api.SCARD_SCOPE_SYSTEM)
        if _code(result) != _OK:
            raise DeviceGoneError(DEVICE, _absence(_code(result)), f"{_code(result):08X}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.api.SCardReleaseContext(self.handle)

    def readers(self) -> list[str]:
        """Names of the readers that are plugged in."""
        result, names = self.api.SCardListReaders(self.handle, [])
        if _code(result) == _NO_READERS:
            return []
        _expect(result)
        return list(names)

    def wait(self, readers: int, reader: str | None, event: int, timeout_ms: int) -> ReaderState | None:
        """Wait until a reader comes or goes, or `reader` is in another state than `event` (0: at once).

        None when `reader` isn't there (any more). Returns in any case after `timeout_ms`, and when cancelled.
        """
        states: list[tuple[str, int]] = [(PNP, readers << 16)]
        if reader is not None:
            states.append((reader, event))
        result, found = self.api.SCardGetStatusChange(self.handle, timeout_ms, states)
        code = _code(result)
        if code in _READER_GONE:
            return None
        if code not in {_TIMEOUT, _CANCELLED}:
            _expect(result)
        if reader is None:
            return None
        if code == _OK:
            event = found[1][1] & ~CHANGED
        return ReaderState(bool(event & PRESENT), event)

    def cancel(self) -> None:
        """From any thread: end `wait`, if it waits."""
        self.api.SCardCancel(self.handle)

    def max_apdu(self, reader: str) -> int | None:
        """What the reader's driver tells of the longest response; needs no card. None when it doesn't tell."""
        result, card, _ = self.api.SCardConnect(self.handle, reader, _DIRECT, 0)
        if _code(result) != _OK:
            return None
        try:
            return _longest_apdu(lambda code: self._control(card, code))
        finally:
            self.api.SCardDisconnect(card, _LEAVE)

    def _control(self, card: int, code: int) -> bytes:
        result, answer = self.api.SCardControl(card, code, [])
        return bytes(answer) if _code(result) == _OK else b""


class PcscLink:
    """`edged.drivers._chip_worker.Link` to the card on a reader, with the reader to itself."""

    def __init__(self, reader: str, *, reset_first: bool = False) -> None:
        self._reader = reader
        self._reset_first = reset_first
        self._context: Context | None = None
        self._card = self._protocol = 0
        self.lost: str | None = None
        self.unclean = False
        """Whether the chip may still be in the session of this link, because it could not be reset."""

    def connect(self, given_up: threading.Event) -> None:
        """Power the card up; waits `BUSY_S` for another program to let go of the reader."""
        self._context = Context()
        api = self._context.api
        for _ in range(round(BUSY_S / BUSY_AGAIN_S)):
            result, card, protocol = api.SCardConnect(
                self._context.handle, self._reader, _EXCLUSIVE, _T0_OR_T1
            )
            if _code(result) != _SHARING_VIOLATION or given_up.wait(BUSY_AGAIN_S):
                break
        code = _code(result)
        if code == _OK:
            self._card, self._protocol = card, protocol
            if not self._reset_first:
                return
            result, self._protocol = api.SCardReconnect(card, _EXCLUSIVE, _T0_OR_T1, _RESET)
            code = _code(result)
            if code == _OK:
                return
        if code == _SHARING_VIOLATION:
            raise DeviceError(DEVICE, "chip.busy")
        if code in {_NO_CARD, _REMOVED_CARD}:
            raise ChipGoneError("chip.gone")
        if code in _MUTE or code == _NOT_TRANSACTED:
            raise ChipError("chip.mute", f"{code:08X}")
        _expect(result)

    def transmit(self, apdu: bytes) -> bytes:
        """One command and its answer.

        An extended command that the reader doesn't take is a `ChipError`: the card may well go on with short ones.
        """
        assert self._context is not None
        result, answer = self._context.api.SCardTransmit(self._card, self._protocol, list(apdu))
        code = _code(result)
        if code == _OK and len(answer) >= _STATUS_OCTETS:
            return bytes(answer)
        if code not in {_OK, *_CARD_GONE, *_SERVICE_GONE, *_READER_GONE} and _extended(apdu):
            raise ChipError("chip.too_long", f"{code:08X}")
        self.unclean = True
        if code in _SERVICE_GONE | _READER_GONE:
            self.lost = "chip.no_service" if code in _SERVICE_GONE else "chip.no_reader"
        raise ChipGoneError("chip.gone", f"{code:08X}")

    def disconnect(self) -> None:
        """Reset the card, let go of the reader.

        A card that broke off is not reset: pcscd would take one that it can't reset for removed, without its watching
        thread knowing, and then not notice the next one that is laid down soon.
        """
        if self._context is None:
            return
        api = self._context.api
        if self._card:
            api.SCardDisconnect(self._card, _LEAVE if self.unclean else _RESET)
        api.SCardReleaseContext(self._context.handle)
        self._context = None


def _code(result: int) -> int:
    return result & 0xFFFFFFFF  # pyscard gives a C long, signed where that has 32 bits


def _expect(result: int) -> None:
    """Raises what a result other than success stands for."""
    code = _code(result)
    if code == _OK:
        return
    if code in _SERVICE_GONE:
        raise DeviceGoneError(DEVICE, "chip.no_service", f"{code:08X}")
    if code in _READER_GONE:
        raise DeviceGoneError(DEVICE, "chip.no_reader", f"{code:08X}")
    if code == _SECURITY_VIOLATION:
        raise DeviceGoneError(DEVICE, "chip.not_allowed", f"{code:08X}")
    raise DeviceError(DEVICE, "chip.reader_failed", f"{code:08X}")


def _absence(code: int) -> str:
    """Why pcscd took no connection: not there, or there and unwilling (polkit).

    A pcscd that refuses a client hangs up on it, which some versions of the library report as a broken connection.
    """
    if code == _SECURITY_VIOLATION:
        return "chip.not_allowed"
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.environ.get("PCSCLITE_CSOCK_NAME", "/run/pcscd/pcscd.comm"))
        except PermissionError:
            return "chip.not_allowed"
        except OSError:
            return "chip.no_service"
    return "chip.not_allowed"


def _extended(apdu: bytes) -> bool:
    try:
        return Command.decode(apdu).extended
    except DecodeError:
        return False


def _longest_apdu(control: Any) -> int | None:
    """`control` sends a control code and returns the answer, empty when it was refused."""
    code = dict(_objects(control(_GET_FEATURES))).get(_TLV_PROPERTIES, b"")
    if len(code) != 4:  # big-endian in the list of features, unlike the properties
        return None
    told = dict(_objects(control(int.from_bytes(code, "big")))).get(_MAX_APDU_DATA)
    if told is None:
        return None
    octets = int.from_bytes(told, "little")
    return min(octets, MAX_EXTENDED) if octets > MAX_SHORT else MAX_SHORT


def _objects(coded: bytes) -> Sequence[tuple[int, bytes]]:
    """Tag, length and value of one octet, one octet, and so many octets. What is cut off is left out."""
    found, at = [], 0
    while at + 2 <= len(coded):
        tag, length = coded[at], coded[at + 1]
        value = coded[at + 2 : at + 2 + length]
        if len(value) == length:
            found.append((tag, value))
        at += 2 + length
    return found

"""An emulated SAM module, octet by octet: requests in, answers out. No tty, no time.

Written apart from `edged.drivers.sam_frame` and `sam_session`, from the same description of the protocol.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edged.emulator.id_cards import EmulatedIdCard

_BEGIN: Final = b"\xaa\xaa\xaa\x96\x69"
_LONGEST_REQUEST: Final = 64
"""No request has more than a handful of octets; what claims to is answered with a length error."""

_WILD: Final = frozenset({0x31, 0x32, 0x40, 0x41, 0x47, 0x81})
"""Status octets beside which SW1 and SW2 may be anything."""

OPERATIONS: Final = {
    "reset": (0x10, 0xFF),
    "status": (0x11, 0xFF),
    "sam-id": (0x12, 0xFF),
    "rf-size": (0x61, 0xFF),
    "find": (0x20, 0x01),
    "select": (0x20, 0x02),
    "read": (0x30, 0x01),
    "read-fingerprints": (0x30, 0x10),
    "read-address": (0x30, 0x03),
}
"""Every command that a module knows."""

_NAMES: Final = {octets: name for name, octets in OPERATIONS.items()}


@dataclass
class SamModule:
    """One module and what lies on it.

    Attributes:
        numbers: of the SAM: two of 16 bits, three of 32.
        reads_once: after a good reading no card is found until it is lifted, as most modules have it.
        fingerprints: octets of fingerprints on the card: 1024, 512 or 0.
        faults: by operation, the status octets of its next answers, in order; when they are used up, it works again.
        broken: by operation, the status octet of all its answers.
        heard: the operations that were asked for; a request that was refused is "refused".
        card: what lies on it.
    """

    numbers: tuple[int, int, int, int, int] = (99, 99, 19700101, 1111111111, 2222222222)
    reads_once: bool = True
    fingerprints: int = 1024
    faults: dict[str, list[int]] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    card: EmulatedIdCard | None = None
    _was_read: bool = False
    _selected: bool = False
    _came: bytearray = field(default_factory=bytearray, repr=False)

    def lay(self, card: EmulatedIdCard) -> None:
        """Lay a card down, in place of the one that lies there."""
        self.lift()
        self.card = card

    def lift(self) -> None:
        """Take the card away."""
        self.card = None
        self._was_read = self._selected = False

    def power(self) -> None:
        """As after plugging it in: nothing half heard, nothing selected."""
        self._came.clear()
        self._selected = False

    def hear(self, octets: bytes) -> list[bytes]:
        """What the next octets from the host make it answer."""
        self._came += octets
        answers = []
        while (request := self._next()) is not None:
            answers.append(self._answer(request))
        return answers

    def _next(self) -> bytes | None:
        """The next request, its length octets and all; `b""` for one of impossible length."""
        at = self._came.find(_BEGIN)
        if at < 0:
            del self._came[: -len(_BEGIN) + 1]
            return None
        del self._came[:at]
        if len(self._came) < 7:
            return None
        length = struct.unpack_from(">H", self._came, 5)[0]
        if not 3 <= length <= _LONGEST_REQUEST:
            del self._came[:7]
            return b""
        if len(self._came) < 7 + length:
            return None
        request = bytes(self._came[5 : 7 + length])
        del self._came[: 7 + length]
        return request

    def _answer(self, request: bytes) -> bytes:
        if not request:
            return self._refused(0x11)
        checked = 0
        for octet in request:
            checked ^= octet
        if checked:
            return self._refused(0x10)
        operation = _NAMES.get((request[2], request[3]))
        if operation is None:
            return self._refused(0x21)
        self.heard.append(operation)
        waiting = self.faults.get(operation)
        if waiting:
            return frame(waiting.pop(0))
        if operation in self.broken:
            return frame(self.broken[operation])
        return self._do(operation)

    def _refused(self, status: int) -> bytes:
        self.heard.append("refused")
        return frame(status)

    def _do(self, operation: str) -> bytes:
        lies = self.card is not None and not (self.reads_once and self._was_read)
        match operation:
            case "reset" | "rf-size":
                self._selected = False
                return frame(0x90)
            case "status":
                return frame(0x90)
            case "sam-id":
                return frame(0x90, struct.pack("<HHIII", *self.numbers))
            case "find":
                self._selected = False
                return frame(0x9F, bytes(4)) if lies else frame(0x80)
            case "select":
                self._selected = lies
                return frame(0x90, bytes(8)) if lies else frame(0x81)
            case _:
                return self._content(operation)

    def _content(self, operation: str) -> bytes:
        card = self.card
        if card is None or not self._selected:
            return frame(0x41)
        if operation == "read-address":
            more = card.additional_address
            return frame(0x91) if more is None else frame(0x90, more)
        self._was_read = True
        lengths = struct.pack(">HH", len(card.text), len(card.photo))
        if operation == "read":
            return frame(0x90, lengths + card.text + card.photo)
        prints = bytes(self.fingerprints)
        return frame(0x90, lengths + struct.pack(">H", len(prints)) + card.text + card.photo + prints)


def frame(status: int, data: bytes = b"") -> bytes:
    """One answer as it goes over the wire."""
    words = bytes((0xDE, 0xAD, status)) if status in _WILD else bytes((0, 0, status))
    counted = struct.pack(">H", len(words) + len(data) + 1) + words + data
    checked = 0
    for octet in counted:
        checked ^= octet
    return _BEGIN + counted + bytes((checked,))

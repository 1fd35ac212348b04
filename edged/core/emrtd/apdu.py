"""Command and response APDUs (ISO/IEC 7816-4 §5.1, 7816-3 §12.1), short and extended.

What a chip answers in clear is the holder's data, and so is part of what it is told: both types withhold themselves.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from edged.errors import DecodeError
from edged.identity import withheld

SELECT: Final = 0xA4
READ_BINARY: Final = 0xB0
READ_BINARY_ODD: Final = 0xB1
GET_CHALLENGE: Final = 0x84
EXTERNAL_AUTHENTICATE: Final = 0x82
INTERNAL_AUTHENTICATE: Final = 0x88
GENERAL_AUTHENTICATE: Final = 0x86
MANAGE_SECURITY_ENVIRONMENT: Final = 0x22

OK: Final = 0x9000
END_OF_FILE: Final = 0x6282
WRONG_LENGTH: Final = 0x6700
SM_OBJECTS_MISSING: Final = 0x6987
SM_OBJECTS_WRONG: Final = 0x6988
SECURITY_STATUS_NOT_SATISFIED: Final = 0x6982
CONDITIONS_NOT_SATISFIED: Final = 0x6985
FILE_NOT_FOUND: Final = 0x6A82
WRONG_PARAMETERS: Final = 0x6A86
REFERENCE_NOT_FOUND: Final = 0x6A88
WRONG_OFFSET: Final = 0x6B00
INSTRUCTION_NOT_SUPPORTED: Final = 0x6D00
CLASS_NOT_SUPPORTED: Final = 0x6E00

MAX_SHORT_DATA: Final = 255
MAX_SHORT_NE: Final = 256
MAX_EXTENDED: Final = 65535
MAX_EXTENDED_NE: Final = 65536


@withheld
class Command(NamedTuple):
    """One command, before its coding.

    Attributes:
        ins, p1, p2: the header.
        data: up to 65 535 octets.
        ne: how many octets are expected at most, 0 for none, 65 536 at most.
        cla: 0x00, 0x10 for a link of a chain, with 0x0C under secure messaging.
    """

    ins: int
    p1: int = 0
    p2: int = 0
    data: bytes = b""
    ne: int = 0
    cla: int = 0

    @property
    def extended(self) -> bool:
        """Whether it only fits an extended APDU."""
        return len(self.data) > MAX_SHORT_DATA or self.ne > MAX_SHORT_NE

    def encode(self) -> bytes:
        """The APDU, extended only where it must be."""
        head = bytes((self.cla, self.ins, self.p1, self.p2))
        if not self.extended:
            lc = bytes((len(self.data),)) + self.data if self.data else b""
            return head + lc + (bytes((self.ne & 0xFF,)) if self.ne else b"")
        lc = len(self.data).to_bytes(2, "big") + self.data if self.data else b""
        le = (self.ne & 0xFFFF).to_bytes(2, "big") if self.ne else b""
        return head + b"\x00" + lc + le

    @classmethod
    def decode(cls, raw: bytes) -> Command:
        """The command that `raw` codes, for a card. Raises `DecodeError` ("apdu", "apdu.malformed")."""
        if len(raw) < 4:
            raise DecodeError("apdu", "apdu.malformed")
        head, body = raw[:4], raw[4:]
        cla, ins, p1, p2 = head
        extended = len(body) >= 3 and body[0] == 0
        width = 2 if extended else 1
        rest = body[1:] if extended else body
        most = MAX_EXTENDED_NE if extended else MAX_SHORT_NE
        if not rest:
            return cls(ins, p1, p2, b"", 0, cla)
        if len(rest) == width:
            return cls(ins, p1, p2, b"", int.from_bytes(rest, "big") or most, cla)
        lc = int.from_bytes(rest[:width], "big")
        data, le = rest[width : width + lc], rest[width + lc :]
        if not lc or len(data) != lc or len(le) not in {0, width}:
            raise DecodeError("apdu", "apdu.malformed")
        return cls(ins, p1, p2, data, (int.from_bytes(le, "big") or most) if le else 0, cla)


@withheld
class Response(NamedTuple):
    """One response: its data and the status word SW1-SW2 as one number (0x9000)."""

    data: bytes
    sw: int

    def encode(self) -> bytes:
        """The APDU, for a card."""
        return self.data + self.sw.to_bytes(2, "big")

    @classmethod
    def decode(cls, raw: bytes) -> Response:
        """The response in `raw`. Raises `DecodeError` ("apdu", "apdu.malformed") when it isn't one."""
        if not 2 <= len(raw) <= MAX_EXTENDED_NE + 2:
            raise DecodeError("apdu", "apdu.malformed")
        return cls(bytes(raw[:-2]), int.from_bytes(raw[-2:], "big"))

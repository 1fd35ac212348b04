"""Secure messaging, the terminal's side (Doc 9303-11 §9.8): commands wrapped, responses proven and unwrapped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core.emrtd import suites, tlv
from edged.core.emrtd.apdu import MAX_EXTENDED_NE, MAX_SHORT_DATA, MAX_SHORT_NE, OK, Command, Response
from edged.core.emrtd.session_ciphers import SessionCiphers
from edged.errors import ChipError, DecodeError
from edged.identity import Identity

if TYPE_CHECKING:
    from edged.core.emrtd.session_keys import SessionKeys
    from edged.core.emrtd.suites import Suite

PROTECTED: Final = 0x0C
"""In CLA: secure messaging with the header authenticated (§9.8.4)."""
CRYPTOGRAM: Final = 0x87
"""Padding indicator and encrypted data, for even instructions."""
CRYPTOGRAM_ODD: Final = 0x85
"""Encrypted data objects, for odd instructions: without an indicator (ISO/IEC 7816-4 §10.2.2)."""
EXPECTED: Final = 0x97
STATUS: Final = 0x99
CHECKSUM: Final = 0x8E
_PADDED: Final = b"\x01"

_STATUS_OCTETS: Final = 4
_CHECKSUM_OCTETS: Final = 10
"""Of the whole DO'99' and DO'8E'."""


class SecureMessaging(Identity):
    """One session: its keys and its send sequence counter.

    Attributes:
        counter: the send sequence counter as it stands. Whoever learns that the chip counts otherwise sets it.
        unprotected: whether the last answer was a bare status word. The counter stands then where it stood before
            the command: what a chip that refused the command unseen believes.
    """

    __slots__ = ("_before", "_ciphers", "_odd", "_suite", "counter", "unprotected")

    def __init__(self, keys: SessionKeys) -> None:
        self._ciphers = SessionCiphers(keys)
        self._suite = keys.suite
        self._odd = False
        self._before = keys.counter
        self.counter = keys.counter
        self.unprotected = False

    def protect(self, command: Command) -> Command:
        """The command under secure messaging; the counter moves on by one (§9.8.2, §9.8.4)."""
        suite, head = self._suite, bytes((command.cla | PROTECTED, command.ins, command.p1, command.p2))
        self._odd = bool(command.ins & 1)
        self._before = self.counter
        counter = self._count()
        objects = b""
        if command.data:
            hidden = self._ciphers.encrypt(suites.pad(suite, command.data), counter)
            objects = (
                tlv.encode(CRYPTOGRAM_ODD, hidden) if self._odd else tlv.encode(CRYPTOGRAM, _PADDED + hidden)
            )
        if command.ne:
            objects += tlv.encode(EXPECTED, _expected(command.ne))
        message = counter + suites.pad(suite, head) + objects
        objects += tlv.encode(CHECKSUM, self._ciphers.mac(message))
        extended = command.extended or len(objects) > MAX_SHORT_DATA
        ne = MAX_EXTENDED_NE if extended else MAX_SHORT_NE
        return command._replace(cla=head[0], data=objects, ne=ne)

    def unprotect(self, response: Response) -> Response:
        """What the chip answered: proven by its checksum before anything of it is decrypted (§9.8.5).

        A bare status word that announces no success is returned as it is, see `unprotected`. It proves nothing and
        may come from anyone.

        Raises:
            ChipError: "sm.unprotected" for data or success in clear, "sm.bad_mac" for a wrong checksum,
                "sm.malformed" for other objects or another order than §9.8.5's, "sm.status_differs" when the status
                word in clear isn't the proven one, "sm.bad_block" | "sm.bad_padding".
        """
        self.unprotected = False
        if not response.data:
            if response.sw == OK or response.sw >> 8 == 0x61:
                raise ChipError("sm.unprotected", sw=response.sw)
            self.take_back()
            return response
        counter = self._count()
        hidden, status, proven, checksum = self._objects(response)
        if not suites.same(self._ciphers.mac(counter + proven), checksum):
            raise ChipError("sm.bad_mac")
        if status != response.sw.to_bytes(2, "big"):
            raise ChipError("sm.status_differs", sw=response.sw)
        return Response(self._reveal(hidden, counter), response.sw)

    def take_back(self) -> None:
        """The last command was perhaps never seen: as after a bare status word."""
        self.unprotected, self.counter = True, self._before

    def _objects(self, response: Response) -> tuple[memoryview | None, bytes, bytes, bytes]:
        """Encrypted data, status word, everything the checksum is over, checksum."""
        try:
            found = list(tlv.iterate(response.data))
        except DecodeError:
            raise ChipError("sm.malformed", sw=response.sw) from None
        tags = [each.tag for each in found]
        if not {CHECKSUM, STATUS, CRYPTOGRAM, CRYPTOGRAM_ODD} & set(tags):
            raise ChipError("sm.unprotected", sw=response.sw)
        hidden = None
        if tags and (tags[0] == CRYPTOGRAM or (tags[0] == CRYPTOGRAM_ODD and self._odd)):
            hidden = found[0].value
            if tags[0] == CRYPTOGRAM:
                if bytes(hidden[:1]) != _PADDED:
                    raise ChipError("sm.malformed", sw=response.sw)
                hidden = hidden[1:]
            tags = tags[1:]
        status, checksum = bytes(found[-2].value) if len(found) > 1 else b"", bytes(found[-1].value)
        if tags != [STATUS, CHECKSUM] or len(status) != 2 or found[-1].size != _CHECKSUM_OCTETS:
            raise ChipError("sm.malformed", sw=response.sw)
        return hidden, status, response.data[: len(response.data) - found[-1].size], checksum

    def _reveal(self, hidden: memoryview | None, counter: bytes) -> bytes:
        if hidden is None:
            return b""
        try:
            padded = self._ciphers.decrypt(hidden, counter)
            data = suites.unpad(padded)
        except DecodeError as error:
            raise ChipError(error.code) from None
        if len(padded) - len(data) > self._suite.block:
            raise ChipError("sm.bad_padding")
        return data

    def _count(self) -> bytes:
        octets = self._suite.block
        self.counter = (self.counter + 1) % (1 << 8 * octets)
        return self.counter.to_bytes(octets, "big")

    def room(self, octets: int) -> int:
        """How many octets of data a protected response of `octets` octets, status word left out, has room for."""
        return protected_room(self._suite, octets)


def protected_room(suite: Suite, octets: int) -> int:
    """How many octets of data a protected response of `octets` octets has room for: 231 of 256 with 3DES, 223 with AES.

    One block at least: no response is so small.
    """
    left = octets - _STATUS_OCTETS - _CHECKSUM_OCTETS - 1
    value = left - (1 if left <= 0x80 else 2 if left <= 0x101 else 3)
    return max((value - len(_PADDED)) // suite.block, 1) * suite.block - 1


def _expected(ne: int) -> bytes:
    """The value of DO'97': one octet up to 256, two above; the most is coded as zero."""
    return bytes((ne & 0xFF,)) if ne <= MAX_SHORT_NE else (ne & 0xFFFF).to_bytes(2, "big")

"""Secure messaging as the card does it (Doc 9303-11 §9.8): commands come out of it, responses go into it."""

from __future__ import annotations

from typing import Final

from edged.core.emrtd import apdu, suites, tlv
from edged.core.emrtd.apdu import Command, Response
from edged.errors import DecodeError
from edged.identity import Identity

SECURE: Final = 0x0C
"""Bits of the class octet: secure messaging, header authenticated (Doc 9303-11 §9.8.4)."""

_CRYPTOGRAM: Final = 0x87
_CRYPTOGRAM_ODD: Final = 0x85
"""For odd instructions: no octet that tells the padding (ISO/IEC 7816-4 §10.4)."""
_EXPECTED: Final = 0x97
_STATUS: Final = 0x99
_MAC: Final = 0x8E
_PADDING_METHOD_2: Final = b"\x01"


class BrokenChannelError(Exception):
    """A command that secure messaging refuses; `sw` is what the card answers, in clear, and the session is over."""

    def __init__(self, sw: int) -> None:
        super().__init__(f"{sw:04X}")
        self.sw = sw


class Channel(Identity):
    """One session: two keys and the send sequence counter, which counts every command and every response."""

    __slots__ = ("_encryption", "_mac", "counter", "suite")

    def __init__(self, suite: suites.Suite, encryption: bytes, mac: bytes, counter: int) -> None:
        self.suite = suite
        self._encryption = encryption
        self._mac = mac
        self.counter = counter

    @classmethod
    def derived(cls, suite: suites.Suite, secret: bytes, counter: int = 0) -> Channel:
        """The session that a key agreement's secret gives."""
        return cls(
            suite,
            suites.derive_key(suite, secret, suites.FOR_ENCRYPTION),
            suites.derive_key(suite, secret, suites.FOR_MAC),
            counter,
        )

    def unwrap(self, command: Command) -> Command:
        """The command inside a protected one. Raises `BrokenChannelError` with 6987 or 6988."""
        self._count()
        try:
            objects = [(one.tag, bytes(one.value)) for one in tlv.iterate(command.data)]
        except DecodeError:
            raise BrokenChannelError(apdu.SM_OBJECTS_WRONG) from None
        found = dict(objects)
        if _MAC not in found:
            raise BrokenChannelError(apdu.SM_OBJECTS_MISSING)
        known = (_CRYPTOGRAM_ODD if command.ins & 1 else _CRYPTOGRAM, _EXPECTED, _MAC)
        if [tag for tag, _ in objects] != [tag for tag in known if tag in found]:
            raise BrokenChannelError(apdu.SM_OBJECTS_WRONG)
        if not self._authentic(command, objects, found[_MAC]):
            raise BrokenChannelError(apdu.SM_OBJECTS_WRONG)
        data = b""
        if known[0] in found:
            data = self._opened(found[known[0]], told=not command.ins & 1)
        return Command(
            command.ins,
            command.p1,
            command.p2,
            data,
            _expected(found.get(_EXPECTED)),
            command.cla & ~SECURE,
        )

    def _authentic(self, command: Command, objects: list[tuple[int, bytes]], mac: bytes) -> bool:
        header = bytes((command.cla, command.ins, command.p1, command.p2))
        signed = b"".join(tlv.encode(tag, value) for tag, value in objects if tag != _MAC)
        message = self._counter() + suites.pad(self.suite, header) + signed
        # A command that is nothing but a header: whether its padding is padded again the specification leaves open.
        if not signed and suites.same(self._plain_mac(message), mac):
            return True
        return suites.same(suites.message_mac(self.suite, self._mac, message), mac)

    def _plain_mac(self, padded: bytes) -> bytes:
        if self.suite.aes:
            return suites.mac(self.suite, self._mac, padded)
        return suites.mac(self.suite, self._mac, suites.unpad(padded))

    def _opened(self, cryptogram: bytes, *, told: bool) -> bytes:
        if told:
            if cryptogram[:1] != _PADDING_METHOD_2:
                raise BrokenChannelError(apdu.SM_OBJECTS_WRONG)
            cryptogram = cryptogram[1:]
        try:
            padded = suites.decrypt(self.suite, self._encryption, cryptogram, self._iv())
            return suites.unpad(padded)
        except DecodeError:
            raise BrokenChannelError(apdu.SM_OBJECTS_WRONG) from None

    def wrap(self, response: Response, *, odd: bool = False) -> Response:
        """The protected response: the data encrypted, the status word and a MAC over all of it."""
        self._count()
        signed = b""
        if response.data:
            sealed = self.encrypt(suites.pad(self.suite, response.data))
            signed = tlv.encode(_CRYPTOGRAM_ODD, sealed) if odd else self._told(sealed)
        signed += tlv.encode(_STATUS, response.sw.to_bytes(2, "big"))
        mac = suites.message_mac(self.suite, self._mac, self._counter() + signed)
        return Response(signed + tlv.encode(_MAC, mac), response.sw)

    def encrypt(self, blocks: bytes) -> bytes:
        """Whole blocks, at the counter as it is."""
        return suites.encrypt(self.suite, self._encryption, blocks, self._iv())

    def _told(self, sealed: bytes) -> bytes:
        return tlv.encode(_CRYPTOGRAM, _PADDING_METHOD_2 + sealed)

    def room(self, octets: int) -> int:
        """How much data fits a protected response of `octets`."""
        status_and_mac, header = 4 + 10, 1 + 3 + 1
        return max(0, (octets - status_and_mac - header) // self.suite.block * self.suite.block - 1)

    def encrypt_outside(self, data: bytes) -> bytes:
        """What PACE's chip authentication data is encrypted with: an IV of -1 (Doc 9303-11 §4.4.3.3.3)."""
        iv = suites.encrypt_block(self.suite, self._encryption, b"\xff" * self.suite.block)
        return suites.encrypt(self.suite, self._encryption, suites.pad(self.suite, data), iv)

    def token(self, public_key_object: bytes) -> bytes:
        """PACE's authentication token over the other side's public key (Doc 9303-11 §4.4.3.4)."""
        return suites.mac(self.suite, self._mac, public_key_object)

    def _count(self) -> None:
        self.counter = (self.counter + 1) % (1 << (8 * self.suite.block))

    def _counter(self) -> bytes:
        return self.counter.to_bytes(self.suite.block, "big")

    def _iv(self) -> bytes | None:
        return suites.encrypt_block(self.suite, self._encryption, self._counter()) if self.suite.aes else None


def _expected(value: bytes | None) -> int:
    """Ne of DO'97': one octet, or two of an extended length; zeros stand for the most."""
    if value is None:
        return 0
    if len(value) not in {1, 2}:
        raise BrokenChannelError(apdu.SM_OBJECTS_WRONG)
    return int.from_bytes(value, "big") or (apdu.MAX_SHORT_NE if len(value) == 1 else apdu.MAX_EXTENDED_NE)

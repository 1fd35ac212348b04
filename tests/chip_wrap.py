"""The card's side of secure messaging, from the text of Doc 9303-11 §9.8 and on `cryptography` alone.

It shares no line with `edged.core.emrtd.secure_messaging` and `suites`, so that the two judge each other.
"""

from __future__ import annotations

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC


class WrongMacError(Exception):
    """The command's checksum is not what this card's counter gives."""


class Wrap:
    """Keys and counter of one session on the card."""

    def __init__(self, encryption: bytes, mac: bytes, counter: int, *, aes: bool) -> None:
        self.encryption, self.mac_key, self.counter, self.aes = encryption, mac, counter, aes
        self.block = 16 if aes else 8

    # primitives

    def _ssc(self) -> bytes:
        return self.counter.to_bytes(self.block, "big")

    def _pad(self, data: bytes) -> bytes:
        data += b"\x80"
        while len(data) % self.block:
            data += b"\x00"
        return data

    def _cbc(self) -> Cipher:
        if not self.aes:
            return Cipher(TripleDES(self.encryption + self.encryption[:8]), modes.CBC(bytes(8)))
        one = Cipher(AES(self.encryption), modes.ECB()).encryptor()
        return Cipher(AES(self.encryption), modes.CBC(one.update(self._ssc()) + one.finalize()))

    def mac(self, message: bytes) -> bytes:
        message = self._pad(message)
        if self.aes:
            cmac = CMAC(AES(self.mac_key))
            cmac.update(message)
            return cmac.finalize()[:8]
        y = bytes(8)
        one, two = (Cipher(TripleDES(half * 3), modes.ECB()) for half in (self.mac_key[:8], self.mac_key[8:]))
        for at in range(0, len(message), 8):
            y = one.encryptor().update(bytes(a ^ b for a, b in zip(y, message[at : at + 8], strict=True)))
        return one.encryptor().update(two.decryptor().update(y))

    # messages

    def open(self, apdu: bytes) -> tuple[bytes, bytes, int]:
        """Header (CLA without protection), data and Ne of a protected command; counts it."""
        self.counter += 1
        head, body = apdu[:4], apdu[4:]
        assert head[0] & 0x0C == 0x0C
        if body[0]:
            body, trailer = body[1 : 1 + body[0]], body[1 + body[0] :]
            assert trailer == b"\x00"
        else:
            length = int.from_bytes(body[1:3], "big")
            body, trailer = body[3 : 3 + length], body[3 + length :]
            assert len(body) == length
            assert trailer == b"\x00\x00"
        covered, checksum = body[:-10], body[-10:]
        assert checksum[:2] == b"\x8e\x08"
        if self.mac(self._ssc() + self._pad(head) + covered) != checksum[2:]:
            raise WrongMacError
        data, ne = b"", 0
        while covered:
            tag, value, covered = split(covered)
            if tag in {0x87, 0x85}:
                assert tag == (0x85 if head[1] & 1 else 0x87)
                if tag == 0x87:
                    assert value[0] == 1
                    value = value[1:]
                plain = self._cbc().decryptor().update(value).rstrip(b"\x00")
                assert plain[-1] == 0x80
                data = plain[:-1]
            else:
                assert tag == 0x97
                ne = int.from_bytes(value, "big") or (256 if len(value) == 1 else 65536)
        return bytes((head[0] & 0xF0,)) + head[1:], data, ne

    def close(self, data: bytes, sw: int, *, odd: bool = False) -> bytes:
        """The protected response; counts it."""
        self.counter += 1
        objects = b""
        if data:
            hidden = self._cbc().encryptor().update(self._pad(data))
            objects = join(0x85, hidden) if odd else join(0x87, b"\x01" + hidden)
        objects += join(0x99, sw.to_bytes(2, "big"))
        return objects + join(0x8E, self.mac(self._ssc() + objects)) + sw.to_bytes(2, "big")


def split(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag of one octet, value, rest."""
    tag, length, at = data[0], data[1], 2
    if length & 0x80:
        at += length & 0x7F
        length = int.from_bytes(data[2:at], "big")
    assert at + length <= len(data)
    return tag, data[at : at + length], data[at + length :]


def join(tag: int, value: bytes) -> bytes:
    """A data object with a tag of one octet."""
    length = len(value)
    if length < 128:
        return bytes((tag, length)) + value
    octets = length.to_bytes(1 if length < 256 else 2 if length < 65536 else 3, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + value

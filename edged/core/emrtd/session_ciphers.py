"""The ciphers of one session, their keys set up once: every protected exchange needs four to six of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from edged.core.emrtd import suites
from edged.errors import DecodeError
from edged.identity import Identity

if TYPE_CHECKING:
    from edged.core.emrtd.session_keys import SessionKeys


class SessionCiphers(Identity):
    """What `suites` does, under the keys of one session (Doc 9303-11 §9.8.6, §9.8.7)."""

    __slots__ = ("_algorithm", "_blocks", "_cmac", "_retail", "_zero", "suite")

    def __init__(self, keys: SessionKeys) -> None:
        self.suite = keys.suite
        self._algorithm = suites.algorithm(keys.suite, keys.encryption)
        self._zero = modes.CBC(bytes(keys.suite.block))
        if keys.suite.aes:
            self._blocks = Cipher(self._algorithm, modes.ECB()).encryptor()  # noqa: S305 - single blocks: an IV each
            self._cmac = CMAC(AES(keys.mac))
        else:
            self._retail = suites.RetailMac(keys.mac)

    def encrypt(self, data: bytes, counter: bytes) -> bytes:
        """CBC of whole blocks, as the message with this counter."""
        encryptor = Cipher(self._algorithm, self._mode(counter)).encryptor()
        return encryptor.update(data) + encryptor.finalize()

    def decrypt(self, data: bytes | memoryview, counter: bytes) -> bytes:
        """CBC of whole blocks, of the message with this counter. Raises `DecodeError` ("chip", "sm.bad_block")."""
        if len(data) % self.suite.block:
            raise DecodeError("chip", "sm.bad_block")
        decryptor = Cipher(self._algorithm, self._mode(counter)).decryptor()
        return decryptor.update(data) + decryptor.finalize()

    def mac(self, message: bytes) -> bytes:
        """`suites.message_mac`."""
        padded = suites.pad(self.suite, message)
        if not self.suite.aes:
            return self._retail.of(padded)
        calculated = self._cmac.copy()
        calculated.update(padded)
        return calculated.finalize()[: suites.MAC_OCTETS]

    def _mode(self, counter: bytes) -> modes.CBC:
        """The IV. AES: the encrypted counter (§9.8.6.1); 3DES: zero (§9.8.7.1)."""
        return modes.CBC(self._blocks.update(counter)) if self.suite.aes else self._zero

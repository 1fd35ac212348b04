"""Symmetric cryptography of eMRTDs (Doc 9303-11 §9.6-§9.8): key derivation, CBC, MACs of 8 octets, padding.

Every primitive is `cryptography`'s; only the way they are put together is here.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, Hash

from edged.errors import DecodeError
from edged.identity import Identity

FOR_ENCRYPTION: Final = 1
FOR_MAC: Final = 2
FOR_PACE: Final = 3
"""Counters of the key derivation function (Doc 9303-11 §9.7.1, §9.7.3)."""

MAC_OCTETS: Final = 8


@dataclass(frozen=True)
class Suite:
    """A block cipher with the MAC that goes with it: 3DES with the retail MAC, AES with CMAC.

    Attributes:
        name: as in reports ("3DES", "AES-128").
        key_octets: of the encryption and of the MAC key.
        block: octets of a block.
        digest: octets of the hash of its key derivation (20: SHA-1, 32: SHA-256).
    """

    name: str
    key_octets: int
    block: int
    digest: int

    @property
    def aes(self) -> bool:
        """Whether it is AES."""
        return self.block == 16


DES3: Final = Suite("3DES", 16, 8, 20)
AES128: Final = Suite("AES-128", 16, 16, 20)
AES192: Final = Suite("AES-192", 24, 16, 32)
AES256: Final = Suite("AES-256", 32, 16, 32)


def sha(octets: int, *parts: bytes) -> bytes:
    """SHA-1 (20) or SHA-256 (32) over the parts."""
    hashed = Hash(SHA1() if octets == 20 else SHA256())  # noqa: S303 - what Doc 9303-11 §9.7.1 prescribes
    for part in parts:
        hashed.update(part)
    return hashed.finalize()


def derive_key(suite: Suite, secret: bytes, counter: int) -> bytes:
    """KDF(secret, counter), Doc 9303-11 §9.7.1: the first octets of the hash; for 3DES with parity bits adjusted."""
    key = sha(suite.digest, secret, counter.to_bytes(4, "big"))[: suite.key_octets]
    return key if suite.aes else bytes(_odd_parity(octet) for octet in key)


def _odd_parity(octet: int) -> int:
    return octet ^ ((octet.bit_count() + 1) & 1)


def algorithm(suite: Suite, key: bytes) -> algorithms.AES | TripleDES:
    """The block cipher under a key; 3DES keys have two halves (Doc 9303-11 §9.6.2)."""
    return algorithms.AES(key) if suite.aes else TripleDES(key + key[:8] if len(key) == 16 else key)


def _cbc(suite: Suite, key: bytes, iv: bytes | None) -> Cipher[modes.CBC]:
    return Cipher(algorithm(suite, key), modes.CBC(iv or bytes(suite.block)))


def encrypt(suite: Suite, key: bytes, data: bytes, iv: bytes | None = None) -> bytes:
    """CBC of whole blocks; the IV is zero unless given."""
    encryptor = _cbc(suite, key, iv).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def decrypt(suite: Suite, key: bytes, data: bytes, iv: bytes | None = None) -> bytes:
    """CBC of whole blocks; the IV is zero unless given. Raises `DecodeError` ("chip", "sm.bad_block") for others."""
    if len(data) % suite.block:
        raise DecodeError("chip", "sm.bad_block")
    decryptor = _cbc(suite, key, iv).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def encrypt_block(suite: Suite, key: bytes, block: bytes) -> bytes:
    """One block in ECB, for the IV of secure messaging with AES (Doc 9303-11 §9.8.6.1)."""
    encryptor = Cipher(algorithm(suite, key), modes.ECB()).encryptor()  # noqa: S305 - a single block
    return encryptor.update(block) + encryptor.finalize()


def pad(suite: Suite, data: bytes) -> bytes:
    """Padding method 2 of ISO/IEC 9797-1: 0x80, then zeros to a whole block; always at least one octet."""
    return data + b"\x80" + bytes(-(len(data) + 1) % suite.block)


def unpad(data: bytes) -> bytes:
    """What `pad` was given. Raises `DecodeError` ("chip", "sm.bad_padding")."""
    stripped = data.rstrip(b"\x00")
    if not stripped or stripped[-1] != 0x80:
        raise DecodeError("chip", "sm.bad_padding")
    return stripped[:-1]


def mac(suite: Suite, key: bytes, message: bytes) -> bytes:
    """MAC of 8 octets: retail MAC over the padded message (ISO/IEC 9797-1 algorithm 3), or AES-CMAC cut to 8.

    This is the MAC of BAC and of PACE's tokens; secure messaging pads first, for AES too (`message_mac`).
    """
    if suite.aes:
        calculated = CMAC(algorithms.AES(key))
        calculated.update(message)
        return calculated.finalize()[:MAC_OCTETS]
    return RetailMac(key).of(pad(suite, message))


def message_mac(suite: Suite, key: bytes, message: bytes) -> bytes:
    """MAC of secure messaging: padded by method 2 for either cipher (Doc 9303-11 §9.8.6.2, §9.8.7.2)."""
    return mac(suite, key, pad(suite, message) if suite.aes else message)


def same(left: bytes, right: bytes) -> bool:
    """Whether two MACs or tokens are equal, in a time that tells nothing."""
    return hmac.compare_digest(left, right)


class RetailMac(Identity):
    """ISO/IEC 9797-1 algorithm 3 under one key: single DES with its first half, the last block in 3DES with both."""

    __slots__ = ("_chain", "_last")

    def __init__(self, key: bytes) -> None:
        first = TripleDES(key[:8] * 3)  # three times the same key is single DES
        self._chain = Cipher(first, modes.CBC(bytes(8)))
        both = algorithm(DES3, key)
        self._last = Cipher(both, modes.ECB()).encryptor()  # noqa: S305 - single blocks

    def of(self, padded: bytes) -> bytes:
        """The MAC of whole blocks, one at least."""
        before, block = padded[:-8], padded[-8:]
        if before:
            chained = self._chain.encryptor()
            carried = (chained.update(before) + chained.finalize())[-8:]
            block = bytes(left ^ right for left, right in zip(carried, block, strict=True))
        return self._last.update(block)

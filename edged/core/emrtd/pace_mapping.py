"""How PACE turns its nonce into a generator (Doc 9303-11 §4.4.3.3), and what the chip authentication mapping proves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from edged.core.emrtd.domain_parameters import decode_key
from edged.core.emrtd.domains import Domain, EcDomain
from edged.core.emrtd.security_infos import Agreement, ChipAuthenticationPublicKeyInfo
from edged.core.emrtd.suites import Suite, decrypt, encrypt, encrypt_block, same, unpad
from edged.errors import DecodeError
from edged.identity import withheld

if TYPE_CHECKING:
    from edged.core.emrtd.security_infos import SecurityInfos
    from edged.core.emrtd.session_keys import SessionKeys

_SHORT: Final = (
    bytes.fromhex("A668892A7C41E3CA739F40B057D85904"),
    bytes.fromhex("A4E136AC725F738B01C1F60217C188AD"),
)
_LONG: Final = (
    bytes.fromhex("D463D65234124EF7897054986DCA0A174E28DF758CBAA03F240616414D5A1676"),
    bytes.fromhex("54BD7255F0AAF831BEC3423FCF39D69B6CBF066677D0FAAE5AADD99DF8E53517"),
)
"""c0 and c1 for keys of 128 bits, and for longer ones (Doc 9303-11 §4.4.3.3.2)."""


def pseudo_random(suite: Suite, s: bytes, t: bytes, modulus: int) -> int:
    """R_p(s, t): an element of the field from the chip's nonce s and the terminal's t (Doc 9303-11 §4.4.3.3.2).

    Raises `DecodeError` ("chip", "pace.bad_nonce") for a nonce that has not the length of the cipher's constants.
    """
    c0, c1 = _SHORT if suite.key_octets == 16 else _LONG
    if len(s) != len(c0):
        raise DecodeError("chip", "pace.bad_nonce")
    key = encrypt(suite, t, s)[: suite.key_octets]
    drawn = b""
    while len(drawn) * 8 < modulus.bit_length() + 64:
        drawn += encrypt(suite, key, c1)
        key = encrypt(suite, key, c0)[: suite.key_octets]
    return int.from_bytes(drawn, "big") % modulus


@withheld
class CamData(NamedTuple):
    """What a chip sent in the chip authentication mapping; `verify_cam` judges it.

    Attributes:
        domain: the group of PACE, with its own generator.
        mapping_key: the chip's public key of the mapping.
        proof: chip authentication data, decrypted: the scalar that links it to the chip's static key.
    """

    domain: Domain
    mapping_key: bytes
    proof: bytes


def decrypt_cam(keys: SessionKeys, encrypted: bytes) -> bytes:
    """Chip authentication data (Doc 9303-11 §4.4.3.5.4): the IV is a block of ones, encrypted. Raises `DecodeError`."""
    iv = encrypt_block(keys.suite, keys.encryption, b"\xff" * keys.suite.block)
    return unpad(decrypt(keys.suite, keys.encryption, encrypted, iv))


def verify_cam(cam: CamData, infos: SecurityInfos) -> bool:
    """Whether the chip has the private key of a static key in EF.CardSecurity (Doc 9303-11 §4.4.3.5.2).

    It counts only when passive authentication of EF.CardSecurity, whose `infos` these are, has succeeded: anyone can
    make a key of their own. Keys that can't be read, or are of another group, are no proof.
    """
    if not isinstance(cam.domain, EcDomain):
        return False
    scalar = int.from_bytes(cam.proof, "big")
    if not 0 < scalar < cam.domain.order:
        return False
    for info in infos.of(ChipAuthenticationPublicKeyInfo):
        if info.agreement is not Agreement.ECDH:
            continue
        try:
            key = decode_key(info.spki)
            if key.domain == cam.domain and same(cam.domain.multiply(scalar, key.public), cam.mapping_key):
                return True
        except DecodeError:
            continue
    return False

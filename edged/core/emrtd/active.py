"""Active authentication, verified (Doc 9303-11 §6.1): does the chip hold the private key to DG15's public one?

RSA signs after ISO/IEC 9796-2 scheme 1: the signature holds most of the message, which is the chip's own random M1
followed by the terminal's challenge, and a hash over both. ECDSA signs the challenge, plain r‖s (BSI TR-03111 §5.2.1);
some cards answer in DER. That the key is the document's own is for passive authentication to say.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from edged.core.emrtd import signatures, tlv
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.public_keys import EcKey, RsaKey, parse_public_key
from edged.errors import DecodeError
from edged.verdict import Check, Reason, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.core.emrtd.public_keys import PublicKey

NAME: Final = "active_authentication"

_SHORT_TRAILER: Final = 0xBC
_LONG_TRAILER: Final = 0xCC
_DIGESTS_BY_TRAILER: Final = {0x33: "sha1", 0x34: "sha256", 0x35: "sha512", 0x36: "sha384", 0x38: "sha224"}
"""Hash identifiers of ISO/IEC 10118-3, the octet before 0xCC."""
_DIGESTS: Final = ("sha256", "sha1", "sha384", "sha512", "sha224")
"""By how often documents have them."""
_ECDSA_DIGESTS: Final = ("sha256", "sha384", "sha224", "sha512")
"""Permitted for ECDSA where DG14 doesn't say which (Doc 9303-11 §6.1.2.2)."""


def verify_active(dg15: bytes, nonce: bytes, answer: bytes | None, *, algorithm: str | None = None) -> Check:
    """The check `active_authentication`.

    Args:
        dg15: as read, with its tag.
        nonce: the 8 octets sent.
        answer: the chip's signature, None when it refused.
        algorithm: signature algorithm of DG14's ActiveAuthenticationInfo (dotted), None without. For ECDSA only.

    Never raises. It counts only when DG15 is proven (`passive.PassiveResult.proves`).
    """
    try:
        assert ElementaryFile.DG15.tag is not None
        key = parse_public_key(bytes(tlv.only(dg15, ElementaryFile.DG15.tag)), "dg15")
        if answer is None:
            return Check(NAME, Result.FAILED, (Reason("chip.active_refused"),))
        genuine = _verify(key, nonce, answer, algorithm)
    except DecodeError as error:
        # The state's own key that can't be used here says nothing about the chip; a curve bent to fit says much.
        result = Result.FAILED if error.code == "pki.forged_curve" else Result.UNDETERMINED
        return Check(NAME, result, (Reason(error.code),))
    if genuine:
        return Check(NAME, Result.SUCCESSFUL)
    return Check(NAME, Result.FAILED, (Reason("chip.active_wrong"),))


def _verify(key: PublicKey, nonce: bytes, answer: bytes, algorithm: str | None) -> bool:
    if len(answer) > signatures.MAX_SIGNATURE_OCTETS:
        return False
    if isinstance(key, RsaKey):
        return any(_message_holds(block, nonce) for block in _representatives(key, answer))
    digests = _ECDSA_DIGESTS if algorithm is None else (signatures.digest_of(algorithm, "dg14"),)
    return any(
        signatures.verify_ecdsa(key, digest, numbers, nonce)
        for numbers in _numbers(key, answer)
        for digest in digests
    )


def _numbers(key: EcKey, answer: bytes) -> Iterator[tuple[int, int]]:
    """(r, s) read as the standard has it, then as some cards send it."""
    plain = signatures.plain_numbers(key, answer)
    if plain is not None:
        yield plain
    wrapped = signatures.der_numbers(answer)
    if wrapped is not None:
        yield wrapped


def _representatives(key: RsaKey, answer: bytes) -> Iterator[bytes]:
    """What the signature decrypts to, without leading zeros (Australia's moduli leave some); or its complement.

    A signer may send the smaller of s and n - s (ISO/IEC 9796-2 §8); the last four bits tell, being those of 12.
    """
    signature = int.from_bytes(answer, "big")
    if not 1 < signature < key.n:
        return
    recovered = pow(signature, key.e, key.n)
    for number in (recovered, key.n - recovered):
        if number & 0x0F == 0x0C:
            yield number.to_bytes((number.bit_length() + 7) // 8, "big")


def _message_holds(block: bytes, nonce: bytes) -> bool:
    """Whether a message representative is 6A ‖ M1 ‖ hash(M1 ‖ challenge) ‖ trailer."""
    if len(block) < 3:
        return False
    digests: tuple[str, ...]
    if block[-1] == _SHORT_TRAILER:
        # The hash is agreed on elsewhere: SHA-1 by the standard, others are seen too.
        digests, end = _DIGESTS, len(block) - 1
    elif block[-1] == _LONG_TRAILER and block[-2] in _DIGESTS_BY_TRAILER:
        digests, end = (_DIGESTS_BY_TRAILER[block[-2]],), len(block) - 2
    else:
        return False
    start = _start_of_message(block)
    if start is None:
        return False
    for digest in digests:
        middle = end - hashlib.new(digest).digest_size
        if middle < start:
            continue
        hashed = hashlib.new(digest, block[start:middle] + nonce).digest()
        if hmac.compare_digest(hashed, block[middle:end]):
            return True
    return False


def _start_of_message(block: bytes) -> int | None:
    """Where M1 begins: behind a header of 01 (two bits), "more follows" (1) and zeros, closed by a border nibble A.

    A block too long for its message is filled with B nibbles: 6B BB … BA (ISO/IEC 9796-2 §8.2).
    """
    if block[0] == 0x6A:
        return 1
    if block[0] != 0x6B:
        return None
    at = 1
    while at < len(block) and block[at] == 0xBB:
        at += 1
    return at + 1 if at < len(block) and block[at] == 0xBA else None

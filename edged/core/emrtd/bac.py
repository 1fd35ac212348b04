"""Basic access control, the terminal's side (Doc 9303-11 §4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core.emrtd.access_refusals import accepted, proven
from edged.core.emrtd.apdu import EXTERNAL_AUTHENTICATE, GET_CHALLENGE, Command
from edged.core.emrtd.domains import SECRETS, Draw
from edged.core.emrtd.session_keys import SessionKeys, session_keys
from edged.core.emrtd.steps import Exchange, ask
from edged.core.emrtd.suites import (
    DES3,
    FOR_ENCRYPTION,
    FOR_MAC,
    MAC_OCTETS,
    decrypt,
    derive_key,
    encrypt,
    mac,
    same,
    sha,
)
from edged.errors import ChipError

if TYPE_CHECKING:
    from edged.core.emrtd.access_keys import AccessKey

CHALLENGE_OCTETS: Final = 8
SEED_OCTETS: Final = 16
CRYPTOGRAM_OCTETS: Final = 2 * CHALLENGE_OCTETS + SEED_OCTETS


def document_keys(key: AccessKey) -> tuple[bytes, bytes]:
    """K_Enc and K_MAC of a document (Doc 9303-11 §4.3.2). Raises `ChipError` ("chip.bac_needs_mrz") for a CAN."""
    if not key.opens_bac:
        raise ChipError("chip.bac_needs_mrz")
    seed = sha(20, key.octets())[:SEED_OCTETS]
    return derive_key(DES3, seed, FOR_ENCRYPTION), derive_key(DES3, seed, FOR_MAC)


def bac_session(seed: bytes, chip_challenge: bytes, terminal_challenge: bytes) -> SessionKeys:
    """Session keys, and the counter made of both challenges' last octets (Doc 9303-11 §9.8.2)."""
    counter = int.from_bytes(chip_challenge[4:] + terminal_challenge[4:], "big")
    return session_keys(DES3, seed, counter)


def establish_bac(key: AccessKey, draw: Draw = SECRETS) -> Exchange[SessionKeys]:
    """Open the selected application.

    Raises `ChipError`: "chip.wrong_key", "chip.key_blocked", "chip.bac_needs_mrz", or "chip.bac_failed" for a chip
    that doesn't follow the protocol.
    """
    encryption, authentication = document_keys(key)
    response = yield from ask(Command(GET_CHALLENGE, ne=CHALLENGE_OCTETS))
    theirs = accepted(response, "chip.bac_failed")
    if len(theirs) != CHALLENGE_OCTETS:
        raise ChipError("chip.bac_failed", "challenge")
    ours, our_half = draw.octets(CHALLENGE_OCTETS), draw.octets(SEED_OCTETS)
    cryptogram = encrypt(DES3, encryption, ours + theirs + our_half)
    proof = cryptogram + mac(DES3, authentication, cryptogram)
    response = yield from ask(Command(EXTERNAL_AUTHENTICATE, data=proof, ne=len(proof)))
    answer = proven(response, "chip.bac_failed")
    if len(answer) != CRYPTOGRAM_OCTETS + MAC_OCTETS:
        raise ChipError("chip.bac_failed", "length")
    cryptogram, tag = answer[:CRYPTOGRAM_OCTETS], answer[CRYPTOGRAM_OCTETS:]
    if not same(mac(DES3, authentication, cryptogram), tag):
        raise ChipError("chip.bac_failed", "mac")
    plain = decrypt(DES3, encryption, cryptogram)
    if not same(plain[: 2 * CHALLENGE_OCTETS], theirs + ours):
        raise ChipError("chip.bac_failed", "echo")
    their_half = plain[2 * CHALLENGE_OCTETS :]
    seed = bytes(left ^ right for left, right in zip(our_half, their_half, strict=True))
    return bac_session(seed, theirs, ours)

"""Basic access control as the card does it (Doc 9303-11 §4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core.emrtd import suites
from edged.emulator.channel import Channel

if TYPE_CHECKING:
    from edged.emulator.chance import Chance

CHALLENGE_OCTETS: Final = 8
KEY_OCTETS: Final = 16
DATA_OCTETS: Final = 2 * CHALLENGE_OCTETS + KEY_OCTETS + suites.MAC_OCTETS


def authenticate(
    mrz_information: bytes, challenge: bytes, data: bytes, chance: Chance
) -> tuple[bytes, Channel] | None:
    """The answer to External Authenticate and the session it opens; None when the terminal doesn't know the MRZ."""
    seed = suites.sha(20, mrz_information)[:KEY_OCTETS]
    encryption = suites.derive_key(suites.DES3, seed, suites.FOR_ENCRYPTION)
    mac_key = suites.derive_key(suites.DES3, seed, suites.FOR_MAC)
    if len(data) != DATA_OCTETS:
        return None
    cryptogram, mac = data[: -suites.MAC_OCTETS], data[-suites.MAC_OCTETS :]
    if not suites.same(suites.mac(suites.DES3, mac_key, cryptogram), mac):
        return None
    opened = suites.decrypt(suites.DES3, encryption, cryptogram)
    theirs, ours, their_key = opened[:8], opened[8:16], opened[16:]
    if not suites.same(ours, challenge):
        return None
    our_key = chance.octets(KEY_OCTETS)
    sealed = suites.encrypt(suites.DES3, encryption, challenge + theirs + our_key)
    answer = sealed + suites.mac(suites.DES3, mac_key, sealed)
    secret = bytes(a ^ b for a, b in zip(their_key, our_key, strict=True))
    return answer, Channel.derived(suites.DES3, secret, int.from_bytes(challenge[4:] + theirs[4:], "big"))

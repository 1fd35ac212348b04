"""The pseudo-random function of PACE's integrated mapping (Doc 9303-11 §4.4.3.3.2)."""

from __future__ import annotations

from typing import Final

from edged.core.emrtd import suites

_C0_SHORT: Final = bytes.fromhex("a668892a7c41e3ca739f40b057d85904")
_C1_SHORT: Final = bytes.fromhex("a4e136ac725f738b01c1f60217c188ad")
_C0_LONG: Final = bytes.fromhex("d463d65234124ef7897054986dca0a174e28df758cbaa03f240616414d5a1676")
_C1_LONG: Final = bytes.fromhex("54bd7255f0aaf831bec3423fcf39d69b6cbf066677d0faae5aadd99df8e53517")
_SURPLUS_BITS: Final = 64
"""So many more bits than p has, so that the remainder is close to uniform."""


def number(suite: suites.Suite, nonce: bytes, theirs: bytes, modulus: int) -> int:
    """R(s, t) modulo p, from the card's nonce s and the terminal's t."""
    long = suite.key_octets > 16
    c0, c1 = (_C0_LONG, _C1_LONG) if long else (_C0_SHORT, _C1_SHORT)
    bits = 8 * len(c0)
    key = suites.encrypt(suite, theirs, nonce)[: suite.key_octets]
    drawn = b""
    while 8 * len(drawn) < modulus.bit_length() + _SURPLUS_BITS:
        drawn += suites.encrypt(suite, key, c1)
        key = suites.encrypt(suite, key, c0)[: suite.key_octets]
    assert len(drawn) * 8 % bits == 0
    return int.from_bytes(drawn, "big") % modulus

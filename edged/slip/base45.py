"""Base45 (RFC 9285), strictly: the one spelling of its bytes, in the 45 characters of a QR code's alphanumeric mode."""

from __future__ import annotations

from typing import Final

from edged.errors import DecodeError

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"

_BASE: Final = 45
_VALUE: Final = {character: value for value, character in enumerate(ALPHABET)}


def encode(data: bytes) -> str:
    """Two bytes become three characters, a last one becomes two."""
    out = []
    for at in range(0, len(data) - 1, 2):
        rest, first = divmod(int.from_bytes(data[at : at + 2]), _BASE)
        third, second = divmod(rest, _BASE)
        out += [ALPHABET[first], ALPHABET[second], ALPHABET[third]]
    if len(data) % 2:
        second, first = divmod(data[-1], _BASE)
        out += [ALPHABET[first], ALPHABET[second]]
    return "".join(out)


def decode(text: str) -> bytes:
    """The bytes. Raises `DecodeError` (`slip.malformed`) for anything that `encode` doesn't write."""
    if len(text) % 3 == 1:
        raise DecodeError("slip", "slip.malformed", "base45: one character too many")
    try:
        values = [_VALUE[character] for character in text]
    except KeyError:
        raise DecodeError("slip", "slip.malformed", "base45: no such character") from None
    out = bytearray()
    for at in range(0, len(values), 3):
        group = values[at : at + 3]
        number = sum(value * _BASE**place for place, value in enumerate(group))
        size = len(group) - 1
        if number >> 8 * size:
            raise DecodeError("slip", "slip.malformed", "base45: no such group")
        out += number.to_bytes(size)
    return bytes(out)

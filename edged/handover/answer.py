"""The one answer that holds raw values, as bytes that can be overwritten.

The values go from the buffers of `HeldFields` into the line octet by octet: no Python text is made of them. What can't
be overwritten is said in `docs/integration.md`: what the kernel, OpenSSL and the application make of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from edged.handover.protocol import VERSION

if TYPE_CHECKING:
    from edged.privacy.held import HeldFields

_LONGEST: Final = 6  # octets of the longest escape, \u001f
_HEX: Final = b"0123456789abcdef"
_SHORT: Final = {0x22: 0x22, 0x5C: 0x5C, 0x0A: 0x6E, 0x0D: 0x72, 0x09: 0x74}


def taken(number: int, inspection: str, held: HeldFields) -> bytearray:
    """The line that answers a take. Whoever writes it calls `wipe` after."""
    begin = msgspec.json.encode({"v": VERSION, "id": number})[:-1]
    begin += b',"result":{"inspection":' + msgspec.json.encode(inspection) + b',"fields":{'
    keys = {name: msgspec.json.encode(name) + b':"' for name in held.names}
    # As long as it can get, at once: a buffer that grows leaves copies behind.
    most = len(begin) + 8 + sum(len(key) + 2 for key in keys.values())
    most += sum(_LONGEST * held.size(name) for name in held.names)
    line = bytearray(most)
    at = _put(line, 0, begin)
    for place, (name, key) in enumerate(keys.items()):
        at = _put(line, at, b"," * (place > 0) + key)
        with held.buffer(name) as value:
            at = _put_escaped(line, at, value)
        at = _put(line, at, b'"')
    at = _put(line, at, b"}}}\n")
    del line[at:]  # zeros
    return line


def wipe(line: bytearray) -> None:
    """Overwrite it."""
    line[:] = bytes(len(line))


def _put(line: bytearray, at: int, data: bytes) -> int:
    line[at : at + len(data)] = data
    return at + len(data)


def _put_escaped(line: bytearray, at: int, value: memoryview) -> int:
    """UTF-8 as the inside of a JSON text (RFC 8259 §7)."""
    for octet in value:
        if octet in _SHORT:
            line[at], line[at + 1] = 0x5C, _SHORT[octet]
            at += 2
        elif octet < 0x20:
            at = _put(line, at, b"\\u00")
            line[at], line[at + 1] = _HEX[octet >> 4], _HEX[octet & 15]
            at += 2
        else:
            line[at] = octet
            at += 1
    return at

"""Ways to break bytes that are made of data objects: where they stand, how long they say they are, how deep they lie.

Half of the breaking is done to the tree and leaves every length right, so that it reaches what reads the leaves.
"""

from __future__ import annotations

import random

from edged.core.emrtd.tlv import encode

_EDGES = (0, 1, 2, 0x7F, 0x80, 0x81, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)
_LENGTHS = (
    "00", "01", "7F", "80", "8100", "81FF", "820000", "82FFFF", "83FFFFFF", "8400000000", "847FFFFFFF",
    "84FFFFFFFF", "85FFFFFFFFFF", "88FFFFFFFFFFFFFFFF", "FF",
)  # fmt: skip
_TAGS = (
    "30",
    "31",
    "02",
    "04",
    "06",
    "05",
    "03",
    "A0",
    "A1",
    "24",
    "7F61",
    "7F60",
    "5F2E",
    "5F1F",
    "1F8181",
    "00",
)
_HEAD = 160
_DEEPEST = 3000
_MOST = 1 << 18
"""Octets of a broken input: four times what the largest file of a chip has."""

Node = tuple[bytes, "bytes | list[Node]"]


def header(data: bytes, at: int) -> tuple[int, int, int] | None:
    """(where the length begins, where the value does, where it ends) of a data object that lies within `data`."""
    start = at
    if at >= len(data):
        return None
    at += 1
    if data[start] & 0x1F == 0x1F:
        while at < len(data) and data[at] & 0x80 and at - start < 3:
            at += 1
        at += 1
    if at >= len(data):
        return None
    length_at, first = at, data[at]
    at += 1
    if first & 0x80:
        octets = first & 0x7F
        if not 1 <= octets <= 4 or at + octets > len(data):
            return None
        first = int.from_bytes(data[at : at + octets], "big")
        at += octets
    return (length_at, at, at + first) if at + first <= len(data) else None


def tree(data: bytes, depth: int = 0) -> list[Node] | None:
    """The data objects that `data` is made of; None when it isn't made of any. Octet strings are looked into."""
    found: list[Node] = []
    at = 0
    while at < len(data):
        place = header(data, at)
        if place is None or len(found) > 400:
            return None
        length_at, value_at, end = place
        value = data[value_at:end]
        inner = None
        if depth < 12 and value and (data[at] & 0x20 or data[at] == 0x04):
            inner = tree(value, depth + 1)
        found.append((data[at:length_at], value if inner is None else inner))
        at = end
    return found


def assembled(nodes: list[Node]) -> bytes:
    """The bytes of a tree again, lengths shortest."""
    parts = []
    for tag, value in nodes:
        octets = value if isinstance(value, bytes) else assembled(value)
        parts.append(tag + encode(0, octets)[1:])
    return b"".join(parts)


def broken(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """`data` after one to four accidents; `other` lends parts."""
    for _ in range(draw.choice((1, 1, 1, 2, 2, 4))):
        data = _in_the_tree(data, other, draw) if draw.random() < 0.5 else _in_the_bytes(data, other, draw)
        data = data[:_MOST]
    return data


def _in_the_bytes(data: bytes, other: bytes, draw: random.Random) -> bytes:
    out = bytearray(data or b"\0")
    at = draw.randrange(min(_HEAD, len(out)) if draw.random() < 0.6 else len(out))
    match draw.randrange(10):
        case 0 | 1:
            out[at] ^= 1 << draw.randrange(8)
        case 2:
            size = draw.choice((1, 2, 4))
            out[at : at + size] = (draw.choice(_EDGES) & ((1 << 8 * size) - 1)).to_bytes(size, "big")
        case 3:
            del out[at:]
        case 4:
            del out[at : at + draw.randrange(1, 40)]
        case 5:
            part = out[at : at + draw.randrange(1, 200)]
            out[at:at] = part * draw.choice((1, 2, 50))
        case 6:
            out[at:] = other[draw.randrange(len(other) + 1) :]
        case 7:
            out[at : at + 4] = draw.randbytes(draw.randrange(8))
        case 8:
            places = _lengths(bytes(out))
            if places:
                length_at, value_at = draw.choice(places)
                out[length_at:value_at] = bytes.fromhex(draw.choice(_LENGTHS))
        case _:
            out += draw.randbytes(draw.randrange(1, 9))
    return bytes(out)


def _lengths(data: bytes) -> list[tuple[int, int]]:
    """Where lengths stand, from the outside in."""
    found: list[tuple[int, int]] = []
    at, ends = 0, [len(data)]
    while at < len(data) and len(found) < 300:
        place = header(data[: ends[-1]], at)
        if place is None:
            break
        length_at, value_at, end = place
        found.append((length_at, value_at))
        at = value_at if data[at] & 0x20 or data[at] == 0x04 else end
    return found


def _in_the_tree(data: bytes, other: bytes, draw: random.Random) -> bytes:
    nodes = tree(data)
    if not nodes:
        return _in_the_bytes(data, other, draw)
    level, depth = nodes, draw.randrange(8)
    while depth:
        inner = [value for _, value in level if isinstance(value, list) and value]
        if not inner:
            break
        level, depth = draw.choice(inner), depth - 1
    at = draw.randrange(len(level))
    tag, value = level[at]
    octets = value if isinstance(value, bytes) else assembled(value)
    match draw.randrange(10):
        case 0 | 1:
            level[at] = (tag, _in_the_bytes(octets, other, draw))
        case 2:
            del level[at]
        case 3:
            level.insert(at, level[at])
        case 4:
            level[at:at] = [level[at]] * draw.choice((2, 17, 65, 1100))
        case 5:
            level[at] = (bytes.fromhex(draw.choice(_TAGS)), value)
        case 6:
            lent = tree(other)
            level[at] = draw.choice(lent) if lent else (tag, other)
        case 7:
            level[at] = (
                tag,
                nested(octets, bytes.fromhex(draw.choice(_TAGS)), draw.choice((1, 9, 300, _DEEPEST))),
            )
        case 8:
            draw.shuffle(level)
        case _:
            level[at] = (tag, draw.choice((b"", b"\0", b"\xff" * 33, bytes(1025), draw.randbytes(70))))
    return assembled(nodes)


def nested(octets: bytes, tag: bytes, times: int) -> bytes:
    """So many data objects around `octets`."""
    for _ in range(times):
        octets = tag + encode(0, octets)[1:]
    return octets

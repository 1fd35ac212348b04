"""Reading CBOR of strangers: deterministic encoding alone (RFC 8949 §4.2.1), and of it what a slip is made of.

Integers, byte and text strings, arrays, maps, true, false and null. No tags, floats, indefinite lengths or undefined:
what they could do to a reader (huge exponents, patterns, references) can't be asked for. Writing is cbor2's, canonical.
"""

from __future__ import annotations

from typing import Final

from edged.errors import DecodeError

Value = int | bool | bytes | str | list["Value"] | dict["Value", "Value"] | None

MAX_DEPTH: Final = 5
"""Arrays and maps within one another: a slip has three."""

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_SIMPLES: Final = {20: False, 21: True, 22: None}
_INLINE: Final = 23  # RFC 8949 §3: the argument itself; then 1, 2, 4, 8 bytes follow
_WIDEST: Final = 27


def decode(data: bytes, most: int) -> Value:
    """The one value that `data` is, of at most `most` bytes. Raises `DecodeError` (`slip.malformed`)."""
    if len(data) > most:
        raise _malformed("too long")
    value, at = _item(data, 0, MAX_DEPTH)
    if at != len(data):
        raise _malformed("something follows")
    return value


def _malformed(detail: str) -> DecodeError:
    return DecodeError("slip", "slip.malformed", f"CBOR: {detail}")


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    """Major type, argument and where the content begins."""
    if at >= len(data):
        raise _malformed("cut short")
    major, argument = data[at] >> 5, data[at] & 0x1F
    at += 1
    if argument <= _INLINE:
        return major, argument, at
    if argument > _WIDEST or major == _SIMPLE:
        raise _malformed("not of this form")
    size = 1 << (argument - _INLINE - 1)
    if at + size > len(data):
        raise _malformed("cut short")
    value = int.from_bytes(data[at : at + size])
    if value <= _INLINE or (size > 1 and value < 1 << 4 * size):
        raise _malformed("not the shortest form")
    return major, value, at + size


def _item(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    major, argument, at = _head(data, at)
    if major == _UNSIGNED:
        return argument, at
    if major == _NEGATIVE:
        return -1 - argument, at
    if major in (_BYTES, _TEXT):
        return _string(data, at, argument, text=major == _TEXT)
    if major == _SIMPLE and argument in _SIMPLES:
        return _SIMPLES[argument], at
    if major in (_ARRAY, _MAP) and depth and argument <= len(data):
        return _array(data, at, argument, depth) if major == _ARRAY else _map(data, at, argument, depth)
    raise _malformed("not of this form")


def _string(data: bytes, at: int, size: int, *, text: bool) -> tuple[Value, int]:
    end = at + size
    if end > len(data):
        raise _malformed("cut short")
    if not text:
        return data[at:end], end
    try:
        return data[at:end].decode("utf-8"), end
    except UnicodeDecodeError:
        raise _malformed("not UTF-8") from None


def _array(data: bytes, at: int, count: int, depth: int) -> tuple[Value, int]:
    items = []
    for _ in range(count):
        item, at = _item(data, at, depth - 1)
        items.append(item)
    return items, at


def _map(data: bytes, at: int, count: int, depth: int) -> tuple[Value, int]:
    found: dict[Value, Value] = {}
    last = b""
    for _ in range(count):
        start = at
        key, at = _item(data, at, 0)
        if data[start:at] <= last:
            raise _malformed("keys out of order")
        last = data[start:at]
        found[key], at = _item(data, at, depth - 1)
    return found, at

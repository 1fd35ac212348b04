"""Finding a signed message in what people have: a log line, a JSON field, base64 of it, a copy with line breaks.

Each wrapping that is taken off is named: in an integration each is a mistake, because a message's name is the hash of
its exact bytes. Pure; bounded by the size of what is given.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_INPUT: Final = 1 << 20
"""A signed message is 64 KiB at most; a line of a log around it, wrapped a few times, is far below this."""

_MAX_LAYERS: Final = 6
_MAX_DEPTH: Final = 6

_COMPACT: Final = re.compile(rb"[^\s.{}\[\]\"',:]+\.[^\s.{}\[\]\"',:]+\.[^\s.{}\[\]\"',:]*")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]+={0,2}")
_HEX: Final = re.compile(rb"(?:[0-9a-fA-F]{2})+")
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_HEADER_START: Final = b"eyJ"
"""How every JSON object begins in base64url."""


class Wrapping(msgspec.Struct, frozen=True):
    """Something that was around the message: a code, and the name of the field it was in, where there was one."""

    code: str
    field: str = ""


class Unwrapped(msgspec.Struct, frozen=True):
    """What was found; `message` is None where `code` says what was given instead of one."""

    message: bytes | None
    wrappings: tuple[Wrapping, ...]
    topic: str | None = None
    """The topic that stood beside it."""
    code: str | None = None


class _Other(Exception):  # noqa: N818  # not an error: what else was given
    def __init__(self, code: str) -> None:
        self.code = code


def unwrap(data: bytes) -> Unwrapped:
    """Take off what is around a message, white space at the ends without a word."""
    wrappings: list[Wrapping] = []
    topic: str | None = None
    try:
        for _ in range(_MAX_LAYERS):
            data = data.strip()
            found = _layer(data)
            if found is None:
                return Unwrapped(data, tuple(wrappings), topic)
            wrapping, data, beside = found
            wrappings.append(wrapping)
            topic = beside or topic
    except _Other as other:
        return Unwrapped(None, tuple(wrappings), topic, other.code)
    return Unwrapped(None, tuple(wrappings), topic, "check.no_message")


def _layer(data: bytes) -> tuple[Wrapping, bytes, str | None] | None:
    """The outermost wrapping, what is in it, and a topic beside that; None when there is none."""
    if not data:
        raise _Other("check.nothing")
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return Wrapping("check.byte_order_mark"), _again(data, encoding), None
    if data[:1] in b"{[":
        return _from_json(data)
    if (quoted := re.fullmatch(rb"b?(['\"`])(.*)\1", data, re.DOTALL)) is not None:
        return Wrapping("check.quotes"), _unquoted(data, quoted[2]), None
    if data.startswith(b"-----BEGIN "):
        return _from_pem(data)
    parts = data.count(b".") + 1
    if parts == 5 and data.startswith(_HEADER_START):
        raise _Other("check.encrypted")
    if parts == 3:
        squeezed = b"".join(data.split())
        if squeezed != data and _COMPACT.fullmatch(squeezed):
            return Wrapping("check.line_breaks"), squeezed, None
        return None
    if parts == 1:
        return _from_text(b"".join(data.split()))
    return None


def _unquoted(data: bytes, inner: bytes) -> bytes:
    """What a string says: as JSON where it is that, else what stands between the quotation marks."""
    try:
        return str(json.loads(data)).encode()
    except (ValueError, RecursionError):
        return inner


def _again(data: bytes, encoding: str) -> bytes:
    try:
        return data.decode(encoding).encode("utf-8")
    except UnicodeDecodeError:
        raise _Other("check.no_message") from None


def _from_text(data: bytes) -> tuple[Wrapping, bytes, None] | None:
    """Base64 or hexadecimal digits of a message or of what wraps one."""
    for code, pattern, decode in (
        ("check.hexadecimal", _HEX, binascii.unhexlify),
        ("check.base64", _BASE64, _unbase64),
    ):
        if pattern.fullmatch(data):
            try:
                inner = decode(data)
            except ValueError:
                continue
            if inner.lstrip()[:3] == _HEADER_START or inner.lstrip()[:1] in (b"{", b'"', b"-"):
                return Wrapping(code), inner, None
    return None


def _unbase64(data: bytes) -> bytes:
    standard = data.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    return base64.b64decode(standard + b"=" * (-len(standard) % 4), validate=True)


def _from_pem(data: bytes) -> tuple[Wrapping, bytes, None]:
    block = _PEM.search(data)
    if block is None or b"CERTIFICATE" in block[1]:
        raise _Other("check.a_certificate" if b"CERTIFICATE" in data[:64] else "check.no_message")
    if b"KEY" in block[1]:
        raise _Other("check.a_key")
    try:
        inner = _unbase64(b"".join(block[2].split()))
    except ValueError:
        inner = block[2].strip()  # armour around the message itself
    return Wrapping("check.pem"), inner, None


def _from_json(data: bytes) -> tuple[Wrapping, bytes, str | None]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        found = _COMPACT.search(data)
        if found is None:
            raise _Other("check.no_message") from None
        return Wrapping("check.text_around"), found[0], None
    if isinstance(value, dict):
        if isinstance(value.get("verdict"), dict) or isinstance(value.get("gap"), dict):
            raise _Other("check.our_output")
        if (compact := _from_json_serialisation(value)) is not None:
            return Wrapping("check.json_serialisation"), compact, None
        if {"iss", "fleet"} <= value.keys():
            raise _Other("check.payload_alone")
        if {"state", "device", "log_id"} <= value.keys():
            raise _Other("check.a_status")
    for field, inner in _candidates(value, "", 0):
        topic = value.get("topic") if isinstance(value, dict) else None
        return Wrapping("check.json_field", field), inner, topic if isinstance(topic, str) else None
    raise _Other("check.no_message")


def _from_json_serialisation(value: dict[str, Any]) -> bytes | None:
    """RFC 7515 §7.2, flattened or general with one signature, as the compact form of the same."""
    match value:
        case {"payload": str(payload), "protected": str(head), "signature": str(signature)}:
            return f"{head}.{payload}.{signature}".encode()
        case {"payload": str(payload), "signatures": [{"protected": str(head), "signature": str(signature)}]}:
            return f"{head}.{payload}.{signature}".encode()
    return None


def _candidates(value: Any, field: str, depth: int) -> Iterator[tuple[str, bytes]]:
    """Texts and buffers inside a JSON value that may be or wrap a message."""
    if depth > _MAX_DEPTH:
        return
    match value:
        case str(text) if (data := text.strip().encode()) and _promising(data):
            yield field, data
        case {"type": "Buffer", "data": list(numbers)} if all(
            isinstance(n, int) and 0 <= n < 256 for n in numbers
        ):
            yield field, bytes(numbers)
        case dict(members):
            for name, member in members.items():
                yield from _candidates(member, name, depth + 1)
        case list(items):
            for item in items:
                yield from _candidates(item, field, depth + 1)


def _promising(data: bytes) -> bool:
    if data.startswith(_HEADER_START) and data.count(b".") == 2:
        return True
    if data[:1] == b"{":
        return b"." in data or b'"signature"' in data
    found = _from_text(data) if b"." not in data else None
    return found is not None

"""What `edged.privacy.leakviews` decodes, written as plainly as can be: slow, and what its kernel is compared with."""

from __future__ import annotations

import binascii
import functools
import re
import zlib
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.privacy.leakviews import MAX_INFLATED, SEPARATOR, View

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MIN_RUN: Final = 6  # base64 of four bytes: shorter values are not searched for
_CHUNK: Final = 16 * 1024

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{%d,}" % _MIN_RUN)
_WRAPPED = re.compile(rb"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]{40,76}(?:\r?\n|\\r\\n|\\n))+[A-Za-z0-9+/]*")
_LINE_END = re.compile(rb"\r?\n|\\r\\n|\\n")
_HEX = re.compile(rb"[0-9A-Fa-f]{8,}")
_HEX_SEPARATED = re.compile(rb"[0-9A-Fa-f]{2}(?:[ :,-][0-9A-Fa-f]{2}){3,}")
_NOT_HEX = re.compile(rb"[^0-9A-Fa-f]")
_ESCAPE = re.compile(
    rb"%([0-9A-Fa-f]{2})|\\+x([0-9A-Fa-f]{2})|\\+u([0-9A-Fa-f]{4})|&#x([0-9A-Fa-f]{1,4});|&#([0-9]{1,5});"
    # U+00A0, U+00AD, U+00B7; U+2000–U+206F; U+3000–U+3002, U+30FB; U+FEFF
    rb"|\xc2[\xa0\xad\xb7]|\xe2(?:\x80[\x80-\xbf]|\x81[\x80-\xaf])|\xe3(?:\x80[\x80-\x82]|\x83\xbb)|\xef\xbb\xbf"
)
_BASE45_ALPHABET: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"  # RFC 9285 §4.2
_BASE45 = re.compile(rb"[0-9A-Z $%*+./:-]{9,}")  # six octets
_UTF16 = re.compile(rb"(?:[\t\n\r -~]\0){4,}|(?:\0[\t\n\r -~]){4,}")
_GZIP = re.compile(rb"\x1f\x8b\x08")
_ZLIB = re.compile(rb"[\x08\x18\x28\x38\x48\x58\x68\x78](?=[\x00-\xff])", re.DOTALL)
_ZIP = re.compile(rb"PK\x03\x04")
_STANDARD = bytes.maketrans(b"-_", b"+/")


class _Piece(NamedTuple):
    start: int
    data: bytes
    complete: bool = True


def decoded(view: View) -> Iterator[View]:
    """Every view of one level further."""
    data = view.data
    yield from _unescaped(view)
    for encoding, pieces in (
        ("utf-16", _utf16(data)),
        ("compressed", _inflated(data)),
        ("hex", _hex(data)),
        *(("base64", _base64(data, phase)) for phase in range(4)),
        *(("base45", _base45(data, phase)) for phase in range(3)),
    ):
        yield from _joined(encoding, pieces, view)


def _name(encoding: str, view: View) -> str:
    return encoding if view.encoding == "plain" else f"{view.encoding}/{encoding}"


def _joined(encoding: str, pieces: Iterable[_Piece], view: View) -> Iterator[View]:
    """Many short pieces as one view: a log line has dozens of runs, and a view each would take hours."""
    found = list(pieces)
    if not found:
        return
    positions, starts, length = [], [], 0
    for piece in found:
        positions.append(length)
        starts.append(piece.start)
        length += len(piece.data) + len(SEPARATOR)

    def offset(position: int) -> int:
        return view.offset(starts[bisect_right(positions, position) - 1])

    yield View(
        SEPARATOR.join(piece.data for piece in found),
        _name(encoding, view),
        offset,
        complete=all(piece.complete for piece in found),
    )


def _utf16(data: bytes) -> Iterator[_Piece]:
    """ASCII in UTF-16; the scanner searches for other characters in UTF-16 by itself."""
    for match in _UTF16.finditer(data):
        yield _Piece(match.start(), match[0].replace(b"\0", b""))


def _unescaped(view: View) -> Iterator[View]:
    positions, places, out, last, length = [0], [0], [], 0, 0
    for match in _ESCAPE.finditer(view.data):
        plain = view.data[last : match.start()]
        character = _meant(match)
        out += [plain, character]
        positions += [length + len(plain), length + len(plain) + len(character)]
        places += [match.start(), match.end()]
        length += len(plain) + len(character)
        last = match.end()
    if not out:
        return

    def offset(position: int) -> int:
        index = bisect_right(positions, position) - 1
        return view.offset(places[index] + position - positions[index])

    yield View(b"".join(out) + view.data[last:], _name("escaped", view), offset)


def _meant(match: re.Match[bytes]) -> bytes:
    """What an escape stands for."""
    octet, code, decimal = match[1] or match[2], match[3] or match[4], match[5]
    if octet:
        return bytes.fromhex(octet.decode())
    if code or decimal:
        number = int(code, 16) if code else int(decimal)
        return chr(number).encode("utf-8", "surrogatepass")
    return b" "


def _base45(data: bytes, phase: int) -> Iterator[_Piece]:
    """Every run, decoded as if its first `phase` characters weren't part of it; what can't be base45 parts it."""
    table = _base45_table()
    for match in _BASE45.finditer(data):
        run = match[0]
        end = len(run) - (len(run) - phase) % 3
        triples = (run[at : at + 3] for at in range(phase, end, 3))
        # Two characters are the last octet of an odd number of them; what follows belongs to something else.
        out = [table.get(triple) or table.get(triple[:2], b"") + b"\xff" for triple in triples]
        if len(run) - end == 2:
            out.append(table.get(run[end:], b""))
        yield _Piece(match.start(), b"".join(out))


@functools.cache
def _base45_table() -> dict[bytes, bytes]:
    """What three characters mean, and what two do (RFC 9285 §4)."""
    digits = [bytes([character]) for character in _BASE45_ALPHABET]
    table = {}
    for low, c in enumerate(digits):
        for middle, d in enumerate(digits):
            if low + 45 * middle < 1 << 8:
                table[c + d] = bytes([low + 45 * middle])
            for high, e in enumerate(digits):
                number = low + 45 * middle + 45 * 45 * high
                if number < 1 << 16:
                    table[c + d + e] = number.to_bytes(2, "big")
    return table


def _base64(data: bytes, phase: int) -> Iterator[_Piece]:
    """Every run, decoded as if its first `phase` characters weren't part of it."""
    for match in _BASE64.finditer(data):
        yield from _base64_run(match.start(), match[0], phase)
    for match in _WRAPPED.finditer(data):
        yield from _base64_run(match.start(), _LINE_END.sub(b"", match[0]), phase)


def _base64_run(start: int, run: bytes, phase: int) -> Iterator[_Piece]:
    body = run[phase:].translate(_STANDARD)
    if len(body) % 4 == 1:  # one character holds no byte
        body = body[:-1]
    if len(body) >= _MIN_RUN:
        yield _Piece(start, binascii.a2b_base64(body + b"=" * (-len(body) % 4)))


def _hex(data: bytes) -> Iterator[_Piece]:
    for match in _HEX.finditer(data):
        for phase in range(2):
            run = match[0][phase:]
            yield _Piece(match.start(), binascii.unhexlify(run[: len(run) // 2 * 2]))
    for match in _HEX_SEPARATED.finditer(data):
        yield _Piece(match.start(), binascii.unhexlify(_NOT_HEX.sub(b"", match[0])))


def _inflated(data: bytes) -> Iterator[_Piece]:
    for match in _GZIP.finditer(data):
        yield from _inflate(data, match.start(), match.start(), zlib.MAX_WBITS | 16)
    for match in _ZLIB.finditer(data):
        start = match.start()
        header = data[start] << 8 | data[start + 1]
        if header % 31 == 0 and not header & 0x20:  # RFC 1950 §2.2: check bits, no preset dictionary
            yield from _inflate(data, start, start, zlib.MAX_WBITS)
    for match in _ZIP.finditer(data):
        header_end = match.start() + 30  # APPNOTE.TXT §4.3.7: fixed part, then a name and an extra field
        lengths = data[header_end - 4 : header_end]
        names = int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
        yield from _inflate(data, match.start(), header_end + names, -zlib.MAX_WBITS)


def _inflate(data: bytes, start: int, body: int, window: int) -> Iterator[_Piece]:
    """What a member gives before it ends, breaks or grows too large; broken ones keep what came first."""
    inflater = zlib.decompressobj(window)
    out = bytearray()
    at = body
    while at < len(data) and not inflater.eof and len(out) < MAX_INFLATED:
        try:
            out += inflater.decompress(data[at : at + _CHUNK], MAX_INFLATED - len(out))
        except zlib.error:
            break  # most candidates are chance: two bytes that look like a header
        at += _CHUNK
    if len(out) >= 4:
        yield _Piece(start, bytes(out), complete=len(out) < MAX_INFLATED)

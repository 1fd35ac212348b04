"""Every way in which bytes may hide other bytes: the decoded views that `edged.privacy.leakscan` searches.

Nothing here trusts a format: an encoded run is taken wherever its alphabet stands, at every alignment, nested
up to `MAX_DEPTH` deep. JSON Web Signatures need no case of their own: a dot ends a run of base64url.

Decoded: base64 and base64url (wrapped lines too), base45, hex (with or without separators), percent and backslash
escapes and HTML's numbers, ASCII in UTF-16, gzip, zlib and ZIP members; spaces and signs of Unicode between letters,
seen or unseen, become spaces. Not decoded: encryption, other compressors,
pictures.
"""

from __future__ import annotations

import binascii
import re
import zlib
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.core import _fastruns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MAX_DEPTH: Final = 4
"""Encodings within encodings: a JWS in a compressed base64 attachment is 3."""

MAX_INFLATED: Final = 32 * 1024 * 1024
"""Bytes taken from one compressed member: a bomb must not end the scan of everything else."""

MAX_TOTAL: Final = 512 * 1024 * 1024
"""Bytes of all views together."""

REACH: Final = 1024
"""Octets on either side of an escape that are searched with it undone: a whole MRZ in UTF-16, in hex, in base64 has
half as many. Without the escape undone all of them are searched anyway."""

SEPARATOR: Final = b"\n\n\xff\n\n"
"""Between pieces of one view: printable on either side, and no text matches across 0xFF."""

_CHUNK: Final = 16 * 1024
_BETWEEN: Final = frozenset(b"\t\n\r\"'(),;<=>?@[]\\^`{|}~!#&")
"""Octets that are in no alphabet of an encoding, and not of a word in any script."""
_AROUND: Final = 2  # octets that are looked at beside a short match

_WRAPPED = re.compile(rb"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]{40,76}(?:\r?\n|\\r\\n|\\n))+[A-Za-z0-9+/]*")
_HEX_SEPARATED = re.compile(rb"[0-9A-Fa-f]{2}(?:[ :,-][0-9A-Fa-f]{2}){3,}")
_NOT_HEX = re.compile(rb"[^0-9A-Fa-f]")
_ESCAPE = re.compile(
    rb"%([0-9A-Fa-f]{2})|\\+x([0-9A-Fa-f]{2})|\\+u([0-9A-Fa-f]{4})|&#x([0-9A-Fa-f]{1,4});|&#([0-9]{1,5});"
    # U+00A0, U+00AD, U+00B7; U+2000–U+206F; U+3000–U+3002, U+30FB; U+FEFF
    rb"|\xc2[\xa0\xad\xb7]|\xe2(?:\x80[\x80-\xbf]|\x81[\x80-\xaf])|\xe3(?:\x80[\x80-\x82]|\x83\xbb)|\xef\xbb\xbf"
)
_BASE45 = re.compile(rb"[0-9A-Z $%*+./:-]{9,}")  # six octets


class View(NamedTuple):
    """Bytes that the scanned ones contain.

    `encoding` names the way to them ("plain", "compressed/base64": outermost first), `offset` turns a place
    in `data` into one in the scanned bytes: exact in plain bytes and escapes, the beginning of the outermost
    encoded run otherwise. `complete` is False when a bound cut `data` short.
    """

    data: bytes
    encoding: str
    offset: Callable[[int], int]
    complete: bool = True


class _Piece(NamedTuple):
    start: int
    data: bytes
    complete: bool = True


def views(data: bytes) -> Iterator[View]:
    """`data` itself and everything that can be decoded out of it, nearest first."""
    level = [View(data, "plain", int)]
    total = 0
    for _depth in range(MAX_DEPTH):
        following: list[View] = []
        for view in level:
            total += len(view.data)
            if total > MAX_TOTAL:
                yield View(b"", view.encoding, view.offset, complete=False)
                return
            yield view
            following += _decoded(view)
        level = following
    yield from level


def _decoded(view: View) -> Iterator[View]:
    yield from _unescaped(view)
    yield from _joined("utf-16", view, _fastruns.utf16(view.data, SEPARATOR))
    yield from _joined("compressed", view, None, _inflated(view.data))
    runs, separated = _fastruns.hexadecimal(view.data, SEPARATOR)
    yield from _joined("hex", view, runs, _separated_hex(view.data) if separated else ())
    phases, wrapped = _fastruns.base64(view.data, SEPARATOR)
    lines = (
        [(match.start(), _unwrapped(match[0])) for match in _WRAPPED.finditer(view.data)] if wrapped else []
    )
    for phase, found in enumerate(phases):
        yield from _joined("base64", view, found, _wrapped_base64(lines, phase))
    for found in _fastruns.base45(view.data, SEPARATOR):
        yield from _joined("base45", view, found)


def _name(encoding: str, view: View) -> str:
    return encoding if view.encoding == "plain" else f"{view.encoding}/{encoding}"


def _joined(encoding: str, view: View, runs: _fastruns.Found, more: Iterable[_Piece] = ()) -> Iterator[View]:
    """Many short pieces as one view: a log line has dozens of runs, and a view each would take hours.

    `runs` are joined already; `more` comes behind them.
    """
    data, complete = b"", True
    positions: Sequence[int] = ()
    starts: Sequence[int] = ()
    if runs is not None:
        data, positions, starts = runs
    if rest := list(more):
        parts, length = [data] * (runs is not None), len(data) + len(SEPARATOR) * (runs is not None)
        positions, starts = [*positions], [*starts]
        for piece in rest:
            positions.append(length)
            starts.append(piece.start)
            parts.append(piece.data)
            length += len(piece.data) + len(SEPARATOR)
        data, complete = SEPARATOR.join(parts), all(piece.complete for piece in rest)
    if not positions:
        return

    def offset(position: int) -> int:
        return view.offset(starts[bisect_right(positions, position) - 1])

    yield View(data, _name(encoding, view), offset, complete)


def _unescaped(view: View) -> Iterator[View]:
    """The bytes with their escapes undone; of decoded ones, most of which mean nothing, what is near an escape."""
    data, found, last = view.data, [], 0
    for at in _fastruns.escapes(data):
        match = _ESCAPE.match(data, at) if at >= last else None
        if match is not None:
            found.append(match)
            last = match.end()
    if not found:
        return
    positions: list[int] = []
    places: list[int] = []
    out: list[bytes] = []
    length = 0

    def add(part: bytes, place: int) -> None:
        """`part` stands for what begins at `place`."""
        nonlocal length
        positions.append(length)
        places.append(place)
        out.append(part)
        length += len(part)

    for first, last, begin, end in _near(found, data, len(data) if view.encoding == "plain" else REACH):
        if out:
            add(SEPARATOR, begin)
        copied = begin
        for match in found[first:last]:
            add(data[copied : match.start()], copied)
            add(_meant(match), match.start())
            copied = match.end()
        add(data[copied:end], copied)

    def offset(position: int) -> int:
        index = bisect_right(positions, position) - 1
        return view.offset(places[index] + position - positions[index])

    yield View(b"".join(out), _name("escaped", view), offset)


def _near(found: Sequence[re.Match[bytes]], data: bytes, reach: int) -> Iterator[tuple[int, int, int, int]]:
    """Stretches around escapes that lie near each other: the first of them, behind the last, from where, to where.

    A stretch ends where no word and no encoded run is cut: half of either might look like something.
    """
    first = 0
    while first < len(found):
        begin = found[first].start() - reach
        while begin > 0 and data[begin - 1] not in _BETWEEN:
            begin -= 1
        end, behind = found[first].end(), first
        while behind < len(found) and found[behind].start() - reach <= end:
            end = found[behind].end() + reach
            while end < len(data) and data[end] not in _BETWEEN:
                end += 1
            behind += 1
        yield first, behind, max(begin - _AROUND, 0), end + _AROUND
        first = behind


def _meant(match: re.Match[bytes]) -> bytes:
    """What an escape stands for."""
    octet, code, decimal = match[1] or match[2], match[3] or match[4], match[5]
    if octet:
        return bytes.fromhex(octet.decode())
    if code or decimal:
        number = int(code, 16) if code else int(decimal)
        return chr(number).encode("utf-8", "surrogatepass")
    return b" "


def _unwrapped(lines: bytes) -> bytes:
    for end in (b"\r\n", b"\n", b"\\r\\n", b"\\n"):
        lines = lines.replace(end, b"")
    return lines


def _wrapped_base64(lines: Iterable[tuple[int, bytes]], phase: int) -> Iterator[_Piece]:
    """Lines of one text, decoded as if its first `phase` characters weren't part of it."""
    for start, text in lines:
        body = text[phase:]
        if len(body) % 4 == 1:  # one character holds no byte
            body = body[:-1]
        yield _Piece(start, binascii.a2b_base64(body + b"=" * (-len(body) % 4)))


def _separated_hex(data: bytes) -> Iterator[_Piece]:
    for match in _HEX_SEPARATED.finditer(data):
        yield _Piece(match.start(), binascii.unhexlify(_NOT_HEX.sub(b"", match[0])))


def _inflated(data: bytes) -> Iterator[_Piece]:
    gzip, zlib_, zip_ = _fastruns.compressed(data)
    for at in gzip:
        yield from _inflate(data, at, at, zlib.MAX_WBITS | 16)
    for at in zlib_:
        yield from _inflate(data, at, at, zlib.MAX_WBITS)
    for at in zip_:
        header_end = at + 30  # APPNOTE.TXT §4.3.7: fixed part, then a name and an extra field
        lengths = data[header_end - 4 : header_end]
        names = int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
        yield from _inflate(data, at, header_end + names, -zlib.MAX_WBITS)


def _inflate(data: bytes, start: int, body: int, window: int) -> Iterator[_Piece]:
    """What a member gives before it ends, breaks or grows too large; broken ones keep what came first."""
    inflater, source = zlib.decompressobj(window), memoryview(data)
    out = bytearray()
    at = body
    while at < len(data) and not inflater.eof and len(out) < MAX_INFLATED:
        try:
            out += inflater.decompress(source[at : at + _CHUNK], MAX_INFLATED - len(out))
        except zlib.error:
            break  # most candidates are chance: two bytes that look like a header
        at += _CHUNK
    if len(out) >= 4:
        yield _Piece(start, bytes(out), complete=len(out) < MAX_INFLATED)

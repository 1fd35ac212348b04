"""The fast decoding of what may hide raw identity: it sees all that a plain one sees, at the same places."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import random
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged import auditing
from edged.core import _fastruns
from edged.privacy import leakviews
from edged.privacy.leaksieve import Sieve
from edged.privacy.leakviews import SEPARATOR, View
from tests import leakviews_plain
from tests.test_privacy_leakscan import ENCODERS, SCANNER

if TYPE_CHECKING:
    from pathlib import Path

FRAGMENTS = st.one_of(
    st.binary(max_size=40),
    st.text("ABCabc019+/-_=", max_size=30).map(str.encode),
    st.text("0123456789abcdefABCDEF:, -", max_size=40).map(str.encode),
    st.text("0123456789ABCXYZ $%*+-./:", max_size=30).map(str.encode),
    st.binary(max_size=60).map(base64.b64encode),
    st.binary(max_size=150).map(base64.encodebytes),
    st.binary(max_size=150).map(base64.encodebytes).map(lambda data: data.replace(b"\n", b"\r\n")),
    st.binary(max_size=150).map(lambda data: json.dumps(base64.encodebytes(data).decode()).encode()),
    st.binary(max_size=30).map(binascii.hexlify),
    st.binary(max_size=12).map(lambda data: data.hex(":").encode()),
    st.binary(max_size=60).map(zlib.compress),
    st.binary(max_size=60).map(lambda data: zlib.compress(data, 0)),
    st.binary(max_size=60).map(lambda data: gzip.compress(data, mtime=0)),
    st.text(max_size=12).map(lambda text: text.encode("utf-16-le", "surrogatepass")),
    st.text("abc \n09", max_size=12).map(lambda text: text.encode("utf-16-be")),
    st.sampled_from(
        [
            *(b"%41", b"%4", b"\\x41", b"\\\\u0041", b"\\u004", b"&#65;", b"&#x41;", b"&#", b"\xc2\xa0"),
            *(b"\xe2\x80\x8b", b"\xe2\x81\xaf", b"\xe3\x83\xbb", b"\xef\xbb\xbf", b"\xe2\x80", b"\xc2", b"%"),
            *(b"PK\x03\x04", b"\x1f\x8b\x08", b"\x78\x9c", b"\x78\x01", b"\0", b"\0a\0b\0c\0d"),
        ]
    ),
)


def level(views: list[View], length: int) -> list[tuple[str, bytes, list[int], bool]]:
    """What a level holds, comparably: of every view the place of every tenth octet and of those around pieces."""
    return [
        (view.encoding, view.data, [view.offset(at) for at in range(0, len(view.data), 3)], view.complete)
        for view in views
    ]


@given(st.lists(FRAGMENTS, max_size=12).map(b"".join))
@settings(max_examples=400, deadline=None)
def test_it_decodes_what_the_plain_one_decodes(data: bytes) -> None:
    view = View(data, "plain", int)
    fast, plain = list(leakviews._decoded(view)), list(leakviews_plain.decoded(view))
    assert level(fast, len(data)) == level(plain, len(data))


@pytest.mark.parametrize("seed", range(4))
def test_it_does_so_of_long_ones(seed: int) -> None:
    noise = random.Random(seed)
    parts = [
        noise.randbytes(3000),
        base64.encodebytes(noise.randbytes(3000)),
        noise.randbytes(900).hex().encode(),
    ]
    noise.shuffle(parts)
    view = View(b" ".join(parts), "plain", int)
    assert level(list(leakviews._decoded(view)), 0) == level(list(leakviews_plain.decoded(view)), 0)


@given(
    st.binary(max_size=400),
    st.lists(st.binary(min_size=1, max_size=20), max_size=20),
    st.lists(st.tuples(st.integers(0, 380), st.integers(1, 20)), max_size=10),
)
@settings(max_examples=200, deadline=None)
def test_a_sieve_lets_nothing_through_that_is_there(
    data: bytes, strange: list[bytes], cut: list[tuple[int, int]]
) -> None:
    strings = [*strange, *(part for at, size in cut if (part := data[at : at + size]))]
    held = Sieve((text, text) for text in strings).may_hold(data)
    assert {text for text in strings if text in data} <= {*held}
    lowered, dropped = bytes(range(256)).lower(), b" <-\n"
    bare = data.translate(lowered, dropped)
    strings = [text.translate(lowered, dropped) for text in strings]
    held = Sieve(((text, text) for text in strings), lowered=lowered, dropped=dropped).may_hold(data)
    assert {text for text in strings if text in bare} <= {*held}


def test_a_sieve_holds_back_what_is_not_there() -> None:
    noise = random.Random(1)
    strings = [noise.randbytes(12) for _ in range(3000)] + [noise.randbytes(5) for _ in range(3000)]
    data = noise.randbytes(200_000) + strings[7] + strings[4007]
    assert set(Sieve((text, text) for text in strings).may_hold(data)) == {strings[7], strings[4007]}


def junk(seed: int, size: int) -> bytes:
    """Octets that mean nothing and begin no escape, as decoded at the wrong place."""
    noise = random.Random(seed)
    return bytes(noise.choice(range(0x90, 0xC0)) for _ in range(size))


@pytest.mark.parametrize("far", [0, 1, 100, leakviews.REACH - 20, leakviews.REACH, 3 * leakviews.REACH])
@pytest.mark.parametrize("hidden", ["plain", "base64", "hex", "base64 of gzip", "URL, every byte"])
def test_what_stands_near_an_escape_in_decoded_bytes_is_found(far: int, hidden: str) -> None:
    """Before one, behind one, and with some within: in octets of which most are not searched twice."""
    value = ENCODERS[hidden](b"L898902C3 ERIKSSON")
    middle = len(value) // 2
    for way in (
        b"%20" + junk(1, far) + b'"' + value,
        value + b'"' + junk(2, far) + b"%20",
        b"%20" + junk(1, far) + b'"' + value[:middle].replace(b"E", b"%45") + value[middle:],
    ):
        data = base64.b64encode(junk(3, 6000) + b'"' + way + b'"' + junk(4, 6000))
        assert {"surname", "document_number"} <= {one.kind for one in SCANNER.scan(data)}


@pytest.mark.parametrize("place", range(-8, 9))
def test_where_a_stretch_ends_no_word_is_cut(place: int) -> None:
    """`ANNA` in `JOHANNA` and `ANNABELLE` isn't one: wherever the stretch around an escape begins or ends."""
    near = b"." * (leakviews.REACH - 4 + place)
    text = b"." * 2000 + b"(JOHANNA" + near + b"%2e" + near + b"ANNABELLE)" + b"." * 2000
    assert SCANNER.scan(base64.b64encode(text)) == []
    half = b"." * ((leakviews.REACH + place) // 2)
    wide = b"".join(bytes([octet, 0]) for octet in b"(JOHANNA" + half)
    assert SCANNER.scan(base64.b64encode(b"(" * 3000 + wide + b"%2e(" + b"(" * 3000)) == []


@given(st.binary(max_size=300), st.integers(1, 40), st.lists(st.integers(0, 300), max_size=6))
@settings(max_examples=200, deadline=None)
def test_stretches_are_in_order_and_hold_their_escapes(data: bytes, reach: int, at: list[int]) -> None:
    for place in at:
        data = data[:place] + b"%41" + data[place:]
    found = list(leakviews._ESCAPE.finditer(data))
    stretches = list(leakviews._near(found, data, reach))
    assert [number for first, last, *_ in stretches for number in range(first, last)] == [*range(len(found))]
    for first, last, begin, end in stretches:
        for match in found[first:last]:
            assert begin <= max(match.start() - reach, 0)
            assert end >= min(match.end() + reach, len(data))


# Encoded more than once, or so that both ends are needed: such a value may be cut where two portions meet and is found
# in one of them as long as it is shorter than what they share.
@pytest.mark.parametrize("encoding", ENCODERS)
def test_it_is_found_wherever_two_portions_meet(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "PORTION", 12_000)
    monkeypatch.setattr(auditing, "OVERLAP", 6_000)
    value = ENCODERS[encoding](b'{"who": "ERIKSSON", "number": "L898902C3"}')
    assert len(value) < 6_000
    for cut in (1, len(value) // 2, len(value) - 1):
        file = tmp_path / "file"
        filler = b"line of words\n" * 1000
        file.write_bytes(filler[: 12_000 - cut - 1] + b"\n" + value + b"\n" + filler)
        done = auditing.audit([file], SCANNER)
        assert {"surname", "document_number"} <= {one.kind for one in done.found}, cut


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_strangers_octets_end_in_nothing_but_views(data: bytes) -> None:
    for _ in leakviews.views(data):
        pass
    _fastruns.compressed(data)
    assert all(0 <= at < len(data) for at in _fastruns.escapes(data))


def test_a_kernel_joins_with_the_separator() -> None:
    found = _fastruns.utf16(b"a\0b\0c\0d\0--e\0f\0g\0h\0", SEPARATOR)
    assert found is not None
    text, positions, starts = found
    assert (text, [*positions], [*starts]) == (b"abcd" + SEPARATOR + b"efgh", [0, 9], [0, 10])

"""Frames on the head's line: what comes out is what went in, and nothing else ever does."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.drivers.head_frame import (
    MAX_LINE,
    Ack,
    Capability,
    Damaged,
    Data,
    Frame,
    FrameDecoder,
    Hello,
    Nak,
    Refused,
    Reset,
    ResetCause,
    Welcome,
    WelcomeFlag,
    cobs_decode,
    cobs_encode,
    decode_frame,
    encode_frame,
)
from edged.errors import DecodeError
from tests import head_peer

octet = st.integers(0, 255)
session = st.integers(1, 255)
u32 = st.integers(0, 0xFFFFFFFF)
versions = st.tuples(session, session).map(sorted)
FRAMES = st.one_of(
    st.builds(lambda s, v, w: Hello(s, *v, w), session, versions, st.integers(1, 8)),
    st.builds(lambda s, v: Refused(s, *v), session, versions),
    st.builds(Data, session, octet, octet, st.binary(max_size=240)),
    st.builds(Ack, session, octet),
    st.builds(Nak, session, octet),
    st.builds(Reset, session),
    st.builds(
        Welcome,
        session=session,
        version=session,
        window=st.integers(1, 8),
        flags=octet.map(WelcomeFlag),
        reset_cause=st.sampled_from(ResetCause),
        boots=u32,
        unique_id=st.binary(min_size=12, max_size=12),
        firmware=st.tuples(octet, octet, st.integers(0, 0xFFFF)),
        security_version=u32,
        capabilities=u32.map(Capability),
        board=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=24),
    ),
)


@given(FRAMES)
def test_a_frame_comes_back_as_it_was(frame: Frame) -> None:
    line = encode_frame(frame)
    assert line.count(0) == 1
    assert line[-1] == 0
    assert len(line) <= MAX_LINE
    assert decode_frame(line[:-1]) == frame


@given(st.binary(max_size=248))
def test_stuffing_leaves_no_delimiter_and_is_what_the_other_hand_made(content: bytes) -> None:
    stuffed = cobs_encode(content)
    assert 0 not in stuffed
    assert stuffed + b"\0" == head_peer.stuff(content)
    assert cobs_decode(stuffed) == content


@given(st.binary(max_size=400))
def test_no_octets_are_a_traceback(stuffed: bytes) -> None:
    try:
        frame = decode_frame(stuffed)
    except DecodeError as error:
        assert error.code == "reader_head.bad_frame"
    else:
        assert encode_frame(frame)


@given(st.lists(FRAMES, min_size=1, max_size=5), st.data())
def test_frames_come_out_however_the_line_cuts_them(frames: list[Frame], data: st.DataObject) -> None:
    line = b"".join(map(encode_frame, frames))
    decoder = FrameDecoder()
    found: list[Frame | Damaged] = []
    at = 0
    while at < len(line):
        size = data.draw(st.integers(1, 80))
        found += decoder.feed(memoryview(line)[at : at + size])
        at += size
    assert found == frames
    assert decoder.good == len(frames)


@given(st.binary(max_size=600), FRAMES)
def test_a_good_frame_after_a_delimiter_is_delivered_whatever_came_before(
    before: bytes, frame: Frame
) -> None:
    decoder = FrameDecoder()
    found = decoder.feed(before + b"\0")
    assert decoder.feed(encode_frame(frame)) == [frame]
    assert decoder.damaged == found.count(Damaged())


@given(FRAMES, st.data())
def test_a_flipped_bit_is_never_a_frame(frame: Frame, data: st.DataObject) -> None:
    line = bytearray(encode_frame(frame))
    line[data.draw(st.integers(0, len(line) - 2))] ^= 1 << data.draw(st.integers(0, 7))
    assert frame not in FrameDecoder().feed(bytes(line))


def test_an_endless_frame_takes_no_memory() -> None:
    decoder = FrameDecoder()
    for _ in range(1000):
        assert decoder.feed(b"\x55" * 4096) == []
    assert len(decoder._held) < MAX_LINE
    assert decoder.feed(b"\0") == [Damaged()]
    assert decoder.feed(encode_frame(Ack(3, 4))) == [Ack(3, 4)]


def test_nothing_between_two_delimiters_is_no_error() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(b"\0\0\0") == []
    assert decoder.damaged == 0


def test_the_longest_line_is_taken_and_one_octet_more_is_not() -> None:
    longest = encode_frame(Data(1, 2, 3, b"\x41" * 240))
    assert len(longest) == MAX_LINE
    assert FrameDecoder().feed(longest) == [Data(1, 2, 3, b"\x41" * 240)]
    body = bytes((0x10, 1, 2, 3)) + b"\x41" * 241
    too_long = head_peer.stuff(body + zlib.crc32(body).to_bytes(4, "little"))
    assert FrameDecoder().feed(too_long) == [Damaged()]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (bytes((0x20, 1, 0, 0)), "unknown kind"),
        (bytes((0x10, 0, 0, 0)), "session 0"),
        (bytes((0x11, 1, 0, 0, 9)), "an acknowledgement with a payload"),
        (bytes((0x01, 1, 0, 0, 2, 1, 8)), "versions the wrong way round"),
        (bytes((0x01, 1, 0, 0, 1, 1, 0)), "no window"),
        (bytes((0x02, 1, 0, 0)) + bytes(32), "a board without a name"),
    ],
)
def test_a_right_crc_alone_makes_no_frame(content: bytes, why: str) -> None:
    line = head_peer.stuff(content + zlib.crc32(content).to_bytes(4, "little"))
    assert FrameDecoder().feed(line) == [Damaged()], why


def test_what_a_later_version_adds_to_the_opening_is_no_error() -> None:
    """Or two versions could never tell each other that they have none in common."""
    for content, frame in (
        (bytes((0x01, 5, 0, 0, 1, 3, 8, 77)), Hello(5, 1, 3, 8)),
        (bytes((0x03, 5, 0, 0, 2, 3, 77)), Refused(5, 2, 3)),
    ):
        line = head_peer.stuff(content + zlib.crc32(content).to_bytes(4, "little"))
        assert FrameDecoder().feed(line) == [frame]


@settings(max_examples=300)
@given(st.binary(max_size=2000))
def test_garbage_costs_nothing_but_itself(garbage: bytes) -> None:
    decoder = FrameDecoder()
    decoder.feed(garbage)
    assert len(decoder._held) < MAX_LINE

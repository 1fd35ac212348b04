"""What readers of MRZ text say, byte for byte, under every cut, with noise, and without an end."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.drivers.swipe_detect import PROTOCOLS, AutoProtocol
from edged.drivers.swipe_elyctis import CONTINUOUS, ECHO_S, LEFT_IN_S, ElyctisProtocol
from edged.drivers.swipe_keyboard import EVENT, Keys
from edged.drivers.swipe_lines import LinesProtocol
from edged.drivers.swipe_protocol import MAX_BUFFER, PARTIAL_S, QUIET_S, SwipeProtocol
from edged.drivers.swipe_triggered import AGAIN_S, HoneywellProtocol
from edged.emulator.swipe_reader import framed

PASSPORT = ("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10")
CARD = ("I<UTOD231458907<<<<<<<<<<<<<<<", "7408122F1204159UTO<<<<<<<<<<<6", "ERIKSSON<<ANNA<MARIA<<<<<<<<<<")
PERMIT = ("CSC000000010<3001011<8501017<8",)
LATER = 10 * PARTIAL_S
SPOKEN_AS = {"elyctis": "elyctis", "desko": "desko", "lines": "lines", "honeywell": "honeywell"}


def heard(protocol: SwipeProtocol, data: bytes, cuts: list[int] | None = None) -> list[tuple[str, ...]]:
    """The documents in `data`, cut at these places, and then silence."""
    places = [0, *sorted(cut for cut in cuts or [] if cut < len(data)), len(data)]
    found = [
        one for start, stop in pairwise(places) for one in protocol.received(data[start:stop], 0).documents
    ]
    while protocol.deadline is not None and protocol.deadline <= QUIET_S:
        found += protocol.passed(protocol.deadline).documents
    return found


@pytest.mark.parametrize("lines", [PASSPORT, CARD, PERMIT], ids=["td3", "td1", "permit"])
@pytest.mark.parametrize("kind", SPOKEN_AS)
@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 110), max_size=8))
def test_a_document_is_itself_however_its_bytes_come(
    kind: str, lines: tuple[str, ...], cuts: list[int]
) -> None:
    protocol = PROTOCOLS[SPOKEN_AS[kind]]()
    protocol.opened(0)
    assert heard(protocol, framed(kind, lines), cuts) == [lines]


@pytest.mark.parametrize("kind", ["elyctis", "desko", "lines"])
@settings(max_examples=50, deadline=None)
@given(cuts=st.lists(st.integers(0, 110), max_size=8))
def test_the_protocol_is_found_out(kind: str, cuts: list[int]) -> None:
    protocol = AutoProtocol()
    echo = protocol.opened(0).write if kind == "elyctis" else b""
    assert heard(protocol, echo + framed(kind, CARD), cuts) == [CARD]
    assert protocol.found is not None
    assert protocol.found.name == kind


def test_an_elyctis_reader_is_found_by_its_echo_and_asked_again_until_it_answers() -> None:
    protocol = AutoProtocol()
    assert protocol.opened(0).write == CONTINUOUS
    assert protocol.deadline is not None
    assert protocol.passed(protocol.deadline).write == CONTINUOUS
    protocol.received(CONTINUOUS, 6)
    assert isinstance(protocol.found, ElyctisProtocol)


def test_elyctis_is_armed_again_after_each_document_and_where_no_echo_comes() -> None:
    protocol = ElyctisProtocol()
    assert protocol.opened(0).write == CONTINUOUS
    assert protocol.passed(ECHO_S / 2).write == b""
    assert protocol.passed(ECHO_S).write == CONTINUOUS
    protocol.received(CONTINUOUS, ECHO_S)
    assert protocol.deadline is None
    step = protocol.received(framed("elyctis", PASSPORT), 5)
    assert (step.documents, step.write) == ((PASSPORT,), CONTINUOUS)


def test_a_document_left_in_the_slot_is_read_once() -> None:
    protocol = ElyctisProtocol()
    frame = framed("elyctis", PASSPORT)
    assert protocol.received(frame, 0).documents == (PASSPORT,)
    for time in (0.5, 2.0, 3.5):  # never LEFT_IN_S without it
        assert protocol.received(frame, time).documents == ()
    assert protocol.received(framed("elyctis", CARD), 3.6).documents == (CARD,)
    assert protocol.received(frame, 3.7).documents == (PASSPORT,)
    assert protocol.received(frame, 3.7 + LEFT_IN_S).documents == (PASSPORT,)


@pytest.mark.parametrize("kind", ["elyctis", "desko"])
@pytest.mark.parametrize("missing", [1, 20, 60])
def test_half_a_frame_is_given_up_and_the_next_is_whole(kind: str, missing: int) -> None:
    protocol = PROTOCOLS[kind]()
    frame = framed(kind, CARD)
    cut = len(frame) - missing - (kind == "desko")
    assert protocol.received(frame[:cut], 0).documents == ()
    assert protocol.deadline is not None
    protocol.passed(protocol.deadline)
    assert protocol.received(frame[cut:], 1.5).documents == ()  # its rest, too late, is none either
    assert protocol.received(frame, 2).documents == (CARD,)


def test_lines_wait_for_the_third_of_thirty_characters_and_for_silence_after_one() -> None:
    protocol = LinesProtocol()
    assert protocol.received(framed("lines", CARD[:1]), 0).documents == ()
    assert protocol.received(framed("lines", CARD[1:]), QUIET_S / 2).documents == (CARD,)
    assert protocol.received(framed("lines", PERMIT), 1).documents == ()
    assert protocol.passed(1 + QUIET_S).documents == (PERMIT,)


def test_noise_is_no_document() -> None:
    protocol = LinesProtocol()
    assert heard(protocol, b"\r\n\x00\xff\r\nAB\r\n") == []
    assert protocol.deadline is None


def test_bytes_that_are_no_character_stand_as_question_marks() -> None:
    assert heard(LinesProtocol(), b"P<UTO\xe9\xffIKSSON\r\n") == [("P<UTO??IKSSON",)]


def test_an_emulated_reader_knows_no_more_than_latin_characters() -> None:
    assert framed("lines", ["AB证"]) == b"AB?\r\n"


def test_a_flood_is_ignored_until_it_is_quiet() -> None:
    protocol = LinesProtocol()
    assert heard(protocol, b"P" * (3 * MAX_BUFFER) + framed("lines", PASSPORT)) == []
    assert heard(protocol, framed("lines", PASSPORT)) == [PASSPORT]


@pytest.mark.parametrize(
    "content", [b"", b"SHORT\r", b"A" * 45 + b"\r", b"M1ERIKSSON/ANNA", 4 * (b"A" * 30 + b"\r")]
)
def test_what_else_desko_frames_carry_is_no_document(content: bytes) -> None:
    assert heard(PROTOCOLS["desko"](), b"\x1c\x02" + content + b"\x03\x1d") == []


def test_an_imager_is_triggered_again_and_its_answers_are_no_lines() -> None:
    protocol = HoneywellProtocol()
    assert protocol.opened(0).write == b"\x16T\r"
    assert protocol.received(b"ocrena1\x06!", 0).documents == ()
    assert heard(protocol, framed("honeywell", PASSPORT)) == [PASSPORT]
    assert protocol.passed(AGAIN_S + 1).write == b"\x16T\r"
    assert protocol.closing() == b"\x16U\r"


@pytest.mark.parametrize("name", PROTOCOLS)
@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(st.binary(max_size=40), max_size=20))
def test_strangers_bytes_do_no_harm(name: str, pieces: list[bytes]) -> None:
    protocol = PROTOCOLS[name]()
    protocol.opened(0)
    for time, piece in enumerate(pieces):
        step = protocol.received(piece, float(time))
        assert all(line.isascii() and line.isprintable() for lines in step.documents for line in lines)
        assert len(step.write) <= 64
        protocol.passed(time + 0.5)
    protocol.wipe()
    assert repr(protocol) == f"<{type(protocol).__name__}>"


def events(*keys: tuple[int, int]) -> bytes:
    return b"".join(EVENT.pack(0, 0, 1, code, value) + EVENT.pack(0, 0, 0, 0, 0) for code, value in keys)


def test_a_wedge_types_as_on_a_us_keyboard() -> None:
    shift, p, comma, one, enter, caps = 42, 25, 51, 2, 28, 58
    typed = events(
        (shift, 1), (p, 1), (p, 0), (comma, 1), (comma, 0), (shift, 0), (one, 1), (one, 2), (86, 1), (86, 0)
    )
    assert Keys().text(typed) == b"P<1<"
    assert Keys().text(events((caps, 1), (caps, 0), (p, 1), (shift, 1), (p, 1), (enter, 1))) == b"Pp\n"
    assert (
        Keys().text(events((26, 1), (15, 1), (82, 1), (125, 1))) == b"?0"
    )  # a bracket, tab, keypad 0, a window key

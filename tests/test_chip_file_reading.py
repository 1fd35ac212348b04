"""Files read whole: sizes of block, counters out of step, sessions that break, chips that never end."""

from __future__ import annotations

import pytest

from edged.core.emrtd.file_reading import MAX_FILE, MAX_REOPENS, FileReader
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.session import Session
from edged.core.emrtd.steps import Exchange, FileProgress, Step, drive
from edged.errors import ChipError, ChipGoneError, DecodeError
from tests.chip_card import Card, file_of, keys, wrap
from tests.chip_wrap import join

DG1, DG2, SOD = ElementaryFile.DG1, ElementaryFile.DG2, ElementaryFile.SOD
CHANNELS = ("plain", "3DES", "AES-128")


class Reading:
    """A card, a session on it and a reader."""

    def __init__(self, channel: str, extended: int = 0, *, reopens: bool = True, **moods: object) -> None:
        self.channel = channel
        self.session = Session()
        self.card = Card({}, **moods)  # type: ignore[arg-type]
        self.opened = 0
        self.open()
        self.reader = FileReader(self.session, extended, self.reopen if reopens else None)
        self.facts: list[Step] = []

    def open(self) -> None:
        if self.channel != "plain":
            agreed = keys(self.channel, salt=1 + self.opened)
            self.session.secure(agreed)
            self.card.sm = wrap(agreed)

    def reopen(self) -> Exchange[None]:
        self.opened += 1
        self.session.clear()
        self.open()
        return
        yield

    def read(self, file: ElementaryFile = DG1) -> bytes:
        return drive(self.reader.read(file), self.card.transmit, watch=self.facts.append)

    def given(self, octets: int, file: ElementaryFile = DG1) -> bytes:
        assert file.tag is not None
        self.card.files[file.fid] = file_of(octets, file.tag)
        return self.card.files[file.fid]

    @property
    def sizes(self) -> list[int]:
        return [ne for _, _, ne in self.card.log]


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(
    "octets", [2, 3, 4, 5, 129, 131, 132, 226, 227, 228, 235, 236, 260, 261, 2000, 20000]
)
def test_whole_files(channel: str, octets: int) -> None:
    reading = Reading(channel)
    content = reading.given(octets)
    assert reading.read() == content
    assert reading.facts[-1] == FileProgress("DG1", octets, octets)
    seen = [fact.octets for fact in reading.facts if isinstance(fact, FileProgress)]
    assert seen == sorted(seen)
    largest = {"plain": 256, "3DES": 231, "AES-128": 223}[channel]
    assert len(reading.card.log) == 1 + -(-max(octets - 4, 0) // largest)


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("extended", [0, 1024, 4096, 65536])
@pytest.mark.parametrize("octets", [32767, 32768, 32769, 33000, 70000, 150000])
def test_files_longer_than_an_offset(channel: str, extended: int, octets: int) -> None:
    reading = Reading(channel, extended)
    content = reading.given(octets, DG2)
    assert reading.read(DG2) == content


@pytest.mark.parametrize("channel", CHANNELS)
def test_trailing_octets_of_a_file_are_not_its_data_object(channel: str) -> None:
    reading = Reading(channel)
    content = reading.given(300)
    reading.card.files[DG1.fid] += bytes(50)
    assert reading.read() == content


@pytest.mark.parametrize("channel", ["3DES", "AES-128"])
@pytest.mark.parametrize("limit", [64, 100, 128, 160, 192, 200, 231, 1000])
@pytest.mark.parametrize("refusal", [0x6700, 0x6282, 0x6B00, 0x63CF, 0x6C00, 0x6F00, 0x6A86])
@pytest.mark.parametrize("bare", [False, True])
def test_ladder_of_sizes(channel: str, limit: int, refusal: int, bare: bool) -> None:
    """Refused under protection or in clear, whatever the word: smaller blocks, remembered for the next file."""
    reading = Reading(channel, 4096, limit=limit, refusal=refusal, bare=bare)
    content = reading.given(9000, DG2)
    reading.given(1500)
    assert reading.read(DG2) == content
    used = max(size for size in reading.sizes if size <= limit)
    before = len(reading.sizes)
    assert reading.read(DG1) == reading.card.files[DG1.fid]
    assert max(reading.sizes[before:]) == used, "the next file begins with what worked"
    assert sum(size > limit for size in reading.sizes) <= 6
    assert reading.opened == 0


@pytest.mark.parametrize("exact", [100, 200])
def test_exact_length_is_taken(exact: int) -> None:
    reading = Reading("3DES", limit=exact, exact=True)
    content = reading.given(4000)
    assert reading.read() == content
    assert reading.opened == 0


@pytest.mark.parametrize("channel", ["3DES", "AES-128"])
@pytest.mark.parametrize("counts", [0, 1, 2])
def test_long_answers_refused_in_clear(channel: str, counts: int) -> None:
    """A PRC passport says 6700 in clear to a long command; chips differ in how far they count then."""
    reading = Reading(channel, 4096, longs=False, counts=counts)
    content = reading.given(3000, DG2)
    other = reading.given(3000)
    assert reading.read(DG2) == content
    assert reading.opened == 0, "in step without a new session"
    assert reading.read() == other
    assert sum(size > 256 for size in reading.sizes) == 0


@pytest.mark.parametrize("counts", [1, 2])
def test_how_a_chip_counts_is_remembered(counts: int) -> None:
    reading = Reading("3DES", limit=190, bare=True, counts=counts)
    reading.given(5000)
    reading.read()
    sent = reading.card.sent
    reading.card.limit = 100
    reading.read()
    refused = sum(size > 100 for size in reading.sizes[reading.sizes.index(192) :])
    assert reading.card.sent - sent == 2 + -(-(5000 - 4) // 64) + 2, (refused, reading.sizes[-5:])
    assert reading.opened == 0


@pytest.mark.parametrize("channel", ["3DES", "AES-128"])
def test_session_that_the_chip_ends_is_opened_again(channel: str) -> None:
    reading = Reading(channel, 4096, longs=False, dies=True)
    content = reading.given(3000, DG2)
    assert reading.read(DG2) == content
    assert reading.opened == 1
    assert reading.read(DG2) == content
    assert reading.opened == 1, "long answers are not tried again"


def test_session_that_ends_for_good() -> None:
    reading = Reading("3DES", 4096, longs=False, dies=True, reopens=False)
    reading.given(3000)
    with pytest.raises(ChipError, match=r"sm\.lost"):
        reading.read()
    assert reading.session.lost
    sent = reading.card.sent
    with pytest.raises(ChipError, match=r"sm\.lost"):
        reading.read()
    assert reading.card.sent == sent, "nothing more is sent"


def test_nothing_is_asked_for_in_clear_once_abandoned() -> None:
    reading = Reading("plain", reopens=False)
    reading.given(30)
    reading.session.abandon()
    with pytest.raises(ChipError, match=r"sm\.lost"):
        reading.read()
    assert reading.card.sent == 0


def test_wrong_checksum_costs_the_session_and_a_smaller_block_follows() -> None:
    """Some chips spoil the last block of a file when it is asked for in the largest size."""

    def spoil(number: int, answer: bytes) -> bytes:
        return answer[:-3] + bytes((answer[-3] ^ 1,)) + answer[-2:] if number == 4 else answer

    reading = Reading("3DES", mutate=spoil)
    content = reading.given(1000)
    assert reading.read() == content
    assert reading.opened == 1


def test_a_link_that_spoils_everything_ends() -> None:
    def spoil(_: int, answer: bytes) -> bytes:
        return bytes((answer[0] ^ 1,)) + answer[1:]

    reading = Reading("3DES", mutate=spoil)
    reading.given(1000)
    with pytest.raises(ChipError, match=r"sm\."):
        reading.read()
    assert reading.opened == MAX_REOPENS
    assert reading.card.sent == MAX_REOPENS + 1


@pytest.mark.parametrize("channel", CHANNELS)
def test_short_reads_are_progress(channel: str) -> None:
    reading = Reading(channel, give=40)
    content = reading.given(1200)
    assert reading.read() == content


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("give", [0, 1])
def test_chips_that_never_end(channel: str, give: int) -> None:
    reading = Reading(channel, give=give)
    reading.given(60000)
    with pytest.raises(ChipError) as caught:
        reading.read()
    assert caught.value.code == ("chip.read_refused" if give == 0 else "chip.never_ends")
    assert reading.card.sent < 2000


@pytest.mark.parametrize(
    "sw", [0x6700, 0x6C05, 0x6CFF, 0x6C00, 0x9000, 0x6282, 0x63CF, 0x6100, 0x6985, 0x6988, 0x6982]
)
@pytest.mark.parametrize("channel", CHANNELS)
def test_whatever_is_always_answered_ends(channel: str, sw: int) -> None:
    reading = Reading(channel)
    reading.given(5000)
    answer = sw.to_bytes(2, "big")
    for mutate in (
        lambda _n, _a: answer,
        lambda n, a: a if n < 3 else answer,
        lambda n, a: a if n % 2 else answer,
    ):
        reading.card.mutate = mutate
        try:
            reading.read()
        except ChipError as error:
            assert error.code
        assert reading.card.sent < 900


def broken(content: bytes) -> Reading:
    reading = Reading("3DES")
    reading.card.files[DG1.fid] = content
    return reading


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (join(0x75, bytes(20)), "tlv.unexpected"),
        (b"\x61\x84\x00\x10\x00\x00" + bytes(100), "chip.file_too_long"),
        (b"\x61\x83" + (MAX_FILE - 4).to_bytes(3, "big") + bytes(10), "chip.file_too_long"),
        (b"\x61\x85\x00\x00\x00\x00\x10" + bytes(100), "tlv.bad_length"),
        (b"\x61\x80" + bytes(100), "tlv.bad_length"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "tlv.bad_tag"),
    ],
)
def test_files_that_are_none(content: bytes, code: str) -> None:
    reading = broken(content)
    with pytest.raises(DecodeError) as caught:
        reading.read()
    assert caught.value.code == code
    assert reading.card.sent <= 4


def test_truncated_file() -> None:
    reading = broken(file_of(500)[:300])
    with pytest.raises(ChipError, match=r"chip\.read_refused"):
        reading.read()
    assert reading.card.sent < 20


def test_absent_file() -> None:
    with pytest.raises(ChipError, match=r"chip\.file_absent"):
        Reading("AES-128").read(SOD)


@pytest.mark.parametrize("channel", ["plain", "3DES"])
def test_more_than_was_asked_for(channel: str) -> None:
    reading = Reading(channel)
    reading.given(500)
    honest = reading.card.answer
    reading.card.answer = lambda head, data, ne: (  # type: ignore[method-assign]
        honest(head, data, ne) if head[1] != 0xB0 else (bytes(ne + 1), 0x9000)
    )
    with pytest.raises(ChipError, match=r"chip\.too_much"):
        reading.read()


@pytest.mark.parametrize("channel", ["3DES", "AES-128"])
def test_every_bit_of_every_answer_of_a_reading(channel: str) -> None:
    """Whatever bit is changed on its way, the file is never another than the chip's."""
    content = Reading(channel).given(40)
    clean = Reading(channel)
    clean.given(40)
    answers: list[bytes] = []
    clean.card.mutate = lambda _, answer: answers.append(answer) or answer  # type: ignore[func-returns-value]
    clean.read()
    for index, answer in enumerate(answers, 1):
        for bit in range(8 * len(answer)):

            def flip(number: int, said: bytes, index: int = index, bit: int = bit) -> bytes:
                if number != index:
                    return said
                changed = bytearray(said)
                changed[bit // 8] ^= 0x80 >> bit % 8
                return bytes(changed)

            reading = Reading(channel, mutate=flip, reopens=False)
            reading.given(40)
            with pytest.raises(ChipError, match=r"sm\."):
                reading.read()
    again = Reading(channel, mutate=lambda number, said: b"\x90\x00" if number == 2 else said)
    again.given(40)
    assert again.read() == content
    assert again.opened == 1


@pytest.mark.parametrize("channel", CHANNELS)
def test_card_taken_away_at_every_command(channel: str) -> None:
    whole = Reading(channel)
    whole.given(1500)
    whole.read()
    for gone in range(1, whole.card.sent + 1):
        reading = Reading(channel)
        reading.given(1500)

        def transmit(apdu: bytes, gone: int = gone, card: Card = reading.card) -> bytes:
            if card.sent + 1 == gone:
                raise ChipGoneError("chip.gone")
            return card.transmit(apdu)

        with pytest.raises(ChipGoneError):
            drive(reading.reader.read(DG1), transmit)
        assert reading.opened == 0


def test_protocols_run_inside_a_session() -> None:
    from edged.core.emrtd.apdu import Command
    from edged.core.emrtd.steps import ask

    def protocol() -> Exchange[int]:
        yield FileProgress("DG1", 0, 0)
        try:
            return (yield from ask(Command(0xA4, 2, 0x0C, b"\x01\x01"))).sw
        except ChipError:
            return -1

    reading = Reading("AES-128")
    reading.given(30)
    assert drive(reading.session.through(protocol()), reading.card.transmit) == 0x9000
    reading.card.mutate = lambda _, answer: b"\x90\x00"
    facts: list[Step] = []
    assert drive(reading.session.through(protocol()), reading.card.transmit, watch=facts.append) == -1
    assert facts == [FileProgress("DG1", 0, 0)]

"""The link to the head: one property at a time, and all of them together on lines that misbehave."""

from __future__ import annotations

import random
import zlib

import pytest

from edged.drivers.head_events import Action, Button
from edged.drivers.head_frame import Ack, Damaged, Data, Frame, FrameDecoder, Hello, Nak, Reset, encode_frame
from edged.drivers.head_link import HeadLink, Incompatible, Lost, Opened, Told
from edged.drivers.head_messages import MAX_RESULT, Ping, Reply
from edged.errors import DeviceError, DeviceGoneError
from tests import head_peer
from tests.head_line import MANNERS, Manners
from tests.head_peer import PeerHead
from tests.head_world import World

SEEDS = 4


def sent(link: HeadLink) -> list[Frame]:
    """What the link puts on the line; a frame of ours is never damaged."""
    found = FrameDecoder().feed(link.bytes_to_send())
    assert not any(isinstance(frame, Damaged) for frame in found)
    return [frame for frame in found if not isinstance(frame, Damaged)]


def opened_link(now: float = 0.0) -> tuple[HeadLink, int]:
    """A link with a session that a head has just opened."""
    link = HeadLink(first_session=9)
    link.connected(now)
    (hello,) = sent(link)
    assert isinstance(hello, Hello)
    head = PeerHead()
    link.receive(head_peer.framed(2, hello.session, 0, 0, head._welcome()), now)
    assert [type(fact) for fact in link.facts()] == [Opened]
    return link, hello.session


# --- everything together -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("manners", MANNERS.values(), ids=MANNERS)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_comes_twice_or_out_of_order_and_no_press_is_lost(manners: Manners, seed: int) -> None:
    world, chance = World(manners, seed), random.Random(seed)
    for _ in range(120):
        world.run(chance.randrange(1, 90))
        if chance.random() < 0.7:
            world.ask()
        if chance.random() < 0.5:
            world.head.press(world.now)
    world.behave()
    assert world.works()
    assert world.run(5_000, lambda: not world.head.events and not world.open)
    done = world.done
    assert done == sorted(set(done)), "carried out twice, or out of order"
    assert set(world.answered) - {0} <= set(done)
    assert sorted({*world.answered, *world.failed} - {0}) == list(range(1, world.asked + 1))
    assert not set(world.answered) & set(world.failed) - {0}
    assert world.pressed == list(range(1, world.head.presses + 1)), "a press was lost, or came twice"
    assert (world.sessions, world.failed) == (1, []), "such a line costs time, and nothing that was asked"
    if manners in (MANNERS["perfect"], MANNERS["one octet at a time"]):
        assert (world.link.counts.damaged, world.link.counts.repeated) == (0, 0)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_head_that_starts_again_in_the_middle_of_a_frame(seed: int) -> None:
    world, chance = World(MANNERS["everything"], seed), random.Random(seed)
    for _ in range(6):
        for _ in range(40):
            world.run(chance.randrange(1, 60))
            world.ask()
        world.head.press(world.now)
        world.head.tick(world.now)
        world.head.reset(world.now)
    world.behave()
    assert world.works()
    done = world.done
    assert done == sorted(set(done))
    assert set(world.answered) - {0} <= set(done)
    assert world.sessions >= 3
    world.head.press(world.now)
    assert world.run(500, lambda: world.pressed[-1:] == [1]), (
        "the first press after the start was taken for an old one"
    )


# --- sessions ----------------------------------------------------------------------------------------------------


def test_hello_is_repeated_until_somebody_answers_and_with_another_number_after_a_while() -> None:
    link = HeadLink(first_session=255)
    now = 0.0
    link.connected(now)
    sessions = []
    for _ in range(9):
        sessions += [frame.session for frame in sent(link)]
        assert link.deadline == pytest.approx(now + 0.5)
        now += 0.5
        link.tick(now)
    assert sessions == [1, 1, 1, 1, 2, 2, 2, 2, 3]


def test_a_head_still_in_a_session_with_this_number_is_reached() -> None:
    head = PeerHead()
    other = World(seed=4, head=head)
    assert other.works()
    world = World(seed=4, head=head)  # a daemon that started again, and by chance begins with the same number
    world.now = other.now
    world.link.connected(world.now / 1000)
    assert world.works(4_000)


def test_a_silent_head_is_lost_after_three_seconds() -> None:
    link, _ = opened_link()
    now = 0.0
    while not (facts := link.facts()):
        assert link.deadline is not None
        now = link.deadline
        assert now <= 3.0
        link.tick(now)
    assert (now, facts) == (3.0, [Lost("reader_head.lost")])
    assert isinstance(sent(link)[-1], Hello)


def test_both_sides_give_signs_of_life() -> None:
    world = World()
    assert world.works()
    world.run(20_000)
    assert world.sessions == 1
    assert world.link.welcome is not None


def test_what_waits_fails_when_the_head_has_no_such_session() -> None:
    link, session = opened_link()
    link.request(Ping(), 0.1)
    link.receive(encode_frame(Reset(session)), 0.2)
    assert link.facts() == [Lost("reader_head.restarted")]
    with pytest.raises(DeviceGoneError):
        link.request(Ping(), 0.2)


def test_frames_of_another_session_change_nothing() -> None:
    link, session = opened_link()
    other = session % 255 + 1
    for frame in (Reset(other), Ack(other, 77), Nak(other, 3), Data(other, 0, 0, b"\x81" + bytes(7))):
        link.receive(encode_frame(frame), 0.1)
    assert link.facts() == []
    assert link.welcome is not None


def test_our_own_frames_out_of_a_line_that_echoes_open_no_session() -> None:
    link = HeadLink(first_session=1)
    link.connected(0.0)
    for at in range(20):
        link.receive(link.bytes_to_send(), at / 10)
        link.tick(at / 10)
    assert link.welcome is None


@pytest.mark.parametrize(
    ("version", "code"), [((2, 9), "reader_head.too_new"), ((0, 0), "reader_head.too_old")]
)
def test_versions_without_one_in_common_are_told_and_tried_again(version: tuple[int, int], code: str) -> None:
    link = HeadLink(first_session=1)
    link.connected(0.0)
    (hello,) = sent(link)
    lowest, highest = max(1, version[0]), max(1, version[1])
    if code == "reader_head.too_old":  # a head of a time before the first version that this package speaks
        link.receive(head_peer.framed(2, hello.session, 0, 0, PeerHead(version=(2, 2))._welcome()), 0.0)
        assert link.facts() == [Incompatible("reader_head.too_new")]
        return
    link.receive(head_peer.framed(3, hello.session, 0, 0, bytes((lowest, highest))), 0.0)
    assert link.facts() == [Incompatible(code)]
    assert link.deadline == 5.0
    link.tick(5.0)
    (again,) = sent(link)
    assert isinstance(again, Hello)
    assert again.session != hello.session


# --- order and repetition ----------------------------------------------------------------------------------------


def test_what_is_not_acknowledged_is_repeated_later_and_later() -> None:
    link, session = opened_link()
    link.request(Ping(), 0.0)
    times = []
    now = 0.0
    while now < 2.9:
        if any(isinstance(frame, Data) for frame in sent(link)):
            times.append(round(now, 3))
            link.receive(encode_frame(Ack(session, 0)), now)  # alive, and deaf
        assert link.deadline is not None
        now = max(link.deadline, now)
        link.tick(now)
        if link.facts():
            break
    assert times == [0.0, 0.2, 0.6, 1.4]
    assert now == pytest.approx(2.0), "the request has waited for as long as it may"


def test_a_nak_has_everything_from_there_repeated_but_not_again_at_once() -> None:
    link, session = opened_link()
    for _ in range(3):
        link.request(Ping(), 0.0)
    assert [frame.seq for frame in sent(link) if isinstance(frame, Data)] == [0, 1, 2]
    link.receive(encode_frame(Nak(session, 1)), 0.01)
    assert [frame.seq for frame in sent(link) if isinstance(frame, Data)] == [1, 2]
    link.receive(encode_frame(Nak(session, 1)), 0.02)
    assert sent(link) == []
    link.receive(encode_frame(Nak(session, 1)), 0.04)
    assert [frame.seq for frame in sent(link) if isinstance(frame, Data)] == [1, 2]
    assert link.counts.repeated == 4


def test_no_more_than_the_heads_window_is_on_its_way() -> None:
    link, session = opened_link()
    for _ in range(12):
        link.request(Ping(), 0.0)
    assert [frame.seq for frame in sent(link) if isinstance(frame, Data)] == list(range(8))
    link.receive(encode_frame(Ack(session, 3)), 0.01)
    assert [frame.seq for frame in sent(link) if isinstance(frame, Data)] == [8, 9, 10]


def test_more_than_sixteen_open_requests_are_refused_with_a_code() -> None:
    link, _ = opened_link()
    tags = {link.request(Ping(), 0.0) for _ in range(16)}
    assert len(tags) == 16
    with pytest.raises(DeviceError) as refused:
        link.request(Ping(), 0.0)
    assert refused.value.code == "reader_head.too_many_requests"


def test_a_missing_frame_is_asked_for_once_until_it_comes() -> None:
    link, session = opened_link()
    event = bytes((0x82, 0, 0, 0, 0, 1))
    for seq in (1, 2, 3):
        link.receive(encode_frame(Data(session, seq, 0, event)), 0.1)
    assert [type(frame) for frame in sent(link)] == [Nak]
    link.receive(b"\x07garbage\0", 0.1)
    assert sent(link) == []
    link.receive(encode_frame(Data(session, 0, 0, event)), 0.11)
    assert [type(fact) for fact in link.facts()] == [Told]
    link.receive(encode_frame(Data(session, 2, 0, event)), 0.12)
    assert [frame for frame in sent(link) if isinstance(frame, Nak)] == [Nak(session, 1)]


def test_what_was_had_is_dropped_and_acknowledged_again_at_once() -> None:
    link, session = opened_link()
    frame = encode_frame(Data(session, 0, 0, bytes((0x82, 0, 0, 0, 0, 1))))
    link.receive(frame, 0.1)
    assert sent(link) == []
    link.tick(0.111)
    assert sent(link) == [Ack(session, 1)]
    link.facts()
    link.receive(frame, 0.2)
    assert sent(link) == [Ack(session, 1)]
    assert link.facts() == []


def test_an_acknowledgement_of_what_was_never_sent_ends_the_session() -> None:
    link, session = opened_link()
    link.receive(encode_frame(Ack(session, 5)), 0.1)
    assert link.facts() == [Lost("reader_head.out_of_step")]


def test_a_late_acknowledgement_is_no_crime() -> None:
    link, session = opened_link()
    link.request(Ping(), 0.0)
    link.receive(encode_frame(Ack(session, 1)), 0.1)
    link.receive(encode_frame(Ack(session, 0)), 0.1)
    assert link.facts() == []


def test_a_head_that_leaves_a_request_unanswered_gets_a_new_session() -> None:
    world = World(head=PeerHead(mute={Ping.type}))
    assert world.run(1_000, lambda: world.link.welcome is not None)
    world.open[world.link.request(Ping(), world.now / 1000)] = 1
    assert world.run(3_000, lambda: Lost("reader_head.no_reply") in world.facts)
    assert world.failed == [1]


def test_what_cannot_be_understood_is_counted_and_taken() -> None:
    link, session = opened_link()
    link.receive(encode_frame(Data(session, 0, 0, b"\x99?")), 0.1)
    link.receive(encode_frame(Data(session, 1, 0, b"")), 0.1)
    assert link.facts() == []
    assert link.counts.not_understood == 2
    link.tick(0.2)
    assert sent(link) == [Ack(session, 2)]


def test_a_reply_nobody_waits_for_is_dropped() -> None:
    link, session = opened_link()
    link.receive(encode_frame(Data(session, 0, 0, b"\x80\x05\x00" + bytes(MAX_RESULT))), 0.1)
    assert [fact for fact in link.facts() if isinstance(fact, Reply)] == []


# --- presses -----------------------------------------------------------------------------------------------------


def test_a_press_that_comes_again_in_a_new_session_is_told_once() -> None:
    world = World()
    assert world.works()
    world.head.press(world.now)
    assert world.run(100, lambda: world.pressed == [1] and not world.head.events)
    again = head_peer.Event(0x81, world.now, bytes((1, 1, 0)))
    world.head.events.append(again)  # its acknowledgement never came, and the session ended
    world.link.connected(world.now / 1000)
    assert world.works()
    assert world.run(1_000, lambda: not world.head.events)
    assert world.pressed == [1]
    assert world.link.counts.repeated_presses == 1
    world.head.press(world.now)
    assert world.run(100, lambda: world.pressed == [1, 2])


def test_a_head_that_started_again_counts_anew() -> None:
    world = World()
    assert world.works()
    world.head.press(world.now)
    assert world.run(100, lambda: world.pressed == [1])
    world.head.reset(world.now)
    assert world.run(3_000, lambda: world.sessions == 2)
    world.head.press(world.now)
    assert world.run(100, lambda: world.pressed == [1, 1])


@pytest.mark.parametrize(("age_ms", "told"), [(2_900, 1), (3_001, 0)])
def test_a_press_of_long_ago_starts_no_scan(age_ms: int, told: int) -> None:
    world = World()
    world.head.presses = 1
    world.head.events.append(head_peer.Event(0x81, world.now - age_ms, bytes((1, 1, 0))))
    assert world.works()
    assert len(world.pressed) == told
    assert world.link.counts.stale_presses == 1 - told


def test_a_press_is_dated_by_its_age() -> None:
    link, session = opened_link()
    link.receive(encode_frame(Data(session, 0, 0, bytes((0x81, 0xE8, 3, 0, 0, 1, 1, 0)))), 5.0)
    assert link.facts() == [Told(Button(1000, Action.PRESSED, 1), 4.0)]


# --- strangers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_no_octets_break_the_link(seed: int) -> None:
    chance = random.Random(seed)
    link, session = opened_link()
    now = 0.0
    for _ in range(300):
        now += chance.random() / 50
        kind = chance.choice((1, 2, 3, 0x10, 0x11, 0x12, 0x13, 0x7F))
        content = bytes((kind, chance.choice((session, 1, 255)), chance.randrange(4), chance.randrange(3)))
        content += chance.randbytes(chance.randrange(0, 60))
        framed = head_peer.stuff(content + zlib.crc32(content).to_bytes(4, "little"))
        link.receive(chance.choice((framed, chance.randbytes(40), framed[: len(framed) // 2])), now)
        link.tick(now)
        link.facts()
        link.bytes_to_send()
        session = link._session
    assert link.deadline is not None


def test_a_closed_line_has_nothing_due() -> None:
    link, _ = opened_link()
    link.disconnected(1.0)
    assert link.facts() == [Lost("reader_head.gone")]
    assert link.deadline is None
    link.receive(b"\0\0", 2.0)
    link.tick(99.0)
    assert link.bytes_to_send() == b""


def test_a_reset_is_noticed_soon() -> None:
    """Nobody presses, nothing is asked: the host's sign of life is what the head answers."""
    world = World()
    world.run(2_000)
    world.head.reset(world.now)
    assert world.run(300, lambda: Lost("reader_head.restarted") in world.facts)
    assert world.run(300, lambda: world.sessions == 2)

"""Messages to and from the head: round trips, ranges, and strangers' octets."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.drivers import head_messages as m
from edged.drivers.head_events import (
    Action,
    Button,
    Cover,
    Document,
    Exposed,
    Fault,
    FaultChanged,
    HeadTold,
    Lamp,
    Presence,
    decode_event,
    encode_event,
)
from edged.drivers.head_refusals import refusal
from edged.drivers.head_update_messages import (
    Slot,
    Slots,
    SlotsResult,
    SlotState,
    UpdateBegin,
    UpdateBoot,
    UpdateCancel,
    UpdateConfirm,
    UpdateData,
    UpdateEnd,
    UpdateRefusal,
)
from edged.errors import DecodeError
from edged.messages import known

octet = st.integers(0, 255)
u32 = st.integers(0, 0xFFFFFFFF)
lamp = st.none() | st.sampled_from(Lamp)
TIMES = st.integers(0, 50_000), st.integers(10, 2_000_000)
STEPS = st.builds(m.Step, st.none(), st.just(0), *TIMES) | st.builds(
    m.Step, st.sampled_from(Lamp), st.integers(1, 100), *TIMES
)
PLAIN: tuple[type[m.AnyRequest], ...] = (
    *(m.Ping, m.Limits, m.ReadStatus, m.ReadCounters, m.Dark, m.Reboot),
    *(Slots, UpdateEnd, UpdateBoot, UpdateConfirm, UpdateCancel),
)
REQUESTS: st.SearchStrategy[m.AnyRequest] = st.one_of(
    *map(st.builds, PLAIN),
    st.builds(m.LightUp, st.sampled_from(Lamp), st.integers(1, 100), st.integers(1, 0xFFFF)),
    st.builds(m.Expose, st.lists(STEPS, min_size=1, max_size=8).map(tuple)),
    st.builds(m.Indicate, st.sampled_from(m.Shown)),
    st.builds(m.Beep, st.sampled_from(m.Pattern)),
    st.builds(UpdateBegin, u32, st.binary(min_size=32, max_size=32)),
    st.builds(UpdateData, u32, st.binary(min_size=1, max_size=224)),
)
EVENTS: st.SearchStrategy[HeadTold] = st.one_of(
    st.builds(Button, u32, st.sampled_from(Action), st.integers(0, 0xFFFF)),
    st.builds(Document, u32, st.sampled_from(Presence)),
    st.builds(Cover, u32, st.booleans()),
    st.builds(FaultChanged, u32, st.sampled_from(Fault), st.booleans()),
    st.builds(Exposed, u32, st.integers(1, 8), lamp, st.integers(0, 2**64 - 1), u32, st.booleans()),
)
DETAILED = {m.Status.LIMIT: u32, m.Status.FAULT: octet, m.Status.REFUSED: octet, m.Status.ORDER: u32}
REPLIES = st.one_of(
    st.builds(m.Reply, octet, st.just(m.Status.OK), st.binary(max_size=m.MAX_RESULT)),
    *(
        st.builds(m.Reply, octet, st.just(status), detail=DETAILED.get(status, st.none()))
        for status in m.Status
        if status is not m.Status.OK
    ),
)


@given(octet, REQUESTS)
def test_a_request_comes_back_as_it_was(tag: int, request: m.AnyRequest) -> None:
    message = m.encode_request(tag, request)
    assert len(message) <= 240
    assert message[:2] == bytes((request.type, tag))
    assert m.decode_request(message) == (tag, request)
    with pytest.raises(DecodeError):
        m.decode_request(message[:-1] if len(message) == 2 else message + b"\0" * 225)


@given(EVENTS)
def test_an_event_comes_back_as_it_was(event: HeadTold) -> None:
    message = encode_event(event)
    assert decode_event(message) == m.decode_from_head(message) == event
    for other in (message[:-1], message + b"\0"):
        with pytest.raises(DecodeError, match="bad_message"):
            decode_event(other)


@given(REPLIES)
def test_a_reply_comes_back_as_it_was(reply: m.Reply) -> None:
    assert m.decode_from_head(m.encode_reply(reply)) == reply
    if reply.status is not m.Status.OK:
        error = refusal(reply)
        assert known(error.code)
        assert (error.status, error.number) == (reply.status, reply.detail)


@settings(max_examples=500)
@given(st.binary(max_size=240))
def test_strangers_octets_are_understood_or_refused(message: bytes) -> None:
    for decode in (m.decode_request, m.decode_from_head):
        try:
            decode(message)
        except DecodeError as error:
            assert error.code == "reader_head.bad_message"


@settings(max_examples=300)
@given(
    st.sampled_from([m.Ping(), m.Limits(), m.ReadStatus(), m.ReadCounters(), Slots(), m.Dark()]), st.binary()
)
def test_strangers_results_are_understood_or_refused(request: m.Request[Any], result: bytes) -> None:
    try:
        request.decode_result(result)
    except DecodeError as error:
        assert error.code == "reader_head.bad_message"


@pytest.mark.parametrize(
    "make",
    [
        lambda: m.LightUp(Lamp.WHITE, 0, 1),
        lambda: m.LightUp(Lamp.WHITE, 101, 1),
        lambda: m.LightUp(Lamp.WHITE, 1, 0),
        lambda: m.LightUp(Lamp.WHITE, 1, 0x10000),
        lambda: m.Step(None, 1, 0, 10),
        lambda: m.Step(Lamp.WHITE, 0, 0, 10),
        lambda: m.Step(Lamp.WHITE, 101, 0, 10),
        lambda: m.Step(None, 0, 50_001, 10),
        lambda: m.Step(None, 0, 0, 9),
        lambda: m.Step(None, 0, 0, 2_000_001),
        lambda: m.Expose(()),
        lambda: m.Expose((m.Step(None, 0, 0, 10),) * 9),
        lambda: UpdateBegin(1, b"short"),
        lambda: UpdateData(0, b""),
        lambda: UpdateData(0, bytes(225)),
        lambda: m.Reply(1, m.Status.LIMIT),
        lambda: m.Reply(1, m.Status.BUSY, b"x"),
        lambda: Button(-1, Action.PRESSED, 1),
        lambda: Exposed(0, 0, None, 0, 0, True),
    ],
)
def test_what_is_out_of_range_cannot_be_made(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="out of range"):
        make()


def test_what_a_head_says_of_itself() -> None:
    status = m.ReadStatus().decode_result(struct.pack("<BBBBIhHI", 1, 2, 1, 0b10010, 0b1000010, -55, 0, 9))
    assert status == m.HeadStatus(
        document_present=True,
        cover=m.CoverState.NO_SWITCH,
        button_down=True,
        lamps=frozenset({Lamp.WHITE, Lamp.UV_365}),
        faults=frozenset({Fault.OVERHEATED, Fault.WATCHDOG}),
        temperature_c=-5.5,
        supply_mv=None,
        uptime_ms=9,
    )
    unknown = m.ReadStatus().decode_result(struct.pack("<BBBBIhHI", 0, 0, 0, 0, 0, -32768, 4990, 1))
    assert (unknown.temperature_c, unknown.supply_mv) == (None, 4990)
    limits = m.Limits().decode_result(struct.pack("<BHHIBHHI", 1, 5000, 500, 10_000, 4, 500, 100, 10_000))
    assert limits[1] == m.LampLimit(Lamp.UV_365, 500, 100, 10_000)
    counters = m.ReadCounters().decode_result(struct.pack("<BIBI", 0, 3, 99, 5))
    assert counters == {m.Counter.PRESSES: 3, 99: 5}
    slots = SlotsResult(
        1, (Slot(SlotState.CONFIRMED, (1, 2, 300), 4), Slot(SlotState.TRIAL, (1, 3, 0), 4)), 512
    )
    assert Slots().decode_result(slots.to_bytes()) == slots
    for broken in (b"\x02" + slots.to_bytes()[1:], slots.to_bytes()[:-1], slots.to_bytes() + b"\0"):
        with pytest.raises(DecodeError):
            Slots().decode_result(broken)


def test_every_refusal_has_words() -> None:
    for reason in (*UpdateRefusal, 77):
        error = refusal(m.Reply(1, m.Status.REFUSED, detail=reason))
        assert known(error.code)
    for fault in (*Fault, 77):
        assert known(refusal(m.Reply(1, m.Status.FAULT, detail=fault)).code)

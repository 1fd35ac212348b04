"""Python agrees with the firmware on every vector: firmware/vectors.json is tested by both (make -C firmware test)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edged.drivers.head_events import Exposed, encode_event
from edged.drivers.head_frame import Ack, Damaged, Data, Frame, FrameDecoder, Nak, encode_frame
from edged.drivers.head_messages import (
    Reply,
    Status,
    decode_from_head,
    decode_request,
    encode_reply,
    encode_request,
)
from edged.errors import DecodeError
from tests import head_peer

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "firmware" / "vectors.json").read_text("utf-8")
)


def of(*parts: str) -> Any:
    vectors = [vector for part in parts for vector in VECTORS[part]]
    assert vectors
    return pytest.mark.parametrize("vector", vectors, ids=lambda vector: vector["name"])


def header(frame: Frame) -> dict[str, int]:
    """What stands in front of the payload."""
    line = encode_frame(frame)
    content = head_peer.unstuff(line[:-1])
    assert content is not None
    return dict(zip(("kind", "session", "seq", "ack"), content[:4], strict=True))


def same(frame: Frame, vector: dict[str, Any]) -> bool:
    """Whether this is the vector's frame; where a receiver doesn't look (seq and ack of some kinds), it may differ."""
    looks = ("kind", "session") + (("ack",) if isinstance(frame, Data | Ack | Nak) else ())
    looks += ("seq",) if isinstance(frame, Data) else ()
    found = header(frame)
    return all(found[name] == vector[name] for name in looks) and (
        not isinstance(frame, Data) or vector["payload"] in (None, frame.payload.hex())
    )


@of("frames")
def test_a_frame_is_the_same_octets_both_ways(vector: dict[str, Any]) -> None:
    line = bytes.fromhex(vector["line"])
    (frame,) = FrameDecoder().feed(line)
    assert not isinstance(frame, Damaged)
    assert same(frame, vector)
    if vector["seq"] == 0 or isinstance(frame, Data):
        assert encode_frame(frame) == line


@of("streams")
@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_a_stream_delivers_the_same_frames(vector: dict[str, Any], piece: int) -> None:
    line = bytes.fromhex(vector["line"])
    decoder = FrameDecoder()
    found = [
        frame
        for at in range(0, len(line), piece)
        for frame in decoder.feed(line[at : at + piece])
        if not isinstance(frame, Damaged)
    ]
    assert len(found) == len(vector["delivered"])
    assert all(map(same, found, vector["delivered"]))
    assert decoder.damaged == vector["damaged"]


@of("links")
def test_what_a_head_says_on_the_link_is_understood(vector: dict[str, Any]) -> None:
    """Frame by frame, as the firmware really says it."""
    for step in vector["steps"]:
        for said in step["say"]:
            if said["payload"] is None:
                continue
            header = bytes((said["kind"], said["session"], said["seq"], said["ack"]))
            (frame,) = FrameDecoder().feed(head_peer.framed(*header, bytes.fromhex(said["payload"])))
            assert not isinstance(frame, Damaged)
            assert same(frame, said)
            if isinstance(frame, Data):
                check_said(frame.payload)


@of("messages", "limits")
def test_a_message_means_the_same(vector: dict[str, Any]) -> None:
    """What the firmware answers `bad_request` can't be made here, and what it says is understood to the last octet."""
    asked: dict[int, bytes] = {}
    for step in vector["steps"]:
        message = bytes.fromhex(step["ask"])
        if len(message) > 1:
            asked[message[1]] = message
        for said in map(bytes.fromhex, step["say"]):
            understood = check_said(said)
            if isinstance(understood, Reply):
                check_answered(asked[understood.tag], understood)


def check_said(message: bytes) -> object:
    """It is understood, and would be the same octets again."""
    said = decode_from_head(message)
    assert (encode_reply(said) if isinstance(said, Reply) else encode_event(said)) == message
    return said


def check_answered(message: bytes, reply: Reply) -> None:
    """Both sides agree on what is a request."""
    if reply.status in (Status.BAD_REQUEST, Status.UNSUPPORTED):
        try:
            decode_request(message)
        except DecodeError:
            return
        assert reply.status is Status.UNSUPPORTED, "this side would make what the firmware refuses"
        return
    tag, request = decode_request(message)
    assert encode_request(tag, request) == message
    if reply.status is Status.OK:
        request.decode_result(reply.result)


def all_said() -> Iterator[bytes]:
    for part in ("messages", "limits"):
        for vector in VECTORS[part]:
            for step in vector["steps"]:
                yield from map(bytes.fromhex, step["say"])


def test_the_vectors_have_every_kind_of_what_a_head_says() -> None:
    """Or agreeing on them would say little."""
    said = [decode_from_head(message) for message in all_said()]
    statuses = {message.status for message in said if isinstance(message, Reply)}
    assert statuses >= set(Status) - {Status.FLASH, Status.REFUSED, Status.ORDER}
    assert {type(message) for message in said if not isinstance(message, Reply)} >= {Exposed}

"""Writes firmware/vectors.json: what both ends of the link must agree on. Run it after a change of PROTOCOL.md.

By hand and from PROTOCOL.md, with neither end's code: zlib's CRC-32, and a COBS of its own.
"""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

from head_limits import limits
from head_talks import messages

HELLO, WELCOME, REFUSED, DATA, ACK, NAK, RESET = 0x01, 0x02, 0x03, 0x10, 0x11, 0x12, 0x13


def cobs(content: bytes) -> bytes:
    """Each run of octets without 00, behind its length plus one."""
    assert len(content) < 254
    return b"".join(bytes([len(run) + 1]) + run for run in content.split(b"\0"))


def content(kind: int, session: int, seq: int = 0, ack: int = 0, payload: bytes = b"") -> bytes:
    head = bytes([kind, session, seq, ack]) + payload
    return head + struct.pack("<I", zlib.crc32(head))


def line(*frame, **fields) -> bytes:
    return cobs(content(*frame, **fields)) + b"\0"


def frame(kind: int, session: int, seq: int = 0, ack: int = 0, payload: bytes = b"") -> dict:
    return {"kind": kind, "session": session, "seq": seq, "ack": ack, "payload": payload.hex()}


# --- frames: encoded and decoded the same way by both ends ---


def frames() -> list[dict]:
    welcome = bytes([1, 8, 1, 2]) + struct.pack("<I", 258) + bytes(range(12)) + bytes([1, 2, 3, 0])
    welcome += struct.pack("<II", 5, 0x1FF) + b"host"
    cases = {
        "HELLO": (HELLO, 1, 0, 0, bytes([1, 1, 8])),
        "HELLO of a host that knows more versions": (HELLO, 255, 0, 0, bytes([1, 7, 1])),
        "WELCOME": (WELCOME, 1, 0, 0, welcome),
        "REFUSED": (REFUSED, 9, 0, 0, bytes([1, 1])),
        "ACK": (ACK, 1, 0, 0, b""),
        "ACK of 255": (ACK, 200, 0, 255, b""),
        "NAK": (NAK, 3, 0, 17, b""),
        "RESET": (RESET, 77, 0, 0, b""),
        "DATA without a payload": (DATA, 1, 0, 0, b""),
        "DATA of one 00": (DATA, 1, 1, 1, b"\0"),
        "DATA of 240 times 00": (DATA, 1, 254, 2, bytes(240)),
        "DATA of 240 times FF": (DATA, 255, 255, 255, b"\xff" * 240),
        "DATA of 240 octets without a 00": (DATA, 1, 2, 3, bytes(range(1, 241))),
        "DATA of 239 octets": (DATA, 4, 5, 6, bytes(index * 7 % 256 for index in range(239))),
    }
    return [{"name": name, **frame(*case), "line": line(*case).hex()} for name, case in cases.items()]


# --- streams: what a decoder makes of what came over the line ---


def streams() -> list[dict]:
    ack, nak = (ACK, 5, 0, 9), (NAK, 5, 0, 10)
    data = (DATA, 5, 0, 9, bytes([1, 7]))
    good, other, third = line(*ack), line(*nak), line(*data)
    found = {"ack": frame(*ack), "nak": frame(*nak), "data": frame(*data)}

    def bad(kind: int, session: int, payload: bytes = b"") -> bytes:
        return line(kind, session, 0, 0, payload)

    wrong_crc = bytearray(content(*ack))
    wrong_crc[-1] ^= 1
    cases = [
        ("nothing", b"", [], 0),
        ("only delimiters", bytes(5), [], 0),
        ("one frame", good, ["ack"], 0),
        ("one frame, a 00 before it", b"\0" + good, ["ack"], 0),
        ("two frames with one 00 between", good + other, ["ack", "nak"], 0),
        ("the same frame twice is two frames", good + good, ["ack", "ack"], 0),
        ("no 00 yet", good[:-1], [], 0),
        ("garbage before the first 00", b"\x55\xaa\0" + good, ["ack"], 1),
        ("garbage up to a frame spoils it, not the next", b"\x55\xaa" + good + other, ["nak"], 1),
        ("cut short, then whole", good[:4] + b"\0" + good, ["ack"], 1),
        ("cut short without a 00 takes the next with it", good[:4] + other + third, ["data"], 1),
        ("one octet lost", third[:3] + third[4:] + good, ["ack"], 1),
        ("one octet doubled", third[:3] + third[2:] + good, ["ack"], 1),
        ("one bit wrong", bytes([third[0]]) + bytes([third[1] ^ 0x08]) + third[2:] + good, ["ack"], 1),
        ("an octet became 00", good[:3] + b"\0" + good[4:] + other, ["nak"], 2),
        ("the 00 between two frames was lost", good[:-1] + other + third, ["data"], 1),
        ("wrong CRC", cobs(bytes(wrong_crc)) + b"\0" + other, ["nak"], 1),
        (
            "seven octets with a good CRC",
            cobs(content(ACK, 5)[:3] + struct.pack("<I", zlib.crc32(content(ACK, 5)[:3]))) + b"\0",
            [],
            1,
        ),
        ("a block that reaches beyond the end", b"\x0a\x11\x05\0" + good, ["ack"], 1),
        ("a block of 255", b"\xff" + b"\x11" * 100 + b"\0" + good, ["ack"], 1),
        ("249 octets that are no frame", b"\x01" * 249 + b"\0" + good, ["ack"], 1),
        ("250 octets before the 00 are too many", b"\x01" * 250 + b"\0" + good, ["ack"], 1),
        ("a thousand octets before the 00 are damaged once", b"\x11" * 1000 + b"\0" + good, ["ack"], 1),
        ("a whole frame at the end of too many octets", b"\x01" * 250 + good + other, ["nak"], 1),
        ("a payload of 241", cobs(content(DATA, 5, 0, 0, b"\x01" * 241)) + b"\0" + good, ["ack"], 1),
        ("kind 00", bad(0x00, 5), [], 1),
        ("kind 04", bad(0x04, 5), [], 1),
        ("kind 14", bad(0x14, 5), [], 1),
        ("kind FF", bad(0xFF, 5), [], 1),
        ("session 0", bad(ACK, 0), [], 1),
        ("DATA of session 0", bad(DATA, 0, b"\1\1"), [], 1),
        ("HELLO too short", bad(HELLO, 5, b"\1\1"), [], 1),
        ("HELLO without a window", bad(HELLO, 5, b"\1\1\0"), [], 1),
        ("HELLO with a window of 9", bad(HELLO, 5, b"\1\1\x09"), [], 1),
        ("HELLO of versions upside down", bad(HELLO, 5, b"\2\1\x08"), [], 1),
        ("HELLO of version 0", bad(HELLO, 5, b"\0\1\x08"), [], 1),
        ("REFUSED too short", bad(REFUSED, 5, b"\1"), [], 1),
        ("WELCOME without a board's name", bad(WELCOME, 5, bytes([1, 8]) + bytes(30)), [], 1),
        ("WELCOME with a name of 25", bad(WELCOME, 5, bytes([1, 8]) + bytes(30) + b"b" * 25), [], 1),
        ("ACK with a payload", bad(ACK, 5, b"\1"), [], 1),
        ("NAK with a payload", bad(NAK, 5, b"\1"), [], 1),
        ("RESET with a payload", bad(RESET, 5, b"\1"), [], 1),
    ]
    return [
        {
            "name": name,
            "line": raw.hex(),
            "delivered": [found[each] for each in delivered],
            "damaged": damaged,
        }
        for name, raw, delivered, damaged in cases
    ]


# --- links: what the head answers to frames. `hear` at `at_ms`, `say` from then until the next step ---

ANY = bytes([1, 1, 8])


def step(at_ms: int, *hear: bytes, say: list[dict]) -> dict:
    return {"at_ms": at_ms, "hear": b"".join(hear).hex(), "say": say}


def hello(session: int, payload: bytes = ANY) -> bytes:
    return line(HELLO, session, 0, 0, payload)


def welcomed(session: int) -> list[dict]:
    """What a head says to HELLO: WELCOME, whose payload is the board's, then document and cover as they are."""
    return [
        {**frame(WELCOME, session), "payload": None},
        frame(DATA, session, 0, 0, bytes([0x82, 0, 0, 0, 0, 0])),
        frame(DATA, session, 1, 0, bytes([0x83, 0, 0, 0, 0, 0])),
    ]


def ping(session: int, seq: int, ack: int, tag: int) -> bytes:
    return line(DATA, session, seq, ack, bytes([1, tag]))


def pong(session: int, seq: int, ack: int, tag: int, uptime: int) -> dict:
    return frame(DATA, session, seq, ack, bytes([0x80, tag, 0]) + struct.pack("<I", uptime))


def links() -> list[dict]:
    begin = step(10, hello(5), say=welcomed(5))
    told = [each for each in welcomed(5) if each["kind"] == DATA]
    quiet = step(20, line(ACK, 5, 0, 2), say=[])

    def case(name: str, *steps: dict, until_ms: int) -> dict:
        return {"name": name, "steps": list(steps), "until_ms": until_ms}

    return [
        case("HELLO opens a session", begin, until_ms=100),
        case(
            "a repeated HELLO is answered the same",
            begin,
            step(20, hello(5), say=[welcomed(5)[0]]),
            until_ms=100,
        ),
        case(
            "HELLO after DATA is ignored",
            begin,
            step(20, ping(5, 0, 2, 9), say=[pong(5, 2, 1, 9, 20)]),
            step(30, hello(5), line(ACK, 5, 0, 3), say=[]),
            until_ms=100,
        ),
        case(
            "a HELLO that is ignored keeps no session alive",
            begin,
            step(20, ping(5, 0, 2, 9), say=[pong(5, 2, 1, 9, 20)]),
            step(25, line(ACK, 5, 0, 3), say=[frame(ACK, 5, 0, 1)]),
            step(1100, hello(5), say=[frame(ACK, 5, 0, 1)]),
            step(2100, hello(5), say=[frame(ACK, 5, 0, 1)]),
            step(3030, hello(5), say=welcomed(5)),
            until_ms=3040,
        ),
        case(
            "another session ends the one before",
            begin,
            step(20, hello(6), say=welcomed(6)),
            step(30, ping(5, 0, 0, 1), say=[frame(RESET, 5)]),
            until_ms=40,
        ),
        case(
            "no version in common",
            step(10, hello(5, bytes([2, 3, 8])), say=[frame(REFUSED, 5, 0, 0, bytes([1, 1]))]),
            step(20, ping(5, 0, 0, 1), say=[frame(RESET, 5)]),
            until_ms=100,
        ),
        case("a host of many versions", step(10, hello(5, bytes([1, 9, 8])), say=welcomed(5)), until_ms=100),
        case(
            "what a later version adds to HELLO is ignored",
            step(10, hello(5, bytes([1, 9, 8, 1, 2, 3])), say=welcomed(5)),
            until_ms=100,
        ),
        case(
            "frames without a session are answered with RESET, once in 100 ms",
            step(10, ping(9, 0, 0, 1), say=[frame(RESET, 9)]),
            step(50, line(ACK, 9), say=[]),
            step(110, line(NAK, 8), say=[frame(RESET, 8)]),
            until_ms=200,
        ),
        case(
            "what is damaged without a session is not answered", step(10, b"\x11\x22\0", say=[]), until_ms=200
        ),
        case(
            "a frame that only a head sends is not answered",
            begin,
            quiet,
            step(30, line(RESET, 5), line(REFUSED, 5, 0, 0, b"\1\1"), say=[]),
            until_ms=100,
        ),
        case(
            "requests are answered in order",
            begin,
            step(20, ping(5, 0, 2, 1), ping(5, 1, 2, 2), say=[pong(5, 2, 2, 1, 20), pong(5, 3, 2, 2, 20)]),
            until_ms=100,
        ),
        case(
            "a request that comes twice is carried out once, and acknowledged at once",
            begin,
            step(20, ping(5, 0, 2, 1), say=[pong(5, 2, 1, 1, 20)]),
            step(30, ping(5, 0, 3, 1), say=[frame(ACK, 5, 0, 1)]),
            until_ms=100,
        ),
        case(
            "a gap is answered with one NAK",
            begin,
            quiet,
            step(30, ping(5, 1, 2, 2), ping(5, 2, 2, 3), say=[frame(NAK, 5, 0, 0)]),
            step(
                40,
                ping(5, 0, 2, 1),
                ping(5, 1, 2, 2),
                ping(5, 2, 2, 3),
                say=[pong(5, 2, 3, 1, 40), pong(5, 3, 3, 2, 40), pong(5, 4, 3, 3, 40)],
            ),
            until_ms=100,
        ),
        case(
            "a damaged frame is answered with one NAK",
            begin,
            quiet,
            step(30, b"\x11\x22\0", b"\x33\0", say=[frame(NAK, 5, 0, 0)]),
            step(40, b"\x44\0", say=[]),
            step(50, ping(5, 0, 2, 1), say=[pong(5, 2, 1, 1, 50)]),
            step(60, b"\x55\0", line(ACK, 5, 0, 3), say=[frame(NAK, 5, 0, 1)]),
            until_ms=100,
        ),
        case(
            "NAK has everything repeated, at most once in 20 ms",
            begin,
            step(20, line(NAK, 5), say=told),
            step(30, line(NAK, 5), say=[]),
            step(45, line(NAK, 5, 0, 1), say=told[1:]),
            until_ms=100,
        ),
        case(
            "what is not acknowledged is repeated after 200, 400, 800, 1600 and 1600 ms",
            begin,
            step(209, say=[]),
            step(210, say=told),
            step(609, say=[]),
            step(610, say=told),
            step(1400, line(ACK, 5), say=[]),
            step(1410, say=[*told, frame(ACK, 5)]),
            step(3009, say=[]),
            step(3010, say=[*told, frame(ACK, 5)]),
            step(4300, line(ACK, 5), say=[]),
            step(4610, say=told),
            until_ms=4620,
        ),
        case(
            "an acknowledgement begins the retransmission time anew",
            begin,
            step(200, line(ACK, 5, 0, 1), say=[]),
            step(399, say=[]),
            step(400, say=told[1:]),
            until_ms=500,
        ),
        case(
            "an old acknowledgement says nothing",
            begin,
            quiet,
            step(30, line(ACK, 5, 0, 1), line(ACK, 5, 0, 0), say=[]),
            step(40, ping(5, 0, 2, 1), say=[pong(5, 2, 1, 1, 40)]),
            until_ms=100,
        ),
        case(
            "an acknowledgement of what was never sent ends the session",
            begin,
            step(20, line(ACK, 5, 0, 3), say=[frame(RESET, 5)]),
            step(200, ping(5, 0, 0, 1), say=[frame(RESET, 5)]),
            until_ms=300,
        ),
        case(
            "sign of life after a second",
            begin,
            quiet,
            step(1009, say=[]),
            step(1010, say=[frame(ACK, 5)]),
            step(1500, line(ACK, 5, 0, 2), say=[]),
            step(2010, say=[frame(ACK, 5)]),
            until_ms=2020,
        ),
        case(
            "a host that is silent for 3 s is lost",
            begin,
            quiet,
            step(1010, say=[frame(ACK, 5)]),
            step(2010, say=[frame(ACK, 5)]),
            step(3010, say=[frame(ACK, 5)]),
            step(3025, line(ACK, 5, 0, 2), say=[frame(RESET, 5)]),
            until_ms=5000,
        ),
        case(
            "the host's window of one is kept",
            step(10, hello(5, bytes([1, 1, 1])), say=welcomed(5)[:2]),
            step(20, line(ACK, 5, 0, 1), say=[frame(DATA, 5, 1, 0, bytes([0x83, 10, 0, 0, 0, 0]))]),
            until_ms=100,
        ),
        case(
            "a message that can't be answered is acknowledged",
            begin,
            quiet,
            step(
                30,
                line(DATA, 5, 0, 2),
                line(DATA, 5, 1, 2, b"\1"),
                line(DATA, 5, 2, 2, b"\x81\1"),
                say=[frame(ACK, 5, 0, 3)],
            ),
            until_ms=100,
        ),
    ]


ABOUT = [
    "What both ends of the link must agree on; PROTOCOL.md is the specification. Octets are hexadecimal.",
    "Written by tools/head_vectors.py.",
    "frames: a frame and the octets it is on the line, its ending 00 included; both ways.",
    "streams: what a decoder delivers of a line, in order, and how many pieces were damaged.",
    "links: a head after reset; at at_ms it hears octets; what it says until the next step (payload null: any).",
    "messages, limits: a head of every capability but update, in a session begun at 0 ms, whose host acknowledges",
    "everything at once; at at_ms its pins change, then a request comes; the messages it says until the next step.",
]


def text() -> str:
    """The file."""
    parts = {
        "frames": frames(),
        "streams": streams(),
        "links": links(),
        "messages": messages(),
        "limits": limits(),
    }
    return json.dumps({"about": ABOUT, **parts}, indent=1) + "\n"


if __name__ == "__main__":
    Path(__file__).parents[1].joinpath("firmware", "vectors.json").write_text(text(), encoding="utf-8")

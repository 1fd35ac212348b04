"""Writes vectors.json: what both ends of the link must agree on. `python3 vectors.py` after a change of PROTOCOL.md.

By hand and from PROTOCOL.md, with neither end's code: zlib's CRC-32, and a COBS of its own.
"""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

HELLO, WELCOME, REFUSED, DATA, ACK, NAK, RESET = 0x01, 0x02, 0x03, 0x10, 0x11, 0x12, 0x13
OK, UNSUPPORTED, BAD, BUSY, LIMIT, HOT, COVER, FAULT = range(8)
NEVER = 0xFFFFFFFF
WHITE, IR850, IR940, UV = 1, 2, 3, 4


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
    return frame(DATA, session, seq, ack, bytes([0x80, tag, OK]) + struct.pack("<I", uptime))


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


# --- conversations: requests and what the head says to them, its pins and its clock given ---


def light(tag: int, lamp: int, percent: int, ms: int) -> bytes:
    return struct.pack("<BBBBH", 0x10, tag, lamp, percent, ms)


def expose(tag: int, *steps: tuple[int, int, int, int]) -> bytes:
    return bytes([0x11, tag, len(steps)]) + b"".join(struct.pack("<BBII", *each) for each in steps)


def reply(tag: int, status: int = OK, result: bytes = b"") -> bytes:
    return bytes([0x80, tag, status]) + result


def limited(tag: int, wait: int) -> bytes:
    return reply(tag, LIMIT, struct.pack("<I", wait))


def button(age: int, action: int, number: int) -> bytes:
    return struct.pack("<BIBH", 0x81, age, action, number)


def document(age: int, state: int) -> bytes:
    return struct.pack("<BIB", 0x82, age, state)


def cover(age: int, state: int) -> bytes:
    return struct.pack("<BIB", 0x83, age, state)


def fault(number: int, raised: int) -> bytes:
    return struct.pack("<BIBB", 0x84, 0, number, raised)


def exposed(number: int, lamp: int, up_us: int, window_us: int, complete: int = 1, *, age: int = 0) -> bytes:
    return struct.pack("<BIBBQIB", 0x85, age, number, lamp, up_us, window_us, complete)


def status(
    tag: int, uptime: int, *, present=0, opened=0, down=0, lamps=0, faults=0, celsius=250, supply=5000
) -> bytes:
    return reply(
        tag, OK, struct.pack("<BBBBIhHI", present, opened, down, lamps, faults, celsius, supply, uptime)
    )


def counters(tag: int, *values: int) -> bytes:
    return reply(tag, OK, b"".join(struct.pack("<BI", number, value) for number, value in enumerate(values)))


def at(at_ms: int, *, pins: dict | None = None, ask: bytes = b"", say: list[bytes]) -> dict:
    return {"at_ms": at_ms, "pins": pins or {}, "ask": ask.hex(), "say": [each.hex() for each in say]}


def told(name: str, *steps: dict, until_ms: int) -> dict:
    return {"name": name, "steps": list(steps), "until_ms": until_ms}


def messages() -> list[dict]:
    limits = b"".join(
        struct.pack("<BHHI", *each)
        for each in (
            (1, 5000, 500, 10000),
            (2, 1000, 250, 10000),
            (3, 1000, 250, 10000),
            (4, 500, 100, 10000),
        )
    )
    return [
        told("PING", at(100, ask=b"\1\7", say=[reply(7, OK, struct.pack("<I", 100))]), until_ms=110),
        told("LIMITS", at(100, ask=b"\2\0", say=[reply(0, OK, limits)]), until_ms=110),
        told("STATUS", at(100, ask=b"\3\xff", say=[status(255, 100)]), until_ms=110),
        told(
            "STATUS of a busy head",
            at(
                100,
                pins={"document": 1, "cover": 1, "temperature": -55, "supply": 4700},
                say=[cover(19, 1), document(59, 1)],
            ),
            at(200, ask=light(1, WHITE, 5, 100), say=[reply(1)]),
            at(
                210,
                ask=b"\3\2",
                say=[status(2, 210, present=1, opened=1, lamps=1 << WHITE, celsius=-55, supply=4700)],
            ),
            until_ms=220,
        ),
        told(
            "COUNTERS of a head that has just started",
            at(100, ask=b"\4\1", say=[counters(1, 0, 0, 0, 3, 0, 0, 1, 0, 0, 0, 0)]),
            until_ms=110,
        ),
        told(
            "LIGHT, the same lamp again, another one, DARK",
            at(100, ask=light(1, WHITE, 100, 500), say=[reply(1)]),
            at(200, ask=light(2, WHITE, 1, 500), say=[reply(2)]),
            at(650, ask=b"\3\3", say=[status(3, 650, lamps=2)]),
            at(660, ask=light(4, IR850, 50, 10), say=[reply(4, BUSY)]),
            at(670, ask=b"\x12\5", say=[reply(5)]),
            at(680, ask=light(6, IR850, 50, 10), say=[reply(6)]),
            at(681, ask=b"\3\7", say=[status(7, 681, lamps=4)]),
            at(695, ask=b"\3\x08", say=[status(8, 695)]),
            until_ms=700,
        ),
        told(
            "EXPOSE of every lamp and of none",
            at(
                100,
                ask=expose(
                    1,
                    (WHITE, 80, 2000, 10000),
                    (IR850, 70, 0, 10),
                    (IR940, 60, 50000, 20),
                    (UV, 100, 1, 100),
                    (0, 0, 500, 1000),
                ),
                say=[
                    reply(1),
                    exposed(1, 1, 102000, 10000),
                    exposed(2, 2, 112000, 10, age=1),
                    exposed(3, 3, 162010, 20, age=1),
                    exposed(4, 4, 162031, 100, age=1),
                    exposed(5, 0, 162631, 1000, age=1),
                ],
            ),
            until_ms=300,
        ),
        told(
            "DARK cuts an EXPOSE short",
            at(100, ask=expose(1, (WHITE, 80, 2000, 100000), (UV, 80, 0, 1000)), say=[reply(1)]),
            at(150, ask=b"\x12\2", say=[exposed(1, 1, 102000, 48000, 0), reply(2)]),
            until_ms=400,
        ),
        told(
            "LIGHT and EXPOSE while EXPOSE goes on",
            at(100, ask=expose(1, (WHITE, 80, 0, 100000)), say=[reply(1)]),
            at(110, ask=light(2, WHITE, 1, 1), say=[reply(2, BUSY)]),
            at(120, ask=expose(3, (0, 0, 0, 10)), say=[reply(3, BUSY)]),
            at(199, say=[exposed(1, 1, 100000, 100000)]),
            until_ms=400,
        ),
        *[
            told(f"LIGHT out of range: {what}", at(100, ask=ask, say=[reply(1, BAD)]), until_ms=110)
            for what, ask in {
                "lamp 0": light(1, 0, 50, 10),
                "lamp 5": light(1, 5, 50, 10),
                "brightness 0": light(1, 1, 0, 10),
                "brightness 101": light(1, 1, 101, 10),
                "no time": light(1, 1, 50, 0),
                "too short": light(1, 1, 50, 10)[:-1],
                "too long": light(1, 1, 50, 10) + b"\0",
            }.items()
        ],
        *[
            told(f"EXPOSE out of range: {what}", at(100, ask=ask, say=[reply(1, BAD)]), until_ms=110)
            for what, ask in {
                "no step": b"\x11\1\0",
                "a step missing": b"\x11\1\2" + expose(1, (1, 1, 0, 10))[3:],
                "a step too many": b"\x11\1\1" + expose(1, (1, 1, 0, 10), (1, 1, 0, 10))[3:],
                "nine steps": expose(1, *[(1, 1, 0, 10)] * 9),
                "lamp 5": expose(1, (5, 1, 0, 10)),
                "a dark step with brightness": expose(1, (0, 1, 0, 10)),
                "a lamp without": expose(1, (1, 0, 0, 10)),
                "brightness 101": expose(1, (1, 101, 0, 10)),
                "lead 50001": expose(1, (1, 1, 50001, 10)),
                "window 9": expose(1, (1, 1, 0, 9)),
                "window 2000001": expose(1, (1, 1, 0, 2000001)),
                "the last step's": expose(1, (1, 1, 0, 10), (1, 1, 0, 9)),
            }.items()
        ],
        *[
            told(f"INDICATE {number}", at(100, ask=bytes([0x20, 1, number]), say=[reply(1)]), until_ms=110)
            for number in range(13)
        ],
        told("INDICATE 13", at(100, ask=b"\x20\1\x0d", say=[reply(1, BAD)]), until_ms=110),
        *[
            told(
                f"BEEP {number}",
                at(100, ask=bytes([0x21, 1, number]), say=[reply(1, OK if 1 <= number <= 3 else BAD)]),
                until_ms=110,
            )
            for number in range(5)
        ],
        told(
            "a type that nobody knows", at(100, ask=b"\x7e\1\2\3", say=[reply(1, UNSUPPORTED)]), until_ms=110
        ),
        *[
            told(
                f"type {kind:02X} with an octet too many",
                at(100, ask=bytes([kind, 1, 0]), say=[reply(1, BAD)]),
                until_ms=110,
            )
            for kind in (0x01, 0x02, 0x03, 0x04, 0x12, 0x30, 0x33, 0x34, 0x35, 0x36, 0x3F)
        ],
        *[
            told(
                f"type {ask[0]:02X} on a board without slots",
                at(100, ask=ask, say=[reply(1, UNSUPPORTED)]),
                until_ms=110,
            )
            for ask in (
                b"\x30\1",
                b"\x31\1" + bytes(36),
                b"\x32\1" + bytes(4) + b"x",
                b"\x32\1" + bytes(4) + b"x" * 224,
                b"\x33\1",
                b"\x34\1",
                b"\x35\1",
                b"\x36\1",
            )
        ],
        *[
            told(f"UPDATE_{what}", at(100, ask=ask, say=[reply(1, BAD)]), until_ms=110)
            for what, ask in {
                "BEGIN too short": b"\x31\1" + bytes(35),
                "BEGIN too long": b"\x31\1" + bytes(37),
                "DATA without octets": b"\x32\1" + bytes(4),
                "DATA of 225": b"\x32\1" + bytes(4 + 225),
            }.items()
        ],
        told(
            "REBOOT puts the lamps out and refuses new ones",
            at(100, ask=light(1, WHITE, 9, 900), say=[reply(1)]),
            at(110, ask=b"\x3f\2", say=[reply(2)]),
            at(111, ask=b"\3\3", say=[status(3, 111)]),
            at(112, ask=light(4, WHITE, 9, 9), say=[reply(4, BUSY)]),
            until_ms=120,
        ),
        told(
            "a press",
            at(100, pins={"button": 1}, say=[button(7, 1, 1)]),
            at(200, pins={"button": 0}, say=[button(7, 2, 1)]),
            at(300, pins={"button": 1}, say=[button(7, 1, 2)]),
            until_ms=400,
        ),
        told(
            "a press that bounces",
            at(100, pins={"button": 1}, say=[]),
            at(105, pins={"button": 0}, say=[]),
            at(107, pins={"button": 1}, say=[button(7, 1, 1)]),
            until_ms=200,
        ),
        told(
            "seven milliseconds are no press",
            at(100, pins={"button": 1}, say=[]),
            at(107, pins={"button": 0}, say=[]),
            until_ms=200,
        ),
        told(
            "held for 3 s, stuck after 30 s",
            at(100, pins={"button": 1}, say=[button(7, 1, 1)]),
            at(3100, say=[button(0, 3, 1)]),
            at(30100, say=[fault(3, 1)]),
            at(31000, pins={"button": 0}, say=[button(7, 2, 1), fault(3, 0)]),
            until_ms=31100,
        ),
        told(
            "a document in, out, and another in",
            at(100, pins={"document": 1}, say=[document(59, 1)]),
            at(1000, pins={"document": 0}, say=[document(59, 0)]),
            at(3000, pins={"document": 1}, say=[document(59, 1)]),
            until_ms=3100,
        ),
        told(
            "a document turned",
            at(100, pins={"document": 1}, say=[document(59, 1)]),
            at(1000, pins={"document": 0}, say=[document(59, 0)]),
            at(2999, pins={"document": 1}, say=[document(59, 2)]),
            until_ms=3100,
        ),
        told(
            "the cover",
            at(100, pins={"cover": 1}, say=[cover(19, 1)]),
            at(200, pins={"cover": 0}, say=[cover(19, 0)]),
            until_ms=300,
        ),
    ]


def limits() -> list[dict]:
    def ok(at_ms: int, ask: bytes) -> dict:
        return at(at_ms, ask=ask, say=[reply(ask[1])])

    def no(at_ms: int, ask: bytes, wait: int) -> dict:
        return at(at_ms, ask=ask, say=[limited(ask[1], wait)])

    three = (IR850, 9, 0, 300000)
    return [
        told(
            "longer than a lamp may ever be on",
            no(100, light(1, WHITE, 1, 5001), NEVER),
            no(110, light(2, IR850, 1, 1001), NEVER),
            no(120, light(3, IR940, 1, 1001), NEVER),
            no(130, light(4, UV, 1, 501), NEVER),
            no(140, light(5, UV, 1, 65535), NEVER),
            until_ms=150,
        ),
        told(
            "as long as a lamp may be on",
            ok(100, light(1, WHITE, 100, 5000)),
            ok(5200, light(2, IR850, 100, 1000)),
            ok(6300, light(3, IR940, 100, 1000)),
            ok(7400, light(4, UV, 100, 500)),
            until_ms=8000,
        ),
        told(
            "white: half of any 10 s",
            ok(100, light(1, WHITE, 100, 5000)),
            no(5300, light(2, WHITE, 100, 1), 4900),
            no(10100, light(3, WHITE, 100, 1), 100),
            ok(10201, light(4, WHITE, 100, 1)),
            no(10210, light(5, WHITE, 100, 500), 490),
            until_ms=10220,
        ),
        told(
            "UV: two of 500 ms in any 10 s, with a rest between",
            ok(100, light(1, UV, 1, 500)),
            no(650, light(2, UV, 1, 500), 50),
            ok(700, light(3, UV, 1, 500)),
            no(1300, light(4, UV, 1, 1), 8900),
            ok(10700, light(5, UV, 1, 500)),
            until_ms=11300,
        ),
        told(
            "a pause of less than 100 ms is no rest",
            ok(100, light(1, IR850, 1, 600)),
            no(750, light(2, IR850, 1, 401), 50),
            ok(751, light(3, IR850, 1, 400)),
            no(1200, light(4, IR850, 1, 1), 51),
            ok(1251, light(5, IR850, 1, 1000)),
            until_ms=2300,
        ),
        told(
            "lighting on extends no lamp beyond its longest",
            ok(100, light(1, UV, 1, 300)),
            ok(200, light(2, UV, 1, 400)),
            no(300, light(3, UV, 1, 301), 400),
            ok(301, light(4, UV, 1, 299)),
            until_ms=700,
        ),
        told(
            "every lamp has a window of its own",
            ok(100, light(1, IR850, 1, 1000)),
            ok(1250, light(2, IR850, 1, 1000)),
            ok(2400, light(3, IR850, 1, 500)),
            no(3100, light(4, IR850, 1, 1), 7100),
            ok(3110, light(5, IR940, 1, 1000)),
            until_ms=4200,
        ),
        told(
            "brightness doesn't count",
            ok(100, light(1, UV, 1, 500)),
            ok(800, light(2, UV, 1, 500)),
            no(1500, light(3, UV, 1, 1), 8700),
            until_ms=1600,
        ),
        told(
            "what was not used is not counted",
            ok(100, light(1, UV, 1, 500)),
            ok(200, b"\x12\2"),
            ok(350, light(3, UV, 1, 500)),
            ok(1000, light(4, UV, 1, 400)),
            no(1600, light(5, UV, 1, 1), 8600),
            until_ms=1700,
        ),
        told(
            "all steps of a lamp in an EXPOSE are one",
            no(
                100,
                expose(
                    1,
                    three,
                    (0, 0, 0, 200000),
                    three,
                    (0, 0, 0, 200000),
                    three,
                    (0, 0, 0, 10),
                    (IR850, 9, 50000, 50001),
                ),
                NEVER,
            ),
            at(
                200,
                ask=expose(2, three, (0, 0, 0, 200000), three, (WHITE, 1, 0, 1000), three),
                say=[
                    reply(2),
                    exposed(1, IR850, 200000, 300000),
                    exposed(2, 0, 500000, 200000),
                    exposed(3, IR850, 700000, 300000),
                    exposed(4, WHITE, 1000000, 1000),
                    exposed(5, IR850, 1001000, 300000),
                ],
            ),
            until_ms=1400,
        ),
        told(
            "an EXPOSE as a whole or not at all",
            ok(100, light(1, UV, 1, 500)),
            ok(700, light(2, UV, 1, 500)),
            no(1300, expose(3, (WHITE, 9, 0, 1000), (UV, 9, 0, 10)), 8900),
            at(1400, ask=expose(4, (WHITE, 9, 0, 1000)), say=[reply(4), exposed(1, WHITE, 1400000, 1000)]),
            until_ms=1500,
        ),
        told(
            "no IR and no UV while the cover is open",
            at(100, pins={"cover": 1}, say=[cover(19, 1)]),
            at(200, ask=light(1, UV, 1, 1), say=[reply(1, COVER)]),
            at(210, ask=light(2, IR850, 1, 1), say=[reply(2, COVER)]),
            at(220, ask=light(3, IR940, 1, 1), say=[reply(3, COVER)]),
            at(230, ask=expose(4, (WHITE, 1, 0, 10), (UV, 1, 0, 10)), say=[reply(4, COVER)]),
            at(240, ask=light(5, WHITE, 1, 1), say=[reply(5)]),
            at(300, pins={"cover": 0}, say=[]),
            at(310, ask=light(6, UV, 1, 1), say=[reply(6, COVER), cover(19, 0)]),
            at(330, ask=light(7, UV, 1, 1), say=[reply(7)]),
            until_ms=400,
        ),
        told(
            "the cover puts UV out at once",
            at(100, ask=expose(1, (UV, 50, 0, 400000)), say=[reply(1)]),
            at(150, pins={"cover": 1}, say=[exposed(1, UV, 100000, 51000, 0), cover(19, 1)]),
            until_ms=200,
        ),
        told(
            "the cover leaves white on",
            at(100, ask=light(1, WHITE, 50, 400), say=[reply(1)]),
            at(150, pins={"cover": 1}, say=[cover(19, 1)]),
            at(200, ask=b"\3\2", say=[status(2, 200, opened=1, lamps=2)]),
            until_ms=210,
        ),
        told(
            "too hot from 70.0 to below 60.0 degrees",
            at(100, ask=light(1, WHITE, 1, 3000), say=[reply(1)]),
            at(200, pins={"temperature": 699}, say=[]),
            at(210, ask=b"\3\2", say=[status(2, 210, lamps=2, celsius=699)]),
            at(300, pins={"temperature": 700}, say=[fault(1, 1)]),
            at(310, ask=b"\3\3", say=[status(3, 310, faults=2, celsius=700)]),
            at(320, ask=light(4, WHITE, 1, 1), say=[reply(4, HOT)]),
            at(400, pins={"temperature": 600}, say=[]),
            at(410, ask=light(5, WHITE, 1, 1), say=[reply(5, HOT)]),
            at(500, pins={"temperature": 599}, say=[fault(1, 0)]),
            at(510, ask=light(6, WHITE, 1, 1), say=[reply(6)]),
            until_ms=600,
        ),
        told(
            "a thermometer that can't be read counts as hot",
            at(100, pins={"temperature": -32768}, say=[fault(1, 1)]),
            at(110, ask=light(1, WHITE, 1, 1), say=[reply(1, HOT)]),
            until_ms=120,
        ),
        told(
            "supply low",
            at(100, ask=light(1, WHITE, 1, 3000), say=[reply(1)]),
            at(200, pins={"supply": 4499}, say=[fault(2, 1)]),
            at(210, ask=light(2, WHITE, 1, 1), say=[reply(2, FAULT, b"\2")]),
            at(300, pins={"supply": 4649}, say=[]),
            at(310, ask=light(3, WHITE, 1, 1), say=[reply(3, FAULT, b"\2")]),
            at(400, pins={"supply": 4650}, say=[fault(2, 0)]),
            at(410, ask=light(4, WHITE, 1, 1), say=[reply(4)]),
            until_ms=500,
        ),
        told(
            "lamp current out of range",
            at(100, ask=light(1, WHITE, 1, 3000), say=[reply(1)]),
            at(200, pins={"lamp_current_bad": 1}, say=[fault(0, 1)]),
            at(230, pins={"lamp_current_bad": 0}, say=[]),
            at(240, ask=light(2, WHITE, 1, 1), say=[reply(2, FAULT, b"\0")]),
            at(5200, say=[fault(0, 0)]),
            at(5300, ask=light(3, WHITE, 1, 1), say=[reply(3)]),
            until_ms=5400,
        ),
        told(
            "presence blind for a second",
            at(100, pins={"presence_blind": 1}, say=[]),
            at(1050, say=[fault(4, 1)]),
            at(1200, pins={"presence_blind": 0}, say=[fault(4, 0)]),
            until_ms=1300,
        ),
    ]


ABOUT = [
    "What both ends of the link must agree on; PROTOCOL.md is the specification. Written by vectors.py. Octets are hexadecimal.",
    "frames: a frame and the octets it is on the line, its ending 00 included; both ways.",
    "streams: what a decoder delivers of a line, in order, and how many pieces were damaged.",
    "links: a head after reset; at at_ms it hears octets; what it says from then until the next step, frame by frame (payload null: any).",
    "messages, limits: a head of every capability but update, in a session begun at 0 ms whose host acknowledges everything at once;",
    "at at_ms its pins change and then a request comes; what it says from then until the next step, message by message.",
]


def main() -> None:
    vectors = {
        "about": ABOUT,
        "frames": frames(),
        "streams": streams(),
        "links": links(),
        "messages": messages(),
        "limits": limits(),
    }
    text = json.dumps(vectors, indent=1)
    Path(__file__).with_name("vectors.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

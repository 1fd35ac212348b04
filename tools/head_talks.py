"""Requests to a head of paper, and what it says to them: the part "messages" of firmware/vectors.json."""

from __future__ import annotations

import struct

OK, UNSUPPORTED, BAD, BUSY, LIMIT, HOT, COVER, FAULT = range(8)
NEVER = 0xFFFFFFFF
WHITE, IR850, IR940, UV = 1, 2, 3, 4


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

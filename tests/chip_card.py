"""A small scripted card for the terminal's side: files, moods, plain or under secure messaging (`chip_wrap`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from edged.core.emrtd.session_keys import SessionKeys
from edged.core.emrtd.suites import AES128, DES3, Suite
from tests.chip_wrap import Wrap, WrongMacError, join, split

SUITES: dict[str, Suite] = {"3DES": DES3, "AES-128": AES128}


def keys(name: str, salt: int = 1, counter: int = 0x41) -> SessionKeys:
    """Session keys of a test."""
    suite = SUITES[name]
    encryption, mac = (
        bytes((7 * n + salt + more) & 0xFF for n in range(suite.key_octets)) for more in (0, 98)
    )
    return SessionKeys(suite, encryption, mac, counter)


def wrap(session: SessionKeys) -> Wrap:
    """The card's side of the same keys."""
    return Wrap(session.encryption, session.mac, session.counter, aes=session.suite.aes)


def file_of(octets: int, tag: int = 0x61) -> bytes:
    """A data object of so many octets altogether."""
    for head in (2, 3, 4, 5):
        made = join(tag, bytes((n * 31 + n // 251) & 0xFF for n in range(octets - head)))
        if len(made) == octets:
            return made
    raise AssertionError(octets)


@dataclass
class Card:
    """Answers SELECT EF and READ BINARY.

    `limit`: more octets than this in one READ BINARY are refused with `refusal`; a bool in `bare` says in clear.
    `counts`: by how much the counter moves when the card refuses in clear. `give`: octets that it gives at most.
    """

    files: dict[int, bytes]
    sm: Wrap | None = None
    limit: int = 65536
    refusal: int = 0x6700
    bare: bool = False
    counts: int = 0
    dies: bool = False
    longs: bool = True
    odd: bool = True
    give: int = 65536
    beyond: int = 0x6B00
    exact: bool = False
    mutate: Callable[[int, bytes], bytes] = lambda _, answer: answer
    selected: int = 0
    log: list[tuple[int, int, int]] = field(default_factory=list)
    sent: int = 0

    def transmit(self, apdu: bytes) -> bytes:
        self.sent += 1
        return self.mutate(self.sent, self._answer(apdu))

    def _answer(self, apdu: bytes) -> bytes:
        long = len(apdu) > 5 and apdu[4] == 0
        if self.sm is None:
            if apdu[0] & 0x0C:
                return b"\x68\x82"
            if long:
                if not self.longs:
                    return b"\x67\x00"
                length = int.from_bytes(apdu[5:7], "big")
                data, le = (b"", apdu[5:]) if len(apdu) == 7 else (apdu[7 : 7 + length], apdu[7 + length :])
                ne = int.from_bytes(le, "big") or 65536
            else:
                data, le = (b"", apdu[4:]) if len(apdu) <= 5 else (apdu[5 : 5 + apdu[4]], apdu[5 + apdu[4] :])
                ne = (le[0] or 256) if le else 0
            answer, sw = self.answer(apdu[:4], data, ne)
            return answer + sw.to_bytes(2, "big")
        if not apdu[0] & 0x0C:
            self.sm = None
            return b"\x69\x82"
        if long and not self.longs:
            return self._clear(0x6700)
        before = self.sm.counter
        try:
            head, data, ne = self.sm.open(apdu)
        except WrongMacError:
            self.sm.counter = before
            return self._clear(0x6988)
        answer, sw = self.answer(head, data, ne)
        if sw >= 0x6400 and sw != 0x9000 and self.bare:
            self.sm.counter = before
            return self._clear(sw)
        return self.sm.close(answer, sw, odd=bool(head[1] & 1))

    def _clear(self, sw: int) -> bytes:
        assert self.sm is not None
        self.sm.counter += self.counts
        if self.dies:
            self.sm = None
        return sw.to_bytes(2, "big")

    def answer(self, head: bytes, data: bytes, ne: int) -> tuple[bytes, int]:
        ins, p1, p2 = head[1:]
        if ins == 0xA4:
            assert (p1, p2, ne) == (2, 0x0C, 0), "no Le on SELECT"
            fid = int.from_bytes(data, "big")
            if fid not in self.files:
                return b"", 0x6A82
            self.selected = fid
            return b"", 0x9000
        if ins == 0xB1 and not self.odd:
            return b"", 0x6D00
        assert ins in {0xB0, 0xB1}
        content = self.files[self.selected]
        at = (p1 << 8) + p2
        if ins == 0xB1:
            tag, value, rest = split(data)
            assert (tag, rest) == (0x54, b"")
            at = int.from_bytes(value, "big")
            assert at > 0x7FFF
        self.log.append((self.selected, at, ne))
        if ne > self.limit:
            return b"", (0x6C00 | self.limit & 0xFF) if self.exact else self.refusal
        if at >= len(content):
            return b"", self.beyond
        if ins == 0xB1:
            head_octets = 2 if ne < 130 else 3 if ne <= 258 else 4
            return join(0x53, content[at : at + min(ne - head_octets, self.give)]), 0x9000
        block = content[at : at + min(ne, self.give)]
        return block, 0x9000 if len(block) == ne else 0x6282

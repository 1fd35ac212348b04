"""Chips that say what a fuzzer wants: in protocols that lead nowhere, and in whole readings with their verdicts."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from edged.core.emrtd import (
    certificates,
    pace_choice,
    security_infos,
    tlv,
)
from edged.core.emrtd.access_keys import mrz_key
from edged.core.emrtd.apdu import Command, Response
from edged.core.emrtd.bac import establish_bac
from edged.core.emrtd.file_reading import HEADER, FileReader
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.judging import judge_chip
from edged.core.emrtd.pace import establish_pace
from edged.core.emrtd.reader import ReadPlan, read_chip
from edged.core.emrtd.secure_messaging import SecureMessaging
from edged.core.emrtd.session import Session
from edged.core.emrtd.session_keys import session_keys
from edged.core.emrtd.steps import Exchange, drive
from edged.core.emrtd.suites import AES128, Suite, encrypt, encrypt_block, message_mac, pad
from edged.core.emrtd.trust_anchors import TrustAnchors, anchor_entry
from edged.core.mrz import parse_mrz
from edged.errors import ChipGoneError
from edged.verdict import Check
from tests import chip_seeds, lds_files

TODAY = datetime.date(2026, 11, 26)
ANSWERS = 3000
"""What a chip says in one conversation: it begins again from the start until then."""


@cache
def anchors() -> TrustAnchors:
    return TrustAnchors([anchor_entry(certificates.parse_certificate(chip_seeds.certificate()))])


class Fixed:
    """The random numbers of Doc 9303-11's worked examples (App. D, G.1), for chips that answer as they do there."""

    def __init__(self, *values: str) -> None:
        self._values = list(values)

    def scalar(self, below: int) -> int:
        return int(self._values.pop(0), 16) % below

    def octets(self, count: int) -> bytes:
        return bytes.fromhex(self._values.pop(0))


def says(script: bytes, exchange: Exchange[Any]) -> object:
    """A conversation with a chip that gives the answers of `script`, each behind its length, again and again."""
    answers, at = [], 0
    while at + 2 <= len(script) and len(answers) < ANSWERS:
        length = int.from_bytes(script[at : at + 2], "big")
        answers.append(script[at + 2 : at + 2 + length])
        at += 2 + length
    said = 0

    def transmit(_: bytes) -> bytes:
        nonlocal said
        said += 1
        if not answers or said > ANSWERS:
            raise ChipGoneError("chip.not_an_answer")
        return answers[(said - 1) % len(answers)]

    return drive(exchange, transmit)


def script(*answers: str) -> bytes:
    raw = [bytes.fromhex(answer) for answer in answers]
    return b"".join(len(answer).to_bytes(2, "big") + answer for answer in raw)


def answers_in(name: str) -> dict[str, bytes]:
    """What the chips of Doc 9303-11's worked examples answer (App. D, G.1), and a file in blocks."""
    block = lds_files.dg1(chip_seeds.TD3)
    return {
        "bac": {
            "": script(
                "4608F919887022129000",
                "46B9342A41396CD7386BF5803104D7CEDC122B9132139BAF2EEDC94EE178534F2F2D235D074D74499000",
            )
        },
        "pace": {
            "": script(
                "9000",
                "7C12801095A3A016522EE98D01E76CB6B98B42C39000",
                "7C43824104824FBA91C9CBE26BEF53A0EBE7342A3BF178CEA9F45DE0B70AA601651FBA3F57"
                "30D8C879AAA9C9F73991E61B58F4D52EB87A0A0C709A49DC63719363CCD13C549000",
                "7C438441049E880F842905B8B3181F7AF7CAA9F0EFB743847F44A306D2D28C1D9EC65DF6DB"
                "7764B22277A2EDDC3C265A9F018F9CB852E111B768B326904B59A0193776F0949000",
                "7C0A86083ABB9674BCE93C089000",
            )
        },
        "file": {
            "": script("9000", (block[:HEADER] + b"\x90\x00").hex(), (block[HEADER:] + b"\x62\x82").hex()),
            "slow": script("9000", (block[:4] + b"\x90\x00").hex(), *["4E9000"] * 50),
            "refusing": script(
                "9000", "6700", "6C10", "6B00", "6282", "6982", (block[:9] + b"\x90\x00").hex()
            ),
        },
    }[name]


def bac(data: bytes) -> object:
    draw = Fixed("781723860C06C226", "0B795240CB7049B01C19B33E32804F0B")
    return says(data, establish_bac(mrz_key("L898902C", "690806", "940623"), draw))


def pace(data: bytes) -> object:
    offered = bytes.fromhex("31143012060A04007F0007020204020202010202010D")
    (choice,) = pace_choice.pace_choices(security_infos.read_card_access(offered))
    draw = Fixed(
        "7F4EF07B9EA82FD78AD689B38D0BC78CF21F249D953BC46F4C6E19259C010F99",
        "A73FB703AC1436A18E0CFA5ABB3F7BEC7A070E7A6788486BEE230C4A22762595",
    )
    return says(data, establish_pace(choice, mrz_key("T22000129", "640812", "101031"), draw))


def file_reading(data: bytes) -> object:
    return says(data, FileReader(Session()).read(ElementaryFile.DG1))


def secured_file_reading(data: bytes) -> object:
    session = Session()
    session.secure(session_keys(AES128, bytes(16)))
    return says(data, FileReader(session, 1024).read(ElementaryFile.DG1))


def protected(suite: Suite, proven: bool) -> Callable[[bytes], object]:
    """An answer under secure messaging; `proven` puts the right checksum behind what was broken."""

    def read(data: bytes) -> object:
        keys = session_keys(suite, bytes(16))
        messaging = SecureMessaging(keys)
        messaging.protect(Command(0xB0, ne=256))
        if proven:
            counter = (messaging.counter + 1).to_bytes(suite.block, "big")
            data += tlv.encode(0x8E, message_mac(suite, keys.mac, counter + data)) + b"\x90\x00"
        return messaging.unprotect(Response.decode(data))

    return read


def protected_data(suite: Suite) -> bytes:
    """DO'87' and DO'99' of an answer."""
    keys = session_keys(suite, bytes(16))
    iv = encrypt_block(suite, keys.encryption, (2).to_bytes(suite.block, "big")) if suite.aes else None
    hidden = encrypt(suite, keys.encryption, pad(suite, bytes(40)), iv)
    return tlv.encode(0x87, b"\x01" + hidden) + tlv.encode(0x99, b"\x90\x00")


class PlainChip:
    """A chip without access control: what it says can be broken without its keys."""

    def __init__(self, files: Mapping[ElementaryFile, bytes], instead: Mapping[int, bytes]) -> None:
        self._files = {file.fid: octets for file, octets in files.items()}
        self._selected = b""
        self._instead = instead
        self._said = 0

    def __call__(self, raw: bytes) -> bytes:
        self._said += 1
        if self._said > ANSWERS:
            raise ChipGoneError("chip.not_an_answer")
        return self._instead.get(self._said) or self._answer(Command.decode(raw)).encode()

    def _answer(self, command: Command) -> Response:
        if command.ins == 0xA4 and command.p1 == 2:
            found = self._files.get(int.from_bytes(command.data, "big"))
            self._selected = found or b""
            return Response(b"", 0x6A82 if found is None else 0x9000)
        if command.ins == 0xB0:
            at = command.p1 << 8 | command.p2
            return Response(self._selected[at : at + command.ne], 0x9000)
        if command.ins == 0x88:
            return Response(bytes(range(64)), 0x9000)
        return Response(b"", 0x9000)


def read_and_judged(files: Mapping[ElementaryFile, bytes], instead: Mapping[int, bytes]) -> tuple[Check, ...]:
    """A whole reading and its verdict, which never raise."""
    chip = PlainChip(files, instead)
    reading = drive(read_chip(ReadPlan(None, draw=Seeded())), chip)
    printed = parse_mrz([chip_seeds.TD3[:44], chip_seeds.TD3[44:]], today=TODAY)
    checks = judge_chip(
        reading, anchors=anchors(), at=chip_seeds.AT, today=TODAY, printed=printed, printed_is_sure=True
    )
    assert checks[-1].name == "chip"
    return checks


class Seeded:
    """Random numbers, the same ones in every run."""

    def __init__(self) -> None:
        self._draw = random.Random(7)

    def scalar(self, below: int) -> int:
        return self._draw.randrange(1, below)

    def octets(self, count: int) -> bytes:
        return self._draw.randbytes(count)


@cache
def chip_files() -> dict[ElementaryFile, bytes]:
    found = chip_seeds.files()
    named = {file: found.get(file.value.lower().removeprefix("ef.")) for file in ElementaryFile}
    named[ElementaryFile.CARD_SECURITY] = None  # the same identifier as EF.SOD, beside the application
    named[ElementaryFile.CARD_ACCESS] = None  # PACE would have to be done
    return {file: octets for file, octets in named.items() if octets is not None}


def interrupted(data: bytes) -> object:
    """A whole chip, some of whose answers are others: each behind its place and its length."""
    instead, at = {}, 0
    while at + 3 <= len(data):
        length = int.from_bytes(data[at + 1 : at + 3], "big")
        instead[data[at]] = data[at + 3 : at + 3 + length]
        at += 3 + length
    return read_and_judged(chip_files(), instead)


def interruptions() -> dict[str, bytes]:
    return {
        f"{place} {answer}": bytes((place, 0, len(answer) // 2)) + bytes.fromhex(answer)
        for place in range(1, 40, 3)
        for answer in ("6700", "6982", "6C08", "77820400309000", "9000")
    }

"""Everything that reads a chip's bytes, and broken bytes for it, as many as one likes.

`python -m tests.chip_fuzz FIRST COUNT [TARGET ...]` reads them in a process of its own under a limit of address space;
it says which case it is at, and sums up what it saw as JSON. Case n of a target is always the same one. Work is counted
in calls, not in seconds, and memory in octets allocated: both have to stay below a line that the input's length draws.

A new parser is a line in `TARGETS`.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import random
import resource
import sys
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Self

from edged.core.emrtd import (
    certificates,
    chip_authentication,
    cms,
    crl,
    dg1,
    dg7,
    dg11,
    dg12,
    ef_com,
    ldif,
    master_list,
    pace_choice,
    passive,
    portrait_file,
    public_keys,
    security_infos,
    security_object,
    signatures,
    tlv,
    wrapped,
)
from edged.core.emrtd.access_keys import mrz_key
from edged.core.emrtd.active import verify_active
from edged.core.emrtd.apdu import Command, Response
from edged.core.emrtd.bac import establish_bac
from edged.core.emrtd.card_security import verify_card_security
from edged.core.emrtd.curves import curves
from edged.core.emrtd.file_reading import HEADER, FileReader
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.judging import judge_chip
from edged.core.emrtd.pace import establish_pace
from edged.core.emrtd.reader import ReadPlan, read_chip
from edged.core.emrtd.secure_messaging import SecureMessaging
from edged.core.emrtd.session import Session
from edged.core.emrtd.session_keys import session_keys
from edged.core.emrtd.steps import Exchange, drive
from edged.core.emrtd.suites import AES128, DES3, Suite, encrypt, encrypt_block, message_mac, pad
from edged.core.emrtd.tlv import encode
from edged.core.emrtd.trust_anchors import TrustAnchors, anchor_entry
from edged.core.imageheader import sniff
from edged.core.mrz import parse_mrz
from edged.errors import ChipError, ChipGoneError, DecodeError
from edged.identity import Sensitive
from edged.verdict import Check, Result
from tests import chip_seeds, lds_files
from tests.chip_mutations import broken

TODAY = datetime.date(2026, 11, 26)
CRASHES = Path(__file__).parent / "vectors" / "chip-crashes"
"""Inputs that once broke a target, `<target>--<what it was>.bin`, made of `chip_seeds` alone: no person's data."""

ADDRESS_SPACE = 3 << 30
CALLS, CALLS_AN_OCTET = 20_000, 40
"""Work that an input may cost. Nothing seen cost a seventh of it; growth faster than the length would cross it."""
WHOLE_CALLS = 60_000
"""Of a whole reading and its verdict."""
OCTETS, OCTETS_AN_OCTET = 2 << 20, 60
"""Memory likewise."""
ANSWERS = 3000
"""What a chip says in one conversation: it begins again from the start until then."""


class Target(NamedTuple):
    """A parser, whole inputs for it, and real ones beside them where a machine has them (paths below `CHIP`)."""

    read: Callable[[bytes], object]
    seeds: Callable[[], Mapping[str, bytes]]
    real: tuple[str, ...] = ()
    refusals: tuple[type[Exception], ...] = (DecodeError,)
    calls: int = CALLS

    def limit(self, data: bytes) -> int:
        """The calls that `data` may cost."""
        return self.calls + CALLS_AN_OCTET * len(data)


class TooMuchWorkError(BaseException):
    """No handler of the code under test may take it for bad input."""


def some(*names: str) -> Callable[[], dict[str, bytes]]:
    """Files of the chip that `chip_seeds` makes, by their names' beginnings."""
    return lambda: {
        name: data
        for name, data in chip_seeds.files().items()
        if name.split(" ")[0] in names or name in names
    }


def one(make: Callable[..., bytes], *arguments: Any) -> Callable[[], dict[str, bytes]]:
    return lambda: {"": make(*arguments)}


def walk(data: bytes | memoryview) -> None:
    """Every data object, as deep as they lie; what they hold is looked at no more than once a level."""
    levels = [memoryview(data)]
    for _ in range(64):
        found = [part for level in levels for part in tlv.iterate(level)]
        levels = [part.value for part in found if part.tag.to_bytes(4, "big").lstrip(b"\0")[:1] > b"\x60"]


@cache
def anchors() -> TrustAnchors:
    return TrustAnchors([anchor_entry(certificates.parse_certificate(chip_seeds.certificate()))])


def passive_authentication(data: bytes) -> object:
    groups = {int(name[2:]): file for name, file in chip_seeds.files().items() if name[2:].isdigit()}
    return passive.verify_passive(data, groups, anchors(), at=chip_seeds.AT, issuing_state="UTO")


def chip_keys(data: bytes) -> object:
    return chip_authentication.choose_chip_authentication(security_infos.read_dg14(data))


def pace_ways(data: bytes) -> object:
    return pace_choice.pace_choices(security_infos.read_card_access(data))


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


def points(data: bytes) -> None:
    for curve in curves().values():
        with contextlib.suppress(DecodeError):
            curve.decode_point(data)


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


def judged(file: ElementaryFile) -> Target:
    """A chip that has one broken file. A data group that isn't the signed one never passes for it: it is found out,
    or can't be read and is said to be unchecked."""

    def read(data: bytes) -> object:
        checks = read_and_judged(chip_files() | {file: data}, {})
        hashes = next(check for check in checks if check.name == "pa_hashes")
        unchecked = [
            name for reason in hashes.reasons for name in reason.params.get("groups", "").split(", ")
        ]
        whole = data.startswith(chip_files()[file])  # what follows a file isn't of it
        if file.number is not None:
            assert (hashes.result is Result.SUCCESSFUL and file.value not in unchecked) == whole
        return checks

    return Target(read, lambda: {"": chip_files()[file]}, refusals=(), calls=WHOLE_CALLS)


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


def active_answer(data: bytes) -> object:
    checks = [
        verify_active(encode(0x6F, key), bytes(8), data)
        for key in (chip_seeds.public_key(), chip_seeds.rsa_key())
    ]
    assert all(check.result is not Result.SUCCESSFUL for check in checks)
    return checks


def card_security_proof(data: bytes) -> object:
    dg14 = chip_seeds.files()["dg14"]
    return verify_card_security(data, dg14, anchors(), document_signer=None, at=chip_seeds.AT)


_ANSWERED = (DecodeError, ChipError)
_SODS = (
    "bsi-2008/011D",
    "sod/AU-2016-rsa-pkcs1.sod",
    "sod/DE-2023-ecdsa-sha384.sod",
    "sod/MY-2022-rsa-pss.sod",
)

TARGETS: dict[str, Target] = {
    "tlv": Target(walk, chip_seeds.files, ("bsi-2008/0101", "bsi-2008/010E", "bsi-2008/011D")),
    "command": Target(Command.decode, one(lambda: Command(0xA4, 2, 12, b"\x01\x1e", 256).encode())),
    "response": Target(Response.decode, one(lambda: b"\x61\x02ab\x90\x00")),
    "security object": Target(security_object.parse_security_object, some("security object")),
    "sod": Target(security_object.security_object_of_sod, some("sod"), _SODS),
    "com": Target(ef_com.parse_com, some("com"), ("bsi-2008/011E",)),
    "dg1": Target(lambda data: dg1.parse_dg1(data, today=TODAY), some("dg1"), ("bsi-2008/0101",)),
    "dg2": Target(portrait_file.find_portrait, some("dg2"), ("bsi-2008/0102",)),
    "image header": Target(sniff, lds_files.images),
    "dg7": Target(dg7.parse_dg7, some("dg7")),
    "dg11": Target(dg11.parse_dg11, some("dg11")),
    "dg12": Target(dg12.parse_dg12, some("dg12")),
    "dg14": Target(wrapped.security_infos_of_dg14, some("dg14"), ("bsi-2008/010E",)),
    "dg15": Target(wrapped.public_key_of_dg15, some("dg15"), ("bsi-2008/010F",)),
    "chip keys": Target(chip_keys, some("dg14"), ("bsi-2008/010E",)),
    "card access": Target(pace_ways, some("card access")),
    "card security": Target(security_infos.read_card_security, some("card security")),
    "public key": Target(public_keys.parse_public_key, chip_seeds.public_keys),
    "signature algorithm": Target(signatures.signature_algorithm, chip_seeds.signature_algorithms),
    "point": Target(points, one(lambda: chip_seeds.public_key()[-65:])),
    "certificate": Target(certificates.parse_certificate, chip_seeds.certificates),
    "cms": Target(cms.parse_signed_data, chip_seeds.signed),
    "crl": Target(crl.parse_crl, one(chip_seeds.crl)),
    "master list": Target(master_list.parse_master_list, one(chip_seeds.master_list)),
    "ldif": Target(lambda data: list(ldif.trust_objects(data)), one(chip_seeds.ldif)),
    "passive authentication": Target(passive_authentication, some("sod"), _SODS),
    "answer": Target(protected(DES3, False), one(protected_data, DES3), refusals=_ANSWERED),
    "proven answer 3DES": Target(protected(DES3, True), one(protected_data, DES3), refusals=_ANSWERED),
    "proven answer AES": Target(protected(AES128, True), one(protected_data, AES128), refusals=_ANSWERED),
    "bac": Target(bac, lambda: answers_in("bac"), refusals=_ANSWERED),
    "pace": Target(pace, lambda: answers_in("pace"), refusals=_ANSWERED),
    "file reading": Target(file_reading, lambda: answers_in("file"), refusals=_ANSWERED),
    "secured file reading": Target(secured_file_reading, lambda: answers_in("file"), refusals=_ANSWERED),
    "active authentication": Target(active_answer, one(lambda: bytes(range(64))), refusals=()),
    "card security proof": Target(card_security_proof, some("card security"), refusals=()),
    "interrupted reading": Target(interrupted, interruptions, refusals=(), calls=WHOLE_CALLS),
    "judged SOD": judged(ElementaryFile.SOD),
    "judged COM": judged(ElementaryFile.COM),
    "judged DG1": judged(ElementaryFile.DG1),
    "judged DG14": judged(ElementaryFile.DG14),
    "judged DG15": judged(ElementaryFile.DG15),
}


@cache
def whole(name: str) -> tuple[bytes, ...]:
    """Inputs of a target: those made here, then real ones as far as they are there."""
    target = TARGETS[name]
    real = [lds_files.CHIP / path for path in target.real]
    return (*target.seeds().values(), *(path.read_bytes() for path in real if path.exists()))


@cache
def lenders() -> tuple[bytes, ...]:
    return (
        *chip_seeds.files().values(),
        chip_seeds.certificate(),
        chip_seeds.master_list(),
        chip_seeds.crl(),
    )


def case(name: str, number: int, seeds: tuple[bytes, ...] | None = None) -> bytes:
    """Broken input `number` of a target."""
    draw = random.Random(zlib.crc32(name.encode()) << 32 | number)
    inputs = seeds or whole(name)
    return broken(inputs[number % len(inputs)], draw.choice(lenders()), draw)


def outcome(name: str, data: bytes) -> str:
    """What becomes of an input: "read", or the code of why not. Anything else that gets out is a finding."""
    target = TARGETS[name]
    try:
        touch(target.read(data))
    except target.refusals as error:
        assert not any(secret in str(error) for secret in chip_seeds.SECRETS), "an error tells identity"
        return getattr(error, "code", type(error).__name__)
    return "read"


def touch(found: object, depth: int = 2) -> None:
    """What was read lazily is read now."""
    if isinstance(found, Sensitive):
        found.reveal()
    elif isinstance(found, tuple | list):
        for part in found[:50]:
            touch(part, depth - 1) if depth else None
    if not type(found).__module__.startswith("edged.") or not depth:
        return
    for attribute in dir(type(found)):
        if not attribute.startswith("_") and attribute != "reveal":
            value = getattr(found, attribute)
            if not callable(value):
                touch(value, depth - 1)


class Measured:
    """Calls made while it stands, Python's and C's; more than `limit` end what is running."""

    def __init__(self, limit: int) -> None:
        self.calls = 0
        self._limit = limit

    def __enter__(self) -> Self:
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _count(self, _frame: object, event: str, _argument: object) -> None:
        if event in ("call", "c_call"):
            self.calls += 1
            if self.calls > self._limit:
                sys.setprofile(None)
                raise TooMuchWorkError


def run(cases: Iterable[tuple[str, int, bytes]]) -> dict[str, object]:
    """Read them all; outcomes by target, and how near anything came to its line (1 is on it)."""
    outcomes: dict[str, Counter[str]] = {}
    work, work_at, memory, memory_at, total = 0.0, "", 0.0, "", 0
    tracemalloc.start()
    for name, number, data in cases:
        place = f"{name} {number}"
        print(place, file=sys.stderr, flush=True)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        limit = TARGETS[name].limit(data)
        with Measured(limit) as measured:
            code = outcome(name, data)
        taken = tracemalloc.get_traced_memory()[1] - before
        outcomes.setdefault(name, Counter())[code] += 1
        total += 1
        if (share := measured.calls / limit) > work:
            work, work_at = share, place
        if (share := taken / (OCTETS + OCTETS_AN_OCTET * len(data))) > memory:
            memory, memory_at = share, place
    return {
        "outcomes": outcomes, "cases": total, "work": round(work, 3), "work_at": work_at,
        "memory": round(memory, 3), "memory_at": memory_at,
    }  # fmt: skip


def cases(first: int, count: int, names: Iterable[str] = ()) -> Iterator[tuple[str, int, bytes]]:
    """`count` broken inputs of each target."""
    for name in names or TARGETS:
        for number in range(first, first + count):
            yield name, number, case(name, number)


def main(first: int, count: int, names: list[str]) -> None:
    for name in TARGETS:  # what loads when it is first used isn't the input's doing
        for data in whole(name):
            outcome(name, data)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    print(json.dumps(run(cases(first, count, names))))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])

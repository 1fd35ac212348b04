"""Everything that reads a chip's bytes, and whole inputs for it. A new parser is a line in `TARGETS`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

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
from edged.core.emrtd.active import verify_active
from edged.core.emrtd.apdu import Command, Response
from edged.core.emrtd.card_security import verify_card_security
from edged.core.emrtd.curves import curves
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.suites import AES128, DES3
from edged.core.emrtd.tlv import encode
from edged.core.imageheader import sniff
from edged.errors import ChipError, DecodeError
from edged.verdict import Result
from tests import chip_seeds, lds_files
from tests.chip_conversations import (
    TODAY,
    anchors,
    answers_in,
    bac,
    chip_files,
    file_reading,
    interrupted,
    interruptions,
    pace,
    protected,
    protected_data,
    read_and_judged,
    secured_file_reading,
)

CALLS, CALLS_AN_OCTET = 20_000, 40
"""Work that an input may cost. Nothing seen cost a seventh of it; growth faster than the length would cross it."""
WHOLE_CALLS = 60_000
"""Of a whole reading and its verdict."""


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


def passive_authentication(data: bytes) -> object:
    groups = {int(name[2:]): file for name, file in chip_seeds.files().items() if name[2:].isdigit()}
    return passive.verify_passive(data, groups, anchors(), at=chip_seeds.AT, issuing_state="UTO")


def chip_keys(data: bytes) -> object:
    return chip_authentication.choose_chip_authentication(security_infos.read_dg14(data))


def pace_ways(data: bytes) -> object:
    return pace_choice.pace_choices(security_infos.read_card_access(data))


def points(data: bytes) -> None:
    for curve in curves().values():
        with contextlib.suppress(DecodeError):
            curve.decode_point(data)


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

"""Reads an emulated chip step by step with the terminal's protocols, for tests of the emulator."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import cache
from typing import NamedTuple

from edged.core.emrtd.access_keys import AccessKey
from edged.core.emrtd.apdu import INTERNAL_AUTHENTICATE, OK, Command
from edged.core.emrtd.bac import establish_bac
from edged.core.emrtd.certificates import parse_certificate
from edged.core.emrtd.chip_authentication import authenticate_chip, choose_chip_authentication
from edged.core.emrtd.crl import parse_crl
from edged.core.emrtd.file_reading import FileReader
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.pace import PaceResult, establish_pace
from edged.core.emrtd.pace_choice import pace_choices
from edged.core.emrtd.passive import PassiveResult, verify_passive
from edged.core.emrtd.security_infos import read_card_access, read_dg14
from edged.core.emrtd.session import Session
from edged.core.emrtd.steps import Exchange, drive
from edged.core.emrtd.trust_anchors import TrustAnchors, anchor_entry, crl_entry
from edged.emulator.card import Card
from edged.emulator.faults import FaultyCard, Injected
from edged.emulator.office import Office
from edged.emulator.profiles import Profile
from edged.errors import ChipGoneError

ON = date(2026, 6, 1)
AT = datetime(2026, 6, 15, 12, tzinfo=UTC)
PASSPORT = (
    "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<",
    "L898902C36UTO7408122F3104150ZE184226B<<<<<16",
)


@cache
def office(seed: str = "tests") -> Office:
    """One office for all tests: making RSA keys is slow."""
    return Office("UT", on=ON, seed=seed)


def transmit(card: FaultyCard | Card):  # type: ignore[no-untyped-def]
    def sent(command: bytes) -> bytes:
        answer = card.answer(command)
        if answer is None:
            raise ChipGoneError("chip.gone")
        return answer

    return sent


class Read(NamedTuple):
    files: dict[ElementaryFile, bytes]
    pace: PaceResult | None
    chip_authenticated: bool | None
    signature: bytes | None
    session: Session


NONCE = bytes(range(8))


def read(
    key: AccessKey,
    *,
    with_bac: bool = False,
    extended: int = 4096,
    wanted: Iterable[ElementaryFile] | None = None,
) -> Exchange[Read]:
    """Everything there is but DG3 and DG4."""
    session = Session()
    files = FileReader(session, extended=extended)
    read: dict[ElementaryFile, bytes] = {}
    pace = None
    if not with_bac:
        yield from session.select_master_file()
        read[ElementaryFile.CARD_ACCESS] = yield from files.read(ElementaryFile.CARD_ACCESS)
        (choice, *_) = pace_choices(read_card_access(read[ElementaryFile.CARD_ACCESS]))
        pace = yield from establish_pace(choice, key)
        session.secure(pace.keys)
        if pace.cam is not None:
            read[ElementaryFile.CARD_SECURITY] = yield from files.read(ElementaryFile.CARD_SECURITY)
    assert (yield from session.select_application()) == OK
    if with_bac:
        session.secure((yield from establish_bac(key)))
    chip = None
    for file in wanted or _ORDER:
        if file is ElementaryFile.DG1 and ElementaryFile.DG14 in read:
            way = choose_chip_authentication(read_dg14(read[ElementaryFile.DG14]))
            if way is not None:
                session.secure((yield from session.through(authenticate_chip(way))))
                chip = True
        if wanted or file.tag is None or file is ElementaryFile.COM or _listed(read, file):
            read[file] = yield from files.read(file)
    signature = None
    if ElementaryFile.DG15 in read:
        command = Command(INTERNAL_AUTHENTICATE, data=NONCE, ne=256)
        signature = (yield from session.send(command)).data
    return Read(read, pace, chip, signature, session)


_ORDER = (
    ElementaryFile.COM,
    ElementaryFile.SOD,
    ElementaryFile.DG14,
    ElementaryFile.DG1,
    ElementaryFile.DG2,
    ElementaryFile.DG11,
    ElementaryFile.DG12,
    ElementaryFile.DG15,
)


def _listed(read: dict[ElementaryFile, bytes], file: ElementaryFile) -> bool:
    assert file.tag is not None
    return (
        file is ElementaryFile.SOD
        or file.tag in read[ElementaryFile.COM][-len(read[ElementaryFile.COM]) + 18 :]
    )


def read_card(card: FaultyCard, key: AccessKey, **more: object) -> Read:
    with_bac = not card.card.personalised.pace
    return drive(read(key, with_bac=with_bac, **more), transmit(card))  # type: ignore[arg-type]


def laid(profile: Profile, fault: str | None = None, at: Office | None = None) -> FaultyCard:
    return (at or office()).lay(profile, PASSPORT, Injected.parse(fault) if fault else None)


@cache
def anchors(of: Office) -> TrustAnchors:
    given = of.trust()
    return TrustAnchors(
        [anchor_entry(parse_certificate(der)) for name, der in given.items() if name.endswith(".cer")],
        [crl_entry(parse_crl(der)) for name, der in given.items() if name.endswith(".crl")],
    )


def passive(of: Office, files: dict[ElementaryFile, bytes], *, at: datetime = AT) -> PassiveResult:
    groups = {one.number: octets for one, octets in files.items() if one.number is not None}
    return verify_passive(files[ElementaryFile.SOD], groups, anchors(of), at=at, issuing_state="UTO")

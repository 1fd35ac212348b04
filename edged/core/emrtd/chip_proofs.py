"""Is it the chip that was issued, and not a copy of its files? What has to be asked while it is there.

Chip authentication is decided here (Doc 9303-11 §6.2, §4.4.3.5), active authentication only asked for (§6.1). Either
counts only when passive authentication holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core.emrtd import tlv
from edged.core.emrtd.apdu import (
    INTERNAL_AUTHENTICATE,
    MAX_SHORT_NE,
    OK,
    WRONG_LENGTH,
    Command,
)
from edged.core.emrtd.chip_authentication import authenticate_chip, choose_chip_authentication
from edged.core.emrtd.chip_reading import Challenge
from edged.core.emrtd.file_reading import WRONG_EXPECTED
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.pace_mapping import CamData, verify_cam
from edged.core.emrtd.security_infos import (
    Mapping,
    PaceInfo,
    read_card_access,
    read_card_security,
    read_dg14,
)
from edged.core.emrtd.session import select_command, short_room
from edged.errors import ChipError, ChipGoneError, ChipOverrunError, DecodeError
from edged.verdict import Check, Reason, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.core.emrtd.chip_authentication import ChipAuthenticationChoice
    from edged.core.emrtd.domains import Draw
    from edged.core.emrtd.file_reading import FileReader
    from edged.core.emrtd.session import Session
    from edged.core.emrtd.steps import Exchange

CHECK: Final = "chip_authentication"
NONCE_OCTETS: Final = 8
"""Doc 9303-11 §6.1.2.2: RND.IFD."""
LONG_ANSWER: Final = 1024
"""Octets expected where a signature needs a long answer: 8192 bits. 65536 makes some chips answer nothing at all."""
_LEAST_LOST: Final = 8
"""A signature so much shorter than its modulus was cut off: no chip leaves out that many leading zeros."""
_REFUSED: Final = frozenset(("chip.ca_failed", "chip.ca_not_proven"))
"""What the chip did, and not the air."""
MAX_KEY_IN_SHORT: Final = 200
"""Octets of a public key that a protected short command has room for; numbers of 2048 bits need a long one."""


def judge_cam(cams: Sequence[CamData], card_security: bytes) -> Check:
    """Chip authentication as PACE's mapping did it in each session, against the keys in EF.CardSecurity.

    It binds the chip to that one session: a copy could borrow a genuine chip for the first one.
    """
    try:
        infos = read_card_security(card_security).infos
        proven = all(verify_cam(cam, infos) for cam in cams)
    except DecodeError as error:
        return undetermined(error)
    return Check(CHECK, Result.SUCCESSFUL) if proven else _failed("chip.cam_failed")


def offers_mapping(raw: bytes | None) -> bool:
    """Whether EF.CardAccess or DG14 tells of PACE with chip authentication mapping; False for what can't be read."""
    try:
        tag = tlv.read_header(raw or b"")[0]
        infos = read_dg14(raw or b"") if tag == ElementaryFile.DG14.tag else read_card_access(raw or b"")
    except DecodeError:
        return False
    return any(info.mapping is Mapping.CHIP_AUTHENTICATION for info in infos.of(PaceInfo))


def undetermined(error: ChipError | DecodeError) -> Check:
    """What couldn't be found out."""
    return Check(CHECK, Result.UNDETERMINED, (Reason(error.code, dict(error.params)),))


def prove_chip(session: Session, dg14: bytes, draw: Draw, *, long: bool) -> Exchange[Check | None]:
    """Chip authentication, None where DG14 has no key for it; the session goes on with the keys agreed on.

    `long`: whether long commands can be sent. The session is lost after whatever may have been the air's fault, and
    after a proof that failed.
    """
    try:
        choice = choose_chip_authentication(read_dg14(dg14))
    except DecodeError as error:
        return undetermined(error)
    if choice is None:
        return None
    needs_long = len(choice.key.public) > MAX_KEY_IN_SHORT
    if needs_long and not long:
        return undetermined(ChipError("chip.needs_long_commands"))
    try:
        yield from _agree(session, choice, draw)
    except (ChipGoneError, ChipOverrunError):
        raise
    except DecodeError as error:
        return undetermined(error)
    except ChipError as error:
        if needs_long and error.sw == WRONG_LENGTH:
            return undetermined(ChipError("chip.needs_long_commands"))
        if error.code in _REFUSED:
            return _failed(error.code)
        session.abandon()  # no telling which keys the chip has now
        return undetermined(error)
    return Check(CHECK, Result.SUCCESSFUL)


def _agree(session: Session, choice: ChipAuthenticationChoice, draw: Draw) -> Exchange[None]:
    """New keys, and the first exchange under them, which is the proof (§6.2.4). Raises `ChipError`."""
    secured = session.secured
    try:
        keys = yield from session.through(authenticate_chip(choice, draw))
    except ChipError as error:
        if secured and not session.in_step and error.code == "chip.ca_failed":  # in clear: by whoever
            raise ChipError("sm.unprotected", sw=error.sw) from None
        raise
    session.secure(keys)
    try:
        yield from session.send(select_command(ElementaryFile.DG14))
    except ChipError as error:
        if error.code.startswith("sm."):
            raise ChipError("chip.ca_not_proven", sw=error.sw) from None
        raise
    if not session.in_step:
        session.abandon()
        raise ChipError("chip.ca_not_proven")


def _failed(code: str) -> Check:
    return Check(CHECK, Result.FAILED, (Reason(code),))


def challenge_chip(
    session: Session, reader: FileReader, dg15: bytes, draw: Draw
) -> Exchange[Challenge | Reason]:
    """Active authentication as it goes over the wire (§6.1.2.2), or why there is none; whoever has the key verifies it.

    A signature that doesn't fit a short answer is asked for in a long one first, where long ones pass: some chips cut
    it off otherwise, others answer nothing to a long one. What was lost on the air, or answered by whoever in clear,
    is asked for once more. Raises `ChipError` where the session was lost and can't be opened again.
    """
    nonce = draw.octets(NONCE_OCTETS)
    octets = signature_octets(dg15)
    needs_long = octets > short_room(session)
    outcome: Challenge | Reason = Reason("chip.needs_long_answers")
    ways = [LONG_ANSWER, MAX_SHORT_NE] if needs_long and reader.long else [MAX_SHORT_NE]
    best, again, told = ways[0], False, False
    while ways:
        ne = ways.pop(0)
        try:
            response = yield from session.send(Command(INTERNAL_AUTHENTICATE, data=nonce, ne=ne))
        except (ChipGoneError, ChipOverrunError):
            raise
        except ChipError as error:
            outcome = Reason(error.code, dict(error.params))
            if ne <= MAX_SHORT_NE:  # no question of length: no telling whether the chip heard it
                session.abandon()
            if session.lost:
                yield from reader.recover(error)
        else:
            if response.sw >> 8 == WRONG_EXPECTED and not told:  # 6CXX: ask for exactly so many
                told = True
                ways.insert(0, response.sw & 0xFF or MAX_SHORT_NE)
                continue
            if session.in_step:
                if response.sw == OK and len(response.data) > max(octets - _LEAST_LOST, 0):
                    return Challenge(nonce, response.data, OK)
                if not (needs_long and response.sw in {OK, WRONG_LENGTH}):
                    outcome = Challenge(nonce, None, response.sw)
                continue
            if not (needs_long and response.sw == WRONG_LENGTH):
                outcome = Reason("sm.unprotected")
        if not again:
            again = True
            ways.append(best)
    return outcome


def signature_octets(dg15: bytes) -> int:
    """How long a signature with this key is: that of an RSA modulus, 0 where it is short anyway or not known."""
    from edged.core.emrtd.public_keys import RsaKey, parse_public_key
    from edged.core.emrtd.wrapped import public_key_of_dg15

    try:
        key = parse_public_key(public_key_of_dg15(dg15), "dg15")
    except DecodeError:
        return 0
    return (key.bits + 7) // 8 if isinstance(key, RsaKey) else 0

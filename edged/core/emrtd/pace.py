"""Password authenticated connection establishment, the terminal's side (Doc 9303-11 §4.4).

A failure here never becomes basic access control: what may follow is the caller's decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from edged.core.emrtd import der, tlv
from edged.core.emrtd.access_keys import MRZ_PASSWORD, AccessKey
from edged.core.emrtd.access_refusals import accepted, blocked, proven, tries_left
from edged.core.emrtd.apdu import (
    GENERAL_AUTHENTICATE,
    MANAGE_SECURITY_ENVIRONMENT,
    MAX_SHORT_DATA,
    MAX_SHORT_NE,
    OK,
    REFERENCE_NOT_FOUND,
    Command,
)
from edged.core.emrtd.domains import SECRETS, Domain, Draw
from edged.core.emrtd.pace_mapping import CamData, decrypt_cam, pseudo_random
from edged.core.emrtd.security_infos import Mapping
from edged.core.emrtd.session_keys import SessionKeys, session_keys
from edged.core.emrtd.steps import Exchange, ask
from edged.core.emrtd.suites import FOR_PACE, MAC_OCTETS, Suite, decrypt, derive_key, mac, same, sha
from edged.errors import ChipError, DecodeError
from edged.identity import withheld

if TYPE_CHECKING:
    from edged.core.emrtd.pace_choice import PaceChoice
    from edged.core.emrtd.security_infos import PaceInfo

CHAINED: Final = 0x10
NE_OF_LONG_COMMANDS: Final = 1024
"""A key of 2048 bits needs an extended command; its answer is as long, and no reader minds so little."""
NONCE_OCTETS: Final = frozenset({8, 16, 24, 32})
"""Whole blocks, as many as the chip likes (Doc 9303-11 §4.4.3.3); integrated mapping fixes how many."""

_DYNAMIC: Final = 0x7C
_CHIP_MISBEHAVED: Final = "chip.pace_failed"


@withheld
class PaceResult(NamedTuple):
    """What PACE leaves.

    Attributes:
        keys: of the session.
        info: the way that was gone.
        cam: what `pace_mapping.verify_cam` judges later; None for other mappings.
    """

    keys: SessionKeys
    info: PaceInfo
    cam: CamData | None


def password_key(suite: Suite, key: AccessKey) -> bytes:
    """K_pi (Doc 9303-11 §9.7.3): of the SHA-1 of the MRZ's fields, or of the CAN as it is."""
    secret = sha(20, key.octets()) if key.reference == MRZ_PASSWORD else key.octets()
    return derive_key(suite, secret, FOR_PACE)


def token(keys: SessionKeys, oid: str, tag: int, public: bytes) -> bytes:
    """The authentication token over the other side's public key (Doc 9303-11 §4.4.3.4, §9.4)."""
    named = tlv.encode(der.OBJECT_IDENTIFIER, der.encode_oid(oid)) + tlv.encode(tag, public)
    return mac(keys.suite, keys.mac, tlv.encode(0x7F49, named))


def establish_pace(choice: PaceChoice, key: AccessKey, draw: Draw = SECRETS) -> Exchange[PaceResult]:
    """Open the chip, before its application is selected.

    Raises `ChipError`: "chip.wrong_key" (parameter `tries` where the chip tells), "chip.key_blocked",
    "chip.key_kind_unknown" (a chip without a CAN was given one), "chip.pace_refused" (it does not do what
    EF.CardAccess says) or "chip.pace_failed" (it does not follow the protocol).
    """
    yield from _set_authentication_template(choice, key)
    try:
        return (yield from _authenticate(choice, key, draw))
    except DecodeError as error:
        raise ChipError(_CHIP_MISBEHAVED, error.code) from None


def _set_authentication_template(choice: PaceChoice, key: AccessKey) -> Exchange[None]:
    """MSE:Set AT (Doc 9303-11 §4.4.4.1), never with Le: chips of some states refuse that.

    Which group is told only when it isn't clear; some chips want it all the same, so what is refused is tried the
    other way too.
    """
    info = choice.info
    data = tlv.encode(0x80, der.encode_oid(info.oid)) + tlv.encode(0x83, bytes((key.reference,)))
    ways = [data]
    if info.parameter_id is not None:
        told = data + tlv.encode(0x84, unsigned_octets(info.parameter_id))
        ways = [told, data] if choice.ambiguous else [data, told]
    sw = OK
    for way in ways:
        response = yield from ask(Command(MANAGE_SECURITY_ENVIRONMENT, 0xC1, 0xA4, way))
        sw = response.sw
        if blocked(sw):
            raise ChipError("chip.key_blocked", sw=sw)
        if sw == OK or tries_left(sw) is not None:  # 63CX warns of tries that went wrong before
            return
    raise ChipError("chip.key_kind_unknown" if sw == REFERENCE_NOT_FOUND else "chip.pace_refused", sw=sw)


def unsigned_octets(number: int) -> bytes:
    """A number in as few octets as it takes, one at least."""
    return number.to_bytes((number.bit_length() + 7) // 8 or 1, "big")


def _authenticate(choice: PaceChoice, key: AccessKey, draw: Draw) -> Exchange[PaceResult]:
    info, suite = choice.info, choice.info.suite
    encrypted = yield from _step(b"", 0x80)
    nonce = decrypt(suite, password_key(suite, key), encrypted)
    if len(nonce) not in NONCE_OCTETS:
        raise ChipError(_CHIP_MISBEHAVED, "nonce")
    mapped, chip_mapping_key = yield from _map(choice, nonce, draw)
    ours = mapped.generate(draw)
    theirs = yield from _step(tlv.encode(0x83, ours.public), 0x84)
    if same(choice.domain.check(theirs), ours.public):
        raise ChipError(_CHIP_MISBEHAVED, "same_key")
    keys = session_keys(suite, mapped.shared_secret(ours.private, theirs))

    tag = choice.domain.public_tag
    proof = tlv.encode(0x85, token(keys, info.oid, tag, theirs))
    response = yield from ask(_general_authenticate(proof, 0))
    answer = bytes(tlv.only(proven(response, _CHIP_MISBEHAVED), _DYNAMIC))
    returned = tlv.find(answer, 0x86)
    if returned is None or len(returned) != MAC_OCTETS:
        raise ChipError(_CHIP_MISBEHAVED, "token")
    if not same(token(keys, info.oid, tag, ours.public), bytes(returned)):
        raise ChipError(_CHIP_MISBEHAVED, "token")
    cam = None
    if info.mapping is Mapping.CHIP_AUTHENTICATION:
        data = tlv.find(answer, 0x8A)
        if data is None:
            raise ChipError(_CHIP_MISBEHAVED, "no_chip_authentication_data")
        cam = CamData(choice.domain, chip_mapping_key, decrypt_cam(keys, bytes(data)))
    return PaceResult(keys, info, cam)


def _map(choice: PaceChoice, nonce: bytes, draw: Draw) -> Exchange[tuple[Domain, bytes]]:
    """The group with the mapped generator, and the chip's public key of the mapping where it has one."""
    domain, suite = choice.domain, choice.info.suite
    if choice.info.mapping is Mapping.INTEGRATED:
        ours = draw.octets(suite.key_octets)
        yield from _step(tlv.encode(0x81, ours), None)
        return domain.map_integrated(pseudo_random(suite, nonce, ours, domain.modulus)), b""
    pair = domain.generate(draw)
    theirs = yield from _step(tlv.encode(0x81, pair.public), 0x82)
    if same(domain.check(theirs), pair.public):
        raise ChipError(_CHIP_MISBEHAVED, "same_key")
    return domain.map_generic(nonce, pair.private, theirs), theirs


def _step(inner: bytes, tag: int | None) -> Exchange[bytes]:
    """One link of the chain (Doc 9303-11 §4.4.4.2): the value of the data object that answers, b"" where none does."""
    response = yield from ask(_general_authenticate(inner, CHAINED))
    if (
        response.sw == REFERENCE_NOT_FOUND
    ):  # some tell only now that they have no such password (§4.4.4.1 note 1)
        raise ChipError("chip.key_kind_unknown", sw=response.sw)
    data = accepted(response, _CHIP_MISBEHAVED)
    if tag is None and not data:  # with nothing to say some chips send an empty template, others nothing
        return b""
    found = tlv.find(tlv.only(data, _DYNAMIC), tag if tag is not None else 0x82)
    if found is None and tag is not None:
        raise ChipError(_CHIP_MISBEHAVED, "no_data")
    return b"" if found is None else bytes(found)


def _general_authenticate(inner: bytes, cla: int) -> Command:
    data = tlv.encode(_DYNAMIC, inner)
    ne = MAX_SHORT_NE if len(data) <= MAX_SHORT_DATA else NE_OF_LONG_COMMANDS
    return Command(GENERAL_AUTHENTICATE, 0, 0, data, ne, cla)

"""Chip authentication version 1, the terminal's side (Doc 9303-11 §6.2).

An agreement between a fresh key and the chip's static one, whose public half stands in DG14. It proves nothing by
itself: only the first exchange that succeeds under the new keys shows that the chip has the private half, and that
counts only when passive authentication holds for DG14.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from edged.core.emrtd import der, tlv
from edged.core.emrtd.apdu import (
    GENERAL_AUTHENTICATE,
    MANAGE_SECURITY_ENVIRONMENT,
    MAX_SHORT_DATA,
    MAX_SHORT_NE,
    OK,
    WRONG_LENGTH,
    Command,
)
from edged.core.emrtd.domain_parameters import AgreementKey, decode_key
from edged.core.emrtd.domains import SECRETS, Draw
from edged.core.emrtd.pace import NE_OF_LONG_COMMANDS, unsigned_octets
from edged.core.emrtd.security_infos import (
    ID_CA,
    Agreement,
    ChipAuthenticationInfo,
    ChipAuthenticationPublicKeyInfo,
    SecurityInfos,
)
from edged.core.emrtd.session_keys import SessionKeys, session_keys
from edged.core.emrtd.steps import Exchange, ask
from edged.core.emrtd.suites import DES3, Suite
from edged.errors import ChipError, DecodeError
from edged.identity import withheld

VERSION: Final = 1

_DES3_OID: Final = {Agreement.DH: f"{ID_CA}.1.1", Agreement.ECDH: f"{ID_CA}.2.1"}


@withheld
class ChipAuthenticationChoice(NamedTuple):
    """One way to do it, with the chip's key.

    Attributes:
        oid: of the protocol.
        key_id: which of several keys; None when there is one.
    """

    oid: str
    suite: Suite
    key: AgreementKey
    key_id: int | None


def choose_chip_authentication(infos: SecurityInfos) -> ChipAuthenticationChoice | None:
    """The best way that DG14 offers: the longer cipher key, curves before numbers; None when it has no static key.

    Raises `DecodeError` when it has keys and none of them can be used here.
    """
    keys = infos.of(ChipAuthenticationPublicKeyInfo)
    ways: list[tuple[str, Agreement, Suite, int | None]] = [
        (info.oid, info.agreement, info.suite, info.key_id)
        for info in infos.of(ChipAuthenticationInfo)
        if info.version == VERSION
    ]
    if not infos.of(
        ChipAuthenticationInfo
    ):  # the first chips that had a key left out how it is used: with 3DES
        ways = [(_DES3_OID[key.agreement], key.agreement, DES3, key.key_id) for key in keys]
    ways.sort(key=lambda way: (-way[2].key_octets - way[2].aes, way[1] is not Agreement.ECDH))
    trouble: DecodeError | None = None
    bad: set[bytes] = set()
    for oid, agreement, suite, key_id in ways:
        info = infos.chip_key(agreement, key_id)
        if info is None or info.spki in bad:
            continue
        try:
            key = decode_key(info.spki)
        except DecodeError as error:
            trouble = error
            bad.add(info.spki)
            continue
        if key.domain.agreement == agreement:
            return ChipAuthenticationChoice(oid, suite, key, key_id)
    if trouble is not None:
        raise trouble
    if keys:
        raise DecodeError("chip", "domain.not_supported")
    return None


def authenticate_chip(choice: ChipAuthenticationChoice, draw: Draw = SECRETS) -> Exchange[SessionKeys]:
    """Agree on new session keys; the caller protects the commands with the old ones and then takes these.

    Raises `ChipError` ("chip.ca_failed") when the chip refuses, `DecodeError` when its key gives no secret. A chip
    without the private key goes through here all the same: see the module.
    """
    domain = choice.key.domain
    pair = domain.generate(draw)
    reference = b"" if choice.key_id is None else tlv.encode(0x84, unsigned_octets(choice.key_id))
    if choice.suite.aes:
        yield from _with_general_authenticate(choice, pair.public, reference)
    else:
        template = tlv.encode(0x91, pair.public) + reference
        response = yield from ask(Command(MANAGE_SECURITY_ENVIRONMENT, 0x41, 0xA6, template))
        if response.sw == WRONG_LENGTH:  # the key needs a long command, the other way too
            raise ChipError("chip.ca_failed", sw=response.sw)
        if response.sw != OK:  # chips without MSE:Set KAT have been issued (Doc 9303-11 §8.5 note 1)
            yield from _with_general_authenticate(choice, pair.public, reference)
    return session_keys(choice.suite, domain.shared_secret(pair.private, choice.key.public))


def _with_general_authenticate(
    choice: ChipAuthenticationChoice, public: bytes, reference: bytes
) -> Exchange[None]:
    """MSE:Set AT and GENERAL AUTHENTICATE (Doc 9303-11 §6.2.4.2)."""
    protocol = tlv.encode(0x80, der.encode_oid(choice.oid))
    yield from _told(Command(MANAGE_SECURITY_ENVIRONMENT, 0x41, 0xA4, protocol + reference))
    data = tlv.encode(0x7C, tlv.encode(0x80, public))
    ne = MAX_SHORT_NE if len(data) <= MAX_SHORT_DATA else NE_OF_LONG_COMMANDS
    yield from _told(Command(GENERAL_AUTHENTICATE, 0, 0, data, ne))


def _told(command: Command) -> Exchange[None]:
    response = yield from ask(command)
    if response.sw != OK:
        raise ChipError("chip.ca_failed", sw=response.sw)

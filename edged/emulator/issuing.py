"""Issuing a document: data groups for its MRZ and portrait, their security object signed, keys for its chip."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Final

from edged.core.emrtd import tlv
from edged.core.emrtd.files import ElementaryFile
from edged.core.layouts import MrzFormat
from edged.emulator import data_groups, mrz_lines, security_objects
from edged.emulator import object_identifiers as oids
from edged.emulator.personalised import AgreementKey, Personalised, SigningKey
from edged.emulator.signed_data import sign_content
from edged.emulator.signers import elliptic_key, public_key_info, rsa_key, scalar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from edged.emulator.profiles import Profile
    from edged.emulator.state import Issued, State

CAN: Final = "123456"
"""The card access number of every card that has one."""


def issue(
    profile: Profile,
    state: State,
    lines: Sequence[str],
    portrait: bytes,
    size: tuple[int, int],
    *,
    signer: Issued | None = None,
    seed: str = "",
    more: Mapping[ElementaryFile, bytes] | None = None,
) -> Personalised:
    """A document of this kind.

    `portrait` is JPEG or JPEG 2000 of width × height `size`; `signer` signs instead of the state's own document
    signer for the kind; `more` is data groups as they stand, instead of those made here. Everything is dated by the
    state's day. Raises `DecodeError` ("mrz", …) for lines that are no MRZ.
    """
    secret = f"{profile.name}/{seed}/{''.join(lines)}"
    chip_key, signing_key, mapping_key = _keys(profile, secret)
    groups = _data_groups(profile, lines, portrait, size, state.on)
    groups |= _keys_told(profile, chip_key, signing_key)
    groups |= more or {}
    groups = dict(sorted(groups.items(), key=lambda item: item[0].number or 0))
    signer = signer or state.document_signer(profile.signer, label=profile.name)
    files = {ElementaryFile.COM: data_groups.com(groups), **groups}
    files[ElementaryFile.SOD] = security_object(groups, signer, digest=profile.digest, on=state.on)
    if profile.pace:
        files[ElementaryFile.CARD_ACCESS] = security_objects.infos(
            security_objects.pace_info(offer) for offer in profile.pace
        )
    if mapping_key is not None:
        files[ElementaryFile.CARD_SECURITY] = _card_security(profile, mapping_key, signer, state.on)
    return Personalised(
        files,
        mrz_lines.password(lines),
        can=CAN if profile.can else None,
        bac=profile.bac,
        pace=profile.pace,
        mapping_key=mapping_key,
        chip_key=chip_key,
        signing_key=signing_key,
        conduct=profile.conduct,
    )


def security_object(
    groups: Mapping[ElementaryFile, bytes], signer: Issued, *, digest: str, on: date, version: int = 0
) -> bytes:
    """EF.SOD: the hashes of the data groups, signed (Doc 9303-10 §4.6.2)."""
    content = lds_security_object(
        {one.number or 0: octets for one, octets in groups.items()}, digest, version
    )
    at = datetime.combine(on, time(12), UTC)
    signed = sign_content(oids.LDS_SECURITY_OBJECT, content, signer, at=at)
    return tlv.encode(ElementaryFile.SOD.tag or 0, signed)


def lds_security_object(groups: Mapping[int, bytes], digest: str, version: int = 0) -> bytes:
    """LDSSecurityObject, version 0 or 1 (Doc 9303-10 §4.6.2.3)."""
    from asn1crypto import algos

    hashes = [
        security_objects.sequence(
            security_objects.integer(number), tlv.encode(0x04, hashlib.new(digest, octets).digest())
        )
        for number, octets in sorted(groups.items())
    ]
    algorithm = bytes(algos.DigestAlgorithm({"algorithm": digest}).dump())
    told = (
        [security_objects.sequence(tlv.encode(0x13, b"0107"), tlv.encode(0x13, b"040000"))] if version else []
    )
    return security_objects.sequence(
        security_objects.integer(version), algorithm, security_objects.sequence(*hashes), *told
    )


def _data_groups(
    profile: Profile, lines: Sequence[str], portrait: bytes, size: tuple[int, int], on: date
) -> dict[ElementaryFile, bytes]:
    layout = mrz_lines.layout_of(lines)
    groups = {
        ElementaryFile.DG1: data_groups.dg1(mrz_lines.in_chip(lines)),
        ElementaryFile.DG2: data_groups.dg2(portrait, size),
    }
    if profile.fingers:
        groups[ElementaryFile.DG3] = data_groups.dg3()
    if profile.extras:
        names = {0x5F0E: "SPECIMEN<<HOLDER", 0x5F11: "UTOPIA CITY"}
        if layout in {MrzFormat.PRC_PERMIT, MrzFormat.PRC_CARD}:
            names = {0x5F0E: "证件样本", 0x5F11: "福建"}
        document = {0x5F19: "EMULATED AUTHORITY", 0x5F26: f"{on:%Y%m%d}"}
        groups[ElementaryFile.DG11] = data_groups.details(ElementaryFile.DG11, names)
        groups[ElementaryFile.DG12] = data_groups.details(ElementaryFile.DG12, document)
    return groups


def _keys(
    profile: Profile, secret: str
) -> tuple[AgreementKey | None, SigningKey | None, AgreementKey | None]:
    from edged.emulator.profiles import group

    chip = profile.chip_authentication
    chip_key = None
    if chip is not None:
        agreed = group(chip.parameter)
        private = scalar(f"{secret}/chip".encode(), agreed.order)
        chip_key = AgreementKey(agreed, private, chip.oid, chip.suite, chip.number)
    active = profile.active_authentication
    signing_key = None
    if active is not None:
        seed = f"{secret}/active".encode()
        key = elliptic_key(active.curve, seed) if active.curve else rsa_key(active.bits or 0, seed)
        signing_key = SigningKey(key, active.digest, active.der)
    mapping_key = None
    mapping = next((offer for offer in profile.pace if offer.mapping == "CAM"), None)
    if mapping is not None:
        private = scalar(f"{secret}/mapping".encode(), mapping.group.order)
        oid = f"{oids.CHIP_AUTHENTICATION}.2.{mapping.oid.rpartition('.')[2]}"
        mapping_key = AgreementKey(mapping.group, private, oid, mapping.suite)
    return chip_key, signing_key, mapping_key


def _keys_told(
    profile: Profile, chip_key: AgreementKey | None, signing_key: SigningKey | None
) -> dict[ElementaryFile, bytes]:
    """DG14 and DG15."""
    chip, active = profile.chip_authentication, profile.active_authentication
    told = [security_objects.pace_info(offer) for offer in profile.pace]
    if chip is not None and chip_key is not None:
        told.append(security_objects.chip_authentication_info(chip_key))
        parameter = chip.parameter if chip.standard else None
        told.append(security_objects.chip_public_key_info(chip_key, parameter))
    if active is not None and active.curve and active.told:
        told.append(security_objects.active_authentication_info(active.digest))
    if profile.fingers:
        told.append(security_objects.terminal_authentication_info())
    groups = {}
    if told and (chip is not None or active is not None or profile.pace):
        octets = security_objects.infos(told)
        groups[ElementaryFile.DG14] = data_groups.wrapped(ElementaryFile.DG14, octets)
    if signing_key is not None:
        public = bytes(public_key_info(signing_key.key).dump())
        groups[ElementaryFile.DG15] = data_groups.wrapped(ElementaryFile.DG15, public)
    return groups


def _card_security(profile: Profile, key: AgreementKey, signer: Issued, on: date) -> bytes:
    """EF.CardSecurity: the security infos with the public key of chip authentication mapping, signed (§9.2.11)."""
    mapping = next(offer for offer in profile.pace if offer.mapping == "CAM")
    content = security_objects.infos(
        [
            *(security_objects.pace_info(offer) for offer in profile.pace),
            security_objects.chip_authentication_info(key),
            security_objects.chip_public_key_info(key, mapping.parameter),
        ]
    )
    at = datetime.combine(on, time(12), UTC)
    return sign_content(oids.SECURITY_OBJECT, content, signer, at=at, by_key_identifier=True)

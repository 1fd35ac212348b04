"""SecurityInfos: which protocols a chip speaks, with which parameters (Doc 9303-11 §9.2).

They stand in EF.CardAccess (unsigned, read before PACE), in DG14 (covered by EF.SOD) and in EF.CardSecurity (signed by
itself; its signature is checked elsewhere). What isn't known is kept as unknown; what is malformed is a `DecodeError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, TypeVar

from edged.core.emrtd import der, tlv
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.suites import AES128, AES192, AES256, DES3, Suite
from edged.errors import DecodeError
from edged.identity import withheld

if TYPE_CHECKING:
    from edged.core.emrtd.tlv import DataObject

MAX_OCTETS: Final = 65536
"""Of a file with SecurityInfos. Real ones have a few hundred, EF.CardSecurity a few thousand."""
MAX_INFOS: Final = 64
"""Real chips tell of about a dozen."""
MAX_OWN: Final = 8
"""Keys, or groups that aren't standardised, in one file. Real chips have one or two of them; to check a large one takes
a tenth of a second."""

WHAT: Final = "security_infos"

ID_PK: Final = "0.4.0.127.0.7.2.2.1"
ID_TA: Final = "0.4.0.127.0.7.2.2.2"
ID_CA: Final = "0.4.0.127.0.7.2.2.3"
ID_PACE: Final = "0.4.0.127.0.7.2.2.4"
ID_AA: Final = "2.23.136.1.1.5"
SIGNED_DATA: Final = "1.2.840.113549.1.7.2"

SUITES: Final = {1: DES3, 2: AES128, 3: AES192, 4: AES256}
"""Last arc of the protocols' object identifiers (Doc 9303-11 §9.2.3, §9.2.7)."""


class Agreement(StrEnum):
    """How a key is agreed on."""

    DH = "DH"
    ECDH = "ECDH"


class Mapping(StrEnum):
    """How PACE maps the nonce to a generator."""

    GENERIC = "GM"
    INTEGRATED = "IM"
    CHIP_AUTHENTICATION = "CAM"


PACE_KINDS: Final = {
    1: (Agreement.DH, Mapping.GENERIC),
    2: (Agreement.ECDH, Mapping.GENERIC),
    3: (Agreement.DH, Mapping.INTEGRATED),
    4: (Agreement.ECDH, Mapping.INTEGRATED),
    6: (Agreement.ECDH, Mapping.CHIP_AUTHENTICATION),
}
AGREEMENTS: Final = {1: Agreement.DH, 2: Agreement.ECDH}


@dataclass(frozen=True)
class PaceInfo:
    """One way to do PACE.

    Attributes:
        parameter_id: which domain parameters; None when only one proprietary set is there.
    """

    oid: str
    agreement: Agreement
    mapping: Mapping
    suite: Suite
    version: int
    parameter_id: int | None

    @property
    def name(self) -> str:
        """As in reports: "PACE-ECDH-GM AES-128"."""
        return f"PACE-{self.agreement}-{self.mapping} {self.suite.name}"


@dataclass(frozen=True)
class PaceDomainParameterInfo:
    """Domain parameters for PACE that aren't standardised; `algorithm` is an AlgorithmIdentifier (DER)."""

    oid: str
    agreement: Agreement
    mapping: Mapping
    algorithm: bytes
    parameter_id: int | None


@dataclass(frozen=True)
class ChipAuthenticationInfo:
    """One way to do chip authentication; `key_id` tells which key, None when there is one only."""

    oid: str
    agreement: Agreement
    suite: Suite
    version: int
    key_id: int | None


@withheld
class ChipAuthenticationPublicKeyInfo(NamedTuple):
    """A static key of the chip: a SubjectPublicKeyInfo (DER), for `domain_parameters.decode_key`."""

    agreement: Agreement
    spki: bytes
    key_id: int | None


@dataclass(frozen=True)
class ActiveAuthenticationInfo:
    """What active authentication with ECDSA signs with: an object identifier of BSI TR-03111 §5.2.1."""

    version: int
    signature_algorithm: str


@dataclass(frozen=True)
class TerminalAuthenticationInfo:
    """The chip asks for terminal authentication before it gives fingerprints or irises away."""

    version: int


@withheld
class UnknownInfo(NamedTuple):
    """What isn't known here, as it is (DER)."""

    oid: str
    raw: bytes


SecurityInfo: TypeAlias = (
    PaceInfo
    | PaceDomainParameterInfo
    | ChipAuthenticationInfo
    | ChipAuthenticationPublicKeyInfo
    | ActiveAuthenticationInfo
    | TerminalAuthenticationInfo
    | UnknownInfo
)
_OWN: Final = (PaceDomainParameterInfo, ChipAuthenticationPublicKeyInfo)
_Kind = TypeVar("_Kind", bound=SecurityInfo)


@withheld
class SecurityInfos(NamedTuple):
    """All of one file, in its order."""

    infos: tuple[SecurityInfo, ...]

    def of(self, kind: type[_Kind]) -> tuple[_Kind, ...]:
        """Those of one kind, in the file's order."""
        return tuple(info for info in self.infos if isinstance(info, kind))

    def chip_key(self, agreement: Agreement, key_id: int | None) -> ChipAuthenticationPublicKeyInfo | None:
        """The chip's static key that an identifier means; None when there is none, or it isn't clear which.

        An identifier left out on either side is clear when there is one key of the kind.
        """
        keys = [key for key in self.of(ChipAuthenticationPublicKeyInfo) if key.agreement is agreement]
        named = [key for key in keys if key.key_id == key_id]
        if len(named) == 1:
            return named[0]
        return keys[0] if len(keys) == 1 and None in {key_id, keys[0].key_id} else None


@withheld
class CardSecurity(NamedTuple):
    """EF.CardSecurity: what it says, and the CMS SignedData (DER, as read) whose signature makes it count."""

    infos: SecurityInfos
    signed: bytes


def read_card_access(raw: bytes) -> SecurityInfos:
    """EF.CardAccess (Doc 9303-11 §9.2.11): a DER SET; what follows it in the file is padding. Raises `DecodeError`."""
    _bound(raw)
    return _infos(tlv.read_one(raw, WHAT))


def read_dg14(raw: bytes) -> SecurityInfos:
    """DG14 (Doc 9303-10 §4.7.14), tag 6E included. Raises `DecodeError`."""
    _bound(raw)
    tag = ElementaryFile.DG14.tag
    assert tag is not None
    return _infos(der.root(tlv.only(raw, tag, WHAT), WHAT))


def read_card_security(raw: bytes) -> CardSecurity:
    """EF.CardSecurity (Doc 9303-11 §9.2.12): CMS SignedData over SecurityInfos. Raises `DecodeError`.

    Nothing is verified here: what it says counts after its signature and its certificate do.
    """
    _bound(raw)
    outer = tlv.read_one(raw, WHAT)
    kind, wrapped = der.members(outer, der.SEQUENCE, WHAT, 2)[:2]
    if der.oid(kind, WHAT) != SIGNED_DATA:
        raise DecodeError(WHAT, "security_infos.malformed")
    signed = der.root(der.contents(wrapped, 0xA0, WHAT), WHAT)
    encapsulated = der.members(signed, der.SEQUENCE, WHAT, 3)[2]
    _, content = der.members(encapsulated, der.SEQUENCE, WHAT, 2)[:2]
    octets = der.contents(der.root(der.contents(content, 0xA0, WHAT), WHAT), der.OCTET_STRING, WHAT)
    return CardSecurity(_infos(der.root(octets, WHAT)), bytes(raw[: outer.size]))


def encode_infos(infos: list[bytes]) -> bytes:
    """A SET of SecurityInfos (DER) from their codings, for a card."""
    return tlv.encode(der.SET, b"".join(sorted(infos)))


def _bound(raw: bytes) -> None:
    if len(raw) > MAX_OCTETS:
        raise DecodeError(WHAT, "security_infos.too_long")


def _infos(found: DataObject) -> SecurityInfos:
    entries = der.members(found, der.SET, WHAT)
    if len(entries) > MAX_INFOS:
        raise DecodeError(WHAT, "security_infos.too_many")
    infos = SecurityInfos(tuple(_info(entry) for entry in entries))
    if any(len(infos.of(kind)) > MAX_OWN for kind in _OWN):
        raise DecodeError(WHAT, "security_infos.too_many")
    return infos


def _info(entry: DataObject) -> SecurityInfo:
    protocol, *data = der.members(entry, der.SEQUENCE, WHAT, 2)
    oid = der.oid(protocol, WHAT)
    if len(data) > 2:
        return UnknownInfo(oid, der.again(entry))
    required, optional = data[0], data[1] if len(data) == 2 else None
    known: SecurityInfo | None = None
    if oid.startswith(ID_PACE + "."):
        known = _pace(oid, required, optional)
    elif oid.startswith(ID_CA + "."):
        known = _chip_authentication(oid, required, optional)
    elif oid.startswith(ID_PK + "."):
        agreement = _arc(oid, ID_PK, AGREEMENTS)
        if agreement is not None and required.tag == der.SEQUENCE:
            known = ChipAuthenticationPublicKeyInfo(agreement, der.again(required), _number(optional))
    elif oid == ID_AA:
        if required.tag == der.INTEGER and optional is not None:
            known = ActiveAuthenticationInfo(der.unsigned(required, WHAT), der.oid(optional, WHAT))
    elif oid == ID_TA and required.tag == der.INTEGER:
        known = TerminalAuthenticationInfo(der.unsigned(required, WHAT))
    return known if known is not None else UnknownInfo(oid, der.again(entry))


_Word = TypeVar("_Word")


def _arc(oid: str, base: str, words: dict[int, _Word]) -> _Word | None:
    """What the one arc after `base` means."""
    arc = oid.removeprefix(base + ".")
    return words.get(int(arc)) if arc.isdigit() and len(arc) < 4 else None


def _number(found: DataObject | None) -> int | None:
    return None if found is None else der.unsigned(found, WHAT)


def _pace(oid: str, required: DataObject, optional: DataObject | None) -> SecurityInfo | None:
    if required.tag == der.SEQUENCE:
        kind = _arc(oid, ID_PACE, PACE_KINDS)
        if kind is None:
            return None
        return PaceDomainParameterInfo(oid, *kind, der.again(required), _number(optional))
    base, _, _ = oid.rpartition(".")
    kind, suite = _arc(base, ID_PACE, PACE_KINDS), _arc(oid, base, SUITES)
    if kind is None or suite is None or required.tag != der.INTEGER:
        return None
    if kind[1] is Mapping.CHIP_AUTHENTICATION and not suite.aes:  # not defined (Doc 9303-11 §9.2.3)
        return None
    return PaceInfo(oid, *kind, suite, der.unsigned(required, WHAT), _number(optional))


def _chip_authentication(oid: str, required: DataObject, optional: DataObject | None) -> SecurityInfo | None:
    base, _, _ = oid.rpartition(".")
    agreement, suite = _arc(base, ID_CA, AGREEMENTS), _arc(oid, base, SUITES)
    if agreement is None or suite is None or required.tag != der.INTEGER:
        return None
    return ChipAuthenticationInfo(oid, agreement, suite, der.unsigned(required, WHAT), _number(optional))

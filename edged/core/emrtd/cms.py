"""CMS SignedData as security objects, master lists and EF.CardSecurity are wrapped in it (RFC 5652 §5).

Read tolerantly (BER, either way to name a signer, certificates in any number), verified over the octets as they are.
A signer is found by what its SignerInfo says; where that matches no certificate, any whose key verifies is the signer:
states write the identifier otherwise than the certificate, and the signature is what proves.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from asn1crypto import core

from edged.core.emrtd import asn1, signatures, tlv
from edged.core.emrtd.certificates import parse_certificate
from edged.core.emrtd.distinguished_names import Name, read_name
from edged.core.emrtd.times import read_time
from edged.errors import DecodeError
from edged.identity import withheld
from edged.verdict import Reason, Result

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from edged.core.emrtd.certificates import Certificate
    from edged.core.emrtd.signatures import SignatureAlgorithm

MAX_SIGNED_OCTETS: Final = 65_536
"""Of a SignedData unless its reader says otherwise: a security object has up to 4 KiB, EF.CardSecurity less."""
MAX_CERTIFICATES: Final = 16
"""Embedded in one SignedData: a signer, and the chain to its root on master lists."""
MAX_SIGNERS: Final = 4
"""One is the rule (Doc 9303-10 §4.6.2.3); each further one costs a signature or two."""
MAX_ATTRIBUTES: Final = 32
"""Signed attributes of one signer; there are two or three."""

SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
MASTER_LIST: Final = "2.23.136.1.1.2"

_CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
_SIGNING_TIME: Final = "1.2.840.113549.1.9.5"
_SET_OF: Final = b"\x31"


class _Content(core.Sequence):  # type: ignore[misc]
    _fields = [  # noqa: RUF012
        ("type", core.ObjectIdentifier),
        ("content", core.Any, {"optional": True}),  # [0] EXPLICIT, kept as it is
    ]


class _Anys(core.SetOf):  # type: ignore[misc]
    _child_spec = core.Any


class _IssuerAndSerial(core.Sequence):  # type: ignore[misc]
    _fields = [("issuer", core.Any), ("serial", core.Integer)]  # noqa: RUF012


class _Identifier(core.Choice):  # type: ignore[misc]
    _alternatives = [  # noqa: RUF012
        ("issuer", _IssuerAndSerial),
        ("ski", core.OctetString, {"implicit": 0}),
    ]


class _SignerInfoType(core.Sequence):  # type: ignore[misc]
    _fields = [  # noqa: RUF012
        ("version", core.Integer),
        ("identifier", _Identifier),
        ("digest", core.Any),
        ("attributes", _Anys, {"implicit": 0, "optional": True}),
        ("algorithm", core.Any),
        ("signature", core.OctetString),
        ("unsigned", _Anys, {"implicit": 1, "optional": True}),
    ]


class _SignerInfos(core.SetOf):  # type: ignore[misc]
    _child_spec = _SignerInfoType


class _SignedDataType(core.Sequence):  # type: ignore[misc]
    _fields = [  # noqa: RUF012
        ("version", core.Integer),
        ("digests", _Anys),
        ("content", _Content),
        ("certificates", _Anys, {"implicit": 0, "optional": True}),
        ("crls", _Anys, {"implicit": 1, "optional": True}),
        ("signers", _SignerInfos),
    ]


class _ContentInfo(core.Sequence):  # type: ignore[misc]
    _fields = [("type", core.ObjectIdentifier), ("content", _SignedDataType, {"explicit": 0})]  # noqa: RUF012


class _Attribute(core.Sequence):  # type: ignore[misc]
    _fields = [("type", core.ObjectIdentifier), ("values", _Anys)]  # noqa: RUF012


@withheld
@dataclass(frozen=True)
class SignerInfo:
    """One signer of a SignedData.

    Attributes:
        issuer, serial: of the signer's certificate; None when it is named by `ski` instead.
        ski: subject key identifier of the signer's certificate, None when named by issuer and serial.
        digest: AlgorithmIdentifier of the content's hash, DER.
        attributes: signed attributes as they are signed (a SET OF, with its universal tag), None without.
        content_type, message_digest, signing_time: from the signed attributes; None where absent or unreadable.
        algorithm: AlgorithmIdentifier of the signature, DER.
    """

    issuer: Name | None
    serial: int | None
    ski: bytes | None
    digest: bytes
    attributes: bytes | None
    content_type: str | None
    message_digest: bytes | None
    signing_time: datetime | None
    algorithm: bytes
    signature: bytes

    def names(self, certificate: Certificate) -> bool:
        """Whether the identifier is this certificate's."""
        if self.issuer is not None:
            return self.serial == certificate.serial and self.issuer.normal == certificate.issuer.normal
        return self.ski is not None and self.ski == certificate.ski


@withheld
@dataclass(frozen=True)
class SignedData:
    """A SignedData, read and not yet verified.

    Attributes:
        content_type: eContentType, dotted.
        content: eContent, None when detached.
        certificates: embedded certificates, DER, unparsed.
        crls: embedded CRLs, DER, unparsed.
    """

    content_type: str
    content: bytes | None
    certificates: tuple[bytes, ...]
    crls: tuple[bytes, ...]
    signers: tuple[SignerInfo, ...]


@dataclass(frozen=True)
class SignatureFinding:
    """What verifying a SignedData came to.

    Attributes:
        result: successful when a signer's signature over the content and its attributes verifies; failed when one
            doesn't; undetermined when no signer's certificate is there or an algorithm isn't known.
        reasons: why; also on success (SHA-1).
        certificate: the signer's, None when not found.
        signer: the SignerInfo judged, None when there is none.
        algorithm: of its signature, None when not understood.
    """

    result: Result
    reasons: tuple[Reason, ...] = ()
    certificate: Certificate | None = None
    signer: SignerInfo | None = None
    algorithm: SignatureAlgorithm | None = None


def parse_signed_data(data: bytes, *, what: str = "cms", limit: int = MAX_SIGNED_OCTETS) -> SignedData:
    """Read a ContentInfo with SignedData; EF.SOD's own tag (0x77) must be off. Verifies nothing.

    Raises `DecodeError` (`what`, "pki.too_long" | "pki.malformed" | "pki.not_signed_data").
    """
    if len(data) > limit:
        raise DecodeError(what, "pki.too_long")
    with asn1.guarded(what, "pki.malformed"):
        info = _ContentInfo.load(data, strict=True)
        if info["type"].dotted != SIGNED_DATA:
            raise DecodeError(what, "pki.not_signed_data")
        signed = info["content"]
        return SignedData(
            signed["content"]["type"].dotted,
            _content(signed["content"]["content"]),
            _raw(signed["certificates"], MAX_CERTIFICATES, what),
            _raw(signed["crls"], MAX_CERTIFICATES, what),
            tuple(_signer(one, what) for one in list(signed["signers"])[:MAX_SIGNERS]),
        )


def _content(given: core.Any) -> bytes | None:
    """eContent: an OCTET STRING, whole or in pieces; what isn't one (PKCS#7) is taken as it stands."""
    if isinstance(given, core.Void) or not given.contents:
        return None
    inner: bytes = core.Any.load(given.contents, strict=True).dump()
    if inner[0] & 0xDF != 0x04:
        return inner
    return bytes(core.OctetString.load(inner, strict=True))


def _raw(given: core.SetOf, most: int, what: str) -> tuple[bytes, ...]:
    if isinstance(given, core.Void):
        return ()
    found = tuple(one.dump() for one in given)
    if len(found) > most:
        raise DecodeError(what, "pki.too_many")
    return found


def _signer(given: _SignerInfoType, what: str) -> SignerInfo:
    named = given["identifier"].chosen
    issuer = serial = ski = None
    if given["identifier"].name == "issuer":
        issuer, serial = read_name(named["issuer"].dump(), what), named["serial"].native
    else:
        ski = named.native
    attributes, found = None, {}
    if not isinstance(given["attributes"], core.Void):
        # Signed with the tag of a SET OF instead of [0] (RFC 5652 §5.4), everything inside as it came.
        attributes = tlv.encode(0x31, given["attributes"].contents)
        found = _attributes(given["attributes"], what)
    return SignerInfo(
        issuer,
        serial,
        ski,
        given["digest"].dump(),
        attributes,
        _oid(found.get(_CONTENT_TYPE)),
        _octets(found.get(_MESSAGE_DIGEST)),
        _time(found.get(_SIGNING_TIME)),
        given["algorithm"].dump(),
        given["signature"].native,
    )


def _attributes(given: _Anys, what: str) -> dict[str, bytes]:
    """The one value of each attribute. Two of a kind, or two values, make a choice nobody may have: refused."""
    found: dict[str, bytes] = {}
    for index, one in enumerate(given):
        attribute = _Attribute.load(one.dump(), strict=True)
        kind = attribute["type"].dotted
        if index >= MAX_ATTRIBUTES or kind in found:
            raise DecodeError(what, "pki.malformed")
        values = [value.dump() for value in attribute["values"]]
        if kind in {_CONTENT_TYPE, _MESSAGE_DIGEST} and len(values) != 1:
            raise DecodeError(what, "pki.malformed")
        found[kind] = values[0] if values else b""
    return found


def _oid(der: bytes | None) -> str | None:
    with suppress(*asn1.ESCAPES):
        return core.ObjectIdentifier.load(der, strict=True).dotted if der else None
    return None


def _octets(der: bytes | None) -> bytes | None:
    with suppress(*asn1.ESCAPES):
        return bytes(core.OctetString.load(der, strict=True)) if der else None
    return None


def _time(der: bytes | None) -> datetime | None:
    with suppress(DecodeError):
        return read_time(der) if der else None
    return None


def verify_signed_data(
    signed: SignedData,
    candidates: Iterable[Certificate] = (),
    *,
    content_types: frozenset[str] | None = None,
    what: str = "cms",
) -> SignatureFinding:
    """Verify the signature over the content.

    `candidates` are certificates from elsewhere, for a signer whose own isn't embedded; `content_types` those that
    are accepted, None for any. The first signer that verifies counts: further ones sign the same content. Says
    nothing about whether the signer's certificate is to be believed. Never raises for bad input.
    """
    if content_types is not None and signed.content_type not in content_types:
        return SignatureFinding(Result.FAILED, (Reason("pki.wrong_content"),))
    return verify_signers(signed, candidates, what=what)[0]


def verify_signers(
    signed: SignedData, candidates: Iterable[Certificate] = (), *, what: str = "cms"
) -> list[SignatureFinding]:
    """What `verify_signed_data` finds for every signer, one finding at least: good signatures first, then bad ones."""
    if signed.content is None or not signed.signers:
        return [SignatureFinding(Result.FAILED, (Reason("pki.nothing_signed"),))]
    embedded = []
    for der in signed.certificates:
        with suppress(DecodeError):
            embedded.append(parse_certificate(der))
    known = [*embedded, *candidates]
    findings = [_verify_signer(signed, signer, known, what) for signer in signed.signers]
    return sorted(findings, key=lambda one: _WORTH[one.result])


_WORTH: Final = {Result.SUCCESSFUL: 0, Result.FAILED: 1, Result.UNDETERMINED: 2}


def _verify_signer(
    signed: SignedData, signer: SignerInfo, known: list[Certificate], what: str
) -> SignatureFinding:
    assert signed.content is not None
    try:
        digest = signatures.read_digest(signer.digest, what)
        algorithm = signatures.signature_algorithm(signer.algorithm, digest, what)
    except DecodeError as error:
        return SignatureFinding(Result.UNDETERMINED, (Reason(error.code),), None, signer)
    if signer.attributes is not None:
        hashed = hashlib.new(digest, signed.content).digest()
        if signer.message_digest != hashed or signer.content_type != signed.content_type:
            return SignatureFinding(
                Result.FAILED, (Reason("pki.attributes_differ"),), None, signer, algorithm
            )
    elif signed.content[:1] == _SET_OF:
        # A SET is what attributes are signed as: theirs is somebody's signature, over other content (RFC 5652 §5.4).
        return SignatureFinding(Result.FAILED, (Reason("pki.attributes_differ"),), None, signer, algorithm)
    message = signed.content if signer.attributes is None else signer.attributes
    named = [certificate for certificate in known if signer.names(certificate)]
    return _try_keys(named or known, signer, algorithm, message, exact=bool(named))


def _try_keys(
    keys: list[Certificate], signer: SignerInfo, algorithm: SignatureAlgorithm, message: bytes, *, exact: bool
) -> SignatureFinding:
    """Which of the certificates' keys made the signature."""
    code = "pki.signature_wrong" if keys else "pki.signer_unknown"
    result = Result.FAILED if keys else Result.UNDETERMINED
    for certificate in keys:
        try:
            if signatures.verify(certificate.public_key, algorithm, signer.signature, message):
                weak = (Reason("pki.sha1"),) if algorithm.weak else ()
                return SignatureFinding(Result.SUCCESSFUL, weak, certificate, signer, algorithm)
        except DecodeError as error:
            # A key nobody here can use proves nothing, either way; one that was tampered with proves the worst.
            if error.code != "pki.forged_curve":
                result = Result.UNDETERMINED
            code = error.code
    return SignatureFinding(result, (Reason(code),), keys[0] if exact else None, signer, algorithm)

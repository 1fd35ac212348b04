"""Certificates of CSCAs, document signers and master list signers (Doc 9303-12 §7.1), read tolerantly.

They are not what web certificates are: explicit curve parameters, negative serial numbers, extensions that break
their own syntax. One that can't be read costs that extension alone; what carries the chain (names, dates, key,
signature) must be sound. Keys load on first use.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Final

from asn1crypto import core

from edged.core.emrtd import asn1, signatures
from edged.core.emrtd.distinguished_names import Name, read_name
from edged.core.emrtd.public_keys import parse_public_key
from edged.core.emrtd.times import read_time
from edged.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edged.core.emrtd.public_keys import PublicKey
    from edged.core.emrtd.signatures import SignatureAlgorithm

MAX_CERTIFICATE_OCTETS: Final = 16_384
"""The longest CSCA on the lists of 2025 has a sixth of that."""
MAX_EXTENSIONS: Final = 64
"""Of one certificate; they have up to a dozen or so."""

KEY_CERT_SIGN: Final = "key_cert_sign"
CRL_SIGN: Final = "crl_sign"
DIGITAL_SIGNATURE: Final = "digital_signature"
_KEY_USAGES: Final = (
    DIGITAL_SIGNATURE,
    "non_repudiation",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    KEY_CERT_SIGN,
    CRL_SIGN,
)
MASTER_LIST_SIGNER: Final = "2.23.136.1.1.3"
"""Extended key usage of a master list signer (Doc 9303-12 §7.1.1.5)."""

_SKI, _AKI = "2.5.29.14", "2.5.29.35"
_KEY_USAGE, _EXTENDED_KEY_USAGE = "2.5.29.15", "2.5.29.37"
_BASIC_CONSTRAINTS, _PRIVATE_KEY_PERIOD = "2.5.29.19", "2.5.29.16"
_DOCUMENT_TYPES = "2.23.136.1.1.6.2"


class _Validity(core.Sequence):  # type: ignore[misc]
    _fields = [("not_before", core.Any), ("not_after", core.Any)]  # noqa: RUF012


class ExtensionType(core.Sequence):  # type: ignore[misc]
    """One extension, its value left as octets (RFC 5280 §4.1)."""

    _fields = [  # noqa: RUF012
        ("id", core.ObjectIdentifier),
        ("critical", core.Boolean, {"default": False}),
        ("value", core.OctetString),
    ]


class ExtensionsType(core.SequenceOf):  # type: ignore[misc]
    """Extensions of a certificate or a CRL."""

    _child_spec = ExtensionType


class _ToBeSigned(core.Sequence):  # type: ignore[misc]
    _fields = [  # noqa: RUF012
        ("version", core.Integer, {"explicit": 0, "default": 0}),
        ("serial", core.Integer),
        ("signature", core.Any),
        ("issuer", core.Any),
        ("validity", _Validity),
        ("subject", core.Any),
        ("key", core.Any),
        ("issuer_id", core.OctetBitString, {"implicit": 1, "optional": True}),
        ("subject_id", core.OctetBitString, {"implicit": 2, "optional": True}),
        ("extensions", ExtensionsType, {"explicit": 3, "optional": True}),
    ]


class _CertificateType(core.Sequence):  # type: ignore[misc]
    _fields = [("tbs", _ToBeSigned), ("algorithm", core.Any), ("signature", core.OctetBitString)]  # noqa: RUF012


class AuthorityKeyType(core.Sequence):  # type: ignore[misc]
    """AuthorityKeyIdentifier (RFC 5280 §4.2.1.1)."""

    _fields = [  # noqa: RUF012
        ("key", core.OctetString, {"implicit": 0, "optional": True}),
        ("issuer", core.Any, {"optional": True}),
        ("serial", core.Any, {"optional": True}),
    ]


class _BasicConstraints(core.Sequence):  # type: ignore[misc]
    _fields = [("ca", core.Boolean, {"default": False}), ("path", core.Integer, {"optional": True})]  # noqa: RUF012


class _Identifiers(core.SequenceOf):  # type: ignore[misc]
    _child_spec = core.ObjectIdentifier


class _Period(core.Sequence):  # type: ignore[misc]
    _fields = [  # noqa: RUF012
        ("not_before", core.OctetString, {"implicit": 0, "optional": True}),
        ("not_after", core.OctetString, {"implicit": 1, "optional": True}),
    ]


class _Texts(core.SetOf):  # type: ignore[misc]
    _child_spec = core.Any


class _DocumentTypes(core.Sequence):  # type: ignore[misc]
    _fields = [("version", core.Integer), ("types", _Texts)]  # noqa: RUF012


class Certificate:
    """One certificate, as far as passive authentication needs it. Make it with `parse_certificate`.

    Attributes:
        der: the whole certificate as it was given.
        tbs: the octets that are signed.
        subject, issuer: see `Name`.
        serial: may be negative in certificates that were encoded wrongly; compared as it is.
        not_before, not_after: validity, UTC.
        spki: SubjectPublicKeyInfo, DER.
        ski, aki: subject and authority key identifier, None without.
        ca: basicConstraints say that it may issue certificates; False without them.
        key_usage: names as in `KEY_CERT_SIGN`, None when the extension is absent or unreadable.
        extended_key_usage: object identifiers, dotted.
        document_types: document codes a document signer is for ("P", "ID"), empty without that extension.
        private_key_period: first and last moment at which the key may sign, None where open.
    """

    def __init__(self, der: bytes, parsed: _CertificateType) -> None:
        tbs = parsed["tbs"]
        self.der = der
        self.tbs: bytes = tbs.dump()
        self.serial: int = tbs["serial"].native
        self.issuer: Name = read_name(tbs["issuer"].dump())
        self.subject: Name = read_name(tbs["subject"].dump())
        self.not_before: datetime = read_time(tbs["validity"]["not_before"].dump())
        self.not_after: datetime = read_time(tbs["validity"]["not_after"].dump())
        self.spki: bytes = tbs["key"].dump()
        self._algorithm: bytes = parsed["algorithm"].dump()
        self.signature: bytes = asn1.whole_octets(parsed["signature"])
        self._read_extensions(read_extensions(tbs["extensions"]))

    def _read_extensions(self, found: Mapping[str, bytes]) -> None:
        """Every extension on its own: one that can't be read is as if absent."""
        self.ski: bytes | None = None
        self.aki: bytes | None = None
        self.ca: bool = False
        self.key_usage: frozenset[str] | None = None
        self.extended_key_usage: frozenset[str] = frozenset()
        self.document_types: tuple[str, ...] = ()
        self.private_key_period: tuple[datetime | None, datetime | None] = (None, None)
        with suppress(*asn1.ESCAPES, KeyError):
            self.ski = core.OctetString.load(found[_SKI]).native
        with suppress(*asn1.ESCAPES, KeyError):
            self.aki = AuthorityKeyType.load(found[_AKI])["key"].native
        with suppress(*asn1.ESCAPES, KeyError):
            self.ca = _BasicConstraints.load(found[_BASIC_CONSTRAINTS], strict=True)["ca"].native
        with suppress(*asn1.ESCAPES, KeyError):
            bits = core.BitString.load(found[_KEY_USAGE]).native
            self.key_usage = frozenset(name for name, bit in zip(_KEY_USAGES, bits, strict=False) if bit)
        with suppress(*asn1.ESCAPES, KeyError):
            usages = _Identifiers.load(found[_EXTENDED_KEY_USAGE])
            self.extended_key_usage = frozenset(one.dotted for one in usages)
        with suppress(*asn1.ESCAPES, DecodeError, KeyError):
            self.private_key_period = _period(found[_PRIVATE_KEY_PERIOD])
        with suppress(*asn1.ESCAPES, KeyError):
            types = _DocumentTypes.load(found[_DOCUMENT_TYPES])["types"]
            self.document_types = tuple(_document_code(one.contents) for one in types)

    def __repr__(self) -> str:
        return f"<Certificate {self.subject.text}>"

    @property
    def country(self) -> str | None:
        """The country in the subject, upper case ("DE"); the issuer's where the subject names none."""
        return self.subject.country or self.issuer.country

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the certificate, hexadecimal."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def self_issued(self) -> bool:
        """Whether subject and issuer are the same name: a root, or a link certificate that kept its name."""
        return self.subject.normal == self.issuer.normal

    @property
    def may_certify(self) -> bool:
        """Whether it may issue certificates. Key usage tells; where there is none, basicConstraints.

        Several states leave the latter out.
        """
        return self.ca if self.key_usage is None else KEY_CERT_SIGN in self.key_usage

    @cached_property
    def public_key(self) -> PublicKey:
        """The key. Raises as `parse_public_key` does."""
        return parse_public_key(self.spki)

    @cached_property
    def algorithm(self) -> SignatureAlgorithm:
        """How it was signed. Raises `DecodeError`, see `signatures.signature_algorithm`."""
        return signatures.signature_algorithm(self._algorithm)

    def signed_by(self, issuer: Certificate) -> bool:
        """Whether `issuer`'s key made this certificate's signature; says nothing about names, dates or usage.

        Raises `DecodeError` for keys and algorithms that can't be used.
        """
        return signatures.verify(issuer.public_key, self.algorithm, self.signature, self.tbs)


def read_extensions(given: core.SequenceOf) -> dict[str, bytes]:
    """Values by object identifier, the first of each; nothing when the list itself can't be read. Never raises."""
    found: dict[str, bytes] = {}
    if isinstance(given, core.Void):
        return found
    with suppress(*asn1.ESCAPES):
        for extension in list(given)[:MAX_EXTENSIONS]:
            with suppress(*asn1.ESCAPES):
                found.setdefault(extension["id"].dotted, extension["value"].native)
    return found


def _period(der: bytes) -> tuple[datetime | None, datetime | None]:
    period = _Period.load(der, strict=True)
    first, last = (
        read_time(b"\x18" + bytes((len(one.contents),)) + one.contents) if one.contents else None
        for one in (period["not_before"], period["not_after"])
    )
    return first, last


def _document_code(octets: bytes) -> str:
    return octets.decode("ascii", "replace")[:2]


def parse_certificate(der: bytes) -> Certificate:
    """Read one certificate (DER; what follows it is refused).

    Raises `DecodeError` ("certificate", "pki.too_long" | "pki.malformed" | …).
    """
    if len(der) > MAX_CERTIFICATE_OCTETS:
        raise DecodeError("certificate", "pki.too_long")
    with asn1.guarded("certificate", "pki.malformed"):
        return Certificate(der, _CertificateType.load(der, strict=True))

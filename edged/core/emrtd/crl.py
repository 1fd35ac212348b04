"""Certificate revocation lists of CSCAs (Doc 9303-12 §7.1.3, RFC 5280 §5)."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Final

from asn1crypto import core

from edged.core.emrtd import asn1, signatures, tlv
from edged.core.emrtd.certificates import CRL_SIGN, AuthorityKeyType, ExtensionsType, read_extensions
from edged.core.emrtd.distinguished_names import Name, read_name
from edged.core.emrtd.times import read_time
from edged.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from edged.core.emrtd.certificates import Certificate
    from edged.core.emrtd.signatures import SignatureAlgorithm

MAX_CRL_OCTETS: Final = 1_048_576
"""About 25 000 revoked certificates; a CSCA issues tens to some thousands in its life."""

_AKI: Final = "2.5.29.35"
_DELTA: Final = "2.5.29.27"
_DISTRIBUTION_POINT: Final = "2.5.29.28"


class _Time(core.Choice):  # type: ignore[misc]
    _alternatives = [("utc", core.UTCTime), ("general", core.GeneralizedTime)]  # noqa: RUF012


class _ToBeSigned(core.Sequence):  # type: ignore[misc]
    _fields = [  # noqa: RUF012
        ("version", core.Integer, {"optional": True}),
        ("signature", asn1.AlgorithmIdentifierType),
        ("issuer", core.Any),
        ("this_update", _Time),
        ("next_update", _Time, {"optional": True}),
        ("revoked", core.Sequence, {"optional": True}),
        ("extensions", ExtensionsType, {"explicit": 0, "optional": True}),
    ]


class _CrlType(core.Sequence):  # type: ignore[misc]
    _fields = [("tbs", _ToBeSigned), ("algorithm", core.Any), ("signature", core.OctetBitString)]  # noqa: RUF012


class Crl:
    """One revocation list. Make it with `parse_crl`.

    Attributes:
        der: the whole list as it was given.
        issuer: the CSCA's name.
        this_update, next_update: when it was made and when the next one is due (None: it doesn't say), UTC.
        aki: authority key identifier, None without.
        revoked: serial numbers of revoked certificates.
    """

    def __init__(self, der: bytes, parsed: _CrlType) -> None:
        tbs = parsed["tbs"]
        self.der = der
        self._tbs: bytes = tbs.dump()
        self.issuer: Name = read_name(tbs["issuer"].dump(), "crl")
        self.this_update: datetime = read_time(tbs["this_update"].dump(), "crl")
        following = tbs["next_update"]
        self.next_update: datetime | None = (
            None if isinstance(following, core.Void) else read_time(following.dump(), "crl")
        )
        self._algorithm: bytes = parsed["algorithm"].dump()
        self._signature: bytes = asn1.whole_octets(parsed["signature"])
        extensions = read_extensions(tbs["extensions"])
        if _DELTA in extensions or _indirect(extensions.get(_DISTRIBUTION_POINT)):
            raise DecodeError("crl", "pki.crl_unsupported")
        self.aki: bytes | None = None
        with suppress(*asn1.ESCAPES):
            self.aki = AuthorityKeyType.load(extensions[_AKI])["key"].native
        revoked = tbs["revoked"]
        self.revoked: frozenset[int] = (
            frozenset() if isinstance(revoked, core.Void) else frozenset(_serials(revoked.contents))
        )

    def __repr__(self) -> str:
        return f"<Crl {self.issuer.text}>"

    @cached_property
    def algorithm(self) -> SignatureAlgorithm:
        """How it was signed. Raises `DecodeError`, see `signatures.signature_algorithm`."""
        return signatures.signature_algorithm(self._algorithm, what="crl")

    def signed_by(self, issuer: Certificate) -> bool:
        """Whether `issuer`, by its usage entitled to, made the signature. Raises `DecodeError` as `verify` does."""
        if issuer.key_usage is not None and CRL_SIGN not in issuer.key_usage:
            return False
        return signatures.verify(issuer.public_key, self.algorithm, self._signature, self._tbs, "crl")


def _indirect(distribution_point: bytes | None) -> bool:
    """Whether the serial numbers are other issuers' (RFC 5280 §5.2.5); what can't be read may say so."""
    if distribution_point is None:
        return False
    try:
        flag = tlv.find(tlv.only(distribution_point, 0x30), 0x84)
    except DecodeError:
        return True
    return flag is not None and any(flag)


def _serials(entries: bytes) -> Iterator[int]:
    """Serial numbers of revokedCertificates; by hand: half the time of asn1crypto's objects."""
    view = memoryview(entries)
    while view:
        entry = tlv.read_one(view, "crl")
        number = tlv.read_one(entry.value, "crl")
        if entry.tag != 0x30 or number.tag != 0x02 or not number.value:
            raise DecodeError("crl", "pki.malformed")
        yield int.from_bytes(number.value, "big", signed=True)
        view = view[entry.size :]


def parse_crl(der: bytes) -> Crl:
    """Read one revocation list: neither one of changes only (delta) nor one about other issuers' certificates.

    Raises `DecodeError` ("crl", "pki.too_long" | "pki.malformed" | "pki.crl_unsupported" | …).
    """
    if len(der) > MAX_CRL_OCTETS:
        raise DecodeError("crl", "pki.too_long")
    with asn1.guarded("crl", "pki.malformed"):
        return Crl(der, _CrlType.load(der, strict=True))

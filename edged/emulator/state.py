"""A state's PKI (Doc 9303-12): the CSCA, its link certificate, document signers, the CRL, a master list."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edged.core.emrtd import tlv
from edged.emulator import object_identifiers as oids
from edged.emulator.security_objects import integer, sequence
from edged.emulator.signed_data import sign_content
from edged.emulator.signers import Scheme, Signer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from asn1crypto import x509

_CSCA_DAYS: Final = 15 * 365
_SIGNER_DAYS: Final = 10 * 365 + 90
"""Doc 9303-12 §5: a document signer's certificate lives as long as the last document it signed."""
_LIST_DAYS: Final = 90
"""Doc 9303-12 §5.3: a CRL at least every 90 days."""
_PRIVATE_KEY_DAYS: Final = 90


class Issued(NamedTuple):
    """A certificate and the key it is for."""

    certificate: x509.Certificate
    signer: Signer

    @property
    def der(self) -> bytes:
        """The certificate's octets."""
        return bytes(self.certificate.dump())


class Validity(NamedTuple):
    """First and last day, in UTC."""

    begins: date
    ends: date


class State:
    """One issuing state.

    Everything it makes follows from its seed and the days given, RSA keys and PSS signatures apart.

    Attributes:
        country: two letters, as certificates have it.
        csca: the self-signed root.
    """

    def __init__(
        self,
        country: str,
        *,
        on: date,
        scheme: Scheme,
        seed: str = "",
        generation: int = 1,
    ) -> None:
        self.country = country
        self.on = on
        self.generation = generation
        self._seed = f"{country}/{seed}"
        self._scheme = scheme
        signer = Signer(scheme, self._seed_of(f"csca-{generation}"))
        self._csca_name = self._name(f"CSCA {country} {generation:02}")
        begins = on - timedelta(days=2 * 365)
        self.csca = Issued(
            self._certificate(
                signer,
                self._csca_name,
                by=signer,
                issuer=self._csca_name,
                validity=Validity(begins, begins + timedelta(days=_CSCA_DAYS)),
                extensions=self._authority_extensions(signer, signer),
            ),
            signer,
        )

    def successor(self, scheme: Scheme | None = None) -> State:
        """The same state after its next change of CSCA keys."""
        return State(
            self.country,
            on=self.on,
            scheme=scheme or self._scheme,
            seed=self._seed.partition("/")[2],
            generation=self.generation + 1,
        )

    def link(self, successor: State) -> bytes:
        """The link certificate: the successor's key, signed with this one's (Doc 9303-12 §4.2)."""
        new = successor.csca
        return bytes(
            self._certificate(
                new.signer,
                successor._csca_name,
                by=self.csca.signer,
                issuer=self._csca_name,
                validity=Validity(self.on, self.on + timedelta(days=_CSCA_DAYS)),
                extensions=self._authority_extensions(new.signer, self.csca.signer),
            ).dump()
        )

    def document_signer(
        self,
        scheme: Scheme,
        *,
        label: str = "1",
        validity: Validity | None = None,
        document_types: Sequence[str] = ("P", "I", "C"),
        forged_by: Signer | None = None,
    ) -> Issued:
        """A document signer with the CSCA's certificate; `forged_by` signs it in the CSCA's name instead."""
        signer = Signer(scheme, self._seed_of(f"signer-{label}"))
        if validity is None:
            validity = Validity(self.on - timedelta(days=30), self.on + timedelta(days=_SIGNER_DAYS))
        private = [validity.begins, min(validity.ends, validity.begins + timedelta(days=_PRIVATE_KEY_DAYS))]
        extensions = [
            _extension("authority_key_identifier", {"key_identifier": _identifier(self.csca.signer)}),
            _extension("key_identifier", _identifier(signer)),
            _extension("key_usage", {"digital_signature"}, critical=True),
            _extension("private_key_usage_period", _period(private)),
            _document_types(document_types),
        ]
        name = self._name(f"Document Signer {label}")
        certificate = self._certificate(
            signer,
            name,
            by=forged_by or self.csca.signer,
            issuer=self._csca_name,
            validity=validity,
            extensions=extensions,
        )
        return Issued(certificate, signer)

    def crl(self, revoked: Iterable[Issued], *, number: int = 1, on: date | None = None) -> bytes:
        """The certificate revocation list of a day (Doc 9303-12 §5.3)."""
        from asn1crypto import crl

        signer, day = self.csca.signer, on or self.on
        entries = [
            {"user_certificate": one.certificate.serial_number, "revocation_date": _utc(day)}
            for one in revoked
        ]
        content: dict[str, Any] = {
            "version": "v2",
            "signature": signer.algorithm(),
            "issuer": self._csca_name,
            "this_update": _utc(day),
            "next_update": _utc(day + timedelta(days=_LIST_DAYS)),
            "crl_extensions": [
                {
                    "extn_id": "authority_key_identifier",
                    "critical": False,
                    "extn_value": {"key_identifier": _identifier(signer)},
                },
                {"extn_id": "crl_number", "critical": False, "extn_value": number},
            ],
        }
        if entries:
            content["revoked_certificates"] = entries
        listed = crl.TbsCertList(content)
        return bytes(
            crl.CertificateList(
                {
                    "tbs_cert_list": listed,
                    "signature_algorithm": signer.algorithm(),
                    "signature": signer.sign(listed.dump()),
                }
            ).dump()
        )

    def master_list(self, certificates: Iterable[bytes], *, on: date | None = None) -> bytes:
        """CSCA certificates in a list that this state signs (Doc 9303-12 §9)."""
        from asn1crypto import core, x509

        class Certificates(core.SetOf):  # type: ignore[misc]
            _child_spec = x509.Certificate

        class CscaMasterList(core.Sequence):  # type: ignore[misc]
            _fields = [("version", core.Integer), ("cert_list", Certificates)]  # noqa: RUF012 - asn1crypto's way

        signer = Signer(self._scheme, self._seed_of("master-list-signer"))
        validity = Validity(self.on - timedelta(days=30), self.on + timedelta(days=_SIGNER_DAYS))
        certificate = self._certificate(
            signer,
            self._name("Master List Signer"),
            by=self.csca.signer,
            issuer=self._csca_name,
            validity=validity,
            extensions=[
                _extension("authority_key_identifier", {"key_identifier": _identifier(self.csca.signer)}),
                _extension("key_identifier", _identifier(signer)),
                _extension("key_usage", {"digital_signature"}, critical=True),
                _extension("extended_key_usage", [oids.MASTER_LIST_SIGNING], critical=True),
            ],
        )
        listed = sorted({bytes(self.csca.der), *certificates})
        content = CscaMasterList(
            {"version": 0, "cert_list": Certificates([x509.Certificate.load(one) for one in listed])}
        )
        return sign_content(
            oids.MASTER_LIST,
            content.dump(),
            Issued(certificate, signer),
            at=_at(on or self.on),
            more=(self.csca.certificate,),
        )

    def _seed_of(self, label: str) -> bytes:
        return f"{self._seed}/{label}".encode()

    def _name(self, common: str) -> x509.Name:
        from asn1crypto import x509

        return x509.Name.build(
            {"country_name": self.country, "organization_name": "Emulated State", "common_name": common}
        )

    def _authority_extensions(self, subject: Signer, issuer: Signer) -> list[dict[str, Any]]:
        return [
            _extension("authority_key_identifier", {"key_identifier": _identifier(issuer)}),
            _extension("key_identifier", _identifier(subject)),
            _extension("key_usage", {"key_cert_sign", "crl_sign"}, critical=True),
            _extension("basic_constraints", {"ca": True, "path_len_constraint": 0}, critical=True),
        ]

    def _certificate(
        self,
        signer: Signer,
        subject: x509.Name,
        *,
        by: Signer,
        issuer: x509.Name,
        validity: Validity,
        extensions: list[dict[str, Any]],
    ) -> x509.Certificate:
        from asn1crypto import x509

        serial = (
            int.from_bytes(hashlib.sha256(subject.dump() + signer.public().dump()).digest()[:8], "big") >> 1
        )
        content = x509.TbsCertificate(
            {
                "version": "v3",
                "serial_number": serial or 1,
                "signature": by.algorithm(),
                "issuer": issuer,
                "validity": {
                    "not_before": _utc(validity.begins),
                    "not_after": _utc(validity.ends, last=True),
                },
                "subject": subject,
                "subject_public_key_info": signer.public(),
                "extensions": extensions,
            }
        )
        return x509.Certificate(
            {
                "tbs_certificate": content,
                "signature_algorithm": by.algorithm(),
                "signature_value": by.sign(content.dump()),
            }
        )


def _at(day: date, *, last: bool = False) -> datetime:
    return datetime.combine(day, time(23, 59, 59) if last else time(), UTC)


def _utc(day: date, *, last: bool = False) -> Any:
    """UTCTime until 2049, GeneralizedTime after it (RFC 5280 §4.1.2.5)."""
    from asn1crypto import x509

    moment = _at(day, last=last)
    name = "utc_time" if moment.year < 2050 else "general_time"
    return x509.Time(name=name, value=moment)


def _identifier(signer: Signer) -> bytes:
    """RFC 5280 §4.2.1.2 (1): SHA-1 of the public key's bits; an identifier, not a protection."""
    public = signer.public()["public_key"].contents[1:]
    return hashlib.sha1(public, usedforsecurity=False).digest()


def _extension(name: str, value: Any, *, critical: bool = False) -> dict[str, Any]:
    return {"extn_id": name, "critical": critical, "extn_value": value}


def _period(days: Sequence[date]) -> Any:
    from asn1crypto import x509

    return x509.PrivateKeyUsagePeriod({"not_before": _at(days[0]), "not_after": _at(days[1], last=True)})


def _document_types(letters: Sequence[str]) -> dict[str, Any]:
    """documentTypeList (Doc 9303-12 §7.1.1.6)."""
    from asn1crypto import core

    types = tlv.encode(0x31, b"".join(tlv.encode(0x13, one.encode()) for one in sorted(letters)))
    return {
        "extn_id": oids.DOCUMENT_TYPES,
        "critical": False,
        "extn_value": core.ParsableOctetString(sequence(integer(0), types)),
    }

"""Authorities, principals and signers for the tests of trust, made once for all of them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.x509 import load_pem_x509_certificate

from edged.uplink.authority import FleetAuthority
from edged.uplink.envelope import DocumentSummary, EnvelopeDraft, Provenance
from edged.uplink.keys import generate_key
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.roles import TrustAnchor, load_chain
from edged.uplink.sign import Signer
from edged.verdict import CheckClass, JudgedCheck, Kind, Reason, Result

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FLEET = "harbour"


def authority(fleet: str = FLEET, *, demo: bool = False) -> FleetAuthority:
    return _authority(fleet, demo)


@cache
def _authority(fleet: str, demo: bool) -> FleetAuthority:
    return FleetAuthority.create(fleet, demo=demo, now=NOW)


def anchor(fleet: str = FLEET, *, demo: bool = False) -> TrustAnchor:
    return TrustAnchor.from_pem(authority(fleet, demo=demo).certificate_pem)


@cache
def key(name: str = "device") -> ec.EllipticCurvePrivateKey:
    return generate_key()


def certificate(
    role: Role = Role.DEVICE, name: str = "box-1", usage: Usage = Usage.SIGNING, *, demo: bool = False
) -> x509.Certificate:
    return _certificate(role, name, usage, demo)


@cache
def _certificate(role: Role, name: str, usage: Usage, demo: bool) -> x509.Certificate:
    principal = Principal(FLEET, role, name)
    return load_pem_x509_certificate(
        authority(demo=demo).issue(principal, usage, key().public_key(), now=NOW)
    )


@cache
def signer(role: Role = Role.DEVICE, name: str = "box-1", *, demo: bool = False) -> Signer:
    return Signer(key(), (certificate(role, name, demo=demo),))


def chain(*pems: bytes) -> list[x509.Certificate]:
    return [link for pem in pems for link in load_chain(pem)]


def draft(**changes: Any) -> EnvelopeDraft:
    content: dict[str, Any] = {
        "audience": "bank",
        "kind": Kind.LIVE,
        "scene": "bank",
        "result": Result.FAILED,
        "checks": (
            JudgedCheck("mrz_read", CheckClass.MANDATORY, Result.SUCCESSFUL),
            JudgedCheck(
                "mrz_check_digits",
                CheckClass.MANDATORY,
                Result.FAILED,
                (Reason("mrz.check_digit_wrong", {"field": "document_number"}),),
            ),
        ),
        "document": DocumentSummary("passport", "TD3"),
        "claims": {
            "issuing_state": "UTO",
            "age_over_18": True,
            "document": None,
            "withheld": {"document": "claim.check_digit_wrong"},
        },
        "provenance": {"head": Provenance("serial", "H-0042", simulated=False)},
        "clock": "trusted",
        "reference": "txn-1",
    }
    return EnvelopeDraft(**(content | changes))

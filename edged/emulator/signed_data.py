"""CMS SignedData as a document signer makes it (RFC 5652 §5; Doc 9303-10 §4.6.2, Doc 9303-12 §9)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from asn1crypto import x509

    from edged.emulator.state import Issued


def sign_content(
    content_type: str,
    content: bytes,
    by: Issued,
    *,
    at: datetime | None,
    more: Iterable[x509.Certificate] = (),
    by_key_identifier: bool = False,
) -> bytes:
    """ContentInfo with the content, one signature and the signer's certificate, others behind it.

    `at` is the signing time, left out for None. `by_key_identifier` names the signer by its key identifier instead
    of issuer and serial number.
    """
    from asn1crypto import cms

    signer = by.signer
    digest = signer.scheme.digest
    attributes: list[dict[str, Any]] = [
        {"type": "content_type", "values": [content_type]},
        {"type": "message_digest", "values": [hashlib.new(digest, content).digest()]},
    ]
    if at is not None:
        attributes.append({"type": "signing_time", "values": [cms.Time(name="utc_time", value=at)]})
    signed = cms.CMSAttributes(attributes)
    if by_key_identifier:
        identifier = cms.SignerIdentifier(
            name="subject_key_identifier", value=by.certificate.key_identifier_value.native
        )
    else:
        identifier = cms.SignerIdentifier(
            name="issuer_and_serial_number",
            value={"issuer": by.certificate.issuer, "serial_number": by.certificate.serial_number},
        )
    information = {
        "version": "v3" if by_key_identifier else "v1",
        "sid": identifier,
        "digest_algorithm": {"algorithm": digest},
        "signed_attrs": signed,
        "signature_algorithm": signer.algorithm(),
        "signature": signer.sign(signed.untag().dump(force=True)),
    }
    data = {
        "version": "v3",
        "digest_algorithms": [{"algorithm": digest}],
        "encap_content_info": {"content_type": content_type, "content": content},
        "certificates": [
            cms.CertificateChoices(name="certificate", value=one) for one in (by.certificate, *more)
        ],
        "signer_infos": [information],
    }
    return bytes(cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(data)}).dump())

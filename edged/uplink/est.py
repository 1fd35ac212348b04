"""Enrolment over Secure Transport (RFC 7030, with RFC 8951's corrections) as a fleet speaks it: paths, bodies, answers.

    GET  /.well-known/est/cacerts                         PKCS#7: the fleet's authorities
    POST /.well-known/est/{tls|signing}/simpleenroll      PKCS#10 → PKCS#7; HTTP Basic: device's name, token's secret
    POST /.well-known/est/{tls|signing}/simplereenroll    the same, by the box's own TLS certificate
    GET  /.well-known/edged/root                          `Founding`, believed by the token's hash alone
    GET  /.well-known/edged/boot                          `Boot`

EST's labels (§3.2.2) are the two usages of a box's keys. The subject of a certificate is the fleet's to say: that of a
request is never looked at. A TLS certificate renews itself as EST has it; a signing certificate is renewed by whoever
has the signing key that is to be replaced: the request travels as `Renewal`, signed by it, so that a stolen TLS key
gets nobody a voice. Takes bytes, gives bytes; does no I/O.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import NameOID

from edged.errors import CertificateError, DecodeError, SignatureRefusedError
from edged.uplink.fields import Code, Name, decoder, encode, parse
from edged.uplink.names import Role, Usage
from edged.uplink.roles import MALFORMED, TrustAnchor
from edged.uplink.sign import Signer, verify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from edged.uplink.names import Principal

T = TypeVar("T", bound=msgspec.Struct)

EST: Final = "/.well-known/est"
CACERTS: Final = f"{EST}/cacerts"
ROOT: Final = "/.well-known/edged/root"
BOOT: Final = "/.well-known/edged/boot"

PKCS10: Final = "application/pkcs10"
PKCS7: Final = "application/pkcs7-mime; smime-type=certs-only"
PKCS7_PLAIN: Final = "application/pkcs7-mime"  # cacerts (RFC 7030 §4.1.3)
JOSE: Final = "application/jose"
JSON: Final = "application/json"

RENEWAL_TYPE: Final = "renewal+jws"
"""`typ` of a signed renewal: no other message of the contract can be passed off as one."""

MAX_REQUEST: Final = 16 * 1024
"""Bytes of a request's body: a P-256 request has 400, a signed renewal with its chain some 6 000."""

MAX_ANSWER: Final = 1 << 20
"""Bytes of an answer: a root chain of hundreds of ceremonies; everything else is a few thousand."""

MAX_ROOTS: Final = 256
"""Root versions in a chain: a ceremony a month for twenty years."""

_LINE: Final = 76  # base64 in lines, as RFC 2045 §6.8 has it and OpenSSL wants it
_MAX_CERTIFICATES: Final = 16


class Renewal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a signing key says to be replaced. It needs no time: it is good for nothing but the key it names."""

    fleet: Name
    device: Name
    request: Annotated[str, msgspec.Meta(max_length=MAX_REQUEST)]
    """PKCS#10, base64 of its DER encoding."""


class Founding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a box believes its fleet by: the root metadata from the first on, and what vouches for the authorities."""

    format: Literal[1]
    roots: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MAX_ROOTS)]
    """TUF root metadata, versions 1, 2, …"""
    targets: str
    """The newest `targets` metadata."""
    authority: str
    """The target `fleet/authority.json`."""


class Boot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a boot file needs to know of the fleet."""

    format: Literal[1]
    fleet: Name
    broker_host: Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
    broker_port: Annotated[int, msgspec.Meta(ge=1, le=65_535)]
    enrolment: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
    """`host:port` where certificates are renewed."""


class Refusal(msgspec.Struct, frozen=True):
    """The body of every answer that is none. A newer service may know more codes than its box."""

    error: Code


def path(usage: Usage, operation: Literal["simpleenroll", "simplereenroll"]) -> str:
    """Where a request for a certificate of that usage is sent."""
    return f"{EST}/{usage}/{operation}"


def parse_path(text: str) -> tuple[Usage, Literal["simpleenroll", "simplereenroll"]] | None:
    """The inverse of `path`; None for anything else."""
    match text.removeprefix(EST + "/").split("/"):
        case ["tls" | "signing" as usage, "simpleenroll"] if text.startswith(EST + "/"):
            return Usage(usage), "simpleenroll"
        case ["tls" | "signing" as usage, "simplereenroll"] if text.startswith(EST + "/"):
            return Usage(usage), "simplereenroll"
        case _:
            return None


def request(key: ec.EllipticCurvePrivateKey, name: str) -> bytes:
    """A PKCS#10 request (DER) that proves possession of `key`; `name` is for people who look at it."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def to_body(der: bytes) -> bytes:
    """Base64 in lines: how EST carries DER (RFC 8951 §2.1)."""
    text = base64.b64encode(der)
    return b"\n".join(text[start : start + _LINE] for start in range(0, len(text), _LINE)) + b"\n"


def of_body(body: bytes) -> bytes:
    """The inverse of `to_body`. Raises `DecodeError` (`enrol.request_malformed`)."""
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        raise DecodeError("request", "enrol.request_malformed") from None


def requested_key(der: bytes) -> ec.EllipticCurvePublicKey:
    """The key of a PKCS#10 request, once its own signature proves that the sender has its private half.

    Raises `DecodeError` (`enrol.request_malformed`, `enrol.request_wrong_key`) and nothing else.
    """
    try:
        found = x509.load_der_x509_csr(der)
        key = found.public_key()
        proved = found.is_signature_valid
    except MALFORMED:
        raise DecodeError("request", "enrol.request_malformed") from None
    if not proved:
        raise DecodeError("request", "enrol.request_malformed", "not signed by its own key")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise DecodeError("request", "enrol.request_wrong_key")
    return key


def signed_renewal(signer: Signer, der: bytes) -> str:
    """A request for a new signing certificate, signed by the old one's key."""
    principal = signer.principal
    renewal = Renewal(principal.fleet, principal.name, base64.b64encode(der).decode())
    return signer.sign(RENEWAL_TYPE, encode(renewal))


def open_renewal(
    body: bytes, *, anchor: TrustAnchor, at: datetime
) -> tuple[Principal, x509.Certificate, ec.EllipticCurvePublicKey]:
    """Who asks, by which signing certificate, for which key.

    Raises `SignatureRefusedError` (of `edged.uplink.sign.verify`, `enrol.request_malformed`) and `DecodeError` (of
    `requested_key`).
    """
    compact = body.strip()
    found = verify(compact, typ=RENEWAL_TYPE, anchor=anchor, role=Role.DEVICE, at=at)
    renewal = parse(found.payload, Renewal, "enrol.request_malformed")
    if (renewal.fleet, renewal.device) != (found.principal.fleet, found.principal.name):
        raise SignatureRefusedError("enrol.request_malformed", "another name than the signer's")
    return found.principal, signer_certificate(compact), requested_key(of_body(renewal.request.encode()))


def certificates(chain: Sequence[x509.Certificate]) -> bytes:
    """The body of an answer: PKCS#7, certificates only."""
    return to_body(pkcs7.serialize_certificates(list(chain), Encoding.DER))


def read_certificates(body: bytes) -> tuple[x509.Certificate, ...]:
    """The inverse of `certificates`. Raises `DecodeError` (`enrol.answer_malformed`) and nothing else."""
    try:
        found = tuple(pkcs7.load_der_pkcs7_certificates(of_body(body)))
        for certificate in found:
            certificate.public_key()
    except (DecodeError, UnsupportedAlgorithm, *MALFORMED):
        raise DecodeError("answer", "enrol.answer_malformed") from None
    if not 1 <= len(found) <= _MAX_CERTIFICATES:
        raise DecodeError("answer", "enrol.answer_malformed")
    return found


def read_founding(body: bytes) -> Founding:
    """Raises `DecodeError` (`enrol.answer_malformed`)."""
    return _read(body, Founding)


def read_boot(body: bytes) -> Boot:
    """Raises `DecodeError` (`enrol.answer_malformed`)."""
    return _read(body, Boot)


def read_refusal(body: bytes) -> str | None:
    """The code that a refusal gives; None where it gives none."""
    try:
        return decoder(Refusal).decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def signer_certificate(compact: bytes) -> x509.Certificate:
    """The certificate that a verified message was signed with."""
    header = compact.partition(b".")[0]
    x5c = msgspec.json.decode(base64.urlsafe_b64decode(header + b"=" * (-len(header) % 4)))["x5c"]
    return x509.load_der_x509_certificate(base64.b64decode(x5c[0]))


def chain_of(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    *,
    anchor: TrustAnchor,
    usage: Usage,
    at: datetime,
) -> tuple[Principal, tuple[x509.Certificate, ...]]:
    """Leaf and issuers up to below the fleet's root, and whom they name. Raises `CertificateError`."""
    chain = [leaf]
    failed: CertificateError | None = None
    while len(chain) <= _MAX_CERTIFICATES:
        try:
            return anchor.verify(chain, usage=usage, at=at), tuple(chain)
        except CertificateError as error:
            failed = failed or error
            if error.code != "cert.unknown_issuer":
                raise
        following = [one for one in others if one not in chain and one.subject == chain[-1].issuer]
        if not following:
            break
        chain.append(following[0])
    assert failed is not None
    raise failed


def _read(body: bytes, model: type[T]) -> T:
    try:
        return decoder(model).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise DecodeError("answer", "enrol.answer_malformed") from None

"""Why a message was refused, in more detail than a verifier may say in service: for who builds an integration.

Names of fields, parts and roles come out of here, positions and lengths; never what a message says about anybody.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID

from edged.errors import CertificateError
from edged.partner.explaining_payload import Hint, explain_payload
from edged.uplink import topics
from edged.uplink.roles import MALFORMED, Role, Usage, principal_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.errors import SignatureRefusedError
    from edged.uplink.roles import TrustAnchor

__all__ = ["Hint", "expected_kinds", "explain"]

_PARTS: Final = ("header", "payload", "signature")
_RAW_SIGNATURE: Final = 64
_DER_SEQUENCE: Final = 0x30
_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,39}")
_HEADER: Final = ("alg", "typ", "x5c")

_ROLE_OF: Final = {
    "verdict": Role.DEVICE,
    "gap": Role.DEVICE,
    "receipt": Role.COLLECTOR,
    "record_reply": Role.AUDIENCE,
    "replay_request": Role.AUDIENCE,
    "replay_end": Role.COLLECTOR,
}


def safe(text: object) -> str:
    """A stranger's word, when it is one: anything longer or stranger is not repeated."""
    return text if isinstance(text, str) and _SAFE.fullmatch(text) else "?"


def expected_kinds(topic: str | None, fleet: str) -> tuple[str, ...]:
    """The kinds of message that a topic carries; none without a topic. Raises `DecodeError` (`topic.not_ours`)."""
    if topic is None:
        return ()
    match topic.removeprefix(f"{topics.PREFIX}/{fleet}/").split("/"):
        case ["replay", _]:
            topics.parse_replay_request(topic, fleet)
            return ("replay_request",)
        case ["replay", audience, _]:
            topics.parse_replay_answer(topic, fleet, audience)
            return ("verdict", "gap", "replay_end")
        case [device, "record", _]:
            topics.parse_record(topic, fleet, device)
            return ("record_reply",)
        case [device, "receipt"] if topics.usable(device) and topic == topics.receipt(fleet, device):
            return ("receipt",)
        case _:
            return (topics.parse_stream(topic, fleet).kind,)


def explain(
    message: bytes,
    error: SignatureRefusedError,
    *,
    step: str,
    kind: str | None,
    topic: str | None,
    anchor: TrustAnchor,
) -> tuple[Hint, ...]:
    """What is behind a refusal, and what to do; empty when the code's own sentence says it all."""
    parts = message.split(b".")
    if step == "form":
        return tuple(_form(parts))
    if step == "header":
        return tuple(_header(parts[0]))
    if step == "kind":
        return tuple(_kind(parts[0], topic, anchor.fleet))
    chain = _chain(parts[0])
    if step in ("certificate", "role"):
        return tuple(_certificate(chain, error.code, kind))
    if step == "signature":
        return tuple(_signature(parts, chain))
    payload = _decoded(parts[1])
    return tuple(explain_payload(payload, kind or "", error.code))


# --- the text ---


def _form(parts: list[bytes]) -> Iterator[Hint]:
    if len(parts) != len(_PARTS):
        yield Hint("check.parts", {"count": len(parts)})
        return
    for name, part in zip(_PARTS, parts, strict=True):
        if not part:
            yield Hint("check.empty_part", {"part": f"check.part_{name}"})
        elif part.endswith(b"="):
            yield Hint("check.padding", {"part": f"check.part_{name}"})
        elif b"+" in part or b"/" in part:
            yield Hint("check.standard_base64", {"part": f"check.part_{name}"})
        elif strange := re.search(rb"[^A-Za-z0-9_-]", part):
            yield Hint(
                "check.strange_character", {"part": f"check.part_{name}", "place": strange.start() + 1}
            )
        elif not _one_encoding(part):
            yield Hint("check.slack_bits", {"part": f"check.part_{name}"})
    yield from _signature_length(_decoded(parts[2]))


def _signature_length(signature: bytes) -> Iterator[Hint]:
    if not signature or len(signature) == _RAW_SIGNATURE:
        return
    if signature[0] == _DER_SEQUENCE and len(signature) > _RAW_SIGNATURE:
        yield Hint("check.der_signature")
    else:
        yield Hint("check.signature_length", {"bytes": len(signature)})


def _decoded(part: bytes) -> bytes:
    """What a part says, however it is spelt; empty when it says nothing."""
    standard = part.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return base64.b64decode(standard + b"=" * (-len(standard) % 4))
    except ValueError:
        return b""


def _one_encoding(part: bytes) -> bool:
    decoded = _decoded(part)
    return bool(decoded) and base64.urlsafe_b64encode(decoded).rstrip(b"=") == part


# --- the header ---


def _fields(part: bytes) -> dict[str, Any] | None:
    try:
        header = json.loads(_decoded(part))
    except (ValueError, RecursionError):
        return None
    return header if isinstance(header, dict) else None


def _header(part: bytes) -> Iterator[Hint]:
    header = _fields(part)
    if header is None:
        yield Hint("check.header_not_json")
        return
    if extra := sorted(safe(name) for name in header.keys() - set(_HEADER)):
        yield Hint("check.header_extra", {"names": ", ".join(extra)})
    if missing := [name for name in _HEADER if name not in header]:
        yield Hint("check.header_missing", {"names": ", ".join(missing)})
    if header.get("alg", "ES256") != "ES256":
        yield Hint("check.algorithm", {"found": safe(header["alg"])})
    x5c = header.get("x5c", [])
    if not isinstance(x5c, list) or not all(isinstance(one, str) for one in x5c):
        yield Hint("check.x5c_not_a_list")


def _kind(part: bytes, topic: str | None, fleet: str) -> Iterator[Hint]:
    header = _fields(part) or {}
    yield Hint("check.type_found", {"found": safe(header.get("typ"))})
    wanted = expected_kinds(topic, fleet)
    if wanted:
        for kind in wanted:
            yield Hint("check.type_wanted", {"kind": f"check.kind_{kind}"})
    else:
        yield Hint("check.types_known")


# --- the certificate ---


def _chain(part: bytes) -> list[x509.Certificate]:
    x5c = (_fields(part) or {}).get("x5c") or []
    chain = []
    for text in x5c:
        try:
            chain.append(x509.load_der_x509_certificate(base64.b64decode(text, validate=True)))
        except MALFORMED:
            return chain
    return chain


def _certificate(chain: list[x509.Certificate], code: str, kind: str | None) -> Iterator[Hint]:
    if not chain:
        if code == "cert.malformed":
            yield Hint("check.x5c_encoding")
        return
    leaf = chain[0]
    match code:
        case "cert.wrong_usage" if _for_connections(leaf):
            yield Hint("check.connection_certificate")
        case "cert.wrong_usage" | "cert.malformed" | "cert.unknown_issuer" if _is_authority(leaf):
            yield Hint("check.leaf_first")
        case "cert.unknown_issuer":
            yield Hint("check.other_authority")
        case "cert.expired" | "cert.not_yet_valid":
            first, last = (
                f"{moment:%Y-%m-%d %H:%M} UTC"
                for moment in (leaf.not_valid_before_utc, leaf.not_valid_after_utc)
            )
            yield Hint("check.validity", {"first": first, "last": last})
        case "cert.wrong_role":
            wanted = _ROLE_OF.get(kind or "")
            yield Hint("check.role", {"found": _role_of(leaf), "wanted": str(wanted) if wanted else "?"})


def _for_connections(leaf: x509.Certificate) -> bool:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, *MALFORMED):
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in usage or ExtendedKeyUsageOID.SERVER_AUTH in usage


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, *MALFORMED):
        return False


def _role_of(leaf: x509.Certificate) -> str:
    try:
        return str(principal_of(leaf, usage=Usage.SIGNING).role)
    except CertificateError:
        return "?"


# --- the signature ---


def _signature(parts: list[bytes], chain: list[x509.Certificate]) -> Iterator[Hint]:
    signature = _decoded(parts[2])
    key = chain[0].public_key() if chain else None
    if len(signature) != _RAW_SIGNATURE or not isinstance(key, ec.EllipticCurvePublicKey):
        yield from _signature_length(signature)
        return
    signed = b".".join(parts[:2])
    payload = _decoded(parts[1])
    for code, data in (
        ("check.high_s", signed),
        ("check.signed_digest", hashlib.sha256(signed).digest()),
        ("check.signed_digest", hashlib.sha256(signed).hexdigest().encode()),
        ("check.signed_payload_alone", payload),
        ("check.signed_payload_alone", parts[1]),
        ("check.signed_decoded", _decoded(parts[0]) + b"." + payload),
    ):
        if _holds(key, signature, data):
            yield Hint(code)
            return
    yield Hint("check.changed_or_other_key")


def _holds(key: ec.EllipticCurvePublicKey, signature: bytes, data: bytes) -> bool:
    der = encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
    try:
        key.verify(der, data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True

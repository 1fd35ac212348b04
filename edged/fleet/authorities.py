"""The fleet's X.509 authorities, on the admin's side: the offline root, the issuing one, and what boxes hear of them.

`fleet/authority.json` says it to boxes, signed by the offline TUF keys; `authorities.pem` has the same anchors for
everybody else (broker, collector, partners).
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from edged.errors import CertificateError, StateError
from edged.fleet import members
from edged.fleet.key_files import CA_ROOT, write_new
from edged.fleet.overview import newest
from edged.fleet.repository import Repository
from edged.fleet.state import write_text
from edged.fleet.tuf_roles import TARGETS
from edged.uplink.authority import FleetAuthority
from edged.uplink.fleet_authority import TARGET, FleetAuthorities, Revoked, encode, parse, sha256_of
from edged.uplink.keys import generate_key, load_private, private_pem, read_private, write_private
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.roles import MAX_ANCHORS, load_chain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from securesystemslib.signer import Signer

    from edged.fleet.state import FleetState, IssuedCertificate
    from edged.uplink.fleet_authority import Why
    from edged.uplink.roles import TrustAnchor

NEXT: Final = "fleet/.authority.json.new"
"""The document that is being signed; git leaves it out."""

RETIRED: Final = "retired"
"""Folder in `secrets/` of issuing authorities that were replaced: what they issued is revoked in their name."""

ISSUING_DAYS: Final = 1095
"""Three years: a certificate issued on the last day of the second still has its full length."""

RENEW_BEFORE: Final = timedelta(days=60)
"""As for signed metadata: two months in which cron may fail."""


class Issuing(NamedTuple):
    """An issuing authority's two files."""

    key_pem: bytes
    certificate_pem: bytes


def new_issuing(root: FleetAuthority, now: datetime) -> Issuing:
    """A new issuing authority under `root`."""
    key = generate_key()
    label = f"issuing-{now:%Y-%m-%d}"
    certificate = root.issue_intermediate(label, key.public_key(), now=now, days=ISSUING_DAYS)
    return Issuing(private_pem(key), certificate)


def write_issuing(secrets: Path, issuing: Issuing) -> None:
    """Put an issuing authority in place; the one before goes to `retired/`."""
    old = secrets / "ca.pem"
    if old.exists():
        name = sha256_of(load_chain(old.read_bytes())[0])[:16]
        retired = secrets / RETIRED
        retired.mkdir(mode=0o700, exist_ok=True)
        # What is there stays: after a power cut in here, `ca.key` is the next authority's already.
        if not (retired / f"ca-{name}.key").exists():
            write_private(retired / f"ca-{name}.key", read_private(secrets / "ca.key"))
        write_private(retired / f"ca-{name}.pem", old.read_bytes())
    # The key first: a certificate without its key is found at once, and the command can be given again.
    write_private(secrets / "ca.key", issuing.key_pem)
    write_private(secrets / "ca.pem", issuing.certificate_pem)


def write_admin(state: FleetState, now: datetime) -> list[x509.Certificate]:
    """New TLS and signing keys for the admin, with certificates; the certificates that were there before."""
    principal = Principal(state.file.fleet, Role.ADMIN, state.file.admin)
    before = admin_certificates(state)
    for usage in Usage:
        key = generate_key()
        chain = state.issue(principal, usage, key.public_key(), now=now)
        write_private(state.secrets / f"admin-{usage}.key", private_pem(key))
        write_private(state.secrets / f"admin-{usage}.pem", chain)
        members.record(state, principal, usage, chain)
    return before


def admin_certificates(state: FleetState) -> list[x509.Certificate]:
    """The admin's own certificates, as far as there are any. Raises `CertificateError`."""
    paths = (state.secrets / f"admin-{usage}.pem" for usage in Usage)
    return [load_chain(path.read_bytes())[0] for path in paths if path.exists()]


def admin_due(state: FleetState, now: datetime) -> bool:
    """Whether a certificate of the admin's ends soon. Raises `CertificateError`."""
    return any(one.not_valid_after_utc - now < RENEW_BEFORE for one in admin_certificates(state))


def issuing_end(state: FleetState) -> datetime:
    """When the issuing authority ends. Raises `CertificateError`."""
    return load_chain((state.secrets / "ca.pem").read_bytes())[0].not_valid_after_utc


def read_root(state: FleetState, directory: Path) -> FleetAuthority:
    """The offline X.509 authority whose key lies in `directory`.

    Raises `CertificateError` (`key.missing`, …), `fleet.wrong_ca_key` for the key of none of the fleet's anchors.
    """
    key_pem = read_private(directory / CA_ROOT)
    public = load_private(key_pem).public_key()
    for pem in current(state).anchors:
        if x509.load_pem_x509_certificate(pem.encode()).public_key() == public:
            return FleetAuthority.load(pem.encode(), key_pem)
    raise CertificateError("fleet.wrong_ca_key", str(directory / CA_ROOT))


def current(state: FleetState) -> FleetAuthorities:
    """The document as it is signed. Raises `DecodeError`, and `StateError` as `signed_bytes` does."""
    return parse(signed_bytes(state))


def signed_bytes(state: FleetState) -> bytes:
    """`fleet/authority.json`, if it is what the offline keys have signed: nobody goes on from anything else.

    After a power cut between the signature and the file, it is put in place from what was laid aside before both.
    Raises `StateError` (`fleet.no_metadata`, `fleet.file_not_signed`).
    """
    target = Repository(state.directory / "metadata").targets().signed.targets.get(TARGET)
    for name in (TARGET, NEXT):
        try:
            data = (state.directory / name).read_bytes()
        except FileNotFoundError:
            continue
        if target is not None and target.hashes.get("sha256") == hashlib.sha256(data).hexdigest():
            if name == NEXT:
                write_files(state.directory, parse(data))
            return data
    if not (state.directory / TARGET).exists():
        raise StateError("fleet.no_metadata", str(state.directory / TARGET))
    raise StateError("fleet.file_not_signed", TARGET)


def put(
    state: FleetState,
    change: Callable[[FleetAuthorities], FleetAuthorities],
    signers: Sequence[Signer],
    now: datetime,
) -> FleetAuthorities:
    """Change the document, under `FleetState.changing()`, signed by the offline keys.

    Raises `StateError` (`fleet.role_not_signed`, and nothing was changed), `DecodeError` for what no box would take.
    """
    document = change(current(state))
    data = encode(document)
    lay_aside(state, document)
    Repository(state.directory / "metadata").put_targets(TARGETS, {TARGET: data}, signers, now)
    write_files(state.directory, document)
    return document


def lay_aside(state: FleetState, document: FleetAuthorities) -> None:
    """Keep a document that is about to be signed, until `write_files` has put it in its place."""
    write_text(state.directory / NEXT, encode(document).decode())


def write_files(directory: Path, document: FleetAuthorities) -> None:
    """`fleet/authority.json`, and `authorities.pem` with the same anchors."""
    # The one that is checked comes last: while it isn't there, the next command does both again.
    write_text(directory / "authorities.pem", "".join(document.anchors))
    write_text(directory / TARGET, encode(document).decode())
    (directory / NEXT).unlink(missing_ok=True)


def with_anchor(document: FleetAuthorities, pem: bytes) -> FleetAuthorities:
    """`document` with one more anchor, the newest first.

    Raises `StateError` (`fleet.too_many_anchors`), `CertificateError` for another fleet's or no authority's.
    """
    certificates = load_chain(pem)
    if len(certificates) != 1:
        raise CertificateError("cert.malformed")
    text = certificates[0].public_bytes(Encoding.PEM).decode()
    others = tuple(one for one in document.anchors if one != text)
    if len(others) == MAX_ANCHORS:
        raise StateError("fleet.too_many_anchors", most=str(MAX_ANCHORS))
    changed = msgspec.structs.replace(document, anchors=(text, *others))
    changed.anchor()
    return changed


def without_anchor(document: FleetAuthorities, sha256: str) -> FleetAuthorities:
    """`document` without one anchor.

    Raises `StateError`: `fleet.no_such_anchor`, `fleet.last_anchor`.
    """
    kept = tuple(
        pem for pem in document.anchors if sha256_of(x509.load_pem_x509_certificate(pem.encode())) != sha256
    )
    if len(kept) == len(document.anchors):
        raise StateError("fleet.no_such_anchor", sha256)
    if not kept:
        raise StateError("fleet.last_anchor")
    return msgspec.structs.replace(document, anchors=kept)


def stranded(state: FleetState, document: FleetAuthorities, now: datetime) -> list[str]:
    """Boxes whose newest certificates would be under none of the document's authorities: nobody would reach them again.

    Raises `ConfigError`, `CertificateError`.
    """
    anchor = document.anchor()
    found = []
    for record in state.devices().values():
        living = [one for one in newest(record) if one.not_after > now.timestamp()]
        if record.revoked_at is None and any(not _under(anchor, one, now) for one in living):
            found.append(record.name)
    return found


def _under(anchor: TrustAnchor, issued: IssuedCertificate, now: datetime) -> bool:
    try:
        anchor.verify(load_chain(issued.pem.encode()), usage=issued.usage, at=now)
    except CertificateError as error:
        return error.code != "cert.unknown_issuer"
    return True


def with_revoked(
    document: FleetAuthorities, sha256s: Sequence[str], why: Why, now: datetime
) -> FleetAuthorities:
    """`document` with more certificates revoked; those that are already stay as they are."""
    known = {one.sha256 for one in document.revoked}
    new = (Revoked(one, int(now.timestamp()), why) for one in dict.fromkeys(sha256s) if one not in known)
    return msgspec.structs.replace(document, revoked=(*document.revoked, *new))


def new_root(state: FleetState, directory: Path, now: datetime) -> FleetAuthority:
    """A new offline X.509 authority for the fleet, its key in `directory`.

    Raises `StateError` (`fleet.key_exists`).
    """
    root = FleetAuthority.create(state.file.fleet, demo=state.file.demo, now=now)
    write_new(directory / CA_ROOT, root.key_pem)
    return root

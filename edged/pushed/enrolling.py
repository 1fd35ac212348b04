"""A box becomes one of the fleet: from a token to keys, certificates, and what it believes. Blocking.

Everything may be interrupted at any moment and is gone on with by calling again: keys are on the disk before they are
asked a certificate for, the service gives the same certificate for the same key, and nothing is in use before both
certificates are there.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding

from edged.errors import CertificateError, SignatureRefusedError
from edged.pushed import est_client
from edged.pushed.est_client import EstClient, Service
from edged.pushed.founding import believe
from edged.pushed.identity_files import write_public
from edged.uplink import est
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.roles import TrustAnchor, principal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    from edged.pushed.identity_files import IdentityFiles, Pair
    from edged.uplink.token import Token


class Enrolled(msgspec.Struct, frozen=True):
    """What came of it."""

    principal: Principal
    demo: bool
    boot: est.Boot


def enrol(
    token: Token,
    files: IdentityFiles,
    *,
    again: bool = False,
    progress: Callable[[str], None] = lambda _: None,
    before_use: Callable[[Enrolled], None] = lambda _: None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Enrolled:
    """Make keys, get certificates, write everything into `files`; `progress` hears a code of the catalogue a step.

    `before_use` does what else belongs to it (the boot file): when the certificates are in use, all is done.

    A box that has good certificates of that name keeps them, unless `again`; one that has others, or ended ones, gets
    new ones. Its outbox and everything else stay as they are.

    Raises `UplinkError` (the service), `SignatureRefusedError` (another fleet), `CertificateError` (what it gave),
    `DecodeError` (what it answered), `StateError` (the disk).
    """
    files.prepare(enrolling=True)
    if not again and (done := _enrolled_before(token, files, clock())) is not None:
        progress("enrol.step_there")
        before_use(done)
        return done
    files.begin_enrolling()
    progress("enrol.step_fleet")
    service = Service(token.host, token.port)
    founded = believe(est_client.founding(service), token, clock())
    pem = "".join(founded.authorities.anchors)
    client = EstClient(service, pem)
    boot = client.boot(token.device, token.secret)
    principal = Principal(boot.fleet, Role.DEVICE, token.device)
    others = est.read_certificates(client.cacerts())
    chains = {}
    for usage in Usage:
        progress(f"enrol.step_{usage}")
        key = files.key_in_the_making(usage)
        answer = client.enrol(usage, est.request(key, token.device), token.device, token.secret)
        granted = Granted(usage, principal, founded.anchor, clock())
        chain = granted.chain(est.read_certificates(answer), others, key)
        if founded.authorities.revokes(chain):
            raise SignatureRefusedError("enrol.authority_revoked")
        chains[usage] = to_pem(chain)
    progress("enrol.step_writing")
    write_public(files.ca, pem.encode())
    write_public(files.root, founded.root)
    enrolled = Enrolled(principal, founded.anchor.demo, boot)
    before_use(enrolled)
    files.end_enrolling(chains)
    return enrolled


def _enrolled_before(token: Token, files: IdentityFiles, now: datetime) -> Enrolled | None:
    """What an earlier call has come to the end of, perhaps without a chance to say so."""
    pairs = [files.current(usage) for usage in Usage]
    if not files.complete():
        return None
    anchor = TrustAnchor.from_file(files.ca)
    found = set()
    try:
        for usage, pair in zip(Usage, pairs, strict=True):
            assert pair is not None
            found.add(anchor.verify(pair.certificates(), usage=usage, at=now))
    except CertificateError:
        return None
    if found != {Principal(anchor.fleet, Role.DEVICE, token.device)}:
        return None
    client = EstClient(Service(token.host, token.port), files.ca.read_text(), files.current(Usage.TLS))
    return Enrolled(found.pop(), anchor.demo, client.boot())


class Granted(msgspec.Struct, frozen=True):
    """What a certificate that was asked for has to be."""

    usage: Usage
    principal: Principal
    anchor: TrustAnchor
    at: datetime

    def chain(
        self,
        answer: Sequence[x509.Certificate],
        others: Sequence[x509.Certificate],
        key: ec.EllipticCurvePrivateKey,
    ) -> tuple[x509.Certificate, ...]:
        """The chain of the certificate in `answer`. Raises `CertificateError` when it isn't what was asked for."""
        public = key.public_key()
        leaves = [one for one in answer if one.public_key() == public]
        if len(leaves) != 1:
            raise CertificateError("cert.key_mismatch")
        found, chain = est.chain_of(
            leaves[0], [*answer, *others], anchor=self.anchor, usage=self.usage, at=self.at
        )
        if found != self.principal:
            raise CertificateError("enrol.other_name")
        return chain


def to_pem(chain: Sequence[x509.Certificate]) -> bytes:
    """Certificates as they stand in a file, leaf first."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)


def authorities_of(files: IdentityFiles, service: Service, trusted: Path) -> tuple[x509.Certificate, ...]:
    """The authorities that the service names; `trusted` is the file its certificate must end at.

    Raises as `renew` does.
    """
    client = EstClient(service, trusted.read_text(), files.current(Usage.TLS))
    return est.read_certificates(client.cacerts())


def renew(
    usage: Usage,
    files: IdentityFiles,
    service: Service,
    anchor: TrustAnchor,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    *,
    authorities: Path | None = None,
) -> Pair:
    """A new pair in place of the one in use, which is kept. Raises as `enrol` does."""
    tls, current = files.current(Usage.TLS), files.current(usage)
    if tls is None or current is None:
        raise CertificateError("key.missing", str(files.directory))
    client = EstClient(service, (authorities or files.ca).read_text(), tls)
    # Whose it is, not whether it is believed still: its authority may be just what is being replaced.
    principal = principal_of(current.certificates()[0], usage=usage)
    key = files.key_in_the_making(usage)
    der = est.request(key, principal.name)
    if usage is Usage.TLS:
        answer = client.renew_tls(der)
    else:
        answer = client.renew_signing(est.signed_renewal(current.signer(), der))
    others = est.read_certificates(client.cacerts())
    granted = Granted(usage, principal, anchor, clock())
    return files.put_in_use(usage, to_pem(granted.chain(est.read_certificates(answer), others, key)))

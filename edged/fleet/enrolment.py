"""Who gets a certificate: the rules of the enrolment service, over the fleet's state directory. No sockets here.

A token gives one certificate of each usage, to the first key that comes with it, and the same certificate again to the
same key: an answer may be lost. Another key is refused, and the admin is told, for either two people have the token or
the box has lost its keys. A certificate is renewed by the box that has it; a revoked box gets nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from edged.errors import (
    CertificateError,
    CodedError,
    ConfigError,
    SignatureRefusedError,
    StateError,
)
from edged.fleet.former_keys import LISTED
from edged.fleet.repository import Repository
from edged.fleet.state import DeviceRecord, FleetState, IssuedCertificate
from edged.fleet.tuf_roles import ROOT, TARGETS
from edged.uplink import est, fleet_authority
from edged.uplink.names import Principal, Role, Usage, valid_name
from edged.uplink.roles import load_chain, principal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

MAX_LIVING: Final = 8
"""Certificates of one usage and device that haven't ended and aren't revoked: renewals overlap, and a stolen TLS key
must not fill the state directory before it is revoked. A token gives one more: an admin has asked for it."""

KEPT_ENDED: Final = 8
"""Ended certificates that a record keeps at least, newest first, for whoever looks into what a box once had; beside
them all that the directory lists still, because slips that they signed hold (`edged.fleet.former_keys`)."""

PATIENCE_S: Final = 5.0
"""How long a request waits for another command to leave the state directory alone."""

RETRY_S: Final = 0.05

_NOBODY: Final = hashlib.sha256(b"no token has this hash").hexdigest()


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """Something of which the admin hears: `edged fleet serve` writes it, `devices/` keeps the alarm."""

    what: Literal["issued", "again", "renewed", "refused"]
    device: str
    usage: Usage | None = None
    serial: str | None = None
    code: str | None = None
    """Why it was refused."""


class RefusedError(CodedError):
    """A request is refused; `code` is one that boxes know."""


class Enrolment:
    """The service's decisions. Thread-safe; every call reads the state anew, so that a revocation counts at once."""

    def __init__(
        self,
        state: FleetState,
        *,
        told: Callable[[Happened], None] = lambda _: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._state = state
        self._told = told
        self._clock = clock
        self._lock = threading.Lock()

    # --- what anybody may see ---

    def founding(self) -> est.Founding:
        """Raises `StateError` (`fleet.no_metadata`)."""
        repository = Repository(self._state.directory / "metadata")
        roots = tuple(repository.file(ROOT, version).decode() for version in repository.versions(ROOT))
        authority = (self._state.directory / fleet_authority.TARGET).read_text(encoding="utf-8")
        return est.Founding(1, roots, repository.file(TARGETS).decode(), authority)

    def cacerts(self) -> tuple[x509.Certificate, ...]:
        """The fleet's roots, and the authority that issues under them."""
        anchors = load_chain((self._state.directory / "authorities.pem").read_bytes())
        issuing = load_chain((self._state.secrets / "ca.pem").read_bytes())
        return tuple(dict.fromkeys((*issuing, *anchors)))

    # --- what a token is for ---

    def boot(self, device: str, secret: str) -> est.Boot:
        """What a boot file says. Raises `RefusedError`."""
        self._let_in(self._record(device), secret, device)
        return self._boot()

    def boot_of(self, certificate: x509.Certificate) -> est.Boot:
        """The same, for a box that has its certificate. Raises `RefusedError`."""
        self._own(certificate, Usage.TLS)
        return self._boot()

    def enrol(self, device: str, secret: str, usage: Usage, public_key: ec.EllipticCurvePublicKey) -> bytes:
        """The chain (PEM) of a first certificate. Raises `RefusedError`, `CertificateError`."""
        self._let_in(self._record(device), secret, device)  # first: no stranger is to keep others waiting
        with self._changing():
            record = self._let_in(self._record(device), secret, device)
            given = next(
                (one for one in record.certificates if one.serial == record.token_serials.get(usage)), None
            )
            if given is None:
                return self._issue(record, usage, public_key, by_token=True)
            if given.revoked_at is not None:
                raise self._refused("enrol.token_ended", record.name, usage)
            if _key_of(given) != public_key:
                self._state.save_device(msgspec.structs.replace(record, token_refused_at=self._seconds()))
                raise self._refused("enrol.token_used", record.name, usage)
            if not self._good_still(given):
                return self._issue(record, usage, public_key, by_token=True)
            self._told(Happened(what="again", device=record.name, usage=usage, serial=given.serial))
            return given.pem.encode()

    # --- renewal ---

    def renew_tls(self, certificate: x509.Certificate, public_key: ec.EllipticCurvePublicKey) -> bytes:
        """The chain (PEM) of the next TLS certificate, for the holder of this one. Raises `RefusedError`."""
        return self._renew(certificate, Usage.TLS, certificate, public_key)

    def renew_signing(self, certificate: x509.Certificate, body: bytes) -> bytes:
        """The chain (PEM) of the next signing certificate, for who holds this TLS certificate and the old signing key.

        Raises `RefusedError`, `DecodeError`.
        """
        now = self._clock()
        try:
            _, signing, public_key = est.open_renewal(body, anchor=self._state.anchor(), at=now)
        except SignatureRefusedError as error:
            raise self._refused("enrol.proof_refused", self._own(certificate, Usage.TLS).name) from error
        return self._renew(certificate, Usage.SIGNING, signing, public_key)

    def _renew(
        self,
        tls: x509.Certificate,
        usage: Usage,
        old: x509.Certificate,
        public_key: ec.EllipticCurvePublicKey,
    ) -> bytes:
        self._own(tls, Usage.TLS)
        with self._changing():
            record = self._own(tls, Usage.TLS)
            if self._own(old, usage).name != record.name:
                raise self._refused("enrol.proof_refused", record.name, usage)
            for given in record.certificates:
                if given.usage is usage and _key_of(given) == public_key and self._good_still(given):
                    self._told(Happened(what="again", device=record.name, usage=usage, serial=given.serial))
                    return given.pem.encode()
            return self._issue(record, usage, public_key, by_token=False)

    # --- parts ---

    def _boot(self) -> est.Boot:
        file = FleetState.open(self._state.directory).file  # an admin may have moved the broker
        return est.Boot(1, file.fleet, file.broker_host, file.broker_port, file.enrolment or "")

    def _record(self, device: str) -> DeviceRecord | None:
        if not valid_name(device):
            return None
        try:
            return self._state.device(device)
        except ConfigError as error:
            if error.code == "fleet.no_such_device":
                return None
            raise

    def _let_in(self, record: DeviceRecord | None, secret: str, device: str) -> DeviceRecord:
        """Whether the secret is this device's; the comparison takes as long for a device there isn't."""
        expected = None if record is None else record.token_sha256
        given = hashlib.sha256(secret.encode()).hexdigest()
        fits = secrets.compare_digest(given, expected or _NOBODY)
        if record is None or not fits:
            raise self._refused("enrol.not_let_in", device if record is not None else "")
        if record.revoked_at is not None:
            raise self._refused("enrol.device_revoked", device)
        if record.token_until is None or self._seconds() > record.token_until:
            raise self._refused("enrol.token_ended", device)
        return record

    def _own(self, certificate: x509.Certificate, usage: Usage) -> DeviceRecord:
        """The device that was given this very certificate and still holds by it. Raises `RefusedError`."""
        try:
            principal = principal_of(certificate, usage=usage)
        except CertificateError as error:
            raise RefusedError("enrol.not_current", error.code) from None
        record = self._record(principal.name) if principal.role is Role.DEVICE else None
        if record is None:
            raise RefusedError("enrol.not_current")
        if record.revoked_at is not None:
            raise self._refused("enrol.device_revoked", record.name)
        for one in record.certificates:
            chain = load_chain(one.pem.encode())
            if one.usage is usage and one.revoked_at is None and chain[0] == certificate:
                self._check_chain(chain, usage, record)
                return record
        raise self._refused("enrol.not_current", record.name, usage)

    def _check_chain(self, chain: Sequence[x509.Certificate], usage: Usage, record: DeviceRecord) -> None:
        """Whether it holds still.

        An issuing authority that was revoked doesn't count here: the record, not its signature, says that this very
        certificate is the box's, and how else should the box get one of the next authority's?
        """
        try:
            self._state.anchor().verify(chain, usage=usage, at=self._clock())
        except CertificateError:
            raise self._refused("enrol.not_current", record.name, usage) from None

    def _good_still(self, given: IssuedCertificate) -> bool:
        """Whether a certificate may be given again.

        Not one of an authority that was replaced since, or of which half is over: who asks wants one that lasts.
        """
        issuer = load_chain((self._state.secrets / "ca.pem").read_bytes())
        half = (given.not_before + given.not_after) / 2
        chain = load_chain(given.pem.encode())
        return given.revoked_at is None and self._seconds() < half and chain[1:] == issuer

    def _issue(
        self, record: DeviceRecord, usage: Usage, public_key: ec.EllipticCurvePublicKey, *, by_token: bool
    ) -> bytes:
        now = self._clock()
        living = [one for one in record.certificates if one.not_after >= now.timestamp()]
        ended = [one for one in record.certificates if one.not_after < now.timestamp()]
        counted = sum(one.usage is usage and one.revoked_at is None for one in living)
        if counted >= MAX_LIVING and not by_token:
            raise self._refused("enrol.too_many", record.name, usage)
        principal = Principal(self._state.file.fleet, Role.DEVICE, record.name)
        try:
            pem = self._state.issue(principal, usage, public_key, now=now)
        except CertificateError as error:
            if error.code != "fleet.authority_ended":
                raise
            raise self._refused("enrol.authority_ended", record.name, usage) from None
        issued = issued_certificate(usage, pem)
        serials = {**record.token_serials, usage: issued.serial} if by_token else record.token_serials
        listed = (now - LISTED).timestamp()
        kept = [one for one in ended[:-KEPT_ENDED] if one.not_after >= listed] + ended[-KEPT_ENDED:]
        changed = msgspec.structs.replace(
            record, certificates=(*kept, *living, issued), token_serials=serials
        )
        self._state.save_device(changed)  # before anybody has it
        what: Literal["issued", "renewed"] = "issued" if by_token else "renewed"
        self._told(Happened(what=what, device=record.name, usage=usage, serial=issued.serial))
        return pem

    def _refused(self, code: str, device: str, usage: Usage | None = None) -> RefusedError:
        self._told(Happened(what="refused", device=device, usage=usage, code=code))
        return RefusedError(code)

    def _seconds(self) -> int:
        return int(self._clock().timestamp())

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """The state directory to ourselves. Raises `RefusedError` (`enrol.busy`) when others keep it too long."""
        with contextlib.ExitStack() as stack:
            if not self._lock.acquire(timeout=PATIENCE_S):
                raise RefusedError("enrol.busy")
            stack.callback(self._lock.release)
            until = time.monotonic() + PATIENCE_S
            while True:
                try:
                    stack.enter_context(self._state.changing())
                    break
                except StateError as error:
                    if error.code != "fleet.busy":
                        raise
                    if time.monotonic() > until:
                        raise RefusedError("enrol.busy") from None
                time.sleep(RETRY_S)
            yield


def serial_of(certificate: x509.Certificate) -> str:
    """As `IssuedCertificate.serial` has it."""
    return f"{certificate.serial_number:x}"


def issued_certificate(usage: Usage, pem: bytes) -> IssuedCertificate:
    """What a record keeps of a chain, leaf first. Raises `CertificateError`."""
    leaf = load_chain(pem)[0]
    return IssuedCertificate(
        usage=usage,
        serial=serial_of(leaf),
        not_before=int(leaf.not_valid_before_utc.timestamp()),
        not_after=int(leaf.not_valid_after_utc.timestamp()),
        pem=pem.decode(),
    )


def _key_of(issued: IssuedCertificate) -> object:
    return load_chain(issued.pem.encode())[0].public_key()

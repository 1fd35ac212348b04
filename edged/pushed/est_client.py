"""The box's side of enrolment: one request at a time over HTTPS, TLS 1.3 alone, everything bounded.

Blocking: the daemon calls it in a thread.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from edged.errors import CertificateError, UplinkError
from edged.uplink import est
from edged.uplink.keys import read_private
from edged.uplink.names import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.pushed.identity_files import Pair

TIMEOUT_S: Final = 15.0
"""Without a byte from the service: it signs two certificates a second on the smallest machine."""

REFUSALS: Final = frozenset(
    {
        *("enrol.not_let_in", "enrol.token_ended", "enrol.token_used", "enrol.device_revoked"),
        *("enrol.request_malformed", "enrol.request_wrong_key", "enrol.too_many", "enrol.no_certificate"),
        *("enrol.not_current", "enrol.proof_refused", "enrol.busy", "enrol.too_often", "enrol.no_such_page"),
        *("enrol.authority_ended", "enrol.too_large"),
    }
)
"""What a service may answer; of any other code a box says that it doesn't know it."""

FINAL: Final = frozenset({"enrol.token_ended", "enrol.token_used", "enrol.device_revoked", "enrol.too_many"})
"""Refusals that asking again doesn't mend: somebody has to do something."""


class Service(msgspec.Struct, frozen=True):
    """Where the enrolment service listens."""

    host: str
    port: int

    @classmethod
    def of(cls, address: str) -> Service:
        """From `host:port`, an IPv6 address in brackets. Raises `UplinkError` (`enrol.bad_address`)."""
        host, colon, port = address.rpartition(":")
        if not colon or not host or not (port.isascii() and port.isdecimal()) or not 0 < int(port) < 1 << 16:
            raise UplinkError("enrol.bad_address", address[:300])
        return cls(host.removeprefix("[").removesuffix("]"), int(port))


def founding(service: Service) -> est.Founding:
    """What the service shows of the fleet, over a connection that proves nothing and says nothing secret.

    Whether it is believed is `edged.pushed.founding.believe`'s to say. Raises `UplinkError`, `DecodeError`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return est.read_founding(_ask(service, context, "GET", est.ROOT))


class EstClient:
    """Asks a service whose certificate is under the fleet's own authorities, and names its host."""

    def __init__(self, service: Service, ca_pem: str, pair: Pair | None = None) -> None:
        """`pair` is the box's TLS key and certificate, where it has one. Raises `CertificateError`."""
        self._service = service
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            self._context.load_verify_locations(cadata=ca_pem)
        except ssl.SSLError:
            raise CertificateError("cert.malformed") from None
        if pair is not None:
            _load(self._context, pair)

    def cacerts(self) -> bytes:
        """The body of `cacerts`. Raises `UplinkError`."""
        return self._ask("GET", est.CACERTS)

    def boot(self, device: str | None = None, secret: str = "") -> est.Boot:
        """By the token, or by the box's own certificate. Raises `UplinkError`, `DecodeError`."""
        return est.read_boot(
            self._ask("GET", est.BOOT, headers=None if device is None else _basic(device, secret))
        )

    def enrol(self, usage: Usage, der: bytes, device: str, secret: str) -> bytes:
        """The answer to a first request. Raises `UplinkError`."""
        headers = {"Content-Type": est.PKCS10} | _basic(device, secret)
        return self._post(usage, "simpleenroll", est.to_body(der), headers)

    def renew_tls(self, der: bytes) -> bytes:
        """The answer to a request for a new TLS certificate. Raises `UplinkError`."""
        return self._post(Usage.TLS, "simplereenroll", est.to_body(der), headers={"Content-Type": est.PKCS10})

    def renew_signing(self, renewal: str) -> bytes:
        """The answer to a signed request for a new signing certificate. Raises `UplinkError`."""
        return self._post(
            Usage.SIGNING, "simplereenroll", renewal.encode(), headers={"Content-Type": est.JOSE}
        )

    def _post(
        self,
        usage: Usage,
        operation: Literal["simpleenroll", "simplereenroll"],
        body: bytes,
        headers: Mapping[str, str],
    ) -> bytes:
        return self._ask("POST", est.path(usage, operation), body, headers)

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        return _ask(self._service, self._context, method, path, body, headers)


def _ask(
    service: Service,
    context: ssl.SSLContext,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Raises `UplinkError`: `enrol.unreachable`, `enrol.service_not_trusted`, `enrol.tls_refused`, a refusal."""
    connection = http.client.HTTPSConnection(service.host, service.port, timeout=TIMEOUT_S, context=context)
    try:
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            data = answer.read(est.MAX_ANSWER + 1)
    except ssl.SSLCertVerificationError as error:
        raise UplinkError("enrol.service_not_trusted", error.verify_message) from None
    except ssl.SSLError as error:
        raise UplinkError("enrol.tls_refused", error.reason or "") from None
    except (OSError, http.client.HTTPException) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise UplinkError("enrol.unreachable", reason or type(error).__name__) from None
    if answer.status != http.HTTPStatus.OK:
        code = est.read_refusal(data)
        if code in REFUSALS:
            raise UplinkError(code)
        raise UplinkError("enrol.refused_otherwise", str(answer.status))
    if len(data) > est.MAX_ANSWER:
        raise UplinkError("enrol.refused_otherwise", "too long an answer")
    return data


def _basic(device: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{device}:{secret}".encode()).decode()}


def _load(context: ssl.SSLContext, pair: Pair) -> None:
    read_private(Path(pair.key))  # refuses a key that others can read; OpenSSL wouldn't
    try:
        context.load_cert_chain(pair.chain, pair.key)
    except ssl.SSLError:
        raise CertificateError("cert.key_mismatch", str(pair.chain)) from None
    except OSError as error:
        raise CertificateError("cert.unreadable", f"{pair.chain}: {error.strerror}") from error

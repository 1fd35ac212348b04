"""The enrolment service: HTTPS around `edged.fleet.enrolment`, TLS 1.3 alone, one request a connection.

Everything a stranger can make it hold is bounded: connections, bytes, seconds, and turns an address.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec
from cryptography import x509

from edged import log
from edged.errors import CodedError, DecodeError, StateError
from edged.fleet.enrolment import Enrolment, RefusedError
from edged.fleet.http_request import END_OF_HEAD, MAX_HEAD, Head, answer, parse_head
from edged.fleet.throttle import Throttle
from edged.listener import Bounds, Listener, on_network
from edged.uplink import est
from edged.uplink.keys import generate_key, private_pem, write_private
from edged.uplink.names import Usage
from edged.uplink.roles import load_chain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from edged.fleet.state import FleetState

MAX_CONNECTIONS: Final = 64
"""At once; a request takes milliseconds, and whoever is turned away comes again."""

MAX_EACH: Final = 16
"""Connections of one address, so that one alone can't keep the others out."""

DEADLINE_S: Final = 20.0
"""From the first byte of the handshake to the last of the answer: a poor line takes three."""

REQUESTS: Final = (120, 1.0)
"""Burst an address, and seconds until the next: a depot that installs dozens behind one address gets through."""

FAILURES: Final = (10, 30.0)
"""The same for wrong tokens. A token's 100 bits need no such help; the state directory's readers do."""

SERVER_DAYS: Final = 30
"""Of the service's own certificate, made anew at every start and every `RENEW_EVERY`."""

RENEW_EVERY: Final = timedelta(days=7)

_NETWORK: Final = 64  # bits: the smallest an IPv6 subscriber has (RFC 6177)

LOOK_EVERY_S: Final = 10.0
"""Whether another command has changed the authorities: until it is seen, boxes of a new one are not let in."""

_STATUS: Final[dict[str, HTTPStatus]] = {
    "enrol.not_let_in": HTTPStatus.UNAUTHORIZED,
    "enrol.token_ended": HTTPStatus.FORBIDDEN,
    "enrol.token_used": HTTPStatus.FORBIDDEN,
    "enrol.device_revoked": HTTPStatus.FORBIDDEN,
    "enrol.no_certificate": HTTPStatus.UNAUTHORIZED,
    "enrol.not_current": HTTPStatus.FORBIDDEN,
    "enrol.proof_refused": HTTPStatus.FORBIDDEN,
    "enrol.too_many": HTTPStatus.FORBIDDEN,
    "enrol.too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "enrol.too_often": HTTPStatus.TOO_MANY_REQUESTS,
    "enrol.no_such_page": HTTPStatus.NOT_FOUND,
    "enrol.busy": HTTPStatus.SERVICE_UNAVAILABLE,
    "enrol.authority_ended": HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Of a refusal's code; any other is the request's fault (400)."""

_BASIC: Final = {"WWW-Authenticate": 'Basic realm="edged"'}


class EstServer:
    """`async with EstServer(…)`: listens from entering to leaving. `port` is the one it got."""

    def __init__(
        self,
        state: FleetState,
        enrolment: Enrolment,
        *,
        host: str,
        port: int,
        names: Sequence[str],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`names` are the host names and addresses under which boxes come: its certificate has them."""
        self._state = state
        self._enrolment = enrolment
        self._host = host
        self.port = port
        self._names = names
        self._clock = clock
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._context.verify_mode = ssl.CERT_OPTIONAL
        self._context.num_tickets = 0  # one request a connection: nothing is resumed
        self._requests = Throttle(*REQUESTS)
        self._failures = Throttle(*FAILURES)
        self._log = log.get("enrolment")

    async def __aenter__(self) -> Self:
        """Raises `StateError`, `CertificateError`, `OSError` (the address is taken)."""
        await asyncio.to_thread(self.renew_certificate)
        self._listener = Listener(
            on_network(self._host, self.port, backlog=MAX_CONNECTIONS),
            self._on_connection,
            Bounds(MAX_CONNECTIONS, MAX_EACH, MAX_HEAD, DEADLINE_S, DEADLINE_S),
            caller=lambda _, address: network_of(str(address[0])),
            log=self._log,
            context=self._context,
        )
        self.port = self._listener.port
        self._listener.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._listener.close()

    async def serve(self) -> None:
        """Renew the service's own certificate from time to time and when the authorities change, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await asyncio.to_thread(self.look)
            except (CodedError, OSError) as error:
                self._log.error("the service's certificate can't be renewed", exc_info=error)

    def look(self) -> None:
        """Renew the service's certificate if it is time or an authority was changed. Raises as `renew_certificate`."""
        if self._clock() - self._renewed_at > RENEW_EVERY or self._authorities() != self._renewed_under:
            self.renew_certificate()

    def _authorities(self) -> tuple[bytes, ...]:
        paths = self._state.directory / "authorities.pem", self._state.secrets / "ca.pem"
        try:
            return tuple(path.read_bytes() for path in paths)
        except OSError as error:
            raise StateError("state.unusable", f"{error.filename}: {error.strerror}") from error

    def renew_certificate(self) -> None:
        """A new key and certificate for the service; the fleet's authorities are read anew, too.

        Raises `CertificateError`, `StateError`.
        """
        under, key = self._authorities(), generate_key()
        pem = self._state.issue_server(self._names, key.public_key(), now=self._clock(), days=SERVER_DAYS)
        files = self._state.secrets / "enrolment.key", self._state.secrets / "enrolment.pem"
        try:
            write_private(files[0], private_pem(key))
            write_private(files[1], pem)
            self._context.load_cert_chain(files[1], files[0])
            self._context.load_verify_locations(self._state.directory / "authorities.pem")
        except OSError as error:
            raise StateError("state.unusable", f"{self._state.secrets}: {error.strerror}") from error
        self._renewed_at, self._renewed_under = self._clock(), under

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = network_of(str(writer.get_extra_info("peername")[0]))
        writer.write(await self._answer(reader, writer, address))
        await writer.drain()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str
    ) -> bytes:
        now = asyncio.get_running_loop().time()
        try:
            if not self._requests.take(address, now) or not self._failures.allows(address, now):
                raise RefusedError("enrol.too_often")
            head = parse_head(await reader.readuntil(END_OF_HEAD))
            body = await reader.readexactly(head.length)
            peer = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            return await asyncio.to_thread(self._served, head, body, peer)
        except (RefusedError, DecodeError) as error:
            if error.code in ("enrol.not_let_in", "enrol.proof_refused"):
                self._failures.take(address, now)
            return _refusal(error.code)
        except CodedError as error:
            self._log.error("the fleet's state can't be used", code=error.code, detail=error.detail)
            return _refusal("enrol.busy")

    def _served(self, head: Head, body: bytes, peer: bytes | None) -> bytes:
        """As `_serve`; a disk that is full, say, is told from a line that broke. Raises `StateError` for it."""
        try:
            return self._serve(head, body, peer)
        except OSError as error:
            raise StateError("state.unusable", error.strerror or "") from error

    def _serve(self, head: Head, body: bytes, peer: bytes | None) -> bytes:
        """The answer to one request; in a thread. Raises `RefusedError`, `DecodeError`, `StateError`, …."""
        certificate = None if peer is None else x509.load_der_x509_certificate(peer)
        match head.method, head.path:
            case "GET", est.CACERTS:
                return _ok(est.PKCS7_PLAIN, est.certificates(self._enrolment.cacerts()))
            case "GET", est.ROOT:
                return _ok(est.JSON, msgspec.json.encode(self._enrolment.founding()))
            case "GET", est.BOOT:
                return _ok(est.JSON, msgspec.json.encode(self._boot(head, certificate)))
            case "POST", _ if (found := est.parse_path(head.path)) is not None:
                usage, operation = found
                if operation == "simpleenroll":
                    pem = self._first(head, usage, body)
                else:
                    pem = self._renewal(head, usage, body, certificate)
                # RFC 7030 §4.2.3: the certificate alone; its issuers are in cacerts.
                return _ok(est.PKCS7, est.certificates(load_chain(pem)[:1]))
            case _:
                raise RefusedError("enrol.no_such_page")

    def _boot(self, head: Head, certificate: x509.Certificate | None) -> est.Boot:
        if certificate is not None:
            return self._enrolment.boot_of(certificate)
        return self._enrolment.boot(*self._credentials(head))

    def _first(self, head: Head, usage: Usage, body: bytes) -> bytes:
        device, secret = self._credentials(head)
        _expect(head, est.PKCS10)
        return self._enrolment.enrol(device, secret, usage, est.requested_key(est.of_body(body)))

    def _renewal(self, head: Head, usage: Usage, body: bytes, certificate: x509.Certificate | None) -> bytes:
        if certificate is None:
            raise RefusedError("enrol.no_certificate")
        if usage is Usage.SIGNING:
            if head.media_type != est.JOSE:
                raise RefusedError("enrol.proof_refused")
            return self._enrolment.renew_signing(certificate, body)
        _expect(head, est.PKCS10)
        return self._enrolment.renew_tls(certificate, est.requested_key(est.of_body(body)))

    @staticmethod
    def _credentials(head: Head) -> tuple[str, str]:
        found = head.basic
        if found is None:
            raise RefusedError("enrol.not_let_in")
        return found


def network_of(address: str) -> str:
    """Whom turns are counted for: an IPv4 address, or the network that anybody with IPv6 has all addresses of."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((found, _NETWORK), strict=False))


def _expect(head: Head, media_type: str) -> None:
    if head.media_type != media_type:
        raise DecodeError("request", "enrol.request_malformed", "Content-Type")


def _ok(media_type: str, body: bytes) -> bytes:
    more: dict[str, Any] = {} if media_type == est.JSON else {"Content-Transfer-Encoding": "base64"}
    return answer(HTTPStatus.OK, media_type, body, more)


def _refusal(code: str) -> bytes:
    status = _STATUS.get(code, HTTPStatus.BAD_REQUEST)
    more: dict[str, str] = {}
    if code == "enrol.not_let_in":
        more |= _BASIC
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        more["Retry-After"] = "60"
    return answer(status, est.JSON, msgspec.json.encode(est.Refusal(code)), more)

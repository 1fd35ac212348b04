"""Mutual TLS 1.3 as every party of a fleet makes it."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from edged.errors import CertificateError
from edged.uplink.keys import read_private

if TYPE_CHECKING:
    from edged.uplink.mqtt_types import Endpoint


class Context(ssl.SSLContext):
    """Remembers the socket it wrapped last: paho leaves that open when the handshake fails."""

    _last: ssl.SSLSocket | None = None

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """As the base does."""
        self._last = super().wrap_socket(*args, **kwargs)
        return self._last

    def close_last(self) -> None:
        """Close the socket of a handshake that failed."""
        if self._last is not None:
            self._last.close()


def tls_context(endpoint: Endpoint) -> Context:
    """Mutual TLS 1.3, host name checked. Reads files. Raises `CertificateError`."""
    read_private(endpoint.key)  # refuses a key that others can read; OpenSSL wouldn't
    context = Context(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = True
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(endpoint.ca)
    except ssl.SSLError as error:
        raise CertificateError("cert.malformed", str(endpoint.ca)) from error
    except OSError as error:
        raise CertificateError("cert.unreadable", f"{endpoint.ca}: {error.strerror}") from error
    try:
        context.load_cert_chain(endpoint.certificate, endpoint.key)
    except ssl.SSLError as error:
        raise CertificateError("cert.key_mismatch", str(endpoint.certificate)) from error
    except OSError as error:
        raise CertificateError("cert.unreadable", f"{endpoint.certificate}: {error.strerror}") from error
    return context

"""Who may come in, and what policy lets them have now: asked with every request: a revocation counts at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edged.errors import CertificateError
from edged.handover import peers

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from edged.config import AudienceSettings, HandoverSettings
    from edged.handover.peers import Peer
    from edged.privacy.policy import HandoverPolicy
    from edged.uplink.roles import TrustAnchor


class Admission:
    """Of one service.

    Attributes:
        audiences: whose policies hold; exchanged at a switch of settings.
    """

    def __init__(
        self,
        settings: HandoverSettings,
        audiences: Mapping[str, AudienceSettings],
        anchor: TrustAnchor,
        ca: Path,
        clock: Callable[[], datetime],
    ) -> None:
        self.audiences = audiences
        self._settings = settings
        self._anchor = anchor
        self._ca = ca
        self._clock = clock
        self._users: dict[int, str] = {}

    async def load_users(self) -> None:
        """Ask the system who the named users are. Raises `ConfigError` as `peers.user_ids` does."""
        self._users = await asyncio.to_thread(peers.user_ids, self._settings.users)

    async def context(self) -> ssl.SSLContext:
        """For TLS, of the key and certificate of now. Raises `CertificateError`."""
        settings = self._settings
        assert settings.key is not None  # edged.handover_checks
        assert settings.certificate is not None
        return await asyncio.to_thread(peers.server_context, settings.key, settings.certificate, self._ca)

    def by_user(self, connection: socket.socket, _session: ssl.SSLObject | None) -> Peer:
        """Who came in by the local socket. Raises `CodedError` for somebody who may not."""
        peer = peers.by_user(connection, self._users)
        self.policy(peer)
        return peer

    def by_certificate(self, _connection: socket.socket, session: ssl.SSLObject | None) -> Peer:
        """Who came in by TLS. Raises `CodedError` for somebody who may not."""
        if session is None:
            raise CertificateError("cert.malformed")
        peer = peers.by_certificate(session, self._anchor, self._clock())
        self.policy(peer)
        return peer

    def policy(self, peer: Peer) -> HandoverPolicy:
        """What a peer may have now.

        Raises `CertificateError` for one who doesn't belong to the fleet any more (`handover.not_allowed` where policy
        has nothing for it).
        """
        if peer.way == "tls":
            peers.application_of(peer.chain, self._anchor, self._clock())
        audience = self.audiences.get(peer.application)
        if audience is None or audience.policy.handover is None:
            raise CertificateError("handover.not_allowed")
        return audience.policy.handover

    def audience(self, peer: Peer) -> AudienceSettings:
        """The settings of one whose `policy` was just asked for."""
        return self.audiences[peer.application]

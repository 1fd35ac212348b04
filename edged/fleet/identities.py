"""As whom a command connects: the admin, or the help desk, whose certificate may look and change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from edged.errors import CertificateError
from edged.fleet.link import holder
from edged.uplink.names import Role

if TYPE_CHECKING:
    from pathlib import Path

    from edged.fleet.state import FleetState
    from edged.uplink.mqtt_types import Endpoint

LOOKING: Final = (Role.ADMIN, Role.HELPDESK)
"""Who may look at how boxes are. The broker's access list says the same."""


def endpoint_as(state: FleetState, role: Role | None) -> Endpoint:
    """The broker with `secrets/{role}-tls.{pem,key}`; without a role the first of `LOOKING` whose key is here.

    Raises `CertificateError`: of the certificate, `cert.wrong_role` when it names somebody else.
    """
    chosen = role or next((one for one in LOOKING if _key(state, one).exists()), Role.ADMIN)
    endpoint = msgspec.structs.replace(
        state.endpoint(), certificate=_key(state, chosen).with_suffix(".pem"), key=_key(state, chosen)
    )
    if (found := holder(endpoint.certificate).role) is not chosen:
        raise CertificateError("cert.wrong_role", f"{endpoint.certificate}: {found} instead of {chosen}")
    return endpoint


def require_admin(state: FleetState, role: Role | None) -> None:
    """Raises `CertificateError` (`fleet.admin_only`) for who isn't the admin, or hasn't got the admin's keys."""
    if role not in (None, Role.ADMIN) or not _key(state, Role.ADMIN).exists():
        raise CertificateError("fleet.admin_only")


def _key(state: FleetState, role: Role) -> Path:
    return state.secrets / f"{role}-tls.key"

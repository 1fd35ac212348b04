"""How a box that knows nothing but a token comes to believe its fleet.

The service shows the fleet's TUF root metadata from the first version on, the newest `targets` metadata and the list of
X.509 authorities (`fleet/authority.json`). The token vouches for the first root and for how old `targets` may be; the
roots vouch for each other, the last one for `targets`, and that for the authorities. Only then is the service's own
certificate of any interest, and only to a service whose certificate is under one of these authorities the token's
secret is shown. Does no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Signed, Targets
from tuf.api.serialization import DeserializationError

from edged.errors import DecodeError, SignatureRefusedError
from edged.uplink import fleet_authority
from edged.uplink.fleet_authority import FleetAuthorities
from edged.uplink.roles import TrustAnchor
from edged.uplink.token import Token, vouches

if TYPE_CHECKING:
    from datetime import datetime

    from edged.uplink.est import Founding

MAX_METADATA: Final = 256 * 1024
"""Characters of one metadata file."""

S = TypeVar("S", Root, Targets)


class Founded(msgspec.Struct, frozen=True):
    """What is believed from now on."""

    root: bytes
    """The newest root metadata: what the box's TUF client begins with."""
    authorities: FleetAuthorities
    anchor: TrustAnchor


def believe(founding: Founding, token: Token, now: datetime) -> Founded:
    """Check what the service has shown against the token.

    Raises `SignatureRefusedError`: `enrol.other_fleet` (not what the token vouches for, or older), `enrol.root_refused`
    (a root or `targets` isn't signed as it must be; `detail` says which), `enrol.root_expired`.
    """
    root = _root_of(founding)
    targets = _parsed(founding.targets, Targets, "targets")
    _check_signed("targets", targets, root.signed)
    if not vouches(token, founding.roots[0].encode(), targets.signed.version):
        raise SignatureRefusedError("enrol.other_fleet")
    for role, signed in (("root", root.signed), ("targets", targets.signed)):
        if signed.is_expired(now):
            raise SignatureRefusedError("enrol.root_expired", role)
    data = founding.authority.encode()
    entry = targets.signed.targets.get(fleet_authority.TARGET)
    try:
        if entry is None:
            raise ValueError("there is no such target")
        entry.verify_length_and_hashes(data)
        authorities = fleet_authority.parse(data)
    except (RepositoryError, DecodeError, ValueError):
        raise SignatureRefusedError("enrol.root_refused", "authority") from None
    return Founded(founding.roots[-1].encode(), authorities, authorities.anchor())


def _root_of(founding: Founding) -> Metadata[Root]:
    """The last root, each signed by its own keys and by those of the one before (TUF §5.3.4)."""
    trusted = _parsed(founding.roots[0], Root, "1.root")
    _check_signed("root", trusted, trusted.signed)
    for number, text in enumerate(founding.roots[1:], 2):
        following = _parsed(text, Root, f"{number}.root")
        _check_signed("root", following, trusted.signed)
        _check_signed("root", following, following.signed)
        if following.signed.version != trusted.signed.version + 1:
            raise SignatureRefusedError("enrol.root_refused", f"{number}.root")
        trusted = following
    return trusted


def _parsed(text: str, kind: type[S], name: str) -> Metadata[S]:
    try:
        if len(text) > MAX_METADATA:
            raise ValueError("too large")
        metadata: Metadata[S] = Metadata.from_bytes(text.encode())
    except (DeserializationError, ValueError, RecursionError):
        raise SignatureRefusedError("enrol.root_refused", name) from None
    if not isinstance(metadata.signed, kind):
        raise SignatureRefusedError("enrol.root_refused", name)
    return metadata


def _check_signed(role: str, metadata: Metadata[S], by: Root) -> None:
    signed: Signed = metadata.signed
    try:
        by.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError):
        raise SignatureRefusedError("enrol.root_refused", f"{signed.version}.{role}") from None

"""Keys of secure messaging: what BAC, PACE and chip authentication agree on (Doc 9303-11 §9.8)."""

from __future__ import annotations

from typing import NamedTuple

from edged.core.emrtd.suites import FOR_ENCRYPTION, FOR_MAC, Suite, derive_key
from edged.identity import withheld


@withheld
class SessionKeys(NamedTuple):
    """Session keys, as a protocol leaves them.

    Attributes:
        suite: cipher and MAC.
        encryption, mac: KSenc and KSmac.
        counter: the send sequence counter to begin with, `suite.block` octets on the wire: after BAC the last four
            octets of either side's challenge (Doc 9303-11 §9.8.2), 0 after PACE and chip authentication.
    """

    suite: Suite
    encryption: bytes
    mac: bytes
    counter: int


def session_keys(suite: Suite, secret: bytes, counter: int = 0) -> SessionKeys:
    """The session keys that a shared secret gives (Doc 9303-11 §9.7.1)."""
    encryption, mac = derive_key(suite, secret, FOR_ENCRYPTION), derive_key(suite, secret, FOR_MAC)
    return SessionKeys(suite, encryption, mac, counter)

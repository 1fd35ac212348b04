"""Object identifiers of eMRTD protocols (Doc 9303-11 §9.2; BSI TR-03110-3 App. A.1.1)."""

from __future__ import annotations

from typing import Final

BSI: Final = "0.4.0.127.0.7"
PACE: Final = f"{BSI}.2.2.4"
CHIP_AUTHENTICATION: Final = f"{BSI}.2.2.3"
CHIP_PUBLIC_KEY_DH: Final = f"{BSI}.2.2.1.1"
CHIP_PUBLIC_KEY_ECDH: Final = f"{BSI}.2.2.1.2"
TERMINAL_AUTHENTICATION: Final = f"{BSI}.2.2.2"
STANDARD_PARAMETERS: Final = f"{BSI}.1.2"
"""`standardizedDomainParameters`, with the identifier as parameter."""
SECURITY_OBJECT: Final = f"{BSI}.3.2.1"
"""`id-SecurityObject`: contents of EF.CardSecurity."""
ACTIVE_AUTHENTICATION: Final = "2.23.136.1.1.5"
LDS_SECURITY_OBJECT: Final = "2.23.136.1.1.1"
MASTER_LIST: Final = "2.23.136.1.1.2"
MASTER_LIST_SIGNING: Final = "2.23.136.1.1.3"
DOCUMENT_TYPES: Final = "2.23.136.1.1.6.2"


def encode_oid(dotted: str) -> bytes:
    """The contents octets of an object identifier (X.690 §8.19), without tag and length."""
    first, second, *rest = (int(part) for part in dotted.split("."))
    octets = b""
    for arc in (40 * first + second, *rest):
        coded = bytes((arc & 0x7F,))
        while arc := arc >> 7:
            coded = bytes((0x80 | arc & 0x7F,)) + coded
        octets += coded
    return octets

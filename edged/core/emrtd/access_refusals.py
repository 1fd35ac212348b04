"""What a chip's status words mean while it is being opened: a wrong key is told apart from a chip that misbehaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core.emrtd.apdu import OK, SECURITY_STATUS_NOT_SATISFIED, SM_OBJECTS_WRONG
from edged.errors import ChipError

if TYPE_CHECKING:
    from edged.core.emrtd.apdu import Response

AUTHENTICATION_METHOD_BLOCKED: Final = 0x6983
REFERENCE_DATA_UNUSABLE: Final = 0x6984
WRONG_DATA: Final = 0x6A80

_BLOCKED: Final = frozenset({AUTHENTICATION_METHOD_BLOCKED, REFERENCE_DATA_UNUSABLE, 0x63C0})
_WRONG_KEY: Final = frozenset({SECURITY_STATUS_NOT_SATISFIED, SM_OBJECTS_WRONG, WRONG_DATA})
"""What chips answer, beside 6300 and 63CX, to a proof made with a wrong key: Doc 9303-11 §4.3.4.2 and §4.4.4.2 leave it
to them."""


def tries_left(sw: int) -> int | None:
    """X of 63CX, None for another status word (ISO/IEC 7816-4 §5.6)."""
    return sw & 0xF if sw & 0xFFF0 == 0x63C0 else None


def blocked(sw: int) -> bool:
    """Whether the chip takes this key no more."""
    return sw in _BLOCKED


def accepted(response: Response, code: str) -> bytes:
    """The data of an answer that says 9000. Raises `ChipError` (`code`, or "chip.key_blocked") for any other."""
    if response.sw != OK:
        raise ChipError("chip.key_blocked" if blocked(response.sw) else code, sw=response.sw)
    return response.data


def proven(response: Response, code: str) -> bytes:
    """The data of the answer to a proof that the terminal knows the key.

    Raises `ChipError`: "chip.wrong_key" with parameter `tries` where the chip tells how many are left,
    "chip.key_blocked", or `code` for what no wrong key explains.
    """
    sw = response.sw
    if sw == OK or blocked(sw):
        return accepted(response, code)
    tries = tries_left(sw)
    if tries is not None:
        raise ChipError("chip.wrong_key", sw=sw, tries=str(tries))
    raise ChipError("chip.wrong_key" if sw == 0x6300 or sw in _WRONG_KEY else code, sw=sw)

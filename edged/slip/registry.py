"""Numbers that stand for words in a signed slip. Append only: a slip that was printed is verified years later.

A test freezes them. A word that is left out of edged one day keeps its number here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.errors import DecodeError
from edged.verdict import Kind, Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RESULTS: Final[Mapping[str, int]] = {
    Result.SUCCESSFUL: 1,
    Result.FAILED: 2,
    Result.UNDETERMINED: 3,
    Result.NOT_SUPPORTED: 4,
    Result.ABORTED: 5,
}
"""0 is no result, and 15 the last one: a check's result is a nibble."""

KINDS: Final[Mapping[str, int]] = {Kind.LIVE: 0, Kind.TEST: 1, Kind.TRAINING: 2}

SCENES: Final[Mapping[str, int]] = {
    "bank": 0,
    "hotel": 1,
    "telecom": 2,
    "hospital": 3,
    "transport": 4,
    "government": 5,
    "kiosk": 6,
}

CLASSES: Final[Mapping[str, int]] = {
    "unknown": 0,
    "passport": 1,
    "identity_card": 2,
    "visa": 3,
    "permit": 4,
}

CHECKS: Final[Mapping[str, int]] = {
    "document_detected": 0,
    "mrz_read": 1,
    "mrz_check_digits": 2,
    "mrz_fields": 3,
    "viz_birth_date": 4,
    "viz_expiry_date": 5,
    "viz_document_number": 6,
    "card_number": 7,
    "id_card_read": 8,
    "id_card_number": 9,
    "id_card_fields": 10,
    "expiry": 11,
    "image_quality": 12,
    "optical_security": 13,
    "chip_access": 14,
    "pa_signature": 15,
    "pa_certificate": 16,
    "pa_issuer": 17,
    "pa_hashes": 18,
    "chip_mrz": 19,
    "chip_authentication": 20,
    "active_authentication": 21,
    "terminal_authentication": 22,
    "chip": 23,
    "face_match": 24,
    "registry": 25,
}
"""The number is the place of the check's nibble; `MAX_CHECKS` places there can be."""

MAX_CHECKS: Final = 32
"""Checks that a slip has room for: 16 bytes."""

READ: Final[Mapping[str, int]] = {"picture": 0, "mrz": 1, "chip": 2, "id_card": 3, "text": 4}
"""Places of bits."""

TOLD: Final[Mapping[str, int]] = {
    "checks": 0,
    "document_kind": 1,
    "issuer": 2,
    "nationality": 3,
    "sex": 4,
    "name_masked": 5,
    "number_masked": 6,
    "birth_generalised": 7,
    "age_over_18": 8,
    "expiry": 9,
    "pseudonym": 10,
    "sealed_record": 11,
    "handover_fields": 12,
}
"""Places of bits: groups of `edged.privacy.notice.GROUPS`."""

NEWER: Final = "slip.newer"
MALFORMED: Final = "slip.malformed"


def word(registry: Mapping[str, int], number: object, most: int) -> str:
    """The word of `number`.

    Raises `DecodeError`: `slip.malformed` for what can be none up to `most`, `slip.newer` for one that this release
    doesn't know.
    """
    if type(number) is not int or not 0 <= number <= most:
        raise DecodeError("slip", MALFORMED)
    for name, known in registry.items():
        if known == number:
            return str(name)
    raise DecodeError("slip", NEWER)


def to_bits(registry: Mapping[str, int], words: Iterable[str]) -> int:
    """A number with a bit for each word. Raises `KeyError` for a word without one."""
    bits = 0
    for one in words:
        bits |= 1 << registry[one]
    return bits


def from_bits(registry: Mapping[str, int], bits: object, most: int) -> tuple[str, ...]:
    """The words of a number's bits, in the order of the registry. Raises `DecodeError` as `word` does."""
    if type(bits) is not int or not 0 <= bits < 1 << (most + 1):
        raise DecodeError("slip", MALFORMED)
    if bits & ~to_bits(registry, registry):
        raise DecodeError("slip", NEWER)
    return tuple(str(one) for one, place in registry.items() if bits >> place & 1)

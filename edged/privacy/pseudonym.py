"""Pseudonyms: the same person or document gets the same word from one audience's key, and no other way back.

HMAC-SHA256 with a key of the audience and scope, so that two audiences can't compare notes. It is a
pseudonym, not anonymity: who steals the key can try every document number (a billion takes minutes), which is
why box keys never leave their box and organisation keys deserve the care of any other secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import unicodedata
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edged.errors import ConfigError
from edged.identity import Identity

if TYPE_CHECKING:
    from datetime import date

MIN_KEY: Final = 32
"""Bytes of a key: as many as the hash gives, so that the key is never the easier thing to guess."""

PSEUDONYM_BYTES: Final = 16
"""128 bits: no two of 10^9 documents collide (birthday bound 10^-20), and 22 characters on the wire."""

_DOMAIN: Final = b"edged/1/pseudonym"
_PERIOD_DOMAIN: Final = b"edged/1/pseudonym/period"


class Pseudonymiser(Identity):
    """Makes pseudonyms for one audience in one scope.

    `key` has at least `MIN_KEY` random bytes; `scope_label` ("box:bank", "organisation:bank") separates
    scopes and audiences even under one key. Raises `ConfigError` for a short key. Holds a secret, so it is
    as hard to print or copy as any identity type.
    """

    __slots__ = ("_key", "_scope")

    def __init__(self, key: bytes, scope_label: str) -> None:
        if len(key) < MIN_KEY:
            raise ConfigError("pseudonym_key", "config.key_too_short", scope=scope_label, bytes=str(MIN_KEY))
        self._key = bytes(key)
        self._scope = scope_label.encode()

    def pseudonym(self, claim: str, *parts: str) -> str:
        """The pseudonym of a value made of `parts`, for `claim`: 22 characters of base64url.

        Case, fillers, spaces and punctuation make no difference; the borders between parts do.
        """
        message = _joined(_DOMAIN, self._scope, claim.encode(), *(normalise(part).encode() for part in parts))
        digest = hmac.new(self._key, message, hashlib.sha256).digest()[:PSEUDONYM_BYTES]
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def of_period(self, label: str) -> Pseudonymiser:
        """The one for a period (a label of `periods`): its key is HKDF-SHA256 (RFC 5869) of this one's.

        Who holds a period's key alone can make neither another period's nor the one that both come from.
        """
        info = _joined(_PERIOD_DOMAIN, self._scope, label.encode())
        derived = HKDF(SHA256(), MIN_KEY, salt=None, info=info).derive(self._key)
        return Pseudonymiser(derived, self._scope.decode())


def period(kind: str, day: date) -> str:
    """The label of the period that a day is in: `2026-11` (month), `2026-Q4` (quarter), `2026` (year)."""
    match kind:
        case "month":
            return f"{day.year:04d}-{day.month:02d}"
        case "quarter":
            return f"{day.year:04d}-Q{(day.month + 2) // 3}"
        case "year":
            return f"{day.year:04d}"
    raise ValueError("a period is a month, a quarter or a year")


def periods(kind: str, overlap_days: int, day: date) -> tuple[str, str | None]:
    """The period of a day, and the one before it while no more than `overlap_days` have begun since its end."""
    current = period(kind, day)
    # Beyond a period's first days, so many days ago it was this period already.
    earlier = period(kind, max(day, day.min + timedelta(overlap_days)) - timedelta(overlap_days))
    if earlier == current:
        return current, None
    return current, earlier


def _joined(*pieces: bytes) -> bytes:
    """The pieces with their lengths, so that no two lists of pieces make the same message."""
    return b"".join(len(piece).to_bytes(4) + piece for piece in pieces)


def normalise(value: str) -> str:
    """Letters and digits alone, compatibility forms and case folded (NFKC), so that every spelling agrees."""
    folded = unicodedata.normalize("NFKC", value).casefold()
    return "".join(character for character in folded if character.isalnum())

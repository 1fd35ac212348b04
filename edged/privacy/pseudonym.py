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
from typing import Final

from edged.errors import ConfigError
from edged.identity import Identity

MIN_KEY: Final = 32
"""Bytes of a key: as many as the hash gives, so that the key is never the easier thing to guess."""

PSEUDONYM_BYTES: Final = 16
"""128 bits: no two of 10^9 documents collide (birthday bound 10^-20), and 22 characters on the wire."""

_DOMAIN: Final = b"edged/1/pseudonym"


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
        message = b"".join(
            len(piece).to_bytes(4) + piece
            for piece in (_DOMAIN, self._scope, claim.encode(), *(normalise(part).encode() for part in parts))
        )
        digest = hmac.new(self._key, message, hashlib.sha256).digest()[:PSEUDONYM_BYTES]
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def normalise(value: str) -> str:
    """Letters and digits alone, compatibility forms and case folded (NFKC), so that every spelling agrees."""
    folded = unicodedata.normalize("NFKC", value).casefold()
    return "".join(character for character in folded if character.isalnum())

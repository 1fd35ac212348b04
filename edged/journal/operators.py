"""The box's own pseudonyms for its journal: who pressed and what was asked about, unreadable and yet comparable."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from edged.privacy.pseudonym import MIN_KEY, Pseudonymiser
from edged.uplink.keys import keep_private, read_private

if TYPE_CHECKING:
    from pathlib import Path

KEY_FILE: Final = "journal.key"
"""In the state directory, mode 0600."""


def pseudonymiser(directory: Path) -> Pseudonymiser:
    """Of this box's journal, with a key drawn once that never leaves the state directory; blocking.

    Raises `CertificateError`, `StateError`.
    """
    path = directory / KEY_FILE
    if not path.exists():
        keep_private(path, secrets.token_bytes(MIN_KEY))
    return Pseudonymiser(read_private(path), "box:journal")

"""What a feedback slip says: every fact that is printed, and nothing else.

One source of truth. `edged.slip.content` makes the printed lines of it and of nothing else, `edged.slip.claims` its
signed form; so what is signed covers every line. Nothing in it is raw identity: names and numbers come masked from
`edged.privacy`.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from edged.uplink.fields import Name, Seconds, Word
from edged.uplink.slip_status import SlipNumber
from edged.verdict import Kind, Result

NUMBER_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter that is taken for a figure."""

NUMBER_CHARACTERS: Final = 12
"""60 random bits: nobody guesses a slip's number. Printed in groups of four."""

MAX_SITE: Final = 24
"""Bytes of UTF-8 of a place's name: the QR code carries it."""

MAX_RECIPIENTS: Final = 4
"""Recipients that a notice lists by name; of more it says how many."""

MAX_NAME: Final = 12
"""Bytes of UTF-8 of a masked name: an initial and stars."""

MAX_NUMBER: Final = 24
"""Bytes of UTF-8 of a masked number: the longest of a document, stars in true length."""

MAX_LABEL: Final = 24
"""Bytes of UTF-8 of what a recipient is called."""

MAX_LABEL_CHARACTERS: Final = 16

MAX_DEVICE: Final = 32
"""Bytes of a terminal's name that fit beside everything else."""

_ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"

Number = SlipNumber
Masked = Annotated[str, msgspec.Meta(min_length=1, max_length=24)]


class CheckFact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One check of `edged.verdict.CHECKS`, and what it came to."""

    name: Word
    result: Result


class RecipientFact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom something of the holder was told to."""

    label: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_LABEL_CHARACTERS)]
    """As the configuration calls it."""
    told: tuple[Word, ...]
    """Groups of `edged.privacy.notice.GROUPS`: never values."""
    retention_days: int | None
    """How long it keeps that; None: nobody has said."""


class SlipFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One slip."""

    number: Number
    copy: Annotated[int, msgspec.Meta(ge=1, le=255)]
    """1 for the first print; a reprint says which copy it is."""
    supersedes: Number | None = None
    """The slip that this one replaces."""
    site: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_SITE)]
    device: Name
    """The terminal: it signs."""
    at: Seconds
    """When the inspection was committed."""
    utc_offset_min: Annotated[int, msgspec.Meta(ge=-840, le=840)] = 0
    """What the terminal's clock showed: local time is `at` and this."""
    clock_trusted: bool
    expires: Seconds
    """Until when the slip can be relied upon."""
    kind: Kind
    """A test's or a training's slip says so on its face."""
    scene: Word
    """What it was made for, and may be used for only."""
    result: Result
    document_class: Word
    issuer: Annotated[str, msgspec.Meta(max_length=3)] | None
    name: Masked | None
    document_number: Masked | None
    document_expires: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}$(?!\n)")] | None
    """Generalised to the month."""
    checks: Annotated[tuple[CheckFact, ...], msgspec.Meta(max_length=32)]
    person: Result
    """Real-person result (实人): `not_supported` until there is one."""
    read: tuple[Word, ...] = ()
    """What was read of the document: `picture`, `mrz`, `chip`, `id_card`, `text` (swiped)."""
    recipients: Annotated[tuple[RecipientFact, ...], msgspec.Meta(max_length=MAX_RECIPIENTS)] = ()
    more_recipients: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0


def fitted(text: str, most: int, characters: int | None = None) -> str:
    """As much of `text` as `most` bytes of UTF-8 (and `characters`) take; cut, it ends in an ellipsis.

    What can't be printed is left out. For masked values and labels, before they become facts.
    """
    printable = "".join(character for character in text if character.isprintable())
    if len(printable.encode()) <= most and (characters is None or len(printable) <= characters):
        return printable
    kept = printable[: None if characters is None else characters - 1]
    room = most - len(_ELLIPSIS.encode())
    return kept.encode()[:room].decode(errors="ignore") + _ELLIPSIS


def label_of(text: str) -> str:
    """What a recipient is called, as a slip has room for."""
    return fitted(text, MAX_LABEL, MAX_LABEL_CHARACTERS)

"""What the journal says of handovers: which fields, by name, whom to, how it ended. There is no place for a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from edged.privacy.handover import HANDOVER_CEILING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from edged.journal.database import Journal

PREFIX: Final = "handover."

UNKNOWN: Final = "-"
"""The subject of what was asked about no inspection of ours: what was asked instead is not written down."""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One entry to be. Everything in it is a name, a code or a pseudonym."""

    kind: str
    """`offered`, `taken`, `refused`, `expired`."""
    inspection: str
    audience: str
    fields: tuple[str, ...] = ()
    withheld: Mapping[str, str] = {}
    operator: str | None = None
    """A pseudonym of `edged.journal.operators`."""
    reference: str | None = None
    """As `operator`."""
    code: str | None = None
    """Why it was refused, or how it expired."""
    way: str | None = None
    """`socket` or `tls`."""
    consent: str | None = None
    """Where the policy needs it: hex SHA-256 of the notice that the holder consented to."""

    def detail(self) -> dict[str, object]:
        """What stands in the journal. Raises `ValueError` for a field that may not be handed over."""
        if not {*self.fields, *self.withheld} <= set(HANDOVER_CEILING):
            raise ValueError("no field of a handover")
        said = {"audience": self.audience, "fields": list(self.fields), "withheld": dict(self.withheld)}
        more = {name: getattr(self, name) for name in ("operator", "reference", "code", "way", "consent")}
        return said | {name: value for name, value in more.items() if value is not None}


def writing(notes: Iterable[Note], now: datetime) -> Callable[[Journal], None]:
    """Work for the journal's thread that adds the notes, all or none. Raises `StateError` there."""
    made = [(PREFIX + note.kind, note.inspection, note.detail()) for note in notes]

    def work(journal: Journal) -> None:
        for kind, subject, detail in made:
            journal.append(kind, subject, detail, now)

    return work

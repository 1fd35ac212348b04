"""What a collector counts. This one counts nothing: `edged.central.metrics` does, where it is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from edged.central.archive import Archived
    from edged.uplink.intake import Checked
    from edged.uplink.streams import Alarm


class Meter:
    """Called from the event loop alone. Codes are the catalogue's, audiences are verified ones: labels stay few."""

    def connected(self) -> None:
        """Connected and subscribed."""

    def down(self, code: str) -> None:
        """The connection ended or couldn't be made, or the disk failed."""

    def in_hand(self, change: int) -> None:
        """Messages were taken from the connection (or, negative, are done with)."""

    def verified(self, checked: Sequence[Checked], now: datetime, seconds: float) -> None:
        """A batch was verified in so long."""

    def archived(self, archived: Archived, messages: int, seconds: float) -> None:
        """A batch of so many messages was committed in so long."""

    def archive_failed(self) -> None:
        """A batch could not be committed."""

    def receipt(self, *, sent: bool) -> None:
        """A receipt was taken by the broker, or not."""

    def alarms(self, alarms: Iterable[Alarm]) -> None:
        """These were raised."""

    def holes(self, count: int) -> None:
        """So many runs of numbers are missing."""

    def replayed(self, audience: str, messages: int) -> None:
        """A request was answered with so many messages."""

    def replay_failed(self, code: str) -> None:
        """A request was not answered, or not to the end."""

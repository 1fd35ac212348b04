"""The handover desk: what lies ready for which application, and until when. Sans-IO; times are seconds, monotonic.

An application has one offer at most. It ends by being taken, by its deadline, by the application's next inspection, its
leaving, or the box's own changes; however it ends, its values are overwritten. What ended is remembered by number for a
while, so that a late question gets an answer that says what happened, and nothing about a holder.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.errors import ControlError
from edged.identity import Identity
from edged.privacy.handover import MAX_WITHIN_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.privacy.held import HeldFields

MAX_REMEMBERED: Final = 64
"""Inspections whose end is still known: an hour of a busy counter."""


class End(StrEnum):
    """How an offer ended, and what a take of it is refused with; a key of the message catalogue."""

    TAKEN = "handover.taken_already"
    LATE = "handover.too_late"
    REPLACED = "handover.replaced"
    LEFT = "handover.application_left"
    SWITCHED = "handover.settings_changed"
    STOPPED = "handover.stopped"
    UNRECORDED = "handover.not_journalled"


class Ended(NamedTuple):
    """One offer that is over, and nobody has it."""

    application: str
    inspection: str
    names: tuple[str, ...]
    """Fields that were held; names are no identity."""
    end: End


class Offer(Identity):
    """Held fields of one inspection for one asker: `asker` is which of the application's connections asked."""

    __slots__ = ("application", "asker", "deadline", "held", "inspection", "names", "state")

    def __init__(
        self, application: str, asker: int, inspection: str, held: HeldFields, deadline: float
    ) -> None:
        self.application = application
        self.asker = asker
        self.inspection = inspection
        self.held = held
        self.deadline = deadline
        self.names = held.names
        self.state = "laid"
        """`laid` until it is in the journal, then `ready`, then `claimed`."""


class Desk:
    """Every offer of one box, and the ends of the last `MAX_REMEMBERED`."""

    def __init__(self) -> None:
        self._offers: dict[str, Offer] = {}
        self._ends: OrderedDict[str, tuple[str, End]] = OrderedDict()

    def lay(
        self, application: str, asker: int, inspection: str, held: HeldFields, *, within_s: float, now: float
    ) -> tuple[Offer, list[Ended]]:
        """Lay `held` down for `within_s` seconds (at most `MAX_WITHIN_S`); and what it takes the place of, which ends.

        Nobody can claim it before it is `ready`.
        """
        ended = self.begin(application)
        offer = Offer(application, asker, inspection, held, now + min(within_s, MAX_WITHIN_S))
        self._offers[application] = offer
        return offer, ended

    def ready(self, offer: Offer) -> bool:
        """Its asker may claim it from now on; False when it has ended meanwhile."""
        if self._offers.get(offer.application) is not offer:
            return False
        offer.state = "ready"
        return True

    def begin(self, application: str) -> list[Ended]:
        """The application asks for another inspection: what it left lying is overwritten."""
        return self._end_where(lambda one: one.application == application, End.REPLACED)

    def look(self, application: str, asker: int, inspection: str) -> Offer | None:
        """What lies ready for this asker, without taking it."""
        found = self._offers.get(application)
        if found is None or (found.asker, found.inspection, found.state) != (asker, inspection, "ready"):
            return None
        return found

    def claim(self, application: str, asker: int, inspection: str, now: float) -> Offer:
        """The offer, for this one taker alone; `finish` ends it. It may end before that: then `held` is forgotten.

        Raises `ControlError`: `handover.no_such_inspection`, `handover.not_yours`, or an `End`.
        """
        found = self._offers.get(application)
        if found is None or found.inspection != inspection or found.state == "laid":
            raise ControlError(self._why_not(application, inspection))
        if found.asker != asker:
            raise ControlError("handover.not_yours")
        if found.state == "claimed":
            raise ControlError(End.TAKEN.value)
        if now >= found.deadline:
            raise ControlError(End.LATE.value)
        found.state = "claimed"
        return found

    def _why_not(self, application: str, inspection: str) -> str:
        if any(one.inspection == inspection and one.state != "laid" for one in self._offers.values()):
            return "handover.not_yours"
        if inspection not in self._ends:
            return "handover.no_such_inspection"
        owner, end = self._ends[inspection]
        return end.value if owner == application else "handover.not_yours"

    def finish(self, offer: Offer, end: End) -> None:
        """The offer is over; nothing happens when something else has ended it."""
        self._end_where(lambda one: one is offer, end)

    def why_gone(self, offer: Offer) -> End:
        """How an offer ended meanwhile."""
        return self._ends.get(offer.inspection, ("", End.LATE))[1]

    def expire(self, now: float) -> list[Ended]:
        """End what is past its deadline, claimed or not."""
        return self._end_where(lambda one: now >= one.deadline, End.LATE)

    @property
    def deadline(self) -> float | None:
        """When `expire` has something to do next; None while nothing lies here."""
        return min((one.deadline for one in self._offers.values()), default=None)

    def leave(self, application: str, asker: int) -> list[Ended]:
        """The connection that asked is gone."""
        return self._end_where(lambda one: (one.application, one.asker) == (application, asker), End.LEFT)

    def forget_all(self, end: End) -> list[Ended]:
        """Overwrite everything."""
        return self._end_where(lambda _: True, end)

    def _end_where(self, which: Callable[[Offer], bool], end: End) -> list[Ended]:
        over = [one for one in self._offers.values() if which(one)]
        for one in over:
            one.held.forget()
            del self._offers[one.application]
            self._ends[one.inspection] = (one.application, end)
            self._ends.move_to_end(one.inspection)
        while len(self._ends) > MAX_REMEMBERED:
            self._ends.popitem(last=False)
        return [Ended(one.application, one.inspection, one.names, end) for one in over]

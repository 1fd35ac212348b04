"""Whether a side of a document is photographed once more: under which light, and what the clerk hears meanwhile.

Pure. A picture that is sure ends it; so does what no better picture would change, or nothing that could be better.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.events import Light
from edged.identity import Identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.core.reading import PageReading
    from edged.orders import Limits
    from edged.verdict import Reason

_FINAL: Final = frozenset(("reading.no_document", "reading.two_documents", "mrz.driving_licence"))
"""What any further picture would say as well."""
_ADVICE: Final = (
    "reading.mrz_cut",
    "reading.may_be_longer",
    "reading.glare",
    "reading.too_dark",
    "reading.blurred",
    "reading.too_small",
    "reading.illegible",
    "reading.uncertain",
)
"""What another picture may make better, the most useful thing to tell a clerk first."""


class Retake(NamedTuple):
    """One more picture of the side at hand."""

    advice: Reason
    light: Light
    pause_s: float


class Tries(Identity):
    """The pictures of one side so far: what they said, under which lights they were taken. Holds raw identity."""

    __slots__ = ("_lights", "_limits", "_offered", "_readings", "_until")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._readings: list[PageReading] = []
        self._lights: list[Light] = [Light.WHITE]
        self._offered: frozenset[Light] = frozenset({Light.WHITE})
        self._until: float | None = None

    @property
    def read(self) -> bool:
        """Whether anything is known of the side."""
        return bool(self._readings)

    def captured(self, lights: frozenset[Light], now: float) -> float:
        """A frame is there; `lights` could be had for another. Until when all reading of the side must end."""
        self._offered = lights
        if self._until is None:
            self._until = now + self._limits.reading_s
        return self._until

    def add(self, reading: PageReading) -> None:
        """What all pictures so far say together; one more that shows an empty window says nothing."""
        if reading.document_present or not self._readings:
            self._readings.append(reading)

    def again(self, now: float) -> Retake | None:
        """One more picture, if it could say more and there is time; it counts as taken from now on."""
        if not self._readings or self._until is None or len(self._lights) >= self._limits.frames:
            return None
        advice = _advice(self.best())
        light = _other_light(self._lights, self._offered)
        pause_s = self._limits.pause_s if light in self._lights else 0.0
        if advice is None or now + pause_s >= self._until:
            return None
        self._lights.append(light)
        return Retake(advice, light, pause_s)

    def deadline(self, pause_s: float, now: float) -> float:
        """Until when a picture taken after `pause_s` must be there."""
        by = now + pause_s + self._limits.capture_s
        return by if self._until is None else min(by, self._until)

    def best(self) -> PageReading:
        """The reading that stands for the side: of several that say why nothing was read, not just the last."""
        return _best(self._readings)


def _advice(reading: PageReading) -> Reason | None:
    codes = {reason.code: reason for reason in reversed(reading.reasons)}
    if reading.sure or _FINAL & codes.keys():
        return None
    return next((codes[code] for code in _ADVICE if code in codes), None)


def _other_light(taken: Sequence[Light], offered: frozenset[Light]) -> Light:
    """Infrared and white by turns: glare and second prints of ink seldom show under both."""
    infrared = Light.IR in offered and taken.count(Light.IR) < taken.count(Light.WHITE)
    return Light.IR if infrared else Light.WHITE


def _best(readings: Sequence[PageReading]) -> PageReading:
    """The last where it holds an MRZ, since it says what all say together, or is final; else of the commonest kind."""
    last = readings[-1]
    if last.mrz is not None or _FINAL & {reason.code for reason in last.reasons}:
        return last
    unread = [reading for reading in readings if reading.mrz is None]
    often = Counter(_why(reading) for reading in unread)
    why = max(often, key=lambda code: (often[code], -_usefulness(code)))
    return next(reading for reading in reversed(unread) if _why(reading) == why)


def _why(reading: PageReading) -> str:
    return reading.reasons[0].code if reading.reasons else ""


def _usefulness(code: str) -> int:
    return _ADVICE.index(code) if code in _ADVICE else len(_ADVICE)

"""Requests 10 to 12, the lamps and the strobe line. Sans-IO; firmware/PROTOCOL.md §5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Self

from edged.drivers.head_events import Lamp, lamp_or_dark
from edged.drivers.head_octets import Octets, in_range, number
from edged.drivers.head_requests import Order

MAX_STEPS: Final = 8
MAX_LEAD_US: Final = 50_000
MIN_WINDOW_US: Final = 10
MAX_WINDOW_US: Final = 2_000_000
MAX_LIGHT_MS: Final = 0xFFFF
"""What the field holds; the head's own limits are shorter."""


@dataclass(frozen=True)
class LightUp(Order):
    """Light a lamp for so long, without the strobe line."""

    type: ClassVar[int] = 0x10
    lamp: Lamp
    per_cent: int
    milliseconds: int

    def __post_init__(self) -> None:
        in_range(1, 100, self.per_cent)
        in_range(1, MAX_LIGHT_MS, self.milliseconds)

    def body(self) -> bytes:
        """Lamp, brightness, time."""
        return bytes((self.lamp, self.per_cent)) + number(self.milliseconds, 2)

    @classmethod
    def parse(cls, octets: Octets) -> Self:
        """Raises `ValueError`."""
        return cls(Lamp(octets.number(1)), octets.number(1), octets.number(2))


@dataclass(frozen=True)
class Step:
    """One exposure: lamp on (None: dark), `lead_us` later the strobe line for `window_us`."""

    lamp: Lamp | None
    per_cent: int
    lead_us: int
    window_us: int

    def __post_init__(self) -> None:
        in_range(*((0, 0) if self.lamp is None else (1, 100)), self.per_cent)
        in_range(0, MAX_LEAD_US, self.lead_us)
        in_range(MIN_WINDOW_US, MAX_WINDOW_US, self.window_us)


@dataclass(frozen=True)
class Expose(Order):
    """Up to eight exposures one after another, each told by `Exposed` when it is over."""

    type: ClassVar[int] = 0x11
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        in_range(1, MAX_STEPS, len(self.steps))

    def body(self) -> bytes:
        """Their number, and each."""
        return bytes((len(self.steps),)) + b"".join(
            bytes((step.lamp or 0, step.per_cent)) + number(step.lead_us, 4) + number(step.window_us, 4)
            for step in self.steps
        )

    @classmethod
    def parse(cls, octets: Octets) -> Self:
        """Raises `ValueError`."""
        steps = octets.number(1)
        in_range(1, MAX_STEPS, steps)
        return cls(
            tuple(
                Step(lamp_or_dark(octets), octets.number(1), octets.number(4), octets.number(4))
                for _ in range(steps)
            )
        )


@dataclass(frozen=True)
class Dark(Order):
    """All lamps off."""

    type: ClassVar[int] = 0x12

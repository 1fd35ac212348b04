"""A head's exposures in the words of those who ask for them: lights and per cent, not lamps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.drivers import Exposed, Strobe
from edged.drivers.head import LinkedHead
from edged.drivers.head_light_messages import Step
from edged.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.drivers import StrobeStep


class LinkedStrobe:
    """`edged.drivers.Strobe` of our own head."""

    def __init__(self, head: LinkedHead) -> None:
        self._head = head

    async def flash(self, steps: Sequence[StrobeStep]) -> tuple[Exposed, ...]:
        """See `Strobe.flash`."""
        asked = []
        for step in steps:
            lamp = None if step.light is None else self._head.lamp(step.light)
            if step.light is not None and lamp is None:
                raise DeviceError("head", "reader_head.no_such_lamp")
            asked.append(Step(lamp, step.brightness if lamp else 0, step.lead_us, step.window_us))
        await self._head.dark()  # a lamp that is still on from the last picture makes the head busy
        windows = await self._head.expose(asked)
        return tuple(Exposed(one.strobe_us, one.window_us, one.complete) for one in windows)


def strobe_of(head: object) -> Strobe | None:
    """The strobe of a head that has one."""
    if isinstance(head, LinkedHead):
        return LinkedStrobe(head)
    return head if isinstance(head, Strobe) else None

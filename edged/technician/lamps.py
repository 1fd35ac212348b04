"""Lamps for a technician's eyes and the camera, within what every head allows (firmware/PROTOCOL.md, limits)."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from edged.drivers.calibrating import LAMP_RESTS
from edged.errors import DeviceError
from edged.events import Light

if TYPE_CHECKING:
    from edged.drivers import Head

LIT_MS: Final = {Light.WHITE: 1500, Light.IR: 600, Light.UV: 200}
"""Long enough for a person to see; a third of what a lamp may be on in ten seconds, for it is lit three times."""

RESTED_S: Final = 12.0
"""After so long every lamp has rested."""
_AGAIN_S: Final = 0.25


async def light_up(head: Head, light: Light) -> float:
    """Light the window, after a rest where the lamp needs one; for how many seconds. Raises `DeviceError`."""
    ends = time.monotonic() + RESTED_S
    while True:
        try:
            await head.illuminate(light, LIT_MS[light])
        except DeviceError as error:
            if error.code != LAMP_RESTS or time.monotonic() > ends:
                raise
            await asyncio.sleep(_AGAIN_S)
        else:
            return LIT_MS[light] / 1000

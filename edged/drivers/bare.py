"""A box with a camera and no head: presence is seen in the pictures, the button is `edged scan`.

Its light is the room's. It has no lamps, indicator or buzzer; what it is asked to show is remembered and logged, and
nothing is shown.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Self

from edged import log
from edged.core.presence import Change, Presence
from edged.drivers.facts import DeviceFacts
from edged.errors import CodedError, DeviceError, DeviceGoneError
from edged.events import (
    DeviceBack,
    DeviceGone,
    DocumentPlaced,
    DocumentRemoved,
    DocumentTurned,
    HeadEvent,
    Indication,
    Light,
)
from edged.uplink.envelope import Provenance
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from edged.device_settings import HeadSettings
    from edged.drivers import LiveCamera

LOOK_EVERY_S: Final = 0.25
"""Between two looks at the window: a clerk notices no such delay, and a look costs some milliseconds."""
_WITHOUT: Final = 4
"""Times longer between two while the camera is gone."""

_EVENTS: Final[dict[Change, type[DocumentPlaced | DocumentTurned | DocumentRemoved]]] = {
    Change.PLACED: DocumentPlaced,
    Change.TURNED: DocumentTurned,
    Change.REMOVED: DocumentRemoved,
}


class BareHead:
    """`edged.drivers.Head` for a box that has none. The camera is opened and closed by whoever made it.

    Attributes:
        indication: what a head would show now.
        beeps: how often one would have sounded.
    """

    def __init__(self, camera: LiveCamera, look_every_s: float = LOOK_EVERY_S) -> None:
        self._camera = camera
        self._look_every_s = look_every_s
        self._presence = Presence()
        self._happened: asyncio.Queue[HeadEvent] = asyncio.Queue()
        self._looking: asyncio.Task[None] | None = None
        self._gone: str | None = None
        self._log = log.get("head")
        self.indication = Indication.READY
        self.beeps = 0

    @property
    def provenance(self) -> Provenance:
        """The camera's: it is all the head there is."""
        seen = self._camera.provenance
        return Provenance(driver="bare", identity=seen.identity, simulated=seen.simulated)

    def facts(self) -> DeviceFacts:
        """See `edged.drivers.facts.Described`: without its camera it is gone, too."""
        return DeviceFacts(
            present=self._gone is None, trouble=None if self._gone is None else Reason(self._gone)
        )

    @property
    def document_present(self) -> bool:
        """Whether the last pictures show something in the window."""
        return self._presence.present

    @property
    def lights(self) -> frozenset[Light]:
        """White alone: whatever light there is."""
        return frozenset({Light.WHITE})

    async def __aenter__(self) -> Self:
        self._looking = asyncio.create_task(self._look(), name="bare head")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._looking is not None:
            looking, self._looking = self._looking, None
            looking.cancel()
            await asyncio.wait([looking])

    async def events(self) -> AsyncIterator[HeadEvent]:
        """Documents that come, are turned and go. Without its camera the head is gone, too."""
        while True:
            yield await self._happened.get()

    async def illuminate(self, light: Light, milliseconds: int) -> None:  # noqa: ARG002 - it is always lit
        """Nothing to be done for white; raises `DeviceError` for what a bare box can't light with."""
        self._there()
        if light is not Light.WHITE:
            raise DeviceError("head", "reader_head.no_such_lamp")

    async def indicate(self, indication: Indication) -> None:
        """Nobody sees it here; console and `edged scan` show it. Raises `DeviceGoneError` without the camera."""
        self._there()
        self.indication = indication
        self._log.debug("nothing to show it with", indication=indication.value)

    async def beep(self) -> None:
        """Nobody hears it here. Raises `DeviceGoneError` without the camera."""
        self._there()
        self.beeps += 1

    def _there(self) -> None:
        if self._gone is not None:
            raise DeviceGoneError("head", self._gone)

    async def _look(self) -> None:
        while True:
            try:
                glimpses = await self._camera.watch(0.0)
            except CodedError as error:
                if isinstance(error, DeviceGoneError) and self._gone is None:
                    self._gone = error.code
                    self._happened.put_nowait(DeviceGone("head"))
                await asyncio.sleep(_WITHOUT * self._look_every_s)
                continue
            except Exception as error:  # noqa: BLE001 - this must not end: nobody would see documents any more
                self._log.error("looking at the window failed; please report this", exc_info=error)
                await asyncio.sleep(_WITHOUT * self._look_every_s)
                continue
            if self._gone is not None:
                self._gone = None
                self._happened.put_nowait(DeviceBack("head"))
            for glimpse in glimpses:
                change = self._presence.see(glimpse.sight)
                if change is not None:
                    self._happened.put_nowait(_EVENTS[change]())
            await asyncio.sleep(self._look_every_s)


def open_head(_settings: HeadSettings, camera: LiveCamera) -> BareHead:
    """The driver, to be entered after its camera."""
    return BareHead(camera)

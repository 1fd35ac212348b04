"""The running daemon's part in an update of its head's firmware: asked for at the control socket, or by a push.

The octets go to the head while no document is inspected; the restart is a break between two inspections.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from edged import log
from edged.drivers.head import LinkedHead
from edged.drivers.head_image import MAX_IMAGE
from edged.drivers.head_report import report
from edged.drivers.head_update import HeadUpdate, Updated
from edged.errors import ControlError, DeviceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from edged.box import Box
    from edged.drivers.head_client import HeadClient

PART: Final = 96 * 1024
"""Octets of an image in one request: in base64 less than a line of the control socket."""

LOOK_S: Final = 0.2
"""How often is looked whether the inspection that goes on is over."""


class HeadFirmware:
    """One for a box; one update at a time."""

    def __init__(self, box: Box, publish: Callable[[Mapping[str, Any]], None]) -> None:
        self._box = box
        self._publish = publish
        self._image = bytearray()
        self._under_way = asyncio.Lock()
        self._log = log.get("head")

    # --- methods of the control socket ---

    async def status(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """`head_status`. Raises `ControlError`, `DeviceError`."""
        if params:
            raise ControlError("control.bad_parameter")
        return await report(self._client())

    async def part(self, params: Mapping[str, Any]) -> int:
        """`head_image`: octets of an image that `head_update` will install; returns how many there are.

        Offset 0 begins anew. Raises `ControlError`: `control.bad_parameter`, `head_update.busy`.
        """
        offset, octets = _part(params)
        if self._under_way.locked():
            raise ControlError("head_update.busy")
        if offset == 0:
            self._image.clear()
        if offset != len(self._image) or offset + len(octets) > MAX_IMAGE:
            raise ControlError("control.bad_parameter")
        self._image += octets
        return len(self._image)

    async def update(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """`head_update`: install what was handed over; tells `head_update` events. Raises `EdgedError`."""
        if params:
            raise ControlError("control.bad_parameter")
        if self._under_way.locked():
            raise ControlError("head_update.busy")
        data = bytes(self._image)
        self._image.clear()
        return asdict(await self.install(data))

    # --- for a push as well ---

    async def install(self, data: bytes, on_progress: Callable[[int], None] = lambda _: None) -> Updated:
        """Install an image, one update after the other; `on_progress` hears per cent of it.

        Raises `DecodeError` for a file that is no image, and what `edged.drivers.head_update.HeadUpdate.run` raises.
        """

        def tell(stage: str, percent: int) -> None:
            self._publish({"event": "head_update", "stage": stage, "percent": percent})
            on_progress(percent)

        async with self._under_way:
            update = HeadUpdate(
                self._client(), data, on_progress=tell, free=self._free, alone=self._between_inspections
            )
            self._log.info("updating the head", version=str(update.image.version))
            updated = await update.run()
        self._log.info("the head was updated", outcome=updated.outcome, version=updated.version)
        self._publish({"event": "head_update", "stage": updated.outcome, "percent": 100})
        return updated

    @property
    def updatable(self) -> bool:
        """Whether this box has a head of ours, reachable now or not."""
        return isinstance(self._box.attached.head, LinkedHead)

    def _client(self) -> HeadClient:
        head = self._box.attached.head
        if not isinstance(head, LinkedHead):
            raise DeviceError("head", "head_update.not_supported")
        return head.client

    async def _free(self) -> None:
        while self._box.station.inspecting:  # noqa: ASYNC110 - a station that told everybody would cost every scan
            await asyncio.sleep(LOOK_S)

    async def _between_inspections(self, work: Callable[[], Awaitable[Updated]]) -> Updated:
        try:
            return await self._box.station.between_inspections(work)
        except TimeoutError:
            raise DeviceError("head", "head_update.not_started") from None


def _part(params: Mapping[str, Any]) -> tuple[int, bytes]:
    """Raises `ControlError` (`control.bad_parameter`)."""
    offset, text = params.get("offset"), params.get("octets")
    if (
        set(params) != {"offset", "octets"}
        or type(offset) is not int
        or not isinstance(text, str)
        or offset < 0
    ):
        raise ControlError("control.bad_parameter")
    try:
        octets = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ControlError("control.bad_parameter") from None
    if len(octets) > PART:
        raise ControlError("control.bad_parameter")
    return offset, octets

"""The devices of one box, opened as its boot file names them, and closed together."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import msgspec

from edged.drivers import registry
from edged.drivers.told import provenance_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from datetime import date

    from edged.config import BoxSettings
    from edged.drivers import Camera, Chip, Device, Head, IdCard, Printer, Swipe
    from edged.uplink.envelope import Provenance

D = TypeVar("D", bound="Device")


@dataclass(frozen=True)
class Devices:
    """Open devices; None is one that this box hasn't."""

    head: Head
    camera: Camera
    chip: Chip | None = None
    id_card: IdCard | None = None
    swipe: Swipe | None = None
    printer: Printer | None = None

    def by_name(self) -> dict[str, Device]:
        """All that are there, by what they are called in events and errors."""
        named = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: device for name, device in named.items() if device is not None}

    def witnesses(self, before: Mapping[str, Provenance]) -> dict[str, Provenance]:
        """`provenance`, where what was simulated in `before` still counts as that: its data may be in use by now."""
        now = self.provenance()
        return {
            name: msgspec.structs.replace(device, simulated=True)
            if name in before and before[name].simulated
            else device
            for name, device in now.items()
        }

    def provenance(self) -> dict[str, Provenance]:
        """Of every device that can contribute to a verdict, as it is now: one may have been changed for another."""
        return {name: provenance_of(device) for name, device in self.by_name().items() if name != "printer"}


@asynccontextmanager
async def opened(settings: BoxSettings, today: Callable[[], date] | None = None) -> AsyncIterator[Devices]:
    """Open them all, and close them in the end; `today` as `edged.drivers.sam.open`.

    Raises `ConfigError`, `DeviceError`, `StateError`.
    """
    head, camera = registry.open_window(settings.head, settings.camera)
    async with AsyncExitStack() as stack:

        async def enter(device: D, section: str) -> D:
            await stack.enter_async_context(registry.entered(device, section, getattr(settings, section)))
            return device

        seeing = await enter(camera, "camera")
        yield Devices(
            await enter(head, "head"),
            seeing,
            await enter(registry.open_chip_reader(one), "chip_reader")
            if (one := settings.chip_reader)
            else None,
            await enter(registry.open_id_card(two, today), "id_card") if (two := settings.id_card) else None,
            await enter(registry.open_swipe(three), "swipe") if (three := settings.swipe) else None,
            await enter(registry.open_printer(four), "printer") if (four := settings.printer) else None,
        )

"""Every device behind one small Protocol; drivers know neither the uplink nor the inspection.

A driver is an async context manager: entering opens the device, leaving closes it. Fakes and real devices
pass the same contract tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from edged.events import Frame, HeadEvent, Indication, Light
    from edged.uplink.envelope import Provenance


class Device(Protocol):
    """What every driver has in common."""

    @property
    def provenance(self) -> Provenance:
        """Driver, device identity, simulated or not: goes into every verdict the device contributed to."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Head(Device, Protocol):
    """The reader head: window, lights, button, indicator, buzzer."""

    @property
    def document_present(self) -> bool:
        """Whether something lies in the window."""
        ...

    @property
    def lights(self) -> frozenset[Light]:
        """What the window can be lit with; white always."""
        ...

    def events(self) -> AsyncIterator[HeadEvent]:
        """What happens at the head, in order. One consumer."""
        ...

    async def illuminate(self, light: Light, milliseconds: int) -> None:
        """Light the window. Raises `DeviceError`."""
        ...

    async def indicate(self, indication: Indication) -> None:
        """Show the clerk where things stand. Raises `DeviceError`."""
        ...

    async def beep(self) -> None:
        """Sound the buzzer once. Raises `DeviceError`."""
        ...


class Camera(Device, Protocol):
    """The camera behind the window."""

    @property
    def lights(self) -> frozenset[Light]:
        """Under which lights what lies in the window can be photographed now; white always."""
        ...

    async def capture(self, light: Light) -> Frame:
        """One frame under `light`.

        Raises `DeviceError` when the camera fails and `DecodeError` when what it delivered is no image.
        """
        ...

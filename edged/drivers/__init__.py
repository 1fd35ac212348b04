"""Every device behind one small Protocol; drivers know neither the uplink nor the inspection.

A driver is an async context manager: entering opens the device, leaving closes it. Fakes and real devices
pass the same contract tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from types import TracebackType

    from edged.core.emrtd.steps import Exchange, Phase, Step
    from edged.events import ChipEvent, Frame, HeadEvent, Indication, Light
    from edged.uplink.envelope import Provenance
    from edged.verdict import Reason

T = TypeVar("T")


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

    async def look(self, light: Light | None) -> Frame:
        """One frame of the window as it is, for a self-test: an empty window is no fault, and None is without light.

        Raises as `capture`.
        """
        ...


class Chip(Device, Protocol):
    """The reader of contactless chips. Its device is called "chip" in events and errors.

    A reader that isn't there, and a service that doesn't run, are no reason not to be entered: they are told by
    `events` and `trouble`, and the driver goes on looking. Entering raises `DeviceError` only when it never will work.
    """

    @property
    def card_present(self) -> bool:
        """Whether a chip is in the field."""
        ...

    @property
    def trouble(self) -> Reason | None:
        """Why the reader doesn't answer and what to do about it; None when it does."""
        ...

    @property
    def max_apdu(self) -> int | None:
        """The longest response in octets that the reader passes on: 256 for short APDUs only, 65 536 at most.

        None when its driver doesn't tell: then only trying shows it.
        """
        ...

    def events(self) -> AsyncIterator[ChipEvent]:
        """What happens at the reader, in order. One consumer."""
        ...

    async def read(
        self,
        exchange: Exchange[T],
        *,
        watch: Callable[[Step], None] = lambda _: None,
        budget_s: Mapping[Phase, float] | None = None,
    ) -> T:
        """Run the whole exchange with the chip in the field, in the reader's own thread, with the reader to itself.

        `watch` is told the exchange's facts, in the event loop. A phase that uses up its budget has
        `ChipOverrunError` thrown into it, also in the middle of a command; a chip that is taken away, `ChipGoneError`.
        The chip is reset at the end. When the awaiting task is cancelled, this ends at once; what the chip still
        answers is dropped, and the next reading begins when it has.

        Raises `DeviceGoneError` when the reader or its service is gone, `DeviceError` when another program holds it,
        `ChipGoneError` when there is no chip, `ChipError` when it is mute, and what the exchange raises.
        """
        ...

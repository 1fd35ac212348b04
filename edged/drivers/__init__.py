"""Every device behind one small Protocol; drivers know neither the uplink nor the inspection.

A driver is an async context manager: entering opens the device, leaving closes it. Fakes and real devices
pass the same contract tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from types import TracebackType

    from edged.core.emrtd.steps import Exchange, Phase, Step
    from edged.core.id_card import IdCardReading
    from edged.core.illumination_order import Sight
    from edged.drivers.print_job import PrinterStatus, PrintJob
    from edged.events import (
        Attached,
        ChipEvent,
        Frame,
        HeadEvent,
        IdCardEvent,
        Indication,
        Light,
        SwipeEvent,
    )
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


class StrobeStep(NamedTuple):
    """One step of light with the strobe line.

    Attributes:
        light: what to light; None: dark, which the head keeps as long all the same.
        brightness: per cent, 1 to 100; 0 for dark.
        lead_us: from the lamp's start to the rising strobe line, 0 to 50 000.
        window_us: how long lamp and strobe stay on from there, 10 to 2 000 000.
    """

    light: Light | None
    brightness: int
    lead_us: int
    window_us: int


class Exposed(NamedTuple):
    """What became of one step.

    Attributes:
        at_us: when the strobe line rose, by the head's own clock since its reset.
        window_us: how long it was up, measured.
        complete: whether it was not cut short.
    """

    at_us: int
    window_us: int
    complete: bool


@runtime_checkable
class Strobe(Protocol):
    """A head that exposes by itself, to the microsecond, and tells a triggered camera by a line.

    `edged.drivers.head_strobe.strobe_of` says whether a head is one.
    """

    async def flash(self, steps: Sequence[StrobeStep]) -> tuple[Exposed, ...]:
        """Do at most 8 steps one after another, without a pause; returns soon after the last, with one answer a step.

        So the first begins between the call and the return less all leads and windows, which is what a camera can be
        sure of. Raises `DeviceGoneError`, and `DeviceError` when the head refuses (limits of a lamp, cover,
        temperature).
        """
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


@runtime_checkable
class Watched(Protocol):
    """A camera that can be unplugged and tells when; one that can't needs no events."""

    def events(self) -> AsyncIterator[Attached]:
        """When it is gone and when it is back. One consumer."""
        ...


class Glimpse(NamedTuple):
    """One frame as far as it may be kept: when, and how light falls on it; no picture.

    Attributes:
        began: seconds of the monotonic clock; the exposure began not before.
        ended: it had ended by then.
        sight: how bright it is where.
    """

    began: float
    ended: float
    sight: Sight


@runtime_checkable
class LiveCamera(Camera, Protocol):
    """A camera that films all the time: it can say that it is gone, and what it sees between captures.

    One that isn't there is no reason not to be entered: it is told by `events` and `trouble`, and the driver goes on
    looking for it.
    """

    @property
    def trouble(self) -> Reason | None:
        """Why the camera doesn't answer and what to do about it; None when it does."""
        ...

    @property
    def exposure_is_fixed(self) -> bool:
        """Whether brightness in the pictures follows the light: exposure and gain are ours, not the camera's."""
        ...

    def events(self) -> AsyncIterator[Attached]:
        """What happens to the camera, in order. One consumer."""
        ...

    def hold_ms(self, light: Light) -> int:
        """How long the window must be lit from before `capture` is called; 0 when the camera lights it itself."""
        ...

    def sure_ms(self, light: Light) -> int:
        """How long light must stay the same for a whole frame to fall into it, whenever it begins."""
        ...

    async def watch(self, seconds: float) -> Sequence[Glimpse]:
        """Every frame of so much time from now on, in order. Raises as `capture`."""
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


class IdCard(Device, Protocol):
    """The module that reads Chinese ID cards (居民身份证 SAM). Its device is called "id_card" in events and errors.

    A module that isn't there is no reason not to be entered: it is told by `events` and `trouble`, and the driver goes
    on looking.
    """

    @property
    def card_present(self) -> bool:
        """Whether a card lies on the module that has not been read yet, as far as polling has found out."""
        ...

    @property
    def trouble(self) -> Reason | None:
        """Why the module doesn't answer or refuses to work, and what to do about it; None when it does."""
        ...

    def events(self) -> AsyncIterator[IdCardEvent]:
        """What happens at the module, in order. One consumer."""
        ...

    async def read(self) -> IdCardReading:
        """Select and read the card that lies on the module.

        Raises `DeviceGoneError` when the module is gone, `DeviceError` (a coded one that says what the clerk should do)
        when the card could not be read, `DecodeError` when what came is no card's text.
        """
        ...


class Swipe(Device, Protocol):
    """A reader of MRZ text: swipe readers, keyboard wedges. Its device is called "swipe" in events and errors."""

    @property
    def trouble(self) -> Reason | None:
        """Why the reader doesn't answer and what to do about it; None when it does."""
        ...

    def events(self) -> AsyncIterator[SwipeEvent]:
        """What happens at the reader, in order: the lines of one MRZ are one event. One consumer."""
        ...


class Printer(Device, Protocol):
    """The receipt printer. Its device is called "printer" in events and errors; it is opened for every job."""

    async def status(self) -> PrinterStatus:
        """Paper, cover and whether it answers. Never raises but for cancellation."""
        ...

    async def print(self, job: PrintJob) -> None:
        """Print and, where it says, cut.

        Raises `DeviceGoneError` when the printer is gone, `DeviceError` when it has no paper or an open cover.
        """
        ...

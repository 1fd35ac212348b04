"""What a driver's author gives the contract tests: the device, and hands to work it.

A bench is made for one test. Its device is not entered: the tests do that. What the hands can't do with a particular
device, they end with `pytest.skip(why)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from edged.drivers import Camera, Chip, Head, IdCard, Printer, Swipe
    from edged.events import Indication, Light

B_co = TypeVar("B_co", covariant=True)


class Maker(Protocol[B_co]):
    """What the fixture `bench` gives: `async with bench(attached=False) as made`.

    `attached`: whether the device is there when the bench is made, or comes only with `plug`.
    """

    def __call__(self, *, attached: bool = True) -> AbstractAsyncContextManager[B_co]:
        """A bench for one test."""
        ...


class DeviceBench(Protocol):
    """What every bench has.

    Attributes:
        device: not entered yet.
        simulated: what its provenance must say.
    """

    device: Any
    simulated: bool

    async def unplug(self) -> None:
        """Pull the device's cable; returns when it is pulled, not when the driver has noticed."""
        ...

    async def plug(self) -> None:
        """Put it back."""
        ...


class HeadBench(DeviceBench, Protocol):
    """A head and the hands of a clerk. Where nobody can see lamp, indicator or buzzer, None is seen."""

    device: Head

    async def press(self) -> None:
        """Press the button once."""
        ...

    async def place(self) -> None:
        """Lay a document in the window."""
        ...

    async def turn(self) -> None:
        """Turn it over."""
        ...

    async def remove(self) -> None:
        """Take it away."""
        ...

    async def lit(self) -> Light | None:
        """Which lamp was lit last."""
        ...

    async def shown(self) -> Indication | None:
        """What the head shows the clerk."""
        ...

    async def beeps(self) -> int | None:
        """How many beeps were heard."""
        ...


class CameraBench(DeviceBench, Protocol):
    """A camera, and a hand that lays documents under it."""

    device: Camera

    async def place(self) -> None:
        """Lay something in the window that can be photographed."""
        ...

    async def remove(self) -> None:
        """Empty the window."""
        ...


class LaidCard(Protocol):
    """A chip that lies on the reader.

    Attributes:
        commands: the APDUs it was sent so far.
    """

    commands: list[bytes]

    def remove(self) -> None:
        """Take it off the reader."""
        ...

    def resets(self) -> int:
        """How often it was reset or powered off."""
        ...


class ChipBench(DeviceBench, Protocol):
    """A chip reader, and a hand that lays emulated chips on it."""

    device: Chip

    async def lay(self, answer: Callable[[bytes], bytes | None]) -> LaidCard:
        """Lay a chip on the reader that answers every APDU by `answer`, in any thread; None: it is torn away."""
        ...


class IdCardBench(DeviceBench, Protocol):
    """An ID-card module, and a hand that lays a card on it.

    Attributes:
        secrets: texts that stand on the card (name, number, address): none may be seen outside of a reading.
        number: the card's number, as a reading's data has it.
    """

    device: IdCard
    secrets: Sequence[str]
    number: str

    async def place(self) -> None:
        """Lay a card on the module that can be read."""
        ...

    async def remove(self) -> None:
        """Take it off."""
        ...


class SwipeBench(DeviceBench, Protocol):
    """A swipe reader, and a hand that swipes."""

    device: Swipe

    async def swipe(self, lines: Sequence[str]) -> None:
        """Swipe a document with these MRZ lines, without a reading error."""
        ...


class PrinterBench(DeviceBench, Protocol):
    """A printer, and a hand that loads paper. `plug` and `unplug` are its cable."""

    device: Printer

    async def paper(self, there: bool) -> None:
        """Load paper, or take it out."""
        ...

    async def printed(self) -> bytes:
        """All that has come to the printer so far."""
        ...

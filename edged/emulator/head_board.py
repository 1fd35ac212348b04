"""An emulated reader head: our firmware as a Linux process, or on an emulated Cortex-M; its pins are its hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from types import TracebackType


class HeadBoard(Protocol):
    """One running firmware and the hands at its pins. Entering starts it, leaving ends it.

    Every method raises `edged.errors.StateError` when the emulator is gone.
    """

    @property
    def port(self) -> str:
        """What the daemon's `[head] port` is: `unix:PATH`."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def button(self, *, down: bool) -> None:
        """Press the button or let it go."""
        ...

    async def document(self, *, present: bool) -> None:
        """Lay a document in front of the presence sensor, or take it away."""
        ...

    async def cover(self, *, opened: bool) -> None:
        """Open or close the cover, where the board has a switch."""
        ...

    async def reset(self) -> None:
        """Pull the reset pin: the firmware starts again, its non-volatile store is kept."""
        ...

"""What a head said of itself when a session began, in words that a technician can compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from edged.drivers.head_traits import Capability, ResetCause, WelcomeFlag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edged.drivers.head_frame import Welcome


@dataclass(frozen=True)
class HeadFacts:
    """Who it is, and what runs in it.

    Attributes:
        board: name of the board.
        unique_id: of the microcontroller, in hex.
        firmware: its version.
        security_version: below which the head takes no image.
        protocol: version of the protocol in use.
        boots: how often it has started.
        reset_cause: why it did the last time.
        capabilities: what the board has.
        simulated: no hardware, by its own word.
        on_trial: runs an image that isn't confirmed.
        boot_loader: has no application.
    """

    board: str
    unique_id: str
    firmware: str
    security_version: int
    protocol: int
    boots: int
    reset_cause: ResetCause
    capabilities: frozenset[Capability]
    simulated: bool
    on_trial: bool
    boot_loader: bool

    @classmethod
    def of(cls, welcome: Welcome) -> Self:
        """As the head said it."""
        return cls(
            board=welcome.board,
            unique_id=welcome.unique_id.hex(),
            firmware=dotted(welcome.firmware),
            security_version=welcome.security_version,
            protocol=welcome.version,
            boots=welcome.boots,
            reset_cause=welcome.reset_cause,
            capabilities=frozenset(bit for bit in Capability if bit in welcome.capabilities),
            simulated=WelcomeFlag.SIMULATED in welcome.flags,
            on_trial=WelcomeFlag.ON_TRIAL in welcome.flags,
            boot_loader=WelcomeFlag.BOOT_LOADER in welcome.flags,
        )

    @property
    def versions(self) -> dict[str, str]:
        """What runs in it, and what is spoken with it."""
        return {
            "firmware": self.firmware,
            "security": str(self.security_version),
            "protocol": str(self.protocol),
        }


def dotted(version: Iterable[int]) -> str:
    """1.2.3."""
    return ".".join(map(str, version))

"""Which devices answer, and what hinders those that do: whether the counter is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.events import DeviceBack, DeviceGone, TroubleBegan, TroubleOver
from edged.orders import Outcome, refusal

if TYPE_CHECKING:
    from edged.telling import Notify

ESSENTIAL: Final = frozenset({"head", "camera"})
"""Devices without which the counter is closed."""


class Attendance:
    """Told what happens to the devices.

    Attributes:
        gone: names of those that don't answer.
    """

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self._trouble: dict[str, str] = {}
        self.gone: set[str] = set()

    @property
    def troubles(self) -> frozenset[str]:
        """Codes of why a device that answers can't be used."""
        return frozenset(self._trouble)

    @property
    def closed(self) -> Outcome | None:
        """The outcome of a press while the counter is closed; None when it is open."""
        if missing := self.gone & ESSENTIAL:
            return refusal("inspection.device_missing", device=min(missing))
        if self._trouble:
            return refusal(min(self._trouble))
        return None

    def take(self, event: DeviceGone | DeviceBack | TroubleBegan | TroubleOver) -> None:
        """What has happened; listeners are told."""
        match event:
            case DeviceGone(device):
                self.gone.add(device)
                # Back, it tells anew what it still has.
                self._trouble = {code: whose for code, whose in self._trouble.items() if whose != device}
                self._notify({"event": "device", "device": device, "answers": False})
            case DeviceBack(device):
                self.gone.discard(device)
                self._notify({"event": "device", "device": device, "answers": True})
            case TroubleBegan(device, code):
                self._trouble[code] = device
                self._notify({"event": "trouble", "device": device, "reason": code})
            case TroubleOver(device, code):
                self._trouble.pop(code, None)
                self._notify({"event": "trouble_over", "device": device, "reason": code})

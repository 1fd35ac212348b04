"""What a device can say of itself to a technician: versions, port, counters, trouble. Never anything of a document."""

from __future__ import annotations

import functools
from typing import Protocol, runtime_checkable

import msgspec

from edged.verdict import Reason


class DeviceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a device says of itself, as far as it has been found out; no value comes from a document.

    Attributes:
        present: whether it answers now; None when the driver finds out only by using it.
        model: as it calls itself.
        port: through which it is reached: `/dev/ttyACM0`, `usb:1-1.2`, `/dev/video0`, `tcp:10.0.0.7:9100`.
        versions: of what runs in it and of what it is spoken to with: `firmware`, `protocol`, `hardware`, `library`.
        counters: what it has counted since it was switched on or connected: `crc_errors`, `resent`, `reconnects`.
        trouble: why it can't be used, and what to do; None when it can.
    """

    present: bool | None = None
    model: str | None = None
    port: str | None = None
    versions: dict[str, str] = {}
    counters: dict[str, int] = {}
    trouble: Reason | None = None


@runtime_checkable
class Described(Protocol):
    """A driver that can say more of its device than its Protocol asks for; `edged devices` shows it."""

    def facts(self) -> DeviceFacts:
        """How things stand now. Returns at once, asks the device nothing, and never raises."""
        ...


@functools.cache
def library(package: str) -> str | None:
    """An installed package and its version, as `pyserial 3.5`; None when it isn't there."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return None


def known(**versions: str | None) -> dict[str, str]:
    """`DeviceFacts.versions` of those that are known."""
    return {name: version for name, version in versions.items() if version}

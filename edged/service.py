"""What the service manager wants to hear: sd_notify(3) datagrams, in plain sockets.

Without a service manager (no NOTIFY_SOCKET) everything here does nothing.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Final

from edged.config import environment

MICROSECONDS: Final = 1_000_000


def notify(*lines: str) -> None:
    """Send `KEY=value` lines to the service manager; one that doesn't listen isn't waited for."""
    address = environment("NOTIFY_SOCKET")
    if address is None:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
    ):
        channel.setblocking(False)  # a full queue of the manager's would hold up the event loop
        channel.sendto("\n".join(lines).encode(), address)


def watchdog_interval() -> float | None:
    """Seconds between two signs of life: half of what the unit's WatchdogSec allows; None without one."""
    allowed = environment("WATCHDOG_USEC")
    if allowed is None or not allowed.isdigit() or int(allowed) == 0:
        return None
    return int(allowed) / MICROSECONDS / 2

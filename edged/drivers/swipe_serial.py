"""A reader of MRZ text on a tty: RS-232, or a USB device that is one (CDC-ACM)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.drivers.ports import is_simulated

if TYPE_CHECKING:
    from edged.drivers._port_reader import Port


class SerialWay:
    """The tty at `port`, better a stable name (`/dev/serial/by-id/…`)."""

    driver = "serial"
    library = "pyserial"

    def __init__(self, port: str, baud: int) -> None:
        self.port = port
        self._baud = baud

    def open(self) -> Port:
        """Raises `OSError`."""
        from edged.drivers._serial_port import SerialPort

        return SerialPort(self.port, self._baud)

    def identity(self) -> str | None:
        """The USB device's numbers, where it is one."""
        from edged.drivers._serial_port import usb_identity

        return usb_identity(self.port)

    def simulated(self) -> bool:
        """A pseudo-terminal is."""
        return is_simulated(self.port)

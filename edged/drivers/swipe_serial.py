"""A reader of MRZ text on a tty: RS-232, or a USB device that is one (CDC-ACM)."""

from __future__ import annotations

from edged.drivers._port_reader import OpenReader


class SerialWay:
    """The tty at `port`, better a stable name (`/dev/serial/by-id/…`)."""

    driver = "serial"

    def __init__(self, port: str, baud: int) -> None:
        self._port = port
        self._baud = baud

    def open(self) -> OpenReader:
        """Raises `OSError`."""
        from edged.drivers._serial_port import SerialPort, usb_identity

        port = SerialPort(self._port, self._baud)
        return OpenReader(port, usb_identity(port.name), port.simulated)

"""A SAM module on a tty: octets go from the kernel into the caller's buffer, which it overwrites."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from edged.drivers._port_reader import common_cause
from edged.drivers.sam_session import DEVICE
from edged.errors import DeviceGoneError

if TYPE_CHECKING:
    from collections.abc import Iterator


class SamSerialPort:
    """`edged.drivers._sam_wire.SamPort` on a tty."""

    def __init__(self, path: str, baud: int) -> None:
        from edged.drivers._serial_port import SerialPort

        try:
            self._port = SerialPort(path, baud)
        except OSError as error:
            raise DeviceGoneError(DEVICE, _CODES.get(common_cause(error), "idcard.no_module")) from None
        self.simulated = self._port.simulated

    def start(self) -> None:
        """See `SamPort.start`."""
        with _gone():
            self._port.drop_input()

    def write(self, octets: bytes) -> None:
        """See `SamPort.write`."""
        with _gone():
            self._port.write(octets)

    def read_into(self, buffer: memoryview, wait_s: float) -> int:
        """See `SamPort.read_into`."""
        with _gone():
            return self._port.read_into(buffer, wait_s)

    def close(self) -> None:
        """See `SamPort.close`."""
        self._port.close()


@contextmanager
def _gone() -> Iterator[None]:
    """Whatever fails at an open port: it is gone."""
    try:
        yield
    except OSError:
        raise DeviceGoneError(DEVICE, "idcard.gone") from None


def serial_ports(path: str, bauds: tuple[int, ...]) -> Iterator[SamSerialPort]:
    """The tty at one speed after another; whoever takes one closes it. Raises `DeviceGoneError`."""
    for baud in bauds:
        yield SamSerialPort(path, baud)


_CODES: Final[dict[str | None, str]] = {"no_permission": "idcard.no_permission", "busy": "idcard.port_busy"}
"""Why a tty can't be opened, where it isn't that there is none."""

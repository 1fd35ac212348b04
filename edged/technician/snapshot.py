"""What a look at this machine's ports found: plain values, for `edged.technician.survey` to judge."""

from __future__ import annotations

import msgspec


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A file in /dev.

    Attributes:
        path: as it is called there.
        stable: its stable names (/dev/serial/by-id/…), the same after it was unplugged.
        mode: permission bits.
        uid: its owner.
        gid: its group.
        group: that group's name.
        holders: programs that have it open, as `name (process id)`, as far as this user may see.
    """

    path: str
    stable: tuple[str, ...] = ()
    mode: int = 0
    uid: int = 0
    gid: int = 0
    group: str = "root"
    holders: tuple[str, ...] = ()


class UsbDevice(msgspec.Struct, frozen=True, kw_only=True):
    """One USB device.

    Attributes:
        name: where it is plugged in: `1-1.2`.
        vendor: four hex digits.
        product: four hex digits.
        label: maker and product, as it calls itself.
        serial: its serial number.
        interfaces: class, subclass and protocol of each.
        node: for libusb; None when there is no /dev/bus/usb.
        ports: ttys, video and input devices that the kernel made of it.
        simulated: whether it is a program of this machine.
    """

    name: str
    vendor: str
    product: str
    label: str = ""
    serial: str | None = None
    interfaces: tuple[tuple[int, int, int], ...] = ()
    node: Node | None = None
    ports: tuple[Node, ...] = ()
    simulated: bool = False


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Who is to use the devices: the daemon's user where there is one."""

    name: str
    uid: int
    gids: tuple[int, ...] = ()

    def may_use(self, node: Node) -> bool:
        """Whether this user may read and write it."""
        shift = 6 if node.uid == self.uid else 3 if node.gid in self.gids else 0
        return self.uid == 0 or (node.mode >> shift) & 0o6 == 0o6


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """This machine's ports at one moment.

    Attributes:
        user: who is to use them.
        usb: what hangs on USB, hubs left out.
        ports: ttys, video and input devices that hang on no USB device.
        libraries: importable modules among those that drivers need.
        programs: installed programs among those that drivers need.
    """

    user: User
    usb: tuple[UsbDevice, ...] = ()
    ports: tuple[Node, ...] = ()
    libraries: frozenset[str] = frozenset()
    programs: frozenset[str] = frozenset()

    def nodes(self) -> dict[str, Node]:
        """Every port by each of its names."""
        found = [*self.ports, *(port for device in self.usb for port in device.ports)]
        return {name: node for node in found for name in (node.path, *node.stable)}

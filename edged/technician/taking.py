"""A look at this machine's ports: sysfs, /dev, who holds what. Reads only; what can't be read isn't there."""

from __future__ import annotations

import grp
import importlib.util
import os
import pwd
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edged.drivers.ports import is_simulated_usb
from edged.technician.snapshot import Node, Snapshot, UsbDevice, User

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

DAEMON_USER: Final = "edged"
"""Whom the service runs as (systemd/edged.service)."""

LIBRARIES: Final = ("smartcard", "escpos", "serial", "usb")
PROGRAMS: Final = ("pcscd",)

MOST_DEVICES: Final = 256
"""USB devices, and ports of a class: a bus has at most 127, a box a handful."""
MOST_PROCESSES: Final = 8192
MOST_TEXT: Final = 256
"""Bytes of a sysfs attribute that is looked at: a USB string has 126 characters at most."""

_HUB: Final = 9
_CLASSES: Final = {
    "tty": ("dev/serial/by-id", "dev/serial/by-path"),
    "video4linux": ("dev/v4l/by-id", "dev/v4l/by-path"),
    "input": ("dev/input/by-id", "dev/input/by-path"),
    "usbmisc": (),
}
"""Classes of ports, and where udev gives them stable names."""

_SUBDIRECTORIES: Final = {"input": "input", "usbmisc": "usb"}
"""Of /dev, where a class has one of its own."""


def take(root: Path = Path("/"), user: User | None = None, named: Iterable[str] = ()) -> Snapshot:
    """Look. `root` is where /sys, /dev and /proc are; `user`: whom permissions are judged for, or the daemon's.

    `named`: ports as the boot file names them: a link of anybody's own (udev's SYMLINK) is a name, too, and a
    pseudo-terminal is a port.
    """
    who = user or daemon_user()
    named = tuple(named)
    stable = _stable_names(root, named)
    holders = _holders(root)
    ports = dict(_ports(root, stable, holders))
    devices = tuple(_usb_devices(root, ports))
    on_usb = {node.path for device in devices for node in device.ports}
    known = {name for node in ports.values() for name in (node.path, *node.stable)}
    beside = [node for name in named if name not in known and (node := _by_name(root, name, holders))]
    return Snapshot(
        user=who,
        usb=devices,
        ports=(*(node for _, node in sorted(ports.items()) if node.path not in on_usb), *beside),
        libraries=frozenset(name for name in LIBRARIES if importlib.util.find_spec(name) is not None),
        programs=frozenset(name for name in PROGRAMS if _program(root, name)),
    )


def daemon_user() -> User:
    """Whom the service runs as; where that user doesn't exist, who asks."""
    try:
        entry = pwd.getpwnam(DAEMON_USER)
    except KeyError:
        entry = pwd.getpwuid(os.geteuid())
        if entry.pw_uid == os.geteuid():
            return User(name=entry.pw_name, uid=entry.pw_uid, gids=tuple({os.getegid(), *os.getgroups()}))
    return User(
        name=entry.pw_name, uid=entry.pw_uid, gids=tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    )


def _program(root: Path, name: str) -> bool:
    path = os.pathsep.join(
        str(root / one) for one in ("usr/local/sbin", "usr/sbin", "usr/bin", "sbin", "bin")
    )
    return shutil.which(name, path=path) is not None


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())[:MOST_DEVICES]
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MOST_TEXT).decode(errors="replace").strip()
    except OSError:
        return ""


def _stable_names(root: Path, named: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Stable names by the path that each leads to; those of udev's own first."""
    names: dict[str, tuple[str, ...]] = {}
    links = [link for places in _CLASSES.values() for one in places for link in _listed(root / one)]
    links += [link for name in named if (link := root / name.lstrip("/")).is_symlink() and link not in links]
    for link in links:
        target = os.path.realpath(link)
        names[target] = (*names.get(target, ()), f"/{link.relative_to(root)}")
    return names


def _by_name(root: Path, name: str, holders: Mapping[str, tuple[str, ...]]) -> Node | None:
    """A device that sysfs has no hardware for, by the name that the boot file has for it."""
    path = root / name.lstrip("/")
    try:
        if not stat.S_ISCHR(path.stat().st_mode):
            return None
    except OSError:
        return None
    return _node(root, path, {}, holders)


def _ports(
    root: Path, stable: Mapping[str, tuple[str, ...]], holders: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, Node]]:
    """Every port that has hardware behind it, by where sysfs has it."""
    for name in _CLASSES:
        for entry in _listed(root / "sys/class" / name):
            where = os.path.realpath(entry)
            if not (entry / "device").exists() or "/devices/virtual/" in where:
                continue
            if (
                name == "tty" and "/serial8250/" in where
            ):  # four of them on every PC, whether there is a socket or not
                continue
            path = root / "dev" / _SUBDIRECTORIES.get(name, "") / entry.name
            node = _node(root, path, stable, holders)
            if node is not None:
                yield where, node


def _node(
    root: Path, path: Path, stable: Mapping[str, tuple[str, ...]], holders: Mapping[str, tuple[str, ...]]
) -> Node | None:
    try:
        found = path.stat()
    except OSError:
        return None
    try:
        group = grp.getgrgid(found.st_gid).gr_name
    except KeyError:
        group = str(found.st_gid)
    return Node(
        path=f"/{path.relative_to(root)}",
        stable=stable.get(os.path.realpath(path), ()),
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        group=group,
        holders=holders.get(os.path.realpath(path), ()),
    )


def _usb_devices(root: Path, ports: Mapping[str, Node]) -> Iterator[UsbDevice]:
    for entry in _listed(root / "sys/bus/usb/devices"):
        vendor, product = _text(entry / "idVendor"), _text(entry / "idProduct")
        if not vendor or not product or _number(_text(entry / "bDeviceClass")) == _HUB:
            continue
        where = os.path.realpath(entry)
        bus, number = _text(entry / "busnum"), _text(entry / "devnum")
        node = None
        if bus.isdecimal() and number.isdecimal():
            node = _node(root, root / f"dev/bus/usb/{int(bus):03}/{int(number):03}", {}, {})
        yield UsbDevice(
            name=entry.name,
            vendor=vendor.lower(),
            product=product.lower(),
            label=" ".join(filter(None, (_text(entry / "manufacturer"), _text(entry / "product")))),
            serial=_text(entry / "serial") or None,
            interfaces=tuple(_interfaces(Path(where))),
            node=node,
            ports=tuple(node for path, node in sorted(ports.items()) if path.startswith(f"{where}/")),
            simulated=is_simulated_usb(entry),
        )


def _interfaces(device: Path) -> Iterator[tuple[int, int, int]]:
    for entry in _listed(device):
        if (entry / "bInterfaceClass").exists():
            yield (
                _number(_text(entry / "bInterfaceClass")),
                _number(_text(entry / "bInterfaceSubClass")),
                _number(_text(entry / "bInterfaceProtocol")),
            )


def _number(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0


def _holders(root: Path) -> dict[str, tuple[str, ...]]:
    """Programs by the devices they have open; of other users' programs only root sees anything."""
    held: dict[str, tuple[str, ...]] = {}
    try:
        processes = sorted(entry for entry in (root / "proc").iterdir() if entry.name.isdecimal())
    except OSError:
        return held
    devices = f"{root / 'dev'}{os.sep}"
    for process in processes[:MOST_PROCESSES]:
        try:
            opened = {os.fspath(entry.readlink()) for entry in (process / "fd").iterdir()}
        except OSError:
            continue
        name = f"{_text(process / 'comm')} ({process.name})"
        for target in opened:
            if target.startswith(devices):
                held[target] = (*held.get(target, ()), name)
    return held

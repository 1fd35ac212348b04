"""What is attached to a box, how it is, and what is missing: judged from the settings, a look at the ports, the daemon.

Pure: a `Snapshot` and what the daemon says go in, rows come out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from edged.device_checks import BUILT_IN, NAMES
from edged.drivers.facts import DeviceFacts
from edged.uplink.envelope import Provenance
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from edged.config import BoxSettings
    from edged.technician.snapshot import Node, Snapshot, UsbDevice

State = Literal["ready", "trouble", "gone", "attached", "missing", "unseen", "free"]
"""`ready`, `trouble` and `gone` are the daemon's word. Without a daemon: `attached` and nobody uses it, `missing`, or
`unseen`: nothing to be looked at (simulated, from outside, behind a network). `free`: attached, and not configured."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the running daemon says of one device: a part of the answer of its method `devices`."""

    gone: bool
    provenance: Provenance
    trouble: Reason | None = None
    facts: DeviceFacts | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One device.

    Attributes:
        section: of the boot file; None for what isn't configured.
        name: in events and verdicts; of what isn't configured where it is plugged in.
        driver: as configured.
        state: see `State`.
        simulated: whether no hardware stands behind it; None when nobody knows yet.
        identity: its serial number or the like.
        model: as it calls itself.
        port: through which it is reached.
        versions: see `DeviceFacts`.
        counters: see `DeviceFacts`.
        problems: what is wrong or missing; each sentence says what to do.
        could_be: sections that what isn't configured would do for.
    """

    section: str | None
    name: str
    driver: str | None
    state: State
    simulated: bool | None = None
    identity: str | None = None
    model: str | None = None
    port: str | None = None
    versions: dict[str, str] = {}
    counters: dict[str, int] = {}
    problems: tuple[Reason, ...] = ()
    could_be: tuple[str, ...] = ()


OUR_HEAD: Final = (0xFF, 0x45, 0x48)
"""Class, subclass and protocol of our head's interface (firmware/PROTOCOL.md)."""
_CCID: Final = 0x0B
_VIDEO: Final = 0x0E
_PRINTER: Final = 0x07
_CDC: Final = 0x02
_HID: Final = 0x03
_KEYBOARD: Final = (_HID, 1, 1)
_SAM: Final = ("0400", "c35a")
"""The ID-card module's own USB numbers (GA/T 467 modules)."""
_SERIAL_BRIDGES: Final = frozenset({"0403", "067b", "1a86", "10c4"})
"""FTDI, Prolific, WCH, Silicon Labs: what serial devices hide behind."""
_UNSTABLE: Final = ("/dev/ttyUSB", "/dev/ttyACM", "/dev/video", "/dev/input/event")
_MODULES: Final = {_VIDEO: "uvcvideo", _CDC: "cdc_acm"}


def survey(settings: BoxSettings | None, seen: Snapshot, told: Mapping[str, Told] | None) -> tuple[Row, ...]:
    """Every configured device, then what is attached beside them. `told`: by device name; None: no daemon runs."""
    used: set[str] = set()
    rows = []
    if settings is not None:
        sections = (section for section in BUILT_IN if _has(settings, section))
        rows = [_configured(section, settings, seen, told, used) for section in sections]
    return (*rows, *_others(seen, used))


def named_ports(settings: BoxSettings | None) -> tuple[str, ...]:
    """Paths that the boot file has for devices: what a look has to look for."""
    if settings is None:
        return ()
    ports = (_port(getattr(settings, section)) for section in BUILT_IN)
    return tuple(port for port in ports if port is not None and port.startswith("/"))


def _has(settings: BoxSettings, section: str) -> bool:
    return getattr(settings, section) is not None or (section == "camera" and settings.head.simulated)


def _configured(
    section: str, settings: BoxSettings, seen: Snapshot, told: Mapping[str, Told] | None, used: set[str]
) -> Row:
    ours = getattr(settings, section) or settings.head  # a simulated head brings its camera
    name = NAMES[section]
    port = _port(ours)
    device, node = _behind(section, ours, port, seen)
    used.update(one.name for one in (device,) if one is not None)
    used.update(one.path for one in (node,) if one is not None)
    problems = tuple(_problems(section, ours, port, device, node, seen))
    word = None if told is None else told.get(name)
    if word is not None:
        return _by_daemon(section, ours.driver, port, device, word, problems)
    there = device is not None or node is not None
    missing = any(problem.code in _MEANS_MISSING for problem in problems)
    state: State = "missing" if missing else "attached" if there else "unseen"
    return Row(
        section=section,
        name=name,
        driver=ours.driver,
        state=state,
        simulated=True if ours.driver == "simulated" else device.simulated if device else None,
        identity=device.serial if device else None,
        model=(device.label or None) if device else None,
        port=port or (f"usb:{device.name}" if device else None),
        problems=problems,
    )


_MEANS_MISSING: Final = frozenset({"devices.no_port", "devices.no_usb", "devices.no_ccid"})


def _by_daemon(
    section: str,
    driver: str,
    port: str | None,
    device: UsbDevice | None,
    word: Told,
    problems: tuple[Reason, ...],
) -> Row:
    """The daemon's word goes first; what a look adds is why, and only where something is wrong."""
    facts = word.facts or DeviceFacts()
    trouble = word.trouble or facts.trouble
    state: State = "gone" if word.gone or facts.present is False else "trouble" if trouble else "ready"
    said = () if trouble is None else (trouble,)
    # What holds a port that works is the daemon itself.
    why = tuple(one for one in problems if state != "ready" or one.code == "devices.unstable_name")
    return Row(
        section=section,
        name=NAMES[section],
        driver=driver,
        state=state,
        simulated=word.provenance.simulated,
        identity=word.provenance.identity,
        model=facts.model or (device.label or None if device else None),
        port=facts.port or port or (f"usb:{device.name}" if device else None),
        versions=facts.versions,
        counters=facts.counters,
        problems=(*said, *why),
    )


def _port(ours: object) -> str | None:
    """The port that is configured, as it is written; None where the driver finds its device itself."""
    for key in ("port", "device"):
        value = getattr(ours, key, None)
        if value is not None:
            return str(value)
    selector = getattr(ours, "usb", None)
    return None if selector is None else f"usb:{selector}"


def _behind(
    section: str, ours: object, port: str | None, seen: Snapshot
) -> tuple[UsbDevice | None, Node | None]:
    """What the snapshot has of it: the USB device, the port."""
    if port is not None and port.startswith("/"):
        node = seen.nodes().get(port)
        owner = next((one for one in seen.usb if node is not None and node in one.ports), None)
        return owner, node
    driver = getattr(ours, "driver", "")
    return next((one for one in seen.usb if _is(section, driver, port, one)), None), None


def _is(section: str, driver: str, port: str | None, device: UsbDevice) -> bool:
    """Whether a driver that looks for its device on USB would take this one."""
    match section, driver:
        case "head", "usb":
            return _selected(port, device) if port else OUR_HEAD in device.interfaces
        case "chip_reader", "pcsc":
            return _has_class(device, _CCID)
        case "id_card", "sam":
            return _selected(port, device) if port else (device.vendor, device.product) == _SAM
        case "printer", "escpos" if port is not None and port.startswith("usb"):
            return _selected(port, device) if ":" in port else _has_class(device, _PRINTER)
        case _:
            return False


def _selected(port: str, device: UsbDevice) -> bool:
    """`usb:vendor:product` or `usb:vendor:product:serial number`."""
    vendor, product, serial = ([*port.removeprefix("usb:").split(":", 2), "", ""])[:3]
    same = (device.vendor, device.product) == (vendor.lower(), product.lower())
    return same and serial in ("", device.serial or "")


def _has_class(device: UsbDevice, wanted: int) -> bool:
    return any(interface[0] == wanted for interface in device.interfaces)


def _problems(
    section: str, ours: object, port: str | None, device: UsbDevice | None, node: Node | None, seen: Snapshot
) -> Iterator[Reason]:
    driver = getattr(ours, "driver", "")
    if driver not in BUILT_IN[section] or driver in ("simulated", "bare"):
        return
    yield from _software(section, seen)
    if port is not None and port.startswith("/"):
        if node is None:
            yield Reason("devices.no_port", {"port": port})
            return
        yield from _of_node(port, node, seen)
        if node.stable and port.startswith(_UNSTABLE):
            yield Reason("devices.unstable_name", {"port": port, "stable": node.stable[0]})
    elif section == "chip_reader":
        if device is None:
            yield Reason("devices.no_ccid")
    elif port is None or port.startswith("usb"):
        if device is None:
            yield Reason("devices.no_usb", {"port": port or "usb"})
        elif device.node is not None and not seen.user.may_use(device.node):
            yield _not_allowed(device.node, seen)


def _software(section: str, seen: Snapshot) -> Iterator[Reason]:
    if section == "chip_reader":
        if "smartcard" not in seen.libraries:
            yield Reason("chip.no_pyscard")
        if "pcscd" not in seen.programs:
            yield Reason("devices.no_pcscd")
    if section == "printer" and "escpos" not in seen.libraries:
        yield Reason("devices.no_escpos")


def _of_node(port: str, node: Node, seen: Snapshot) -> Iterator[Reason]:
    if not seen.user.may_use(node):
        yield _not_allowed(node, seen)
    if node.holders:
        yield Reason("devices.held", {"port": port, "programs": ", ".join(sorted(node.holders))})


def _not_allowed(node: Node, seen: Snapshot) -> Reason:
    """Its group may use it: become a member; or nobody may: a udev rule is missing."""
    if node.mode & 0o060 == 0o060 and node.group != "root":
        return Reason("devices.not_member", {"port": node.path, "user": seen.user.name, "group": node.group})
    return Reason("devices.no_rule", {"port": node.path, "user": seen.user.name})


def _others(seen: Snapshot, used: set[str]) -> Iterator[Row]:
    """What is attached and not configured, as far as a box could make use of it."""
    for device in seen.usb:
        could_be = tuple(_could_be(device))
        if device.name in used or not could_be:
            continue
        lacking = (
            module for kind, module in _MODULES.items() if _has_class(device, kind) and not device.ports
        )
        problems = tuple(Reason("devices.no_kernel_driver", {"module": module}) for module in lacking)
        yield Row(
            section=None,
            name=f"usb:{device.name}",
            driver=None,
            state="free",
            simulated=device.simulated,
            identity=device.serial,
            model=device.label or f"{device.vendor}:{device.product}",
            port=_best(device.ports) or f"usb:{device.vendor}:{device.product}",
            problems=problems,
            could_be=could_be,
        )
    for node in seen.ports:
        if node.path not in used and node.path.startswith(("/dev/tty", "/dev/video")):
            could = ("camera",) if node.path.startswith("/dev/video") else ("id_card", "swipe", "printer")
            yield Row(
                section=None,
                name=node.path,
                driver=None,
                state="free",
                port=_best((node,)),
                could_be=could,
            )


def _could_be(device: UsbDevice) -> Iterator[str]:
    if OUR_HEAD in device.interfaces or device.label == "edged reader head":
        yield "head"
        return
    if _has_class(device, _VIDEO):
        yield "camera"
    if _has_class(device, _CCID):
        yield "chip_reader"
    serial = _has_class(device, _CDC) or device.vendor in _SERIAL_BRIDGES
    if (device.vendor, device.product) == _SAM or serial:
        yield "id_card"
    if serial or _KEYBOARD in device.interfaces:
        yield "swipe"
    if _has_class(device, _PRINTER) or serial:
        yield "printer"


def _best(ports: Iterable[Node]) -> str | None:
    """The name to configure: a stable one where there is one."""
    names = [name for node in ports for name in (*node.stable, node.path)]
    return min(names, key=lambda name: (not name.startswith(("/dev/serial", "/dev/v4l")), name), default=None)

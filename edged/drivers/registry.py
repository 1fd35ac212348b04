"""Every driver by the name that the boot file gives it: those that come with edged, and those that packages bring.

A package names its drivers as entry points of the group `edged.drivers` (docs/drivers.md):

    [project.entry-points."edged.drivers"]
    "head.acme" = "acme_reader.driver:open_head"

Each is a function that takes the section's `options` and returns a device that isn't entered yet. What is wrong with
one is said with the name of its package: nobody who installs a box reads tracebacks.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol, cast

from edged import log
from edged.device_checks import BUILT_IN, NAMES, check_driver, outside, package_of
from edged.drivers import Camera, Chip, Head, IdCard, Printer, Swipe
from edged.errors import ConfigError, DeviceError, EdgedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from datetime import date
    from importlib.metadata import EntryPoint

    from edged.config import ChipReaderSettings
    from edged.device_settings import (
        CameraSettings,
        HeadSettings,
        IdCardSettings,
        PrinterSettings,
        SwipeSettings,
    )
    from edged.drivers import Device

PROTOCOLS: Final[Mapping[str, type]] = {
    "head": Head,
    "camera": Camera,
    "chip_reader": Chip,
    "id_card": IdCard,
    "swipe": Swipe,
    "printer": Printer,
}
"""What a driver of a section does."""

_BUILT_IN: Final = {
    ("head", "simulated"): "edged.drivers.simulated:open_head",
    ("head", "serial"): "edged.drivers.head:open_head",
    ("head", "usb"): "edged.drivers.head:open_head",
    ("head", "bare"): "edged.drivers.bare:open_head",
    ("camera", "simulated"): "edged.drivers.simulated:open_camera",
    ("camera", "uvc"): "edged.drivers.uvc:open_camera",
    ("chip_reader", "pcsc"): "edged.drivers.pcsc:open_chip",
    ("chip_reader", "simulated"): "edged.drivers.simulated_chip:open_chip",
    ("id_card", "sam"): "edged.drivers.sam:open",
    ("swipe", "serial"): "edged.drivers.swipe:open",
    ("swipe", "keyboard"): "edged.drivers.swipe:open",
    ("printer", "escpos"): "edged.drivers.escpos:open_printer",
}
"""Where each driver that comes with edged is made; it loads only when it is asked for."""

_MOST_OF_AN_ERROR: Final = 200
"""Characters of another package's error message: more is a listing, not a reason."""


ENTER_S: Final = 10.0
"""For a driver from outside to be entered: it comes up without its device. systemd gives the whole start 30 s."""

LEAVE_S: Final = 5.0
"""For one to be left."""


class _Section(Protocol):
    """What the settings of every device have in common."""

    @property
    def driver(self) -> str: ...

    @property
    def options(self) -> dict[str, str | int | float | bool]: ...


def open_window(head: HeadSettings, camera: CameraSettings | None) -> tuple[Head, Camera]:
    """The head and the camera behind its window; the camera is entered first, for a bare head sees through it.

    A bare head sees through the camera; every other camera may be lit by the head. Raises `ConfigError`.
    """
    if head.driver == "bare":
        assert camera is not None  # edged.config_checks
        eye = open_camera(camera)
        return open_head(head, eye), eye
    made = open_head(head)
    return made, open_camera(camera, made)


def open_head(settings: HeadSettings, camera: Camera | None = None) -> Head:
    """The head that is configured; a bare one sees through `camera`. Raises `ConfigError`."""
    more = (camera,) if settings.driver == "bare" else ()
    return cast("Head", _open("head", settings, *more))


def open_camera(settings: CameraSettings | None, head: Head | None = None) -> Camera:
    """The camera that is configured, which `head` lights; None: the one that a simulated head brings.

    Raises `ConfigError`.
    """
    if settings is None:
        from edged.drivers import simulated

        return simulated.open_camera(None, head)
    return cast("Camera", _open("camera", settings, head))


def open_chip_reader(settings: ChipReaderSettings) -> Chip:
    """The chip reader that is configured. Raises `ConfigError`."""
    return cast("Chip", _open("chip_reader", settings))


def open_id_card(settings: IdCardSettings, today: Callable[[], date] | None = None) -> IdCard:
    """The ID-card module that is configured; `today` as `edged.drivers.sam.open`. Raises `ConfigError`."""
    return cast("IdCard", _open("id_card", settings, today))


def open_swipe(settings: SwipeSettings) -> Swipe:
    """The reader of MRZ text that is configured. Raises `ConfigError`."""
    return cast("Swipe", _open("swipe", settings))


def open_printer(settings: PrinterSettings) -> Printer:
    """The receipt printer that is configured. Raises `ConfigError`."""
    return cast("Printer", _open("printer", settings))


def _open(section: str, settings: _Section, *more: object) -> object:
    """`more` goes to a driver that comes with edged, after its settings; one from outside gets its options alone."""
    where = _BUILT_IN.get((section, settings.driver))
    if where is not None:
        module, _, name = where.partition(":")
        made: object = getattr(importlib.import_module(module), name)(settings, *more)
        return made
    return open_by_name(section, settings.driver, settings.options)


def open_by_name(section: str, driver: str, options: Mapping[str, str | int | float | bool]) -> object:
    """A driver from outside, by its section and name, and its own options. Raises `ConfigError`."""
    check_driver(section, driver)
    (entry_point,) = outside(section)[driver]
    device = _made(section, entry_point, dict(options))
    if inspect.isclass(device):  # it has every name, and is no device
        raise _refused(section, entry_point, "drivers.no_device", kind=device.__name__)
    if lacking := missing(device, PROTOCOLS[section]):
        raise _refused(section, entry_point, "drivers.lacking", names=", ".join(lacking))
    return device


@asynccontextmanager
async def entered(device: Device, section: str, settings: _Section | None) -> AsyncIterator[None]:
    """Enter a device, and leave it in the end; one from outside within bounds, and what it raises is told as its own.

    Raises `DeviceError` for a driver from outside that can't be entered, so that the service manager tries again (a
    vendor's own service may come up later); and what one of edged's raises.
    """
    if settings is None or settings.driver in BUILT_IN[section]:
        async with device:
            yield
        return
    (entry_point,) = outside(section)[settings.driver]
    # Said before: a driver that blocks the event loop is killed with the daemon, and this names it.
    package = package_of(entry_point)
    log.get("drivers").info("entering a driver from outside", section=section, package=package)
    try:
        async with asyncio.timeout(ENTER_S):
            await device.__aenter__()
    except EdgedError:
        raise
    except TimeoutError as error:
        raise DeviceError(NAMES[section], "drivers.hangs", package) from error
    except Exception as error:
        raise DeviceError(NAMES[section], "drivers.not_entered", f"{package}: {_said(error)}") from error
    try:
        yield
    finally:
        await _leave(device, package)


async def _leave(device: Device, package: str) -> None:
    """Whatever it does: the devices after it are closed, too."""
    try:
        async with asyncio.timeout(LEAVE_S):
            await device.__aexit__(None, None, None)
    except Exception as error:  # noqa: BLE001 - the type alone: it has read documents
        log.get("drivers").error(
            "a driver from outside failed to leave", package=package, kind=type(error).__name__
        )


def _made(section: str, entry_point: EntryPoint, options: dict[str, str | int | float | bool]) -> object:
    """Another package's code runs here: whatever it raises is told as that package's. Raises `ConfigError`."""
    try:
        factory = entry_point.load()
    except (Exception, SystemExit) as error:  # importing a package is running it, and it may end the process
        raise _refused(section, entry_point, "drivers.not_loaded", error=_said(error)) from error
    if not callable(factory):
        raise _refused(section, entry_point, "drivers.no_factory")
    try:
        return factory(options)
    except ConfigError as error:  # what it says of a key of its options
        raise error.within(f"{section}.options", ".") from error
    except (Exception, SystemExit) as error:
        log.get("drivers").error("a driver's factory failed", exc_info=error, package=package_of(entry_point))
        raise _refused(section, entry_point, "drivers.factory_failed", error=_said(error)) from error


def _refused(section: str, entry_point: EntryPoint, code: str, /, **params: str) -> ConfigError:
    name = entry_point.name.partition(".")[2]
    return ConfigError(f"{section}.driver", code, driver=name, package=package_of(entry_point), **params)


def _said(error: BaseException) -> str:
    """No document has been near a driver that is being made: its words may be told, within bounds."""
    return f"{type(error).__name__}: {error}"[:_MOST_OF_AN_ERROR]


def missing(device: object, protocol: type) -> tuple[str, ...]:
    """Names that `protocol` demands and `device` hasn't; nothing of the device is called for it."""
    lacking = []
    for name in members(protocol):
        try:
            inspect.getattr_static(device, name)
        except AttributeError:
            lacking.append(name)
    return tuple(lacking)


def members(protocol: type) -> tuple[str, ...]:
    """Names of what a driver Protocol demands, sorted."""
    own = ("__aenter__", "__aexit__")
    names = {
        name
        for base in protocol.__mro__
        if base.__module__ == Head.__module__
        for name in vars(base)
        if not name.startswith("_") or name in own
    }
    return tuple(sorted(names))

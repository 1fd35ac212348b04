"""Drivers against USB devices that the kernel enumerated, from inside the virtual machine.

    python -m tests.qemu.usb_real head | sam | printer | swipe | keyboard

Prints one JSON object with what was found; what goes wrong is an exception, and so an exit status.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import grp
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tty
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.qemu import kernel
from tests.qemu.gadget import BULK, INTERRUPT, Function, Gadget, Identity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edged.emulator.head_board import HeadBoard

OUR_HEAD = Identity(0x1209, 0x0001, "edged", "reader head", "emulated-1")
SAM_MODULE = Identity(0x0400, 0xC35A, "SAM", "module", "1")
PRINTER = Identity(0x04B8, 0x0202, "EPSON", "TM", "1")
SWIPE = Identity(0x2B78, 0x0005, "Elyctis", "ID BOX", "7")
PASSPORT = ("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10")
LIMIT_S = 180.0


def begin() -> None:
    """Modules, groups as Debian has them and as our package adds, our rules, and udevd."""
    subprocess.run(["/bin/sh", "-c", kernel.loading("usb")], check=True)
    with Path("/etc/group").open("a") as groups:
        groups.write("edged:x:4242:\n")
    rules = Path("/run/udev/rules.d")
    rules.mkdir(parents=True)
    shutil.copy(kernel.CACHE / kernel.UDEV_RULES, rules)
    shutil.copy(kernel.CHECKOUT / "systemd" / "70-edged.rules", rules)
    programs = Path("/run/programs")
    programs.mkdir()
    for name in ("systemd-udevd", "udevadm"):
        shutil.copy(kernel.udev(), programs / name)
    subprocess.run([programs / "systemd-udevd", "--daemon"], check=True)


def plug(gadget: Gadget, vendor: int) -> None:
    """Plug it in, and wait until the kernel has configured it and udevd has seen to its files."""
    gadget.plug()
    end = time.monotonic() + 60
    while not any((place / "bConfigurationValue").read_text().strip() for place in places(vendor)):
        assert time.monotonic() < end, "not enumerated"
        time.sleep(0.05)
    settle()


def places(vendor: int) -> list[Path]:
    """Where sysfs has the devices of a vendor."""
    found = []
    for place in Path("/sys/bus/usb/devices").iterdir():
        with contextlib.suppress(OSError):
            if int((place / "idVendor").read_text(), 16) == vendor:
                found.append(place)
    return found


def settle() -> None:
    subprocess.run(["/run/programs/udevadm", "settle", "--timeout=60"], check=True)


def owner(path: Path) -> str:
    """`group mode` of a device node."""
    told = path.stat()
    return f"{grp.getgrgid(told.st_gid).gr_name} {told.st_mode & 0o777:o}"


def node(vendor: int) -> Path:
    """The device file of a vendor's only USB device."""
    (place,) = places(vendor)
    number = f"{int((place / 'busnum').read_text()):03}/{int((place / 'devnum').read_text()):03}"
    return Path("/dev/bus/usb", number)


def newest(folder: str, name: str) -> Path:
    """The device file of this name with the highest number."""
    return max(Path(folder).glob(f"{name}*"), key=lambda one: int(one.name.removeprefix(name)))


async def take(events: AsyncIterator[Any], wanted: Any) -> Any:
    """The next event of this kind, or equal to it."""
    async for event in events:
        if event == wanted or (isinstance(wanted, type) and isinstance(event, wanted)):
            return event
    raise AssertionError("no more events")


class SocketBridge:
    """Between the bulk endpoints of the head's gadget and the socket of its firmware."""

    def __init__(self, gadget: Gadget, path: str, interface: tuple[int, int, int]) -> None:
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(path)
        self._function = Function(gadget, "head", interface, {0x02: BULK, 0x81: BULK}, self._heard)
        threading.Thread(target=self._said, daemon=True).start()

    def _heard(self, _: int, data: bytes) -> None:
        self._line.sendall(data)

    def _said(self) -> None:
        while data := self._line.recv(4096):
            self._function.say(0x81, data)


async def press(board: HeadBoard) -> None:
    await board.button(down=True)
    await board.button(down=False)


async def head() -> dict[str, Any]:
    """Our firmware as a USB device: found, opened, pressed; pulled out while it is pressed, and plugged in again."""
    from edged.drivers.head import LinkedHead
    from edged.drivers.head_usb import INTERFACE, UsbTransport, usb_heads
    from edged.emulator.host_head import HostHead
    from edged.events import ButtonPressed, DeviceBack, DeviceGone, DocumentPlaced, Light

    directory = Path(tempfile.mkdtemp())
    async with HostHead(port=directory / "port") as board:
        gadget = Gadget("head", OUR_HEAD)
        await asyncio.to_thread(SocketBridge, gadget, str(directory / "port"), INTERFACE)
        await asyncio.to_thread(plug, gadget, OUR_HEAD.vendor)
        found = usb_heads()
        async with LinkedHead(UsbTransport()) as driver:
            events = driver.events()
            await press(board)
            await take(events, ButtonPressed)
            await board.document(present=True)
            await take(events, DocumentPlaced)
            await driver.illuminate(Light.WHITE, 100)
            gadget.unplug()
            await take(events, DeviceGone)
            await press(board)  # the firmware has it, and nobody to tell
            await asyncio.to_thread(plug, gadget, OUR_HEAD.vendor)
            await take(events, DeviceBack)
            await take(events, ButtonPressed)
            provenance = driver.provenance
        return {
            "found": [[one.vendor, one.product, one.simulated] for one in found],
            "simulated": provenance.simulated,
            "driver": provenance.driver,
            "identified": bool(provenance.identity),
            "node": owner(node(OUR_HEAD.vendor)),
        }


async def sam() -> dict[str, Any]:
    """A SAM module on its split endpoints, read by its driver; pulled out and plugged in again."""
    from edged.config import IdCardSettings
    from edged.drivers import sam as driver_module
    from edged.emulator.id_cards import id_cards
    from edged.emulator.sam_module import SamModule
    from edged.events import DeviceBack, DeviceGone, IdCardPlaced

    module = SamModule()
    gadget = Gadget("sam", SAM_MODULE)

    headed = threading.Event()

    def heard(address: int, data: bytes) -> None:
        # Each endpoint has its thread, and the second one may be the quicker: the rest waits for its header.
        if address == out[0]:
            module.hear(data)
            headed.set()
            return
        headed.wait()
        headed.clear()
        for answer in module.hear(data):
            # The header through one endpoint, what it announces through the other.
            function.say(0x81, answer[:7])
            function.say(0x85, answer[7:])

    # The controller makes of the fifth and the sixth another 0x01 and 0x02, which the host passes over.
    out = (0x02, 0x07, 0x0C, 0x01, 0x08, 0x09, 0x03, 0x04, 0x05, 0x06)
    ends = dict.fromkeys((*out, 0x81), BULK) | {0x85: INTERRUPT}
    function = Function(gadget, "sam", (0xFF, 0, 0), ends, heard)
    await asyncio.to_thread(plug, gadget, SAM_MODULE.vendor)
    kinds = []
    async with driver_module.open(IdCardSettings()) as driver:
        events = driver.events()
        module.lay(id_cards()["resident-2023"])
        await take(events, IdCardPlaced)
        kinds.append((await driver.read()).kind.value)
        gadget.unplug()
        await take(events, DeviceGone)
        module.power()
        module.lay(id_cards()["resident-2023"])
        await asyncio.to_thread(plug, gadget, SAM_MODULE.vendor)
        await take(events, DeviceBack)
        await take(events, IdCardPlaced)
        kinds.append((await driver.read()).kind.value)
        return {
            "kinds": kinds,
            "simulated": driver.provenance.simulated,
            "node": owner(node(SAM_MODULE.vendor)),
        }


async def printer() -> dict[str, Any]:
    """A printer, taken from usblp and printed on through libusb, then given back and printed on as a file."""
    from edged.config import PrinterSettings
    from edged.drivers import escpos
    from edged.drivers.print_job import Cut, Line, PrintJob
    from edged.emulator.escpos_printer import EscposEmulator

    emulator = EscposEmulator()
    gadget = Gadget("printer", PRINTER)

    def heard(_: int, data: bytes) -> None:
        if answer := emulator.taken(data):
            function.say(0x81, answer)

    # Class and subclass of printers, in both directions. Not the kernel's own printer gadget: its device file must not
    # be open when the cable is pulled, or the kernel panics.
    function = Function(gadget, "printer", (7, 1, 2), {0x02: BULK, 0x81: BULK}, heard)
    await asyncio.to_thread(plug, gadget, PRINTER.vendor)
    lp = owner(Path("/dev/usb/lp0"))
    told = []
    for port in ("usb", "/dev/usb/lp0"):
        async with escpos.open(PrinterSettings(port=port)) as driver:
            status = await driver.status()
            await driver.print(PrintJob((Line(f"via {port}"), Cut())))
            told.append([status.answers, status.paper, status.cover_closed, driver.provenance.simulated])
    async with escpos.open(PrinterSettings(port="usb")) as driver:
        gadget.unplug()
        gone = not (await driver.status()).answers
        await asyncio.to_thread(plug, gadget, PRINTER.vendor)
        back = (await driver.status()).answers
    return {
        "told": told,
        "texts": emulator.texts,
        "gone": gone,
        "back": back,
        "lp": lp,
        "node": owner(node(PRINTER.vendor)),
    }


async def swipe() -> dict[str, Any]:
    """A swipe reader that is a USB modem to the kernel (CDC-ACM), as most are."""
    from edged.config import SwipeSettings
    from edged.drivers import swipe as driver_module
    from edged.emulator.swipe_reader import framed
    from edged.events import DeviceBack, DeviceGone, DocumentSwiped

    gadget = Gadget("acm", SWIPE)
    gadget.add("acm.0")
    await asyncio.to_thread(plug, gadget, SWIPE.vendor)

    def opened() -> int:
        """The gadget's side; the kernel hangs it up with the cable."""
        descriptor = os.open("/dev/ttyGS0", os.O_RDWR | os.O_NOCTTY)
        tty.setraw(descriptor)
        return descriptor

    reader = opened()
    lines = []
    async with driver_module.open(SwipeSettings(port="/dev/ttyACM0")) as driver:
        events = driver.events()
        for again in range(2):
            if again:
                gadget.unplug()
                await take(events, DeviceGone)
                await asyncio.to_thread(plug, gadget, SWIPE.vendor)
                os.close(reader)
                reader = opened()
                await take(events, DeviceBack)
            asked = await asyncio.to_thread(os.read, reader, 4)
            os.write(reader, asked + framed("elyctis", PASSPORT))
            event = await take(events, DocumentSwiped)
            lines.append(event.lines() == PASSPORT)
            await asyncio.to_thread(os.read, reader, 4)  # asked to go on
        identity, simulated = driver.provenance.identity, driver.provenance.simulated
    return {"lines": lines, "identity": identity, "simulated": simulated, "tty": owner(Path("/dev/ttyACM0"))}


async def keyboard() -> dict[str, Any]:
    """A wedge made by uinput: grabbed, so that another program that reads the same device gets nothing."""
    import fcntl

    from edged.config import SwipeSettings
    from edged.drivers import swipe as driver_module
    from edged.drivers.swipe_keyboard import EVENT, EVIOCGRAB
    from edged.events import DocumentSwiped

    made = os.open("/dev/uinput", os.O_WRONLY | os.O_NONBLOCK)
    fcntl.ioctl(made, 0x40045564, 1)  # UI_SET_EVBIT, EV_KEY
    for code in range(1, 120):
        fcntl.ioctl(made, 0x40045565, code)  # UI_SET_KEYBIT
    import struct

    os.write(made, struct.pack("80sHHHHI", b"wedge", 3, 0x1234, 0x5678, 1, 0) + bytes(4 * 64 * 4))
    fcntl.ioctl(made, 0x5501)  # UI_DEV_CREATE
    settle()
    device = newest("/dev/input", "event")
    other = os.open(device, os.O_RDONLY | os.O_NONBLOCK)
    from edged.drivers.swipe_keyboard import _PLAIN

    keys = {"\n": 28, "<": 86} | {sign.upper(): code for code, sign in _PLAIN.items() if code < 51}
    async with driver_module.open(SwipeSettings(driver="keyboard", device=device)) as driver:
        for sign in "\n".join(PASSPORT) + "\n":
            for value in (1, 0):
                os.write(made, EVENT.pack(0, 0, 1, keys[sign], value) + EVENT.pack(0, 0, 0, 0, 0))
            await asyncio.sleep(0.01)  # as fast as readers type
        event = await take(driver.events(), DocumentSwiped)
        seen = tuple(line.upper() for line in event.lines()) == PASSPORT
        try:
            overheard = len(os.read(other, 4096))
        except BlockingIOError:
            overheard = 0
        try:
            fcntl.ioctl(other, EVIOCGRAB, 1)
            held = False
        except OSError:
            held = True
        provenance = driver.provenance
    return {
        "seen": seen,
        "overheard": overheard,
        "held": held,
        "identity": provenance.identity,
        "simulated": provenance.simulated,
    }


SUBJECTS = {"head": head, "sam": sam, "printer": printer, "swipe": swipe, "keyboard": keyboard}


async def _within() -> dict[str, Any]:
    async with asyncio.timeout(LIMIT_S):
        return await SUBJECTS[sys.argv[1]]()


def main() -> None:
    begin()
    faulthandler.dump_traceback_later(LIMIT_S - 5, file=sys.stdout)  # where its threads hang, if they do
    found = asyncio.run(_within())
    print(json.dumps(found), flush=True)
    os._exit(0)  # threads in the kernel's hands don't end


if __name__ == "__main__":
    main()

"""Settings of the devices, as the boot file names them. What their types can't say is in `edged.device_checks`.

`driver` is the name of one that comes with edged, or of one that another package brings (entry points `edged.drivers`,
docs/drivers.md); only those from outside read `options`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

SIMULATED = "simulated"
"""The driver behind which a person with files stands."""

Options = dict[str, str | int | float | bool]


class HeadSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reader head: window, lights, button.

    `serial` and `usb` are our own head's two ways; `bare` is a box with a camera and no head: presence is seen in the
    pictures, the button is `edged scan`.
    """

    driver: str
    """simulated, serial, usb, bare, or one from outside."""
    socket: Path | None = None
    """Simulated only: the socket through which a hand puts documents on the glass."""
    port: str | None = None
    """Serial only: the tty, better by its stable name (/dev/serial/by-id/…), or `unix:PATH` for an emulated head."""
    usb: str | None = None
    """Usb only: `vendor:product` or `vendor:product:serial number` in hex; None: the one that is ours."""
    optical_thresholds: Path | None = None
    """What `edged optical fit` learned about this reader model; without it the optical check decides nothing."""
    options: Options = {}

    @property
    def simulated(self) -> bool:
        """Whether no person and no document stand behind it."""
        return self.driver == SIMULATED


class CameraSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The camera behind the window. Without this section a simulated head brings its own."""

    driver: str = "uvc"
    """uvc, simulated, or one from outside."""
    socket: Path | None = None
    """Simulated only: the socket through which a hand puts documents on the glass."""
    device: Path | None = None
    """Uvc only: its stable name, /dev/v4l/by-id/… or /dev/v4l/by-path/…"""
    width: int | None = None
    height: int | None = None
    """In pixels, both or neither; None: the largest that the camera has in `pixel_format`."""
    pixel_format: str | None = None
    """V4L2's four characters: MJPG, YUYV, NV12, GREY, …; None: MJPG where the camera has it, or its first."""
    lights: tuple[Literal["white", "ir", "uv"], ...] = ("white",)
    """Under what it sees anything: most webcams have a filter that keeps infrared out."""
    exposure_us: dict[Literal["white", "ir", "uv"], int] = {}
    """By light, in microseconds; a light that isn't named is exposed as the camera thinks best."""
    gain: int | None = None
    """In the camera's own unit; None: left as it is."""
    white_balance_k: int | None = None
    """Colour temperature of white light, in kelvin; None: left to the camera."""
    warm_up_frames: int = 8
    """Frames thrown away after opening: a sensor's first ones are dark, green or half old."""
    trigger: Literal["free", "strobe"] = "free"
    """free: it films all the time; strobe: it takes one frame each time the head's strobe line rises."""
    calibration: Path | None = None
    """What `edged camera calibrate` wrote; None: pictures are used as they come."""
    prove_live: Literal["plugged", "document"] = "plugged"
    """When the frames must follow the head's light, because they show this window: once the camera was plugged in, or
    before each document as well, which takes a second. Head and camera must be able to (docs/cameras.md)."""
    options: Options = {}

    @property
    def simulated(self) -> bool:
        """Whether it shows files."""
        return self.driver == SIMULATED


class IdCardSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ID-card module, when the box has one."""

    driver: str = "sam"
    """sam, or one from outside."""
    port: str | None = None
    """Its tty, better by its stable name (/dev/serial/by-id/…); None: USB."""
    baud: int | None = None
    """Speed of the tty; None: the one at which it answers is looked for."""
    usb: str | None = None
    """USB only: `vendor:product` or `vendor:product:serial number` in hex; None: 0400:c35a, which most modules are."""
    usb_out: tuple[int, ...] | None = None
    """USB only: endpoints of requests: one for whole frames, or two, for the header and the rest; None: 0x02, 0x06."""
    usb_in: tuple[int, ...] | None = None
    """USB only: endpoints of answers, in the same way; None: 0x81, 0x85."""
    additional_address: bool = False
    """Also read what was written to the card after its holder moved (追加住址)."""
    options: Options = {}


class SwipeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reader of MRZ text, when the box has one (docs/swipe-readers.md)."""

    driver: str = "serial"
    """serial, keyboard (a reader that types), or one from outside."""
    port: str | None = None
    """Serial only: its tty, better by its stable name (/dev/serial/by-id/…)."""
    device: Path | None = None
    """Keyboard only: its input device, better by its stable name (/dev/input/by-id/…-event-kbd)."""
    protocol: Literal["auto", "elyctis", "desko", "lines", "honeywell", "newland"] = "auto"
    """Serial only. Imagers that are triggered (honeywell, newland) are never found out by themselves."""
    baud: Literal[9600, 19200, 38400, 57600, 115200] = 9600
    """Serial only; USB readers don't care."""
    options: Options = {}


class PrinterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The receipt printer, when the box has one (docs/printers.md)."""

    driver: str = "escpos"
    """escpos, or one from outside."""
    port: str | None = None
    """Its tty or `/dev/usb/lp0`, `usb`, `usb:vendor:product` in hex, or `tcp:host:port`."""
    width_mm: Literal[58, 80] = 58
    baud: Literal[9600, 19200, 38400, 57600, 115200] = 9600
    """Of a tty; USB serial adapters inside printers don't care."""
    chinese: Literal["gb18030", "picture"] = "gb18030"
    """How Chinese text is printed: in the printer's own font, or drawn with one that is installed on the box."""
    font: Path | None = None
    """The font for what is drawn; None: the first CJK font that is installed."""
    qr: Literal["picture", "native"] = "picture"
    """Who draws QR codes: the box, which every printer can print, or the printer."""
    cutter: bool = True
    """Whether it cuts; without one paper is fed past the tear bar."""
    options: Options = {}

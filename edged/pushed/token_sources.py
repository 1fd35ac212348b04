"""Where a box gets its token from: a file, a USB stick, or a QR code held to its own camera."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from edged.config import CameraSettings, HeadSettings
from edged.device_checks import check_window
from edged.errors import DecodeError, DeviceError
from edged.events import Indication, Light
from edged.uplink.token import FILE_NAME, MAX_TEXT, SCHEME, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edged.drivers import Camera, Head
    from edged.uplink.token import Token

MOUNTS: Final = (Path("/media"), Path("/run/media"), Path("/mnt"))
"""Where sticks are mounted: by edged's own units (/media/edged), by desktops, by hand."""

MAX_DEPTH: Final = 2
"""Directories below these: /run/media/USER/LABEL."""

MAX_LOOKED_AT: Final = 256
"""Directories looked into for a stick; no box has more mounts."""

EVERY_S: Final = 0.2
"""Between two pictures while nobody holds a code to the window."""

LIT_MS: Final = 300


class WindowOnly(msgspec.Struct, frozen=True):
    """The part of a boot file that says what the window is; the rest may still be missing."""

    head: HeadSettings
    camera: CameraSettings | None = None


def read_file(path: Path) -> Token:
    """The token in a file. Raises `DecodeError`, `OSError`."""
    with path.open("rb") as file:
        data = file.read(MAX_TEXT + 1)
    try:
        return parse(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise DecodeError("token", "token.malformed") from None


def find_on_stick(mounts: Sequence[Path] = MOUNTS) -> Path:
    """The token's file on a mounted stick. Raises `DecodeError`: `token.no_stick`, `token.several_sticks`."""
    found = {path.resolve() for mount in mounts for path in _candidates(mount)}
    if len(found) != 1:
        raise DecodeError("token", "token.several_sticks" if found else "token.no_stick")
    return found.pop()


def _candidates(mount: Path) -> Iterator[Path]:
    waiting = [(mount, 0)]
    looked_at = 0
    while waiting and looked_at < MAX_LOOKED_AT:
        directory, depth = waiting.pop()
        looked_at += 1
        try:
            if (directory / FILE_NAME).is_file():
                yield directory / FILE_NAME
            if depth < MAX_DEPTH:
                below = sorted(
                    path for path in directory.iterdir() if path.is_dir() and not path.is_symlink()
                )
                waiting += [(path, depth + 1) for path in below]
        except OSError:  # a stick that is just pulled out, or a directory that isn't ours to look into
            continue


async def show_to_camera(
    settings: WindowOnly, wait_s: float, told: Callable[[str], None] = lambda _: None
) -> Token:
    """Wait for a token's QR code in the window; `told` hears what is wrong with one that is none, once each.

    Raises `DeviceError` (`token.none_shown` after `wait_s`), `StateError`.
    """
    from edged.drivers import registry

    check_window(settings.head, settings.camera)
    window = registry.open_window(settings.head, settings.camera)
    async with window[1] as camera, window[0] as head:
        await head.indicate(Indication.PLACE_DOCUMENT)
        heard: set[str] = set()
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    for code, token in await _look(head, camera):
                        if token is not None:
                            await head.beep()
                            await head.indicate(Indication.SUCCESSFUL)
                            return token
                        if code not in heard:
                            heard.add(code)
                            told(code)
                    await asyncio.sleep(EVERY_S)
        except TimeoutError:
            raise DeviceError("camera", "token.none_shown") from None


async def _look(head: Head, camera: Camera) -> list[tuple[str, Token | None]]:
    """What the codes in one picture are; nothing where nothing lies in the window or the picture failed."""
    from edged.core.barcode import find_barcodes

    if not head.document_present:
        return []
    try:
        await head.illuminate(Light.WHITE, LIT_MS)
        frame = await camera.capture(Light.WHITE)
    except (DeviceError, DecodeError) as error:
        return [(error.code, None)]
    found = await asyncio.to_thread(find_barcodes, frame.image())
    texts = [code.content.reveal() for code in found if code.symbology == "QRCode"]
    return [_token_of(text) for text in texts] or [("token.no_code", None)]


def _token_of(content: bytes) -> tuple[str, Token | None]:
    try:
        text = content.decode("ascii")
        if text[: len(SCHEME)].lower() != SCHEME:
            return "token.other_code", None
        return "", parse(text)
    except UnicodeDecodeError:
        return "token.other_code", None
    except DecodeError as error:
        return error.code, None

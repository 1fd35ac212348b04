"""`edged camera calibrate --config FILE`: pictures in the dark and of a white sheet, and what is made of them."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edged import log
from edged.commands._saying import say, show
from edged.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from edged.config import BoxSettings
    from edged.core.calibration import Calibration
    from edged.events import Light


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--config FILE [--out FILE] [--frames N] [--yes]`."""
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="help.camera.calibrate.config"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="help.camera.calibrate.out")
    parser.add_argument(
        "--frames", type=_frames, default=32, metavar="N", help="help.camera.calibrate.frames"
    )
    parser.add_argument("--yes", action="store_true", help="help.camera.calibrate.yes")


def _frames(text: str) -> int:
    import argparse

    from edged.core.calibration import LEAST_FRAMES
    from edged.drivers.calibrating import MOST_FRAMES

    if not text.isdecimal() or not LEAST_FRAMES <= int(text[:4]) <= MOST_FRAMES:
        raise argparse.ArgumentTypeError("usage.bad_number")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """EX_OK; raises `ConfigError`, `DeviceError`, `OutputError`."""
    from edged.config import load_box
    from edged.core.calibration import encode
    from edged.whole_file import whole_file

    log.configure("warning")
    settings = load_box(args.config)
    if settings.camera is None or settings.camera.driver != "uvc":
        raise ConfigError(f"{args.config}: camera.driver", "camera.free_of_uvc")
    out = args.out or settings.camera.calibration
    if out is None:
        raise ConfigError(f"{args.config}: camera.calibration", "camera.no_out")
    made = asyncio.run(_taken(args, settings))
    with whole_file(out, mode=None) as file:
        file.write(encode(made))
    from edged.commands._camera_show import calibration_lines

    show(calibration_lines(args, made.about, made.name))
    show([say(args, "camera.written", name=made.name, file=str(out))])
    return os.EX_OK


async def _taken(args: argparse.Namespace, settings: BoxSettings) -> Calibration:
    from edged.drivers import registry
    from edged.drivers.calibrating import calibrate
    from edged.drivers.uvc import UvcCamera

    assert settings.camera is not None
    bare = msgspec.structs.replace(settings.camera, calibration=None)
    head, camera = registry.open_window(settings.head, bare)
    assert isinstance(camera, UvcCamera)
    async with head, camera:
        return await calibrate(
            camera,
            head,
            args.frames,
            ask=lambda code: _ask(args, code),
            progress=lambda light, done, every: _progress(args, light, done, every),
        )


async def _ask(args: argparse.Namespace, code: str) -> None:
    if args.yes:
        return
    print(say(args, code), file=sys.stderr, flush=True)
    await asyncio.to_thread(sys.stdin.readline)


def _progress(args: argparse.Namespace, light: Light | None, done: int, every: int) -> None:
    """One line on a terminal, one for each kind of picture elsewhere."""
    what = "camera.in_the_dark" if light is None else say(args, "camera.under", light=f"word.{light.value}")
    said = say(args, "camera.taking", what=what, done=done, all=every)
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{said}" + ("\n" if done == every else ""))
        sys.stderr.flush()
    elif done == every:
        print(said, file=sys.stderr, flush=True)

"""`edged camera show [DEVICE|FILE]`: every camera; one with its formats and controls; what a calibration rests on."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edged.commands._saying import say, show, show_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edged.core.calibration import About
    from edged.drivers.v4l2 import Camera


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`[DEVICE|FILE] [--json]`."""
    parser.add_argument("what", nargs="?", type=Path, metavar="DEVICE|FILE", help="help.camera.show.what")
    parser.add_argument("--json", action="store_true", help="help.json")


def run(args: argparse.Namespace) -> int:
    """EX_OK; EX_UNAVAILABLE without a camera; EX_DATAERR for a file that is no calibration."""
    what: Path | None = args.what
    if what is None:
        return _list(args)
    if what.is_file():
        return _calibration(args, what)
    return _one(args, what)


def _list(args: argparse.Namespace) -> int:
    from edged.drivers import v4l2

    found = v4l2.cameras()
    if args.json:
        show_json([_camera(one) for one in found])
    else:
        show(line for one in found for line in _camera_lines(args, one))
    if found:
        return os.EX_OK
    print(say(args, "camera.none"), file=sys.stderr)
    return os.EX_UNAVAILABLE


def _camera(camera: Camera) -> dict[str, Any]:
    from edged.drivers.v4l2 import is_stable

    capability = camera.capability
    return {
        "device": str(camera.path),
        "node": str(camera.node),
        "identity": camera.identity,
        "driver": capability.driver if capability else None,
        "name": capability.card if capability else None,
        "simulated": camera.simulated,
        "stable_name": is_stable(camera.path),
        "trouble": camera.error,
    }


def _camera_lines(args: argparse.Namespace, camera: Camera) -> Iterator[str]:
    from edged.drivers.v4l2 import is_stable

    card = camera.capability.card if camera.capability else "–"
    notes = [say(args, camera.error)] if camera.error else []
    if camera.simulated:
        notes.append(say(args, "camera.simulated"))
    if not is_stable(camera.path):
        notes.append(say(args, "camera.unstable_name"))
    yield f"{camera.path}  {card} ({camera.identity})"
    for note in notes:
        yield f"    {note}"


def _one(args: argparse.Namespace, path: Path) -> int:
    """Formats, sizes and controls of one camera. Raises `DeviceError`."""
    from edged.drivers.v4l2 import DEVICE, Control, Node
    from edged.errors import DeviceError

    with Node(path) as node:
        capability = node.capability()
        if not capability.captures:
            raise DeviceError(DEVICE, "camera.not_a_camera")
        formats = {name: node.sizes(name) for name in node.formats()}
        controls = {
            control.name.lower(): {**found._asdict(), "value": node.get(control)}
            for control in Control
            if (found := node.range(control)) is not None
        }
        now = node.format()
    if args.json:
        show_json(
            {"driver": capability.driver, "name": capability.card, "formats": formats}
            | {"controls": controls, "now": now}
        )
        return os.EX_OK
    show([f"{capability.card} ({capability.driver}, {capability.bus})"])
    show(
        f"  {name}: {', '.join(f'{width}x{height}' for width, height in sizes)}"
        for name, sizes in formats.items()
    )
    show(
        f"  {name} = {control['value']} ({control['least']}…{control['most']})"
        for name, control in controls.items()
    )
    return os.EX_OK


def _calibration(args: argparse.Namespace, path: Path) -> int:
    """What a file says of itself. Raises `DecodeError`, `OSError`."""
    from edged.core.calibration import MOST_BYTES, describe

    with path.open("rb") as file:
        about, lights, name = describe(file.read(MOST_BYTES + 1))
    if args.json:
        show_json({"name": name, "lights": lights, **msgspec.to_builtins(about)})
    else:
        show(calibration_lines(args, about, name))
    return os.EX_OK


def calibration_lines(args: argparse.Namespace, about: About, name: str) -> Iterator[str]:
    """A calibration for people: whose it is, and what it improves."""
    yield name + (f" ({say(args, 'camera.simulated')})" if about.simulated else "")
    yield "  " + say(
        args,
        "camera.belongs_to",
        camera=about.camera,
        format=about.pixel_format,
        width=about.width,
        height=about.height,
        made=f"{about.made:%Y-%m-%d}",
        frames=about.frames,
    )
    measured = about.measured
    yield "  " + say(
        args,
        "camera.measured_pattern",
        before=f"{measured.pattern_before:.2f}",
        after=f"{measured.pattern_after:.2f}",
        noise=f"{measured.noise:.2f}",
    )
    for light, before in measured.shading_before.items():
        yield "  " + say(
            args,
            "camera.measured_shading",
            light=f"word.{light}",
            before=f"{100 * before:.1f}",
            after=f"{100 * measured.shading_after.get(light, before):.1f}",
        )

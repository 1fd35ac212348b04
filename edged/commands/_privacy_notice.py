"""`edged privacy notice`: what the holder of a document is told in a scene, as this box's boot file makes it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edged.commands._saying import show, show_json

if TYPE_CHECKING:
    import argparse

CONFIG: Final = Path("/etc/edged/edged.toml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The scene, and the boot file."""
    parser.add_argument("--scene", metavar="SCENE", help="help.privacy.notice.scene")
    parser.add_argument(
        "--config", type=Path, default=CONFIG, metavar="FILE", help="help.privacy.notice.config"
    )
    parser.add_argument("--json", action="store_true", help="help.json")


def run(args: argparse.Namespace) -> int:
    """Print it. Raises `ConfigError` for a boot file that can't be used, or a scene that is none."""
    from edged.config import load_box
    from edged.noticing import notice_of

    settings = load_box(args.config)
    notice = notice_of(settings, args.scene or settings.default_scene)
    if args.json:
        show_json(notice)
    else:
        show(notice.lines[args.lang])
    return os.EX_OK

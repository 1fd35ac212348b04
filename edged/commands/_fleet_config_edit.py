"""`edged fleet config edit`: change one layer in an editor; it is compiled before it counts."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edged.commands._fleet_common import add_dry_run, open_state
from edged.commands._fleet_devices import admin_only, tell_errors
from edged.commands._saying import say, show_json, show_line
from edged.config import environment
from edged.errors import ConfigError, OutputError
from edged.fleet.bundles import BundleMaker
from edged.fleet.differences import shortened
from edged.fleet.editing import MAX_LAYER, Draft, check, current, layer_file, write

if TYPE_CHECKING:
    import argparse

    from edged.fleet.state import FleetState

_EDITOR: Final = "vi"  # what POSIX has in its place
_SHOWN: Final = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged fleet config edit`."""
    layer = parser.add_mutually_exclusive_group()
    layer.add_argument("--group", metavar="GROUP", help="help.fleet.config.edit.group")
    layer.add_argument("--device", metavar="DEVICE", help="help.fleet.config.edit.device")
    parser.add_argument(
        "--from", type=Path, dest="source", metavar="FILE", help="help.fleet.config.edit.from"
    )
    add_dry_run(parser)


def run(args: argparse.Namespace) -> int:
    """EX_OK; EX_CONFIG when the layer doesn't compile and isn't edited again."""
    state = open_state(args)
    admin_only(args, state)
    file = layer_file(args.group, args.device)
    if args.device is not None:
        state.device(args.device)
    before = current(state, file)
    maker = BundleMaker(state, datetime.now(UTC))
    text = before if args.source is None else _given(args.source)
    with tempfile.TemporaryDirectory(prefix="edged-layer-") as directory:
        draft = Path(directory) / Path(file).name
        while True:
            if args.source is None:
                text = _edited(draft, text)
            found = check(state, maker, text, group=args.group, device=args.device)
            if not found.errors:
                return _keep(args, state, file, before, text, found)
            tell_errors(args, found.errors)
            if args.source is not None or not _again(args):
                raise ConfigError(file, "fleet.layer_not_changed")


def _given(source: Path) -> str:
    """What a file says; what isn't text is refused with the layer. Raises `OSError`."""
    with source.open("rb") as file:
        return file.read(MAX_LAYER + 1).decode("utf-8", "surrogateescape")


def _edited(draft: Path, text: str) -> str:
    """What the editor made of `text`. Raises `OutputError` (`fleet.editor_failed`)."""
    draft.write_text(text, encoding="utf-8", errors="surrogateescape")
    editor = shlex.split(environment("VISUAL") or environment("EDITOR") or _EDITOR)
    try:
        code = subprocess.run([*editor, str(draft)], check=False).returncode
    except OSError as error:
        raise OutputError("fleet.editor_failed", f"{editor[0]}: {error.strerror}") from None
    if code:
        raise OutputError("fleet.editor_failed", f"{editor[0]}: {code}")
    return draft.read_text(encoding="utf-8", errors="surrogateescape")


def _again(args: argparse.Namespace) -> bool:
    """Whether to edit the draft again; where nobody can be asked, no."""
    if not sys.stdin.isatty():
        return False
    try:
        answer = input(f"{say(args, 'fleet.edit_again')} ").strip().lower()
    except EOFError:
        return False
    return not answer.startswith(("n", "否"))


def _keep(
    args: argparse.Namespace, state: FleetState, file: str, before: str, text: str, found: Draft
) -> int:
    same = text == before
    if not args.dry_run and not same:
        with state.changing():
            write(state, file, before, text)
    if args.json:
        show_json(
            {
                "file": file,
                "boxes": found.boxes,
                "changed": found.changed,
                "written": not (same or args.dry_run),
            }
        )
    elif same:
        show_line(say(args, "fleet.layer_same", file=file))
    else:
        show_line(say(args, "fleet.layer_checked" if args.dry_run else "fleet.layer_written", file=file))
        show_line(say(args, "fleet.layer_changes", boxes=found.boxes, changed=len(found.changed)))
        if found.changed:
            show_line(f"  {shortened(found.changed, _SHOWN)}")
            show_line(say(args, "fleet.layer_next"))
    return os.EX_OK

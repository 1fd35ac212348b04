"""`edged fleet config diff`: what a push would change, against what was pushed last."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from edged.commands._fleet_common import open_state
from edged.commands._fleet_devices import add_devices, admin_only, chosen, tell_errors
from edged.commands._saying import say, show_json, show_line
from edged.fleet.differences import alike, changes, shortened
from edged.fleet.pushes import Pushes
from edged.fleet.pushing import Pusher

if TYPE_CHECKING:
    import argparse

    from edged.fleet.differences import Change
    from edged.fleet.pushes import PushRecord

_SHOWN: Final = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged fleet config diff`."""
    add_devices(parser)


def run(args: argparse.Namespace) -> int:
    """EX_OK; EX_CONFIG when a box's layers don't compile."""
    state = open_state(args)
    admin_only(args, state)
    names = chosen(args, state, default_all=True)
    compilation = Pusher(state, now=datetime.now(UTC), by="").compile(names)
    last = {name: Pushes(state).last(name) for name in compilation.documents}
    found = {
        name: changes(record.content if (record := last[name]) else None, msgspec.json.decode(compiled.data))
        for name, compiled in compilation.documents.items()
    }
    if args.json:
        for name, differences in found.items():
            _show_json(name, last[name], compilation.documents[name].document.version, differences)
    else:
        _show(args, found, last)
    tell_errors(args, compilation.errors.values())
    return os.EX_CONFIG if compilation.errors else os.EX_OK


def _show_json(name: str, record: PushRecord | None, version: str, differences: tuple[Change, ...]) -> None:
    show_json(
        {
            "device": name,
            "pushed": None if record is None else record.number,
            "pushed_version": None if record is None else record.version,
            "pushed_outcome": None if record is None else record.outcome,
            "version": version,
            "changes": msgspec.to_builtins(differences),
        }
    )


def _show(
    args: argparse.Namespace,
    found: dict[str, tuple[Change, ...]],
    last: dict[str, PushRecord | None],
) -> None:
    """Boxes with the same differences under one heading."""
    same = 0
    for devices, differences in alike(found):
        if not differences:
            same = len(devices)
            continue
        new = any(last[name] is None for name in devices)
        code = "fleet.diff_first" if new else "fleet.diff_of"
        show_line(say(args, code, devices=shortened(devices, _SHOWN), count=len(devices)))
        for one in differences:
            if one.old is not None:
                show_line(f"- {one.key} = {one.old}")
            if one.new is not None:
                show_line(f"+ {one.key} = {one.new}")
    if same:
        show_line(say(args, "fleet.diff_none", count=same))

"""`edged devices`: every configured device, how it is and what it lacks; what is attached beside them."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edged import messages
from edged.commands._saying import explain, say, show_json, show_line
from edged.commands._table import show_table
from edged.commands.devices import CONFIG
from edged.config import environment, load_box
from edged.control import ControlClient
from edged.errors import ConfigError, ControlError
from edged.technician.survey import Told, named_ports, survey
from edged.technician.taking import take

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from edged.config import BoxSettings
    from edged.technician.survey import Row

EVERY_S: Final = 1.0
"""Between two looks: a person who plugs something in looks up by then."""

_GOOD: Final = frozenset({"ready", "attached", "unseen", "free"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The boot file, the daemon's socket, `--watch`, `--json`."""
    parser.add_argument("--config", type=Path, default=CONFIG, metavar="FILE", help="help.run.config")
    parser.add_argument("--socket", type=Path, metavar="PATH", help="help.devices.socket")
    parser.add_argument("--watch", action="store_true", help="help.devices.watch")
    parser.add_argument("--json", action="store_true", help="help.json")


def run(args: argparse.Namespace) -> int:
    """EX_OK when all that is configured is there, EX_UNAVAILABLE when something isn't; EX_CONFIG for a bad file."""
    code = os.EX_OK
    settings: BoxSettings | None = None
    try:
        settings = load_box(args.config)
    except ConfigError as error:  # what is attached can be told all the same
        print(f"edged: {explain(error, args.lang)}", file=sys.stderr)
        code = os.EX_CONFIG
    rows = _look(args, settings)
    _show(args, rows)
    if args.watch:
        _watch(args, settings, rows)
    elif code == os.EX_OK and not all(_good(row) for row in rows):
        code = os.EX_UNAVAILABLE
    return code


def _watch(args: argparse.Namespace, settings: BoxSettings | None, before: Sequence[Row]) -> None:
    """Say what changes, until interrupted."""
    while True:
        time.sleep(EVERY_S)
        rows = _look(args, settings)
        if args.json:
            if list(map(_lasting, rows)) != list(map(_lasting, before)):
                _show(args, rows)
        else:
            _show_changes(args, before, rows)
        sys.stdout.flush()
        before = rows


def _lasting(row: Row) -> Row:
    """Without what a device counts: it goes on counting while all is well."""
    return msgspec.structs.replace(row, counters={})


def _look(args: argparse.Namespace, settings: BoxSettings | None) -> tuple[Row, ...]:
    socket = args.socket or (settings.control.socket if settings else environment("EDGED_SOCKET"))
    told = None if socket is None else asyncio.run(_told(args, Path(socket)))
    return survey(settings, take(named=named_ports(settings)), told)


async def _told(args: argparse.Namespace, socket: Path) -> Mapping[str, Told] | None:
    """What the daemon says; None without one. What it says in an unknown form counts as nothing."""
    try:
        async with ControlClient(socket) as client:
            said: Any = await client.call("devices")
        return msgspec.convert(said, dict[str, Told])
    except ControlError as error:
        if error.code not in ("control.no_daemon", "control.lost"):
            print(f"edged: {explain(error, args.lang)}", file=sys.stderr)
    except msgspec.ValidationError:
        print(f"edged: {say(args, 'devices.other_daemon')}", file=sys.stderr)
    return None


def _good(row: Row) -> bool:
    return row.section is None or (
        row.state in _GOOD and all(one.code == "devices.unstable_name" for one in row.problems)
    )


def _show(args: argparse.Namespace, rows: Sequence[Row]) -> None:
    if args.json:
        show_json({"at": datetime.now(UTC), "devices": rows})
        return
    if not rows:
        show_line(say(args, "devices.none"))
        return
    columns = ("device", "driver", "state", "port", "what")
    show_table(
        [say(args, f"devices.column_{column}") for column in columns], [_cells(args, row) for row in rows]
    )
    for row in rows:
        for line in _more(args, row):
            show_line(line)


def _cells(args: argparse.Namespace, row: Row) -> tuple[str, ...]:
    what = [row.model or row.identity or ""]
    what += [f"{name} {version}" for name, version in sorted(row.versions.items())]
    if row.simulated:
        what.append(say(args, "devices.simulated"))
    name = messages.word(row.name, args.lang) if row.section else say(args, "devices.beside")
    return (
        name,
        row.driver or "–",
        say(args, f"devices.state_{row.state}"),
        row.port or "–",
        ", ".join(filter(None, what)),
    )


def _more(args: argparse.Namespace, row: Row) -> list[str]:
    """What there is to do about it."""
    name = messages.word(row.name, args.lang)
    lines = [f"{name}: {messages.reason(problem, args.lang)}" for problem in row.problems]
    if row.could_be:
        sections = ", ".join(f"[{section}]" for section in row.could_be)
        lines.append(say(args, "devices.could_be", port=row.port or row.name, sections=sections))
    return lines


def _show_changes(args: argparse.Namespace, before: Sequence[Row], rows: Sequence[Row]) -> None:
    was = {(row.section, row.name): row for row in before}
    now = {(row.section, row.name): row for row in rows}
    at = f"{datetime.now(UTC).astimezone():%H:%M:%S}"
    for key in was.keys() - now.keys():
        show_line(f"{at}  {was[key].model or key[1]}: {say(args, 'devices.unplugged')}")
    for key, row in now.items():
        old = was.get(key)
        if old is not None and _lasting(old) == _lasting(row):
            continue
        cells = _cells(args, row)
        show_line(f"{at}  {row.model if row.section is None else cells[0]}: {cells[2]}  {cells[3]}")
        for line in _more(args, row):
            show_line(f"          {line}")

"""`edged fleet command`: tell boxes to do something, and hear what came of it."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edged import log
from edged.commands._fleet_common import add_dry_run, add_state, open_state
from edged.commands._saying import printable, say, show, show_json, show_line
from edged.commands._table import show_table
from edged.errors import ConfigError, OutputError
from edged.uplink.command import ARGUMENTS, MAX_LIFE_S, NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edged.fleet.answers import Done, Partly, Unusable
    from edged.fleet.state import FleetState

_MODE: Final = 0o600
"""What boxes tell of themselves is for whoever asked."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which boxes, which command, how long to wait, where files go."""
    add_state(parser)
    add_dry_run(parser)
    parser.add_argument("devices", nargs="*", metavar="DEVICE", help="help.fleet.command.devices")
    parser.add_argument("name", choices=NAMES, metavar="NAME", help="help.fleet.command.name")
    parser.add_argument("--group", metavar="GROUP", help="help.fleet.command.group")
    parser.add_argument("--all", action="store_true", help="help.fleet.command.all")
    parser.add_argument(
        "--arg", action="append", default=[], type=_argument, metavar="KEY=N", help="help.fleet.command.arg"
    )
    parser.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="help.fleet.command.timeout")
    parser.add_argument("--out", type=Path, metavar="PATH", help="help.fleet.command.out")


def run(args: argparse.Namespace) -> int:
    """EX_OK when every box did it; EX_TEMPFAIL when one didn't answer; EX_UNAVAILABLE when one refused."""
    from edged.fleet.commanding import TIMEOUT_S, issue

    log.configure("warning")
    state = open_state(args)
    devices = _chosen(state, args)
    timeout = args.timeout or TIMEOUT_S[args.name]
    now = datetime.now(UTC)
    issued = issue(
        state.signer(), devices, args.name, dict(args.arg), now=int(now.timestamp()), timeout_s=timeout
    )
    if args.dry_run:
        _tell_dry(args, devices)
        return os.EX_OK
    if args.out is not None and len(devices) > 1:
        args.out.mkdir(parents=True, exist_ok=True)
    telling = _Telling(args, devices, now)
    asyncio.run(_give(state, issued, timeout, telling))
    telling.end()
    return telling.exit_code


async def _give(state: FleetState, issued: Mapping[str, Any], timeout_s: float, telling: _Telling) -> None:
    from edged.fleet.commanding import give
    from edged.fleet.link import admin_link

    async with admin_link(state) as link:
        await give(link, issued, timeout_s=timeout_s, on_done=telling.done, on_news=telling.news)


def _chosen(state: FleetState, args: argparse.Namespace) -> list[str]:
    """Names of the boxes, each once; revoked ones only when they are named.

    Raises `ConfigError`: `fleet.no_such_device`, `fleet.command_whom`, `fleet.command_nobody`.
    """
    if (bool(args.devices) + bool(args.group) + args.all) != 1:
        raise ConfigError("DEVICE", "fleet.command_whom")
    if args.devices:
        return [state.device(name).name for name in dict.fromkeys(args.devices)]
    found = [
        record.name
        for record in state.devices().values()
        if record.revoked_at is None and (args.all or args.group in record.groups)
    ]
    if not found:
        raise ConfigError(args.group or str(state.directory), "fleet.command_nobody")
    return found


def _argument(text: str) -> tuple[str, int]:
    """`KEY=N`: every argument of this release's commands is a whole number."""
    key, _, value = text.partition("=")
    known = {name for taken in ARGUMENTS.values() for name in taken}
    try:
        number = int(value)
    except ValueError:
        raise argparse.ArgumentTypeError("fleet.command_not_an_argument") from None
    if key not in known:
        raise argparse.ArgumentTypeError("fleet.command_not_an_argument")
    return key, number


def _seconds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_LIFE_S:
        raise argparse.ArgumentTypeError("fleet.command_timeout")
    return int(text)


def _tell_dry(args: argparse.Namespace, devices: Sequence[str]) -> None:
    if args.json:
        show_json({"would": args.name, "args": dict(args.arg), "devices": devices})
    else:
        show([say(args, "fleet.command_would", name=args.name, count=len(devices)), *devices])


class _Telling:
    """Says what boxes answer: files as they come, one box at length, several as a table, machines a line each."""

    def __init__(self, args: argparse.Namespace, devices: Sequence[str], now: datetime) -> None:
        self._args = args
        self._single = len(devices) == 1
        self._count = len(devices)
        self._stamp = f"{now:%Y%m%dT%H%M%SZ}"
        self._terminal = sys.stderr.isatty()
        self._rows: list[tuple[str, str, str]] = []
        self.exit_code = os.EX_OK

    def done(self, done: Done) -> None:
        """A box has answered, or won't."""
        from edged.fleet.commanding import NO_ANSWER

        if not done.good and self.exit_code != os.EX_UNAVAILABLE:
            self.exit_code = os.EX_TEMPFAIL if done.code == NO_ANSWER else os.EX_UNAVAILABLE
        path = self._write(done)
        self._progress(say(self._args, "fleet.command_answered", have=len(self._rows) + 1, count=self._count))
        said = say(self._args, "fleet.command_done") if done.good else say(self._args, done.code)
        self._rows.append((done.device, said, "" if path is None else str(path)))
        if self._args.json:
            show_json(
                {"device": done.device, "command": self._args.name, "code": done.code, "result": done.result}
                | {"text": said, "file": None if path is None else str(path)}
            )
        elif self._single:
            self._clear()
            show_line(f"{done.device}: {said}")
            show(f"  {line}" for line in _lines(done.result))
            if path is not None:
                show_line(f"  {path}")

    def news(self, found: Partly | Unusable) -> None:
        """A box is answering."""
        from edged.fleet.answers import Unusable

        if isinstance(found, Unusable):
            print(printable(f"edged: {found.device}: {say(self._args, found.code)}"), file=sys.stderr)
        elif found.count:
            self._progress(
                f"{found.device}: {say(self._args, 'fleet.command_parts', have=found.have, count=found.count)}"
            )
        else:
            self._progress(f"{found.device}: {say(self._args, 'fleet.command_restarting')}")

    def end(self) -> None:
        """Everybody has answered, or won't."""
        self._clear()
        if self._single or self._args.json:
            return
        header = [say(self._args, f"fleet.column_{name}") for name in ("device", "outcome", "file")]
        show_table(header, sorted(self._rows))

    def _write(self, done: Done) -> Path | None:
        if done.file is None:
            return None
        name = f"{done.device}-{self._args.name}-{self._stamp}.json"
        out: Path = self._args.out or Path()
        path = out / name if not self._single or self._args.out is None or out.is_dir() else out
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(done.file)
        except OSError as error:
            raise OutputError("fleet.command_file", f"{path}: {error.strerror}") from error
        return path

    def _progress(self, line: str) -> None:
        if self._terminal:
            sys.stderr.write(f"\r\033[K{printable(line)}")
            sys.stderr.flush()

    def _clear(self) -> None:
        if self._terminal:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


def _lines(found: Any, path: str = "") -> Iterator[str]:
    """A result as `key.key: value`, one a line."""
    if isinstance(found, dict):
        for key, value in found.items():
            yield from _lines(value, f"{path}.{key}" if path else str(key))
    elif isinstance(found, list):
        for number, value in enumerate(found):
            yield from _lines(value, f"{path}.{number}")
    else:
        yield f"{path}: {'–' if found is None else found}"

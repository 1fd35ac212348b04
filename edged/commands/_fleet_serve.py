"""`edged fleet serve`: the enrolment service, in the foreground, as systemd wants it."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from edged import log, service
from edged.commands._fleet_common import add_state, open_state
from edged.commands._saying import minute, say, show_json, show_line
from edged.fleet.enrolment import Enrolment, Happened
from edged.fleet.est_server import EstServer
from edged.fleet.inviting import address_of
from edged.fleet.publishing import DirectoryPublisher, Published

if TYPE_CHECKING:
    from edged.fleet.state import FleetState

_HIGHEST_PORT: Final = 65535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged fleet serve`."""
    parser.add_argument("--listen", type=_endpoint, metavar="HOST:PORT", help="help.fleet.serve.listen")
    parser.add_argument("--name", action="append", default=[], metavar="HOST", help="help.fleet.serve.name")
    add_state(parser)


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _HIGHEST_PORT:
        raise argparse.ArgumentTypeError("usage.bad_endpoint")
    return host.removeprefix("[").removesuffix("]"), int(port)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; exit 0 after a clean stop."""
    state = open_state(args)
    log.configure("info")
    os.umask(0o077)
    asyncio.run(_serve(args, state))
    return os.EX_OK


async def _serve(args: argparse.Namespace, state: FleetState) -> None:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    host, port = address_of(state)

    def told(happened: Happened) -> None:
        loop.call_soon_threadsafe(heard, happened)

    enrolment = Enrolment(state, told=told)
    publisher = DirectoryPublisher(state.directory, lambda published: _tell_published(args, published))

    def heard(happened: Happened) -> None:
        _tell(args, happened)
        if happened.what in ("issued", "renewed"):
            publisher.changed()

    where = args.listen or ("::" if ":" in host else "0.0.0.0", port)  # noqa: S104 - boxes come from outside
    server = EstServer(
        state, enrolment, host=where[0], port=where[1], names=tuple(dict.fromkeys((host, *args.name)))
    )
    async with server:
        if args.json:
            show_json({"what": "listening", "host": where[0], "port": server.port})
        else:
            show_line(say(args, "fleet_serve.listening", host=where[0], port=server.port))
        service.notify("READY=1")
        tasks = [asyncio.create_task(server.serve()), asyncio.create_task(publisher.run())]
        stopped = asyncio.create_task(stop.wait())
        # Neither ends by itself: when one does, it is better begun anew by systemd than half there.
        await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
        for task in (*tasks, stopped):
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result


def _tell(args: argparse.Namespace, happened: Happened) -> None:
    """One line for each certificate and each refusal, at once: somebody may be watching, or a pipe."""
    now = datetime.now(UTC)
    if args.json:
        show_json(
            {"at": now.isoformat(), **{key: value for key, value in _fields(happened).items() if value}}
        )
        return
    why = "" if happened.code is None else say(args, happened.code)
    what = say(
        args,
        f"fleet_serve.{happened.what}",
        device=happened.device or "?",
        usage=happened.usage or "",
        why=why,
    )
    show_line(f"{minute(now)}  {what}")


def _tell_published(args: argparse.Namespace, published: Published) -> None:
    now = datetime.now(UTC)
    if args.json:
        what = "published" if published.code is None else "not_published"
        found = {"version": published.version, "code": published.code}
        shown = {key: value for key, value in found.items() if value is not None}
        show_json({"at": now.isoformat(), "what": what, **shown})
    elif published.code is None:
        show_line(f"{minute(now)}  {say(args, 'fleet_serve.published', version=published.version)}")
    else:
        show_line(f"{minute(now)}  {say(args, 'fleet_serve.not_published', why=say(args, published.code))}")


def _fields(happened: Happened) -> dict[str, str | None]:
    return {name: getattr(happened, name) for name in happened.__struct_fields__}

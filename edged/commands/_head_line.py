"""How `edged head …` reaches the head: through the daemon that holds its port, or by itself when none runs."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edged.commands import _daemon
from edged.config import environment
from edged.errors import DeviceError, DeviceGoneError

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator

    from edged.drivers.head_client import HeadClient

CONFIG: Final = Path("/etc/edged/edged.toml")

LOOK_S: Final = 5.0
"""A head that is there answers within a second, one that is just starting within three."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--config`, `--socket`, `--port`, `--json`."""
    parser.add_argument("--config", type=Path, default=None, metavar="FILE", help="help.head.config")
    socket = environment("EDGED_SOCKET")
    parser.add_argument(
        "--socket", type=Path, default=Path(socket) if socket else None, help="help.head.socket"
    )
    parser.add_argument("--port", default=None, metavar="PORT", help="help.head.port")
    parser.add_argument("--json", action="store_true", help="help.json")


def socket_of(args: argparse.Namespace) -> Path:
    """Where the daemon's control socket is. Raises `ConfigError` for a configuration that can't be read."""
    if args.socket is not None:
        return Path(args.socket)
    config = _config(args)
    if config is None:
        return _daemon.DEFAULT_SOCKET
    from edged.config import load_box

    return load_box(config).control.socket


@asynccontextmanager
async def own_line(args: argparse.Namespace) -> AsyncIterator[HeadClient]:
    """The head by its own port, in session. Raises `DeviceError`, `ConfigError`."""
    from edged.drivers.head import LinkedHead, open_head
    from edged.drivers.head_transport import transport_of

    if args.port is not None:
        head = LinkedHead(transport_of(args.port))
    else:
        from edged.config import load_box

        settings = load_box(_config(args) or CONFIG).head
        if settings.driver not in ("serial", "usb"):
            raise DeviceError("head", "head_update.not_supported")
        head = open_head(settings)
    async with head.client as client:
        until = asyncio.get_running_loop().time() + LOOK_S
        while client.welcome is None:
            if asyncio.get_running_loop().time() >= until:
                assert client.trouble is not None  # there is no session
                raise DeviceGoneError("head", client.trouble.code)
            await asyncio.sleep(0.05)
        yield client


def _config(args: argparse.Namespace) -> Path | None:
    if args.config is not None:
        return Path(args.config)
    return CONFIG if CONFIG.exists() else None

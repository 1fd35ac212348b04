"""`edged update …`: the box's own software, installed by root beside the daemon. Started by edged-update.service."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from edged import log
from edged.commands._saying import say, show_json, show_line
from edged.config import load_box
from edged.errors import ConfigError, StateError
from edged.pushed.dpkg import Dpkg
from edged.pushed.package_update import Updater
from edged.pushed.update_request import HELPER, read_bounded
from edged.uplink.names import Usage
from edged.uplink.roles import load_chain, principal_of

if TYPE_CHECKING:
    import argparse

    from edged.config import BoxSettings

CONFIG = Path("/etc/edged/edged.toml")

ROOT = Path("/etc/edged/root.json")
"""Not what the boot file names: enrolment may have left that in the daemon's own hands."""

MAX_FILE = 1 << 20
"""Bytes of a certificate or of root metadata; both are some kilobytes."""

SERVICE = "edged.service"

RESTART_S = 120.0
"""More than the service's own limits for its stop and its start."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`apply` and `keep`."""
    actions = parser.add_subparsers(dest="what", required=True, metavar="apply|keep")
    apply, keep = (
        actions.add_parser(name, help=f"help.update.{name}", description=f"help.update.{name}")
        for name in ("apply", "keep")
    )
    keep.add_argument("package", type=Path, metavar="FILE", help="help.update.package")
    for action in (apply, keep):
        action.add_argument("--config", type=Path, default=CONFIG, metavar="FILE", help="help.update.config")
        action.add_argument("--root", type=Path, default=ROOT, metavar="FILE", help="help.update.root")
        action.add_argument("--state", type=Path, default=HELPER, metavar="DIR", help="help.update.state")
        action.add_argument("--json", action="store_true", help="help.json")


def run(args: argparse.Namespace) -> int:
    """EX_OK, also for a request that was refused or taken back: `outcome.json` tells; EX_CANTCREAT when stuck."""
    log.configure("info")
    settings = load_box(args.config)
    updater = Updater(
        args.state,
        settings.state.directory,
        packages=Dpkg(),
        restart=restart,
        device=lambda: _device(settings),
        root=lambda: trusted_root(args.root),
    )
    if args.what == "keep":
        kept = updater.keep(args.package)
        if args.json:
            show_json(kept)
        else:
            show_line(say(args, "update.kept", version=kept.version))
        return os.EX_OK
    last = updater.run().last
    if args.json:
        show_json({"last": last})
    elif last is None:
        show_line(say(args, "update.nothing"))
    else:
        because = "" if last.code is None else say(args, last.code)
        show_line(say(args, f"update.was_{last.outcome}", push=last.push, because=because).rstrip())
    return os.EX_OK


def restart() -> None:
    """Have systemd read its units again, and start the daemon anew. Raises `StateError` (`update.no_restart`)."""
    for command in (["daemon-reload"], ["restart", SERVICE]):
        try:
            done = subprocess.run(
                ["systemctl", *command], capture_output=True, timeout=RESTART_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StateError("update.no_restart", type(error).__name__) from error
        if done.returncode != 0:
            raise StateError("update.no_restart", done.stderr.decode(errors="replace")[-200:].strip())


def _device(settings: BoxSettings) -> str:
    """The box's name, as its certificate has it. Raises `ConfigError`, `CertificateError`."""
    path = settings.identity.signing_certificate
    found = read_bounded(path, MAX_FILE)
    if found is None:
        raise ConfigError(str(path), "update.unreadable")
    chain = load_chain(found)
    if not chain:
        raise ConfigError(str(path), "cert.malformed")
    return principal_of(chain[0], usage=Usage.SIGNING).name


def trusted_root(path: Path) -> bytes:
    """The fleet's root metadata, if nobody but root (or who runs this) can have put it there.

    Looked at is where the path really leads, and every directory on the way: whoever may rename one of them may put
    another fleet's root there. Raises `ConfigError`: `update.no_fleet`, `update.root_not_safe`, `update.unreadable`.
    """
    try:
        path = path.resolve(strict=True)
    except (OSError, RuntimeError):  # a circle of links
        raise ConfigError(str(path), "update.no_fleet") from None
    for one in (path, *path.parents):
        if not _is_ours(one):
            raise ConfigError(str(one), "update.root_not_safe")
    found = read_bounded(path, MAX_FILE)
    if found is None:
        raise ConfigError(str(path), "update.unreadable")
    return found


def _is_ours(path: Path) -> bool:
    """Whether nobody else may write it. In a directory like /tmp (sticky) others can't rename what isn't theirs."""
    try:
        found = path.lstat()
    except OSError:
        return False
    if stat.S_ISLNK(found.st_mode) or found.st_uid not in (0, os.geteuid()):
        return False
    sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    return bool(sticky) or not stat.S_IMODE(found.st_mode) & 0o022

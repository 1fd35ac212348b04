"""A PC/SC service for an emulated chip alone: pcscd with vpcd's readers, in namespaces of its own.

Its own network, because vpcd listens on every address for whoever wants to be a card; its own /run, so that it leaves
the machine's own pcscd alone and needs no root. Nothing but pcscd's socket, bound into `directory`, can be reached from
outside; a PC/SC client finds it through `PCSCLITE_CSOCK_NAME` (`client_environment`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VPCD: Final = "127.0.0.1:35963"
"""Where vpcd's first reader listens, inside."""
READER: Final = "Virtual PCD 00 00"
"""What PC/SC calls it."""
_SBIN: Final = "/usr/sbin:/sbin"  # missing in most people's PATH
_PROGRAMS: Final = ("pcscd", "unshare", "ip", "mount", "setpriv")
_PROBE_S: Final = 10.0
_PROBE: Final = "mount -t tmpfs tmpfs /run && ip link set lo up"

# Both children die with whoever started them, whose own leash a new user namespace would undo.
# The directory may itself lie under the /run that is covered: it is held by standing in it, and put back.
_SCRIPT: Final = """
home=$(cd "$0" && pwd -P) || exit 69
(
    cd "$home" && mount -t tmpfs tmpfs /run && mkdir /run/pcscd && mount --no-canonicalize --bind . /run/pcscd
) && ip link set lo up || exit 69
case $home in
/run/*) mkdir -p "$home" && mount --bind /run/pcscd "$home" || exit 69 ;;
esac
setpriv --pdeathsig KILL pcscd --foreground --critical &
exec setpriv --pdeathsig KILL "$@"
"""


def missing() -> str | None:
    """Why it can't be started here, as a code of the message catalogue; None when it can."""
    if find_spec("smartcard") is None:
        return "emulate.no_pyscard"
    if any(shutil.which(program, path=_path()) is None for program in _PROGRAMS):
        return "emulate.no_pcscd"
    if not any(Path("/etc/reader.conf.d").glob("*vpcd*")):
        return "emulate.no_vpcd"
    try:
        done = subprocess.run(
            [*_unshare(), "sh", "-c", _PROBE],
            capture_output=True,
            check=False,
            timeout=_PROBE_S,
            env=environment(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return "emulate.no_namespaces"
    return None if done.returncode == 0 else "emulate.no_namespaces"


def command(directory: Path, emulator: Sequence[str]) -> tuple[str, ...]:
    """A command that starts pcscd and becomes `emulator`, which reaches vpcd at `VPCD`."""
    return (*_unshare(), "sh", "-c", _SCRIPT, str(directory), *emulator)


def environment() -> dict[str, str]:
    """What `command` needs around it."""
    return {**os.environ, "PATH": _path()}


def client_environment(directory: Path) -> Mapping[str, str]:
    """Variables with which a PC/SC client talks to this pcscd."""
    return {"PCSCLITE_CSOCK_NAME": str(directory / "pcscd.comm")}


def _unshare() -> tuple[str, ...]:
    as_root = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    return ("unshare", *as_root, "--net", "--mount")


def _path() -> str:
    return f"{os.environ.get('PATH', os.defpath)}:{_SBIN}"

"""A PostgreSQL of the tests' own: a cluster in a temporary directory, on a socket there and nowhere else."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

UNPRIVILEGED = ("postgres", "nobody")
"""initdb refuses root; as root it is run by the first of these that there is."""

UNDERTAKER = """
cat >/dev/null
directory=$1 user=$2
shift 2
if pid=$(head -n 1 "$directory/data/postmaster.pid"); then
    kill -CONT "$pid"
    [ -z "$user" ] || set -- setpriv --reuid "$user" --clear-groups "$@"
    "$@"
fi
rm -rf "$directory"
"""
"""Waits for the end of its input, then ends the server and removes its files."""


def binaries() -> Path | None:
    """Where PostgreSQL's server programs are: Debian keeps them out of PATH, a directory a version."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]), reverse=True
    )
    return versions[0].parent if versions else None


class Cluster:
    """One server. `database` gives the URL of a new place in it: socket, a user without a password."""

    def __init__(self, directory: Path, programs: Path, *, fsync: bool = True) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.log = directory / "log"
        self._programs = programs
        self._count = 0
        self._user = (
            next((name for name in UNPRIVILEGED if _exists(name)), None) if os.geteuid() == 0 else None
        )
        if self._user:
            shutil.chown(directory, self._user)
        # One encoding and no locale: what the machine has installed doesn't matter.
        self._run(
            *("initdb", "--auth=trust", "--username=edged", "--encoding=UTF8", "--locale=C"),
            *("--no-sync", "--pgdata", str(self.data)),
        )
        settings = [
            "listen_addresses = ''",
            f"unix_socket_directories = '{directory}'",
            f"fsync = {'on' if fsync else 'off'}",
            "max_connections = 40",
            "shared_buffers = 64MB",
            "autovacuum = off",
        ]
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("\n" + "\n".join(settings) + "\n")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(
            command, user=self._user, cwd=self.directory, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{program}: {done.stdout[-2000:]}{done.stderr[-2000:]}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        # pg_ctl's child keeps its output open: to a file, or we would wait for it.
        with self.log.open("a") as log:
            done = subprocess.run(
                [self._programs / "pg_ctl", "--wait", "--pgdata", self.data, "start"],
                user=self._user,
                cwd=self.directory,
                stdout=log,
                stderr=log,
                timeout=60,
            )
        assert done.returncode == 0, self.log.read_text()

    def stop(self, mode: str = "fast") -> None:
        """Stop it: "fast" ends connections, "immediate" is a crash."""
        self._run("pg_ctl", "--wait", "--pgdata", str(self.data), "--mode", mode, "stop")

    @property
    def pid(self) -> int:
        """The server's first process."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def freeze(self) -> None:
        """Stop all of its processes where they are, as a stalled disk would."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        parent = self.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for pid in (parent, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def url(self, schema: str = "public") -> str:
        """How to reach a schema of the one database that there is."""
        return f"postgresql://edged@/postgres?host={self.directory}&options=-c%20search_path%3D{schema}"

    def database(self) -> str:
        """A URL behind which there is nothing yet: a schema of its own, which is made in no time."""
        import psycopg

        self._count += 1
        name = f"archive_{self._count}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return self.url(name)


def _user() -> str | None:
    """Whom root runs it as; None for nobody else than who we are."""
    return next(filter(_exists, UNPRIVILEGED), None) if os.geteuid() == 0 else None


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def missing() -> str | None:
    """Why there can be no cluster here; None when there can."""
    if binaries() is None:
        return "PostgreSQL's server programs are not installed (tools/setup.sh tests installs them)"
    if os.geteuid() == 0 and _user() is None:
        return "PostgreSQL doesn't run as root, and there is no other user to run it as"
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "psycopg is not installed (the extra `central`)"
    return None


@functools.cache
def shared() -> Cluster:
    """The session's server, started when it is asked for first. Skips the test where there can be none."""
    if reason := missing():
        pytest.skip(reason)
    opened = cluster()
    server = opened.__enter__()
    atexit.register(opened.__exit__, None, None, None)
    return server


@contextlib.contextmanager
def cluster(*, fsync: bool = True) -> Iterator[Cluster]:
    """A running server, gone without a trace afterwards."""
    programs = binaries()
    assert programs is not None, missing()
    # Not pytest's directory: a socket's path may have 107 characters, and that directory is root's alone.
    directory = Path(tempfile.mkdtemp(prefix="edged-pg-"))
    # However this process ends, its end of the pipe closes, and the server and its files go.
    stop = [str(programs / "pg_ctl"), "--pgdata", str(directory / "data"), "--mode", "immediate", "stop"]
    undertaker = subprocess.Popen(
        ["sh", "-c", UNDERTAKER, "sh", str(directory), _user() or "", *stop],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    try:
        made = Cluster(directory, programs, fsync=fsync)
        made.start()
        yield made
    finally:
        undertaker.communicate()

"""Debian's package tools, as far as the update of one package needs them. Blocks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PACKAGE: Final = "edged"

FLOOR_FIELD: Final = "Edged-Floor"
"""Field of our package: the oldest version that may replace it, by whoever built it."""

ANSWER_S: Final = 60.0
"""For questions; they read a file."""

INSTALL_S: Final = 900.0
"""Unpacking 200 MiB onto a slow card, with every file synced."""

LOCK_S: Final = 300.0
"""Another package tool (unattended upgrades, a person) may be at work so long; that is no fault of the package."""

LOOK_S: Final = 0.5

LAST_WORDS: Final = 400
"""Characters of what dpkg complained of that go into the log."""


class Fields(NamedTuple):
    """What a package file says of itself."""

    package: str
    version: str
    architecture: str
    floor: str


class Dpkg:
    """dpkg on this system, or below another root (`arguments`, for tests)."""

    def __init__(self, arguments: Sequence[str] = (), *, lock_s: float = LOCK_S) -> None:
        self._arguments = tuple(arguments)
        self._lock_s = lock_s

    def fields(self, package: Path) -> Fields | None:
        """What a package file says of itself; None when it is no package."""
        names = ("Package", "Version", "Architecture", FLOOR_FIELD)
        done = _run(("dpkg-deb", "--field", str(package), *names), ANSWER_S)
        if done.returncode != 0:
            return None
        found = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
        version = found.get("Version", "")
        return Fields(
            found.get("Package", ""), version, found.get("Architecture", ""), found.get(FLOOR_FIELD, version)
        )

    def architecture(self) -> str:
        """This system's. Raises `StateError` (`update.dpkg_failed`)."""
        return self._asked("dpkg", *self._arguments, "--print-architecture").strip()

    def installed(self) -> str | None:
        """The version of our package that dpkg knows, however far its installation got; None without one."""
        form = "${db:Status-Status} ${Version}\n"
        roots = [one for one in self._arguments if one.startswith(("--root=", "--admindir="))]
        done = _run(("dpkg-query", *roots, "-W", f"--showformat={form}", PACKAGE), ANSWER_S)
        status, _, version = done.stdout.strip().partition(" ")
        return (
            version if done.returncode == 0 and status not in ("", "not-installed", "config-files") else None
        )

    def older(self, one: str, other: str) -> bool:
        """Whether `one` is a lower version than `other`, by Debian's rules. Raises `StateError`."""
        done = _run(("dpkg", "--compare-versions", one, "lt", other), ANSWER_S)
        if done.returncode not in (0, 1):  # no answer isn't a no
            self._checked(done)
        return done.returncode == 0

    def install(self, package: Path) -> None:
        """Install a package file, over whatever state an interrupted installation left.

        Configuration files that somebody has changed stay as they are. Raises `StateError` (`update.dpkg_failed`).
        """
        command = (
            "dpkg",
            *self._arguments,
            "--force-confold",
            "--force-downgrade",
            "--install",
            str(package),
        )
        with self._locked():
            self._checked(_run(command, INSTALL_S))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Wait until no other package tool is at work, and keep them off: they wait for nobody, and nor does dpkg.

        dpkg's own protocol for its front ends: a POSIX lock on this file, and a word in dpkg's environment that we
        have it. Where there is no such directory, dpkg says why.
        """
        path = self._database() / "lock-frontend"
        try:
            opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        except OSError:
            yield
            return
        try:
            until = time.monotonic() + self._lock_s
            while not _taken(opened):
                if time.monotonic() >= until:
                    raise StateError("update.dpkg_failed", "another package tool is at work")
                time.sleep(LOOK_S)
            yield
        finally:
            os.close(opened)

    def _database(self) -> Path:
        for argument in self._arguments:
            name, _, value = argument.partition("=")
            if name in ("--admindir", "--root"):
                return Path(value) if name == "--admindir" else Path(value) / "var/lib/dpkg"
        return Path("/var/lib/dpkg")

    def _asked(self, *command: str) -> str:
        done = _run(command, ANSWER_S)
        self._checked(done)
        return done.stdout

    @staticmethod
    def _checked(done: subprocess.CompletedProcess[str]) -> None:
        if done.returncode != 0:
            raise StateError("update.dpkg_failed", " ".join(done.stderr.split())[-LAST_WORDS:])


def _taken(opened: int) -> bool:
    try:
        fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise StateError("update.dpkg_failed", f"lock-frontend: {error.strerror}") from error
    return True


def _run(command: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
        "DPKG_FRONTEND_LOCKED": "true",  # by `Dpkg.install`; nothing else here writes
    }
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StateError("update.dpkg_failed", f"{command[0]}: {type(error).__name__}") from error

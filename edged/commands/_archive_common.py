"""What the actions of `edged central` that read the archive share: opening it, progress."""

from __future__ import annotations

import contextlib
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from edged import log
from edged.central.archive import open_archive, open_reader
from edged.central.settings import CollectorSettings, directory_file, load, location
from edged.commands._saying import say
from edged.uplink.directory_keeper import DirectoryKeeper
from edged.uplink.roles import TrustAnchor

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edged.central.archive import Archive, ArchiveReader

_TERMINAL_S: Final = 0.2
_LOG_S: Final = 30.0  # a line of progress in a log file is read by nobody any sooner


def add_stream(parser: argparse.ArgumentParser) -> None:
    """`--device`, `--audience`: which streams."""
    parser.add_argument("--device", metavar="NAME", help="help.central.device")
    parser.add_argument("--audience", metavar="NAME", help="help.central.audience")


class Progress:
    """How far something long is, on standard error: one line on a terminal, now and then a line elsewhere."""

    def __init__(self, args: argparse.Namespace, code: str) -> None:
        self._args = args
        self._code = code
        self._terminal = sys.stderr.isatty()
        self._every = _TERMINAL_S if self._terminal else _LOG_S
        self._last = time.monotonic()
        self._count = 0

    def add(self, count: int) -> None:
        """So many more are done."""
        self.show(self._count + count)

    def show(self, count: int) -> None:
        """So many are done."""
        self._count = count
        if time.monotonic() - self._last < self._every:
            return
        self._last = time.monotonic()
        said = say(self._args, self._code, count=f"{count:,}")
        sys.stderr.write(f"\r\033[K{said}" if self._terminal else f"{said}\n")
        sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._terminal:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


class Reading(NamedTuple):
    """An archive to read, its fleet's authority, and the configuration that names both."""

    settings: CollectorSettings
    anchor: TrustAnchor
    archive: ArchiveReader


class Writing(NamedTuple):
    """The same, to change something in it."""

    settings: CollectorSettings
    anchor: TrustAnchor
    archive: Archive


@contextlib.contextmanager
def reading(args: argparse.Namespace) -> Iterator[Reading]:
    """The archive that `--config` names, beside whoever writes into it.

    Raises `ConfigError`, `CertificateError`, `StateError`.
    """
    log.configure("warning")
    settings = load(args.config)
    anchor = TrustAnchor.from_file(settings.fleet_ca)
    # As the collectors know it; one that can't be read they have told of.
    DirectoryKeeper(anchor, directory_file(settings)).load(datetime.now(UTC))
    with contextlib.closing(open_reader(location(settings))) as archive:
        yield Reading(settings, anchor, archive)


@contextlib.contextmanager
def writing(args: argparse.Namespace) -> Iterator[Writing]:
    """The same, to change something in it."""
    log.configure("warning")
    settings = load(args.config)
    anchor = TrustAnchor.from_file(settings.fleet_ca)
    with contextlib.closing(open_archive(location(settings), anchor)) as archive:
        yield Writing(settings, anchor, archive)

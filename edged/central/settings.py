"""The configuration file of everything at the centre: collectors, and the commands that read the archive."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

import msgspec

from edged.central.archive import sqlite_path
from edged.central.retention import Retention
from edged.config import load_toml
from edged.errors import CertificateError, ConfigError, StateError
from edged.uplink.fields import Name
from edged.uplink.keys import read_private
from edged.uplink.mqtt import Endpoint
from edged.uplink.subscription import RetryWait

SESSION_EXPIRY_S: Final = 86_400
"""How long the broker keeps a collector's session: a restart or a night's repair costs nothing, and the share of one
that never comes back stops piling up in its queue the next day."""

MAX_PASSWORD: Final = 4096
"""Bytes of a password file; anything longer is the wrong file."""

_PASSWORD: Final = re.compile(r"//[^/?#]*:[^/?#]*@|\bpassword\s*=", re.IGNORECASE)

Listen = Annotated[str, msgspec.Meta(pattern=r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$(?!\n)")]
"""Host and port, `127.0.0.1:9464` or `[::1]:9464`."""


class MetricsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where Prometheus asks. Who reaches that address reads the metrics: they name no device and nobody."""

    listen: Listen


class ReplaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one worker spends on answering partners that were away."""

    messages_per_s: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 500.0
    """For each audience, in the long run; a page more may be answered at once."""


class CollectorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One worker's configuration file. Workers of one fleet differ in their certificates alone."""

    fleet_ca: Path
    signing_key: Path
    signing_certificate: Path
    archive: str
    """A file of SQLite, or `postgresql://user@host/database` without a password."""
    broker: Endpoint
    archive_password_file: Path | None = None
    """Mode 0600, the password alone. Without it PostgreSQL's own ways: PGPASSFILE, ~/.pgpass."""
    directory: Path | None = None
    """File in which the fleet's signed directory is kept, and looked for at the start. Default: beside an archive of
    SQLite; with PostgreSQL none, and a collector knows who is revoked once the broker has told it again."""
    group: Name = "collectors"
    """The shared subscription's name: the workers of one fleet have one."""
    alarm_command: tuple[str, ...] = ()
    """Program and arguments that get each reported alarm as JSON on standard input."""
    replay: ReplaySettings = ReplaySettings()
    metrics: MetricsSettings | None = None
    retention: Retention = Retention()
    reconnect_min_s: RetryWait = 0.5
    reconnect_max_s: RetryWait = 30.0


def load(path: Path) -> CollectorSettings:
    """Read a configuration file; a file of SQLite is relative to it. Raises `ConfigError`."""
    settings = load_toml(path, CollectorSettings)
    try:
        file = sqlite_path(settings.archive)
    except StateError as error:
        raise ConfigError(f"{path}: archive", error.code) from None
    if file is not None:
        return msgspec.structs.replace(settings, archive=str(path.parent / Path(file).expanduser()))
    if _PASSWORD.search(settings.archive):
        # Who may read the configuration, or a backup of it, would read the password.
        raise ConfigError(f"{path}: archive", "central.password_in_archive")
    return settings


def directory_file(settings: CollectorSettings) -> Path | None:
    """Where the signed directory is kept; None: nowhere."""
    if settings.directory is not None:
        return settings.directory
    file = sqlite_path(settings.archive)
    return None if file is None else Path(f"{file}.directory")


def location(settings: CollectorSettings) -> str:
    """The archive's place for `open_archive`, the password included: never to be shown. Raises `ConfigError`."""
    secret = password(settings)
    if secret is None or sqlite_path(settings.archive) is not None:
        return settings.archive
    from psycopg import Error
    from psycopg.conninfo import make_conninfo

    try:
        return make_conninfo(settings.archive, password=secret)
    except Error:
        raise ConfigError("archive", "archive.bad_location") from None


def password(settings: CollectorSettings) -> str | None:
    """The archive's password, where a file of it is configured.

    Raises `ConfigError` for a file that can't be read, that others can read, or that holds no password.
    """
    where = settings.archive_password_file
    if where is None:
        return None
    try:
        data = read_private(where)
    except CertificateError as error:
        raise ConfigError(
            "archive_password_file", "central.password_unreadable", reason=error.code
        ) from error
    try:
        text = data.decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError:
        text = ""
    if not text or len(data) > MAX_PASSWORD or not text.isprintable():
        raise ConfigError("archive_password_file", "central.password_malformed")
    return text

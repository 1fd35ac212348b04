"""One file of the trust store: a digest before its content, written whole or not at all, nobody else's to write."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from typing import TYPE_CHECKING, Final

from edged.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path

MAGIC: Final = b"edged-trust 1\n"

MAX_BYTES: Final = 64 << 20
"""Of one file: 700 certificates make 1 MB, revocation lists of all states perhaps as much again."""

_DIGEST: Final = hashlib.sha256().digest_size * 2
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def check_owner(status: os.stat_result, name: str) -> None:
    """Nobody but root and whoever runs this may decide whom the box trusts. Raises `StateError`."""
    if stat.S_IMODE(status.st_mode) & _WRITABLE_BY_OTHERS:
        raise StateError("truststore.writable_by_others", name)
    if status.st_uid not in (0, os.geteuid()):
        raise StateError("truststore.foreign_owner", name)


def digest(content: bytes) -> str:
    """What the file's head says of its content: SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def read(directory: int, name: str) -> bytes | None:
    """The content of a file in an opened directory, None when there is no such file.

    Raises `StateError`: truststore.damaged, truststore.writable_by_others, truststore.foreign_owner,
    truststore.unusable.
    """
    try:
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError("truststore.unusable", f"{name}: {error.strerror}") from error
    try:
        with os.fdopen(opened, "rb") as file:
            status = os.fstat(file.fileno())
            check_owner(status, name)
            if not stat.S_ISREG(status.st_mode):
                raise StateError("truststore.damaged", name)
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise StateError("truststore.unusable", f"{name}: {error.strerror}") from error
    head = len(MAGIC) + _DIGEST + 1
    content = data[head:]
    if len(data) > MAX_BYTES or data[:head] != MAGIC + digest(content).encode() + b"\n":
        raise StateError("truststore.damaged", name)
    return content


def keep_name(path: Path) -> None:
    """Have the disk remember that a directory was made. Raises OSError."""
    parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def write(directory: int, name: str, content: bytes) -> None:
    """Replace a file of an opened directory: after a power cut it is the old one or the new one, whole.

    Raises `StateError` (truststore.unusable, state.disk_full of the same kind), leaving the old file.
    """
    temporary = f".{name}.new"
    data = MAGIC + digest(content).encode() + b"\n" + content
    if len(data) > MAX_BYTES:
        raise StateError("truststore.too_large")
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=directory)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, 0o644, dir_fd=directory), "wb") as file:
            os.fchmod(file.fileno(), 0o644)  # whatever the umask: the daemon's user reads what root imported
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        os.fsync(directory)
    except OSError as error:
        raise StateError("truststore.unusable", f"{name}: {error.strerror}") from error

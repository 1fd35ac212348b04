"""The sockets through which what has no hardware is played with: readable by this user alone."""

from __future__ import annotations

import socket
import stat
from typing import TYPE_CHECKING, Final

from edged.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path

_BACKLOG: Final = 8


def is_socket(path: Path) -> bool:
    """Whether a socket is there; False for nothing. Raises `FileExistsError` for anything else: it isn't ours."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(path)
    return True


def listen(path: Path) -> socket.socket:
    """A listening stream socket at `path`, in place of one that a killed daemon left; non-blocking, mode 0600.

    Raises `StateError` when there can't be one.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_socket(path):
            path.unlink()
        listener.bind(str(path))
        path.chmod(0o600)  # nobody can have connected before: nobody listens yet
        listener.listen(_BACKLOG)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        listener.close()
        raise StateError("state.unusable", str(path)) from error
    return listener

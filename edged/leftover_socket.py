"""A Unix socket's file where another is to be served: left over by a process that is gone, or in the way."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path


def remove(path: Path) -> Literal["a_file", "served"] | None:
    """Remove a socket file that nobody serves any more; what is in the way otherwise, None: nothing.

    One that is served belongs to another process. Raises `OSError` where it can't be removed.
    """
    if not path.exists():
        return None
    if not path.is_socket():
        return "a_file"
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return None
    return "served"

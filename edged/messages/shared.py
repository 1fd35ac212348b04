"""The overlay in force, for the commands that speak to the daemon: a file beside its control socket.

The daemon hands out the file as it was pushed; whoever reads it checks it as the daemon did. Nobody but the socket's
owner can have written it. A command whose overlay can't be read speaks the shipped words: a counter goes on.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from edged import messages
from edged.errors import ConfigError
from edged.messages.overlay import MAX_BYTES

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "messages.toml"


def share(socket: Path, data: bytes | None) -> None:
    """Put the overlay beside the control socket, readable for its group; None takes it away. Raises `OSError`."""
    path = socket.with_name(FILE)
    if data is None:
        path.unlink(missing_ok=True)
        return
    temporary = socket.with_name(f".{FILE}.new")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "wb") as file:
        os.fchmod(file.fileno(), 0o640)  # whatever the umask: as the socket, which its group may use
        file.write(data)
    temporary.replace(path)


def use(socket: Path) -> bool:
    """Speak as the daemon on this socket does; whether it has an overlay that can be used."""
    try:
        owner = socket.stat().st_uid
        opened = os.open(socket.with_name(FILE), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(opened, "rb") as file:
            if os.fstat(opened).st_uid != owner:
                return False
            messages.lay_over(messages.overlay_of(file.read(MAX_BYTES + 1)))
    except (OSError, ConfigError):
        return False
    return True

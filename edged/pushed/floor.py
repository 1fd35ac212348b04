"""The least a box may ever be pushed again: a second memory, in a file of its own beside the store.

The store's database keeps all that TUF needs to tell a replay. Should it break, that memory is gone, and an old push,
with weak settings or for an audience long ended, would verify like a new one. So the two numbers that matter are
written here too, whole or not at all, *before* the store takes a push: this file may be one push ahead of the store
and never behind it. Equal numbers pass: the push that was taken when the store broke has to be taken again.

Whoever can write this file, or take it away with the database, is root on the box and needs no replay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from edged import log
from edged.errors import StateError
from edged.uplink.fields import decoder
from edged.uplink.keys import keep_private

if TYPE_CHECKING:
    from pathlib import Path

FLOOR_FILE: Final = "fleet-floor.json"

MAX_FLOOR: Final = 1024
"""Bytes; it has three numbers."""

Number = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Floor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`root`: version of the root metadata; `push`: highest number taken under it; `failed`: a push not to be tried."""

    format: Literal[1] = 1
    root: Number = 0
    push: Number = 0
    failed: Number = 0

    def admits(self, root: int, push: int) -> bool:
        """Whether a push of that number, under root metadata of that version, may be new.

        A later root may begin the numbers anew: that is how a fleet recovers from keys that were stolen, and only
        the offline keys can make one.
        """
        return root > self.root or (root == self.root and push >= self.push)

    def raised(self, root: int, push: int) -> Floor:
        """The floor under a push that is taken. It never lies lower than this one, unless the numbers begin anew."""
        if root > self.root:
            return Floor(root=root, push=push)
        return Floor(root=self.root, push=max(self.push, push), failed=self.failed)


def read_floor(path: Path) -> Floor:
    """What the file says; nothing where there is none, or a broken one. Raises `StateError` for one that can't be read.

    A broken one is as bad as none, and refusing to start over it would be worse: it is told in the log.
    """
    try:
        with path.open("rb") as file:
            return decoder(Floor).decode(file.read(MAX_FLOOR))
    except FileNotFoundError:
        return Floor()
    except OSError as error:
        raise StateError("state.unusable", f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    log.get("fleet").error("the second memory of what was pushed is broken; it is made anew from the store")
    return Floor()


def write_floor(path: Path, floor: Floor) -> None:
    """Write it whole or not at all; it is on the disk when this returns. Raises `StateError`."""
    keep_private(path, msgspec.json.encode(floor))

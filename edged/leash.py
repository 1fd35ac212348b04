"""Starts a command that can't outlive its starter: `python leash.py PARENT COMMAND…`.

The kernel kills the command when the thread that started it ends, however that comes (PR_SET_PDEATHSIG,
prctl(2)): `kill -9` of the demo or of a test leaves no orphan. A program of its own, because code between fork and exec
(`preexec_fn`) is unsafe in a process with threads. It becomes the command, which so keeps the process id.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def leashed(command: Sequence[str]) -> tuple[str, ...]:
    """`command` so that it is killed with its starter, which must be a thread as long-lived as the process."""
    # Neither site-packages nor PYTHON* variables are needed; leaving them out starts it in milliseconds.
    return (sys.executable, "-I", "-S", __file__, str(os.getpid()), *command)


def _main() -> None:
    parent, *command = sys.argv[1:]
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != int(parent):  # it ended before the kernel was told
        sys.exit(os.EX_UNAVAILABLE)
    os.execvp(command[0], command)  # noqa: S606 - an argument list of our own


if __name__ == "__main__":
    _main()

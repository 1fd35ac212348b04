"""What a process that holds raw identity forbids the system to do with its memory."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h


_MCL_CURRENT: Final = 1  # linux/mman.h
_MCL_FUTURE: Final = 2
_MCL_ONFAULT: Final = 4


class _Lock:
    held = False


def lock_memory() -> bool:
    """Keep all pages of this process, those it touches from now on as well, out of swap; whether that is so.

    Only where no limit stands in the way (`LimitMEMLOCK=infinity` in our unit): under a limit every later allocation
    beyond it would fail. Pages are locked as they are touched (MCL_ONFAULT), so nothing is read in for it, mlockall(2).
    """
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] != resource.RLIM_INFINITY:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    _Lock.held = libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0
    return _Lock.held


_M_MMAP_THRESHOLD: Final = -3  # malloc.h
LARGE_BLOCK: Final = 128 * 1024
"""Octets: glibc's own first threshold. Left alone it grows with what is freed, up to 32 MiB, and pictures stay."""


def give_back_large_blocks() -> None:
    """Blocks the size of pictures go back to the kernel as soon as they are freed, which gives them out zeroed.

    Copies that a decoder makes on the way aren't ours to overwrite. Without glibc nothing happens, mallopt(3).
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK)


def memory_locked() -> bool:
    """Whether `lock_memory` has been successful in this process."""
    return _Lock.held


def forbid_core_dumps() -> None:
    """A crash of this process leaves no image of its memory, and no other process of the same user may read it.

    Both ways are needed. RLIMIT_CORE = 0 passes on to children, but a `core_pattern` that is a pipe
    (systemd-coredump, apport) ignores it, core(5). PR_SET_DUMPABLE = 0 holds against pipes as well, and against
    ptrace and /proc/PID/mem, but ends with the next exec, prctl(2).

    Call it after `cv2` was imported: OpenCV asks /proc/self/auxv what this CPU can do, and the files under
    /proc/PID of a process that isn't dumpable belong to root. Raises OSError where the kernel refuses.
    """
    # Where a sandbox forbids to set limits, whoever made the sandbox sets them (LimitCORE=0 in our unit).
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(
        _PR_SET_DUMPABLE, ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)
    ):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

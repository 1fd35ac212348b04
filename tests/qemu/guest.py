"""Disks and mounts, from inside the virtual machine."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.qemu.log_writes import Write

_LIBC = ctypes.CDLL(None, use_errno=True)


def run(*command: str) -> str:
    """A program's output; `RuntimeError` with what it said when it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def size(device: str) -> int:
    """In sectors of 512 bytes."""
    return int(Path(f"/sys/class/block/{Path(device).name}/size").read_text())


@contextlib.contextmanager
def mounted(device: str, point: Path) -> Iterator[Path]:
    """An ext4 with its default options."""
    point.mkdir(exist_ok=True)
    if _LIBC.mount(device.encode(), os.fsencode(point), b"ext4", 0, b""):
        raise OSError(ctypes.get_errno(), f"mount {device}")
    try:
        yield point
    finally:
        if _LIBC.umount2(os.fsencode(point), 0):
            raise OSError(ctypes.get_errno(), f"umount {device}")


def make_ext4(device: str) -> None:
    """With nothing left to be initialised in the background."""
    run("mkfs.ext4", "-q", "-b", "4096", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", device)


def copy(source: str, target: str) -> None:
    """Everything that isn't zero; the target is blank."""
    with Path(source).open("rb") as reading, Path(target).open("r+b") as writing:
        while block := reading.read(1 << 16):
            if block.count(0) != len(block):
                writing.seek(reading.tell() - len(block))
                writing.write(block)
        writing.flush()
        os.fsync(writing.fileno())


def put(device: str, writes: Iterable[Write]) -> None:
    """Onto the medium."""
    descriptor = os.open(device, os.O_WRONLY)
    try:
        for write in writes:
            os.pwrite(descriptor, write.data, write.offset)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_back_never() -> None:
    """Nothing reaches the disk before somebody syncs it: the worst that a kernel may do."""
    Path("/proc/sys/vm/dirty_writeback_centisecs").write_text("0")


def write_back_soon() -> None:
    """Let the kernel write dirty pages when it likes, not after half a minute: more orders to go wrong in."""
    for name in ("dirty_writeback_centisecs", "dirty_expire_centisecs"):
        Path("/proc/sys/vm", name).write_text("5")

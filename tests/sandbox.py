"""Run a command under the system call rules of a systemd unit, without systemd: `python sandbox.py UNIT COMMAND…`

Enforces SystemCallFilter=, SystemCallErrorNumber=, ProtectClock=, MemoryDenyWriteExecute=, RestrictAddressFamilies=
and UMask= through libseccomp, as systemd does (systemd.exec(5)). What systemd does with mount and user namespaces is
left out.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import subprocess
import sys
from pathlib import Path

ALLOW = 0x7FFF0000  # SCMP_ACT_ALLOW
REFUSE = 0x00050000 | errno.EPERM  # SCMP_ACT_ERRNO
EQUAL, MASKED_EQUAL = 4, 7  # SCMP_CMP_EQ, SCMP_CMP_MASKED_EQ
SHM_EXEC = 0o100000


class Comparison(ctypes.Structure):
    """struct scmp_arg_cmp"""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


class Filter:
    """One seccomp filter; of several that are loaded the strictest answer counts."""

    def __init__(self, library: ctypes.CDLL, default: int) -> None:
        self._library = library
        self._context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(default)))
        assert self._context

    def add(self, action: int, name: str, *comparisons: Comparison) -> None:
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:  # of another architecture
            return
        array = (Comparison * max(1, len(comparisons)))(*comparisons)
        added = self._library.seccomp_rule_add_array(
            self._context, ctypes.c_uint32(action), number, len(comparisons), array
        )
        assert added == 0, (name, added)

    def load(self) -> None:
        assert self._library.seccomp_load(self._context) == 0


def settings(unit: Path, name: str) -> list[str]:
    """Values of a setting, one for each of its lines."""
    lines = unit.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix(f"{name}=") for line in lines if line.startswith(f"{name}=")]


def members(group: str) -> set[str]:
    """The system calls of a group such as `@system-service`."""
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True
    ).stdout
    calls: set[str] = set()
    for line in map(str.strip, listed.splitlines()[1:]):
        if line.startswith("@"):
            calls |= members(line)
        elif line and not line.startswith("#"):
            calls.add(line)
    return calls


def allowed_calls(unit: Path) -> set[str]:
    allowed = members("@default")
    for value in settings(unit, "SystemCallFilter"):
        named = {
            call
            for word in value.removeprefix("~").split()
            for call in (members(word) if word.startswith("@") else {word})
        }
        allowed = allowed - named if value.startswith("~") else allowed | named
    if settings(unit, "ProtectClock") == ["yes"]:
        allowed -= members("@clock")
    return allowed


def enclose(unit: Path) -> None:
    """Put this process, and everything it starts, under the unit's rules."""
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    assert settings(unit, "SystemCallErrorNumber") == ["EPERM"]
    assert settings(unit, "MemoryDenyWriteExecute") == ["yes"]
    writable_code = Filter(library, ALLOW)
    both = mmap.PROT_WRITE | mmap.PROT_EXEC
    writable_code.add(REFUSE, "mmap", Comparison(2, MASKED_EQUAL, both, both))
    for call in ("mprotect", "pkey_mprotect"):
        writable_code.add(REFUSE, call, Comparison(2, MASKED_EQUAL, mmap.PROT_EXEC, mmap.PROT_EXEC))
    writable_code.add(REFUSE, "shmat", Comparison(2, MASKED_EQUAL, SHM_EXEC, SHM_EXEC))
    calls = Filter(library, REFUSE)
    for call in sorted(allowed_calls(unit) - {"socket"}):
        calls.add(ALLOW, call)
    (families,) = settings(unit, "RestrictAddressFamilies")
    for family in families.split():
        calls.add(ALLOW, "socket", Comparison(0, EQUAL, getattr(socket, family), 0))
    os.umask(int(settings(unit, "UMask")[0], 8))
    writable_code.load()
    calls.load()


if __name__ == "__main__":
    enclose(Path(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])

"""A virtual machine under Debian's kernel, and the one line of conversation with it.

Emulated (TCG), so that it runs wherever QEMU does, and slowly: about three seconds to the first command on an idle
machine, and programs at a tenth of their speed. It sees directories of the host read-only, its disks, and no network.
Every wait has its bound: a guest that panics, hangs or is silent ends in a `GuestError` with the end of its console.
"""

from __future__ import annotations

import base64
import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.qemu import initramfs, kernel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

QEMU = "qemu-system-x86_64"
PROGRAMS = ("ip", "mkfs.ext4", "mosquitto", "tc")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"

BOOT_S = 120.0
"""Three seconds on an idle machine, twenty on one with ten times more to do than it can."""

MARGIN_S = 15.0
"""How much longer than the guest's own limit the host waits for word that the limit was enforced."""

CONSOLE_TAIL = 3000

MEMORY_MB = 1024


class GuestError(Exception):
    """The guest died, hung, or a command in it failed; the text has its last output and the end of its console."""


def missing() -> str | None:
    """Why no machine can be started here; None when one can."""
    if shutil.which(QEMU) is None:
        return f"{QEMU} isn't installed: tools/setup.sh all"
    if kernel.version() is None:
        return "Debian's kernel isn't in .cache/qemu: tools/setup.sh all"
    lacking = [name for name in PROGRAMS if not (shutil.which(name, path=PATH) or "").startswith("/usr/")]
    if lacking:
        return f"the guest would lack {', '.join(lacking)}: tools/setup.sh all"
    if not Path("/bin").is_symlink():
        return "/bin isn't a part of /usr, as it is in Debian since 12"
    return None


def shares() -> list[Path]:
    """What of the host the guest needs to run what runs here: no directory is below another."""
    wanted = {Path("/usr"), Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), kernel.CHECKOUT}
    return sorted(one for one in wanted if not any(other in one.parents for other in wanted))


class Machine:
    """One virtual machine, running while the `with` block does.

    `disks` are raw image files, in the guest /dev/vda, /dev/vdb and so on. Output of commands passes through this
    process line by line, so that what a killed guest had said counts as said.
    """

    def __init__(self, directory: Path, disks: Sequence[Path] = ()) -> None:
        self.directory = directory
        self.boot_s = 0.0
        self._disks = disks
        self._number = 0
        self._console = directory / "console.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._buffer = b""

    def __enter__(self) -> Self:
        began = time.monotonic()
        initrd = self.directory / "initrd"
        initrd.write_bytes(initramfs.build(shares(), kernel.CHECKOUT))
        # A socket's path has a hundred characters, and a test's directory may be longer.
        with tempfile.TemporaryDirectory(prefix="qemu-") as name, socket.socket(socket.AF_UNIX) as listening:
            listening.bind(f"{name}/line")
            listening.listen(1)
            listening.settimeout(BOOT_S)
            with self._console.open("wb") as console:
                self._process = subprocess.Popen(
                    self._command(initrd, Path(name) / "line"),
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=subprocess.STDOUT,
                )
            try:
                self._line = self._accept(listening)
                if (said := self._read(began + BOOT_S)) != "ready":
                    raise self._error(f"it said {said!r} instead of ready")
            except BaseException:
                self.kill()
                raise
        self.boot_s = time.monotonic() - began
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _accept(self, listening: socket.socket) -> socket.socket:
        assert self._process is not None
        listening.settimeout(0.2)
        end = time.monotonic() + BOOT_S
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                return listening.accept()[0]
            if self._process.poll() is not None:
                break
        raise self._error("QEMU didn't start")

    def _command(self, initrd: Path, line: Path) -> list[str]:
        command = [
            *(QEMU, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", str(MEMORY_MB)),
            *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"),
            *("-kernel", str(kernel.vmlinux()), "-initrd", str(initrd)),
            *("-append", "console=ttyS0 quiet panic=-1 oops=panic mitigations=off random.trust_cpu=on"),
            *("-device", "virtio-rng-pci", "-device", "virtio-serial-pci"),
            *("-chardev", f"socket,id=line,path={line}", "-device", "virtserialport,chardev=line"),
        ]
        for index, share in enumerate(shares()):
            settings = f"local,id=fs{index},path={share},security_model=none,readonly=on,multidevs=remap"
            command += ["-fsdev", settings]
            command += ["-device", f"virtio-9p-pci,fsdev=fs{index},mount_tag=share{index}"]
        for index, disk in enumerate(self._disks):
            # The host itself never loses power, and its cache outlives a killed QEMU: nothing is synced for nobody.
            command += ["-drive", f"file={disk},format=raw,if=none,id=disk{index},cache=unsafe"]
            command += ["-device", f"virtio-blk-pci,drive=disk{index}"]
        return command

    def stream(self, script: str, limit_s: float) -> Iterator[str]:
        """Run the shell's `script` for at most so long; its lines (both streams) as they come.

        Raises `GuestError` when it fails, or runs longer.
        """
        assert self._line is not None
        self._number += 1
        text = base64.b64encode(script.encode()).decode()
        self._line.sendall(f"{self._number} {limit_s:g} {text}\n".encode())
        end = time.monotonic() + limit_s + MARGIN_S
        said: list[str] = []
        while True:
            number, _, line = self._read(end).partition(" ")
            if number == f"{self._number}=":
                break
            said.append(line)
            yield line
        if line != "0":
            raise self._error(f"exit status {line} of: {script}\n" + "\n".join(said[-40:]))

    def run(self, script: str, limit_s: float = 60.0) -> list[str]:
        """`stream`, to its end."""
        return list(self.stream(script, limit_s))

    def kill(self) -> None:
        """Pull the plug: SIGKILL, nothing is said to the guest."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._line is not None:
            self._line.close()

    def _read(self, end: float) -> str:
        assert self._line is not None
        while b"\n" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0:
                raise self._error("it has been silent for too long")
            self._line.settimeout(left)
            try:
                data = self._line.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                data = b""
            if not data:
                raise self._error("it is gone")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode(errors="replace")

    def _error(self, what: str) -> GuestError:
        console = self._console.read_bytes()[-CONSOLE_TAIL:].decode(errors="replace")
        return GuestError(f"the virtual machine: {what}\n--- end of its console ---\n{console}")


def blank_disk(path: Path, megabytes: int) -> Path:
    """An empty disk for a machine; it takes no room until it is written to."""
    with path.open("wb") as file:
        file.truncate(megabytes << 20)
    return path

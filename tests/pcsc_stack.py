"""The real PC/SC stack for tests: a pcscd of our own, with vpcd's two readers, and cards that are laid on them.

pcscd runs in a network namespace of its own, because vpcd listens on every address, and in a mount namespace of its
own, so that it leaves alone the pcscd that the machine may have. Nothing but its socket, in a directory of the test's,
can be reached from outside.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

PORTS = (0x8C7B, 0x8C7C)
"""vpcd's, one a reader: "Virtual PCD 00 00" and "00 01"."""

READY_S = 20.0
CLONE_NEWNET = 0x40000000
ATR = bytes.fromhex("3B80800101")
"""T=0 and T=1, no historical bytes, as PC/SC makes one for a contactless card (part 3, 3.1.3.2.3)."""

Answer = Callable[[bytes], bytes | None]
"""What a card answers to a command APDU; None and it is taken away instead."""


def missing() -> str | None:
    """Why there can be no stack here, or None."""
    if importlib.util.find_spec("smartcard") is None:
        return "pyscard is not installed"
    if os.geteuid() != 0:
        return "only root may start a pcscd of its own"
    for program in ("pcscd", "unshare", "ip", "mount"):
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            return f"{program} is not installed"
    if not any(Path("/etc/reader.conf.d").glob("*vpcd*")):
        return "vsmartcard-vpcd is not installed"
    if subprocess.run(["unshare", "-n", "-m", "true"], capture_output=True).returncode != 0:
        return "namespaces can't be made here"
    return None


class Pcscd:
    """One pcscd, which may be killed and started again."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "pcscd.comm"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers and its readers are there."""
        assert self._process is None
        self.socket.unlink(missing_ok=True)
        script = (
            'ip link set lo up && mount -t tmpfs none /run && mkdir /run/pcscd && mount --bind "$0" /run/pcscd && '
            "exec pcscd --foreground --critical"
        )
        self._process = subprocess.Popen(
            ["unshare", "-n", "-m", "sh", "-c", script, str(self.socket.parent)],
            env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        ends = time.monotonic() + READY_S
        while not self._ready():
            assert self._process.poll() is None, "pcscd ended"
            assert time.monotonic() < ends, "pcscd doesn't answer"
            time.sleep(0.02)

    def _ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket))
                for port in PORTS:
                    self.connect(port).close()
            except OSError:
                return False
        return True

    def connect(self, port: int) -> socket.socket:
        """A connection to vpcd, made inside its namespace: a socket stays in the one where it was made."""
        assert self._process is not None
        pid = self._process.pid
        made: list[socket.socket] = []
        failed: list[OSError] = []

        def inside() -> None:
            libc = ctypes.CDLL(None, use_errno=True)
            try:
                with Path(f"/proc/{pid}/ns/net").open("rb") as namespace:
                    if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                made.append(socket.create_connection(("127.0.0.1", port), timeout=READY_S))
            except OSError as error:
                failed.append(error)

        thread = threading.Thread(target=inside)  # with its namespace it ends
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        made[0].settimeout(None)
        return made[0]

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and answers nothing, as one that hangs."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


@functools.cache
def _directory() -> Path:
    """Where pcscd's socket is. One place for the process: the client library remembers where it looked first."""
    made = tempfile.mkdtemp(prefix="edged-pcsc-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


@contextlib.contextmanager
def running() -> Iterator[Pcscd]:
    """A pcscd that PC/SC clients of this process, and of its children, talk to."""
    pcscd = Pcscd(_directory())
    os.environ["PCSCLITE_CSOCK_NAME"] = str(pcscd.socket)
    try:
        pcscd.start()
        yield pcscd
    finally:
        pcscd.kill()


class Card:
    """A card on a connection that speaks vpcd's protocol: two octets of length, then what is sent."""

    def __init__(self, connection: socket.socket, answer: Answer) -> None:
        self._connection = connection
        self._answer = answer
        self.commands: list[bytes] = []
        self.powered: list[int] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def remove(self) -> None:
        """Take it off the reader."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def resets(self) -> int:
        """How often it was reset or powered off."""
        return self.powered.count(2) + self.powered.count(0)

    def _serve(self) -> None:
        with suppress(OSError, EOFError):
            while True:
                message = self._take(int.from_bytes(self._take(2), "big"))
                if message == b"\x04":
                    self._send(ATR)
                elif len(message) > 1:
                    self.commands.append(message)
                    answer = self._answer(message)
                    if answer is None:
                        break
                    self._send(answer)
                else:
                    self.powered.append(message[0])
        self._connection.close()

    def _take(self, octets: int) -> bytes:
        taken = b""
        while len(taken) < octets:
            if self._connection.family != socket.AF_UNIX:
                # vpcd sends length and payload apart; without this the second waits for a delayed acknowledgement.
                self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            more = self._connection.recv(octets - len(taken))
            if not more:
                raise EOFError
            taken += more
        return taken

    def _send(self, payload: bytes) -> None:
        self._connection.sendall(len(payload).to_bytes(2, "big") + payload)

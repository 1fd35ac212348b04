"""A real mosquitto as a child process, on loopback, with the product's own configuration and access list."""

from __future__ import annotations

import getpass
import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Final

from edged.central.mosquitto import Access, Listener, access_list, configuration
from edged.errors import CodedError
from edged.leash import leashed

if TYPE_CHECKING:
    from pathlib import Path

    from edged.demo.fleet import DemoFleet

HOST: Final = "127.0.0.1"
START_TIMEOUT_S: Final = 10.0  # mosquitto takes 20 ms; a loaded machine with a large store, seconds
STOP_TIMEOUT_S: Final = 5.0
_SBIN: Final = "/usr/sbin:/usr/local/sbin"  # Debian's place for it, missing in most people's PATH
_POLL_S: Final = 0.01


class BrokerError(CodedError):
    """The broker can't be started."""


class DemoBroker:
    """One mosquitto and its files. It keeps its port and its store over kills and restarts.

    All methods but `spawn` block: starting takes some tens of milliseconds. `leash`: it is killed when the
    thread that called `spawn` (or `start`) ends. `revoked`: its revocation list, which has to be there when it starts.

    Attributes:
        port: TCP port on `HOST`.
        log: the file that mosquitto's log goes to.
    """

    def __init__(
        self,
        directory: Path,
        fleet: DemoFleet,
        access: Access,
        *,
        leash: bool = False,
        revoked: Path | None = None,
    ) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.port = _free_port()
        self.log = directory / "mosquitto.log"
        self._configuration = directory / "mosquitto.conf"
        command = (_find_mosquitto(), "-c", str(self._configuration))
        self._command = leashed(command) if leash else command
        self._process: subprocess.Popen[bytes] | None = None
        files = fleet.issue_server("broker", (HOST, "localhost"))
        listener = Listener(
            port=self.port,
            address=HOST,
            ca=fleet.ca,
            certificate=files.certificate,
            key=files.key,
            access_list=directory / "mosquitto.acl",
            persistence=directory,
            # Started by root it would become `mosquitto`, who can't read a key of mode 0600.
            user=getpass.getuser(),
            revoked=revoked,
        )
        listener.access_list.write_text(access_list(access))
        listener.access_list.chmod(0o600)
        self._configuration.write_text(configuration(listener))

    @property
    def pid(self) -> int | None:
        """Process id, or None when it isn't running."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def is_running(self) -> bool:
        """Whether the process lives."""
        return self.pid is not None

    def start(self) -> None:
        """Start it and return when it accepts connections. Raises `BrokerError`."""
        self.spawn()
        self.wait_until_up()

    def spawn(self) -> None:
        """Start it; it needs some time until it accepts connections."""
        assert not self.is_running()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C on the terminal is for the demo, which stops us in order
            )

    def wait_until_up(self) -> None:
        """Return when it accepts connections. Raises `BrokerError` when it ends instead, or takes too long."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._accepts():
            if not self.is_running():
                raise BrokerError("demo.broker_failed", log=str(self.log))
            if time.monotonic() > deadline:
                self.kill()
                raise BrokerError("demo.broker_failed", log=str(self.log))
            time.sleep(_POLL_S)

    def _accepts(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), timeout=1):
                return True
        except OSError:
            return False

    def kill(self) -> None:
        """`kill -9`: whatever it hadn't saved is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Stop it in order; it saves its store."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Kill it and start it again, on the same port and store."""
        self.kill()
        self.start()

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)  # does nothing to a process that has ended
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def _find_mosquitto() -> str:
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path=_SBIN)
    if found is None:
        raise BrokerError("demo.no_mosquitto")
    return found


def _free_port() -> int:
    """A port that is free now; nobody else on loopback asks for this very one in the next milliseconds."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port

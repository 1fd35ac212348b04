"""Networks of the kernel's own: `python -m tests.proof.network SCENARIO`, inside namespaces that it makes itself.

The box lives at one end of a veth pair, everybody else at the other. Bandwidth is tc's TBF with a deep queue (as a
mobile network has), loss and partitions are nftables'. No root is needed where the kernel lets users have namespaces.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edged.demo import broker
from tests.proof.parties import Place, Process, until

CENTRE, BOX = "10.77.0.1", "10.77.0.2"
_INSIDE = "EDGED_PROOF_NAMESPACE"


def missing() -> str | None:
    """Why there can be no namespaces here; None when there can."""
    for tool, package in (
        ("ip", "iproute2"),
        ("tc", "iproute2"),
        ("nft", "nftables"),
        ("nsenter", "util-linux"),
    ):
        if shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            return f"{tool} is not installed (Debian: {package})"
    probe = "ip link add probe0 type veth peer name probe1 && nft add table inet probe"
    done = subprocess.run(["unshare", "-rn", "sh", "-c", probe], capture_output=True, text=True, env=_paths())
    return None if done.returncode == 0 else f"no network namespaces here: {done.stderr.strip()[-200:]}"


def _paths() -> dict[str, str]:
    return {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}


def run(scenario: str) -> None:
    """Run a scenario in namespaces of its own. Raises `AssertionError` with what it printed when it fails."""
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, "-m", "tests.proof.network", scenario],
        capture_output=True,
        text=True,
        timeout=580,
        env={**_paths(), _INSIDE: "1"},
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def sh(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


class Net:
    """The pair of namespaces. `up` shapes what the box sends, `down` what it gets."""

    def __init__(self) -> None:
        sh("ip", "link", "set", "lo", "up")
        self._holder = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
        until(lambda: self._other() != Path("/proc/self/ns/net").readlink(), 5, "a namespace")
        self.inside = ["nsenter", "-t", str(self._holder.pid), "-n"]
        sh(
            "ip",
            "link",
            "add",
            "centre0",
            "type",
            "veth",
            "peer",
            "name",
            "box0",
            "netns",
            str(self._holder.pid),
        )
        sh("ip", "addr", "add", f"{CENTRE}/24", "dev", "centre0")
        sh("ip", "link", "set", "centre0", "up")
        for command in (
            ("ip", "link", "set", "lo", "up"),
            ("ip", "addr", "add", f"{BOX}/24", "dev", "box0"),
            ("ip", "link", "set", "box0", "up"),
        ):
            sh(*self.inside, *command)
        sh("nft", "add table inet fault")
        for chain, hook in (("up", "input"), ("down", "output")):
            sh("nft", f"add chain inet fault {chain} {{ type filter hook {hook} priority 0; }}")

    def _other(self) -> Path:
        with contextlib.suppress(OSError):
            return Path(f"/proc/{self._holder.pid}/ns/net").readlink()
        return Path("/proc/self/ns/net").readlink()

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()

    def rate(self, kbit: int, queue: str = "latency 3000ms") -> None:
        """So many kilobits a second each way, behind a deep queue."""
        for prefix, device in (([], "centre0"), (self.inside, "box0")):
            sh(
                *prefix,
                *f"tc qdisc replace dev {device} root tbf rate {kbit}kbit burst 3000 {queue}".split(),
            )

    def rule(self, chain: str, what: str) -> None:
        """`what` happens to packets of the box (`up`) or for it (`down`)."""
        match = f"ip saddr {BOX}" if chain == "up" else f"ip daddr {BOX}"
        sh("nft", f"add rule inet fault {chain} {match} {what}")

    def loss(self, percent: int) -> None:
        for chain in ("up", "down"):
            self.rule(chain, f"numgen random mod 100 < {percent} drop")

    def cut(self, *chains: str) -> None:
        for chain in chains or ("up", "down"):
            self.rule(chain, "drop")

    def heal(self) -> None:
        for chain in ("up", "down"):
            sh("nft", f"flush chain inet fault {chain}")


class World:
    """A place whose broker listens at the centre's end, and whose box is at the other."""

    def __init__(self, directory: Path) -> None:
        broker.HOST = CENTRE  # type: ignore[misc]  # its address and its certificate's name; this process has one
        self.net = Net()
        self.place = Place(directory, workers=1, audiences=("bank",))
        self.place.host = CENTRE
        self.processes: list[Process] = []

    def start(self, process: Process) -> Process:
        self.processes.append(process)
        process.start()
        return process

    def box(self, **settings: Any) -> Process:
        """The box at its end of the line: impatient, so that scenarios aren't long."""
        from edged.uplink.names import Role

        endpoint = self.place.endpoint(Role.DEVICE, "box-1", answer_timeout_s=3.0, keepalive_s=3)
        return self.place.box("box-1", endpoint=endpoint, prefix=self.net.inside, **settings)

    def heard(self, kind: str, party: str = "box-1") -> int:
        return self.place.events.get(party, {}).get(kind, 0)

    def close(self) -> None:
        for process in self.processes:
            process.kill()
        self.place.broker.kill()
        self.net.close()

    def settled(self, seconds: float = 60.0) -> None:
        """Nothing pending, and the archive has exactly what the box committed."""
        until(lambda: self.place.said and not self.place.pending(), seconds, "everything receipted")
        archive = self.place.archived()
        assert archive.alarms == 0
        assert {k: kept.hashes for k, kept in archive.streams.items()} == self.place.committed()


@contextlib.contextmanager
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory() as name:
        made = World(Path(name))
        try:
            made.place.broker.start()
            made.start(made.place.worker("worker-1"))
            until(lambda: made.heard("ready", "worker-1"), 20, "a collector")
            yield made
        finally:
            made.close()


def narrow(kbit: int, backlog: int) -> None:
    """A fresh verdict amid a backlog, on a narrow line with a deep queue: it overtakes nearly all of the backlog."""
    with world() as here:
        # As after days offline: filled while the line is cut.
        here.net.cut()
        box = here.start(here.box(first=backlog))
        until(lambda: len(here.place.said) >= backlog, 60, "a backlog")
        here.net.heal()
        here.net.rate(kbit)
        until(lambda: here.heard("connected") or here.heard("Connected"), 60, "a connection")
        until(lambda: _archived(here) >= 5, 120, "the drain")
        before = _archived(here)
        os.kill(box.pid or 0, signal.SIGUSR1)  # somebody stands at the counter
        until(lambda: len(here.place.said) > backlog, 30, "a fresh verdict")
        fresh = max(seq for _, _, seq in here.place.said)
        until(lambda: fresh in _numbers(here), 240, "the fresh verdict")
        overtaken = backlog - (len(_numbers(here)) - 1)
        print(
            f"at {kbit} kbit/s: {before} of {backlog} were there when a verdict was committed; {overtaken}"
            " were still to come when it arrived"
        )
        assert overtaken > (backlog - before) / 2, "the fresh verdict waited behind the backlog"
        here.net.rate(20_000)
        here.settled(240)


def _archived(here: World) -> int:
    return len(_numbers(here))


def _numbers(here: World) -> set[int]:
    from edged.errors import StateError

    with contextlib.suppress(StateError):
        return {seq for kept in here.place.archived().streams.values() for seq in kept.hashes}
    return set()


def lossy(percent: int, envelopes: int) -> None:
    """Packets get lost, both ways, all the time."""
    with world() as here:
        here.net.loss(percent)
        here.start(here.box(rate=20.0, burst=5, first=5))
        until(lambda: len(here.place.said) >= envelopes, 240, "commits")
        here.processes[-1].kill()
        here.start(here.box())
        here.settled(240)


def blink() -> None:
    """A cut that is shorter than anybody's patience: TCP mends it, nothing comes twice."""
    with world() as here:
        box = here.start(here.box(first=5))
        until(lambda: len(here.place.said) >= 5 and not here.place.pending(), 30, "the first")
        here.net.cut()
        os.kill(box.pid or 0, signal.SIGUSR1)
        until(lambda: len(here.place.said) >= 6, 10, "one more")
        here.net.heal()
        here.settled(60)
        assert not here.heard("Disconnected")
        assert not sum(kept.duplicates for kept in here.place.archived().streams.values())


def partitions(times: int, *chains: str) -> None:
    """The line is cut again and again, both ways or one way, while the box drains and commits."""
    with world() as here:
        here.net.rate(600)
        box = here.start(here.box(rate=15.0, burst=8, first=40))
        for turn in range(times):
            until(lambda turn=turn: here.heard("Connected") > turn, 60, "a connection")
            until(lambda turn=turn: len(here.place.said) >= 40 + 5 * turn, 60, "commits")
            here.net.cut(*chains)
            until(lambda turn=turn: here.heard("Disconnected") > turn, 60, "the box noticing")
            here.net.heal()
            seen = here.heard("Disconnected")
            until(lambda seen=seen, turn=turn: here.heard("Connected") > turn + 1 or seen, 60)
        box.kill()
        here.start(here.box())
        here.settled(120)


SCENARIOS: dict[str, Callable[[], None]] = {
    "blink": blink,
    "narrow": lambda: narrow(400, 120),
    "narrow-16": lambda: narrow(16, 60),
    "lossy": lambda: lossy(5, 60),
    "lossy-25": lambda: lossy(25, 200),
    "partition": lambda: partitions(1),
    "partitions": lambda: partitions(8),
    "deaf": lambda: partitions(3, "down"),
    "mute": lambda: partitions(3, "up"),
}
FAST = ("blink",)
SLOW = ("partition", "narrow", "lossy", "narrow-16", "lossy-25", "partitions", "deaf", "mute")


def main() -> int:
    if os.environ.get(_INSIDE) != "1":
        os.execvpe(
            "unshare",
            ["unshare", "-rn", sys.executable, "-m", "tests.proof.network", *sys.argv[1:]],
            {**_paths(), _INSIDE: "1"},
        )
    for scenario in sys.argv[1:] or SCENARIOS:
        began = time.monotonic()
        SCENARIOS[scenario]()
        print(f"{scenario}: well, in {time.monotonic() - began:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

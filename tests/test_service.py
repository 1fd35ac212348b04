"""What the service manager hears, over real datagrams."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edged import service


@pytest.mark.parametrize("abstract", [False, True])
def test_notifications_arrive(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"edged-test-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name if abstract else name)
        manager.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name if abstract else name)
        service.notify("READY=1", "STATUS=ready")
        assert manager.recv(4096) == b"READY=1\nSTATUS=ready"


def test_without_a_service_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    service.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    service.notify("READY=1")
    assert not (tmp_path / "nobody").exists()


def test_a_manager_that_does_not_read_is_not_waited_for(tmp_path: Path) -> None:
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        queue = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text())
        # In a process of its own: one that waits can't be stopped from inside.
        code = f"from edged import service\nfor _ in range({queue + 10}): service.notify('WATCHDOG=1')"
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "NOTIFY_SOCKET": name}, timeout=60, check=True
        )
        assert manager.recv(4096) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("allowed", "interval"), [("30000000", 15.0), ("0", None), ("soon", None), ("", None), (None, None)]
)
def test_signs_of_life_come_twice_as_often_as_they_must(
    allowed: str | None, interval: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if allowed is None:
        monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    else:
        monkeypatch.setenv("WATCHDOG_USEC", allowed)
    assert service.watchdog_interval() == interval

"""What the service manager hears, over real datagrams."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from edged import service


@pytest.mark.parametrize("abstract", [False, True])
def test_notifications_arrive(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"edged-test-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name if abstract else name)
        manager.settimeout(2)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name if abstract else name)
        service.notify("READY=1", "STATUS=ready")
        assert manager.recv(4096) == b"READY=1\nSTATUS=ready"


def test_without_a_service_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    service.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    service.notify("READY=1")
    assert not (tmp_path / "nobody").exists()


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

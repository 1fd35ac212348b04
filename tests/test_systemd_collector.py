"""The collector's unit is accepted by systemd itself and exposes no more than it must."""

from __future__ import annotations

import re
import shutil
import sys
from configparser import RawConfigParser
from typing import TYPE_CHECKING

from tests.test_systemd import THRESHOLD, UNITS, analyze, create, needs_systemd

if TYPE_CHECKING:
    from pathlib import Path

UNIT = UNITS / "edged-collector@.service"


def settings() -> RawConfigParser:
    unit = RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT, encoding="utf-8")
    return unit


def runnable(directory: Path) -> Path:
    """An instance of the unit with an existing program in place of /usr/bin/edged, which tests don't install."""
    unit = directory / "edged-collector@one.service"
    text = UNIT.read_text(encoding="utf-8")
    assert "ExecStart=/usr/bin/edged central collect --config /etc/edged-central/%i.toml" in text
    unit.write_text(
        text.replace("ExecStart=/usr/bin/edged ", f"ExecStart={sys.executable} "), encoding="utf-8"
    )
    return unit


@needs_systemd
def test_unit_is_understood_completely(tmp_path: Path) -> None:
    verified = analyze("verify", "--man=no", "--recursive-errors=no", str(runnable(tmp_path)))
    assert verified.returncode == 0, verified.stderr
    # An unknown or misspelt setting is only a warning to systemd, and then protects nothing.
    assert "edged-collector" not in verified.stderr


@needs_systemd
def test_unit_exposure_is_at_most_one_and_a_half(tmp_path: Path) -> None:
    unit = tmp_path / "edged-collector@one.service"
    shutil.copy(UNIT, unit)
    rated = analyze("security", "--offline=true", "--no-pager", f"--threshold={THRESHOLD}", str(unit))
    assert rated.returncode == 0, rated.stdout
    score = re.search(r"Overall exposure level for edged-collector@one.service: ([0-9.]+)", rated.stdout)
    assert score is not None
    assert float(score[1]) <= THRESHOLD / 10


def test_unit_is_what_the_collector_is_written_for() -> None:
    service = settings()["Service"]
    # It doesn't notify; a configuration error (EX_CONFIG) must stay visible instead of becoming a restart loop.
    assert service["Type"] == "exec"
    assert service["RestartPreventExitStatus"] == "78"
    assert service["Restart"] == "always"
    assert service["StateDirectoryMode"] == "0700"
    assert service["UMask"] == "0077"


def test_the_service_user_is_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    create("systemd-sysusers", "edged-central.sysusers", tmp_path)
    users = (tmp_path / "etc/passwd").read_text(encoding="utf-8")
    user = settings()["Service"]["User"]
    assert re.search(rf"^{user}:.*:/var/lib/{user}:", users, re.MULTILINE)

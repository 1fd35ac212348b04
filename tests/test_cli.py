"""The `edged` command: help, version, usage errors, and that it stays light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edged import __version__
from edged.cli import COMMANDS, main


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"edged {__version__}\n"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert all(name in printed and command.help in printed for name, command in COMMANDS.items())


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_of_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert "--lang" in capsys.readouterr().out


def test_without_a_command_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 64
    assert "usage: edged" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["dance"], ["scan", "--scene", "casino"], ["run"]])
def test_usage_errors_end_with_ex_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 64
    assert "edged" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["scan", "cancel", "complete", "status"])
def test_without_a_daemon_the_command_says_so(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--socket", str(tmp_path / "none.sock"), "--lang", "en"]) == 69
    assert "No edged daemon is running here" in capsys.readouterr().err
    assert main([command, "--socket", str(tmp_path / "none.sock"), "--lang", "zh-CN"]) == 69
    assert "没有运行" in capsys.readouterr().err


def test_the_command_line_imports_nothing_heavy() -> None:
    code = (
        "import sys, edged.cli\n"
        "try: edged.cli.main(['scan', '--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('cv2', 'numpy', 'aiomqtt', 'sqlite3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"

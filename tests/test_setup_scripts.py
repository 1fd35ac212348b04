"""The scripts a newcomer meets first: they stop with a sentence, and a second run starts in seconds."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from edged.emulator import pcsc_stack

ROOT = Path(__file__).parents[1]
SCRIPTS = ("run-demo", "run-tests", "tools/setup.sh", ".ci/run")
UNIX_TOOLS = (
    "bash",
    "cat",
    "cut",
    "dirname",
    "env",
    "find",
    "flock",
    "grep",
    "head",
    "id",
    "mktemp",
    "printf",
)
UNIX_TOOLS += ("rm", "sed", "sh", "sha256sum", "sort", "tail", "tr")


def setup(tree: Path, purpose: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tree / "tools/setup.sh", purpose],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with the set-up script and nothing that could be installed."""
    root = tmp_path / "checkout"
    (root / "tools").mkdir(parents=True)
    (root / "edged/core").mkdir(parents=True)
    shutil.copy(ROOT / "tools/setup.sh", root / "tools")
    (root / "pyproject.toml").write_text("this is not TOML", encoding="utf-8")
    (root / "setup.py").write_text("", encoding="utf-8")
    (root / "edged/core/_fastmrz.pyx").write_text("", encoding="utf-8")
    return root


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A PATH with the usual tools, and without compiler, sudo or apt."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in UNIX_TOOLS:
        if found := shutil.which(name):
            (directory / name).symlink_to(found)
    return directory


def fake(directory: Path, name: str, body: str) -> None:
    program = directory / name
    program.unlink(missing_ok=True)
    program.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    program.chmod(0o755)


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_is_executable_and_parses(script: str) -> None:
    path = ROOT / script
    assert os.access(path, os.X_OK)
    shell = "bash" if "bash" in path.read_text(encoding="utf-8").splitlines()[0] else "sh"
    parsed = subprocess.run([shell, "-n", path], capture_output=True, text=True, timeout=30)
    assert parsed.returncode == 0, parsed.stderr


def test_unknown_purpose_stops(tree: Path) -> None:
    stopped = setup(tree, "everything")
    assert stopped.returncode == 1
    assert last_line(stopped.stderr).startswith("setup: stopped: unknown purpose")


def test_neither_root_nor_sudo_stops(tree: Path, bare_path: Path) -> None:
    fake(bare_path, "id", "echo 1000")
    fake(bare_path, "apt-get", "echo must not be called >&2; exit 9")
    stopped = setup(tree, "demo", PATH=str(bare_path))
    assert stopped.returncode == 1
    assert "gcc" in last_line(stopped.stderr)
    assert "needs root" in last_line(stopped.stderr)
    assert "must not be called" not in stopped.stderr


def test_another_system_stops(tree: Path, bare_path: Path) -> None:
    stopped = setup(tree, "demo", PATH=str(bare_path))
    assert stopped.returncode == 1
    assert "no apt-get" in last_line(stopped.stderr) or "no usable Python" in last_line(stopped.stderr)


def test_packages_that_cannot_be_fetched_stop(tree: Path, bare_path: Path) -> None:
    fake(bare_path, "id", "echo 0")
    fake(bare_path, "apt-get", "echo E: Could not resolve mirror.example >&2; exit 100")
    stopped = setup(tree, "demo", PATH=str(bare_path))
    assert stopped.returncode == 1
    assert "Could not resolve" in stopped.stderr
    assert last_line(stopped.stderr).startswith("setup: stopped: apt-get could not install")


def test_without_a_virtual_reader_and_without_root_it_goes_on(tree: Path, tmp_path: Path) -> None:
    if why := pcsc_stack.missing():
        pytest.skip(why)
    fakes = tmp_path / "fakes"
    fakes.mkdir()
    fake(fakes, "id", "echo 1000")
    for name in ("apt-get", "sudo"):
        fake(fakes, name, "echo E: nobody may >&2; exit 100")
    hidden = ["sh", "-c", 'mount -t tmpfs tmpfs /etc/reader.conf.d && exec "$@"', "-"]
    done = subprocess.run(
        [*pcsc_stack._unshare(), *hidden, tree / "tools/setup.sh", "demo"],
        env={**os.environ, "PATH": f"{fakes}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert "going on without vsmartcard-vpcd" in done.stderr
    assert last_line(done.stderr).startswith("setup: stopped: the installation failed"), "of this tree"


def test_a_failed_build_stops_and_is_tried_again(tree: Path) -> None:
    stopped = setup(tree, "demo")
    assert stopped.returncode == 1
    assert last_line(stopped.stderr).startswith("setup: stopped: the installation failed")
    assert not (tree / ".venv/edged-setup.stamp").exists()


def test_second_run_starts_in_seconds() -> None:
    began = time.monotonic()
    checked = setup(ROOT, "check")
    took = time.monotonic() - began
    if checked.returncode:
        pytest.skip("this checkout was not set up with tools/setup.sh, or has changed since")
    assert "up to date" in checked.stderr
    assert took < 10

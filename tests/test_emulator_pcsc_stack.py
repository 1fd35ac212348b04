"""The demo's own PC/SC service: where its directory may lie."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest

from edged.emulator import pcsc_stack

WAIT_FOR_SOCKET = "echo made >{0}/file; until [ -S {0}/pcscd.comm ]; do :; done"


@pytest.mark.parametrize("parent", ["/tmp", "/run"])
def test_pcscds_socket_and_the_emulators_files_are_in_the_directory(parent: str) -> None:
    if why := pcsc_stack.missing():
        pytest.skip(why)
    try:
        made = tempfile.TemporaryDirectory(dir=parent)
    except PermissionError:
        pytest.skip(f"{parent} is not for this user")
    with made as directory:
        emulator = ("sh", "-c", WAIT_FOR_SOCKET.format(directory))
        done = subprocess.run(
            pcsc_stack.command(Path(directory), emulator),
            env=pcsc_stack.environment(),
            capture_output=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        assert Path(directory, "file").read_text(encoding="ascii") == "made\n"
        assert Path(directory, "pcscd.comm").is_socket()


@pytest.mark.parametrize("refused", ["mount", "ip"])
def test_namespaces_in_which_nothing_may_be_done_are_as_good_as_none(
    refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container may allow namespaces and forbid to mount anything in them."""
    if why := pcsc_stack.missing():
        pytest.skip(why)
    program = tmp_path / refused
    program.write_text("#!/bin/sh\nexit 32\n", encoding="ascii")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert pcsc_stack.missing() == "emulate.no_namespaces"

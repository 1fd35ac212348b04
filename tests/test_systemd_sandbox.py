"""The daemon does its work under the rules that `systemd/edged.service` puts on it."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import pcsc_stack
from tests.box import EDGED, Box

SANDBOX = Path(__file__).with_name("sandbox.py")
SERVICE = Path(__file__).parents[1] / "systemd/edged.service"
ENCLOSED = (sys.executable, str(SANDBOX), str(SERVICE))


def unavailable() -> str | None:
    if shutil.which("systemd-analyze") is None:
        return "systemd-analyze, which knows the groups of system calls, is not installed"
    try:
        ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return "libseccomp is not installed"
    return None


pytestmark = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))


@pytest.mark.parametrize(
    "attempt",
    [
        "import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)",
        "import time; time.clock_settime(time.CLOCK_REALTIME, time.time())",
        "import os; os.setuid(65534)",
        "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "import os; os.chroot('/')",
    ],
    ids=["writable code", "clock", "another user", "raw network", "another root"],
)
def test_the_sandbox_holds(attempt: str) -> None:
    tried = subprocess.run(
        [*ENCLOSED, sys.executable, "-c", attempt], capture_output=True, text=True, timeout=30
    )
    assert "PermissionError" in tried.stderr


async def test_a_document_is_read_judged_and_committed_inside_it(tmp_path: Path) -> None:
    async with Box(tmp_path, command=(*ENCLOSED, *EDGED)) as box:
        answer = await box.scan("passport")
        assert answer["outcome"] == "committed"
        assert answer["verdict"]["result"] == "successful"
        # Under UMask=0077: the control socket is for the group, everything kept is for edged alone.
        assert (tmp_path / "control.sock").stat().st_mode & 0o777 == 0o660
        assert [path for path in (tmp_path / "state").iterdir() if path.stat().st_mode & 0o077] == []
    assert box.process.returncode == 0


def test_a_push_a_renewal_and_commands_work_inside_it() -> None:
    """As one of its fleet: metadata is verified, versions switched, files fetched, keys renewed, commands obeyed."""
    here = Path(__file__).parent
    chosen = (
        "test_push_agent.py::test_a_push_is_put_in_force_and_survives_a_restart",
        "test_push_agent.py::test_artefacts_lost_by_the_box_are_got_again",
        "test_artefact.py::test_a_file_with_several_tables",
        "test_enrol_renewal.py::test_a_lost_answer_is_asked_for_again_with_the_same_key",
        "test_command_journal.py::test_a_restart_is_answered_before_and_completed_after",
        "test_commanded.py::test_what_a_box_answers_after_inspections_has_nobodys_document_in_it",
    )
    pytest_ = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0")
    ran = subprocess.run(
        [*ENCLOSED, *pytest_, *(str(here / one) for one in chosen)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=here.parent,
    )
    assert ran.returncode == 0, ran.stdout
    assert f"{len(chosen)} passed" in ran.stdout


def test_chip_readers_are_reached_inside_it() -> None:
    """pcscd's socket can be talked to, as pyscard does it."""
    if why := pcsc_stack.missing():
        pytest.skip(why)
    with pcsc_stack.running():
        listed = subprocess.run(
            [*ENCLOSED, *EDGED, "chip", "read", "--list", "--json"],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert listed.returncode == 0, listed.stderr
    assert [reader["kind"] for reader in json.loads(listed.stdout)["readers"]] == ["used", "free"]

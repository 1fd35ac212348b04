"""A process that holds raw identity can't be made to write it to the disk by crashing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.box import SPECIMENS, Box

TELL = "import ctypes, resource; print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3))"


def core_limits(pid: int) -> list[str]:
    """Soft and hard limit of a process, as /proc tells them."""
    (line,) = [
        line
        for line in Path(f"/proc/{pid}/limits").read_text().splitlines()
        if line.startswith("Max core file size")
    ]
    return line.removeprefix("Max core file size").split()[:2]


def test_core_dumps_are_forbidden_in_a_process_that_allowed_them() -> None:
    code = f"{TELL}\nfrom edged.process import forbid_core_dumps; forbid_core_dumps()\n{TELL}"
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import resource; resource.setrlimit(resource.RLIMIT_CORE, ({hard}, {hard}))\n{code}",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert told == [f"({hard}, {hard}) 1", "(0, 0) 0"]


def test_a_sandbox_that_refuses_the_limit_is_no_reason_not_to_start() -> None:
    code = (
        "import resource\n"
        "def refuse(*_): raise ValueError('not allowed to raise maximum limit')\n"
        "resource.setrlimit = refuse\n"
        "from edged.process import forbid_core_dumps; forbid_core_dumps()\n"
        "import ctypes; print(ctypes.CDLL(None).prctl(3))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == "0\n"


LAUNCHER = """
import ctypes, json, os, resource, sys
os.umask(0)  # somebody else's generous umask
from edged.cli import main
code = main()
print(json.dumps({"dumpable": ctypes.CDLL(None).prctl(3)}), file=sys.stderr)
sys.exit(code)
"""


async def test_the_daemon_forbids_core_dumps_and_keeps_its_files_to_itself(tmp_path: Path) -> None:
    async with Box(tmp_path, command=(sys.executable, "-c", LAUNCHER)) as box:
        await box.scan("passport")
        assert core_limits(box.process.pid) == ["0", "0"]
        assert [path.name for path in (tmp_path / "state").iterdir() if path.stat().st_mode & 0o077] == []
        assert (tmp_path / "glass.sock").stat().st_mode & 0o077 == 0
        assert (tmp_path / "control.sock").stat().st_mode & 0o777 == 0o660
    assert box.process.returncode == 0
    assert {"dumpable": 0} in box.log


def test_reading_files_forbids_core_dumps(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.jpg")
    command = [sys.executable, "-c", LAUNCHER, "read", missing]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == os.EX_NOINPUT
    assert json.loads(done.stderr) == {"dumpable": 0}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("read", "--mrz-file", "none", "--trust", "none"), os.EX_DATAERR),
        (("verify", "--sod", "none", "--dg", "1=none"), os.EX_NOINPUT),
    ],
)
def test_reading_chips_forbids_core_dumps(arguments: tuple[str, ...], code: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", LAUNCHER, "chip", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == code
    assert json.loads(done.stderr.splitlines()[-1]) == {"dumpable": 0}


def test_the_unit_forbids_core_dumps_too() -> None:
    unit = Path(__file__).parents[1] / "systemd/edged.service"
    lines = unit.read_text(encoding="utf-8").splitlines()
    assert "LimitCORE=0" in lines
    assert "LimitMEMLOCK=infinity" in lines


def test_memory_is_locked_where_no_limit_stands_in_the_way() -> None:
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_MEMLOCK, (int(sys.argv[1]), int(sys.argv[1])))\n"
        "from edged.process import lock_memory, memory_locked\n"
        "told = lock_memory(), memory_locked()\n"
        "held = bytearray(8 << 20); held[::4096] = b'x' * len(held[::4096])\n"
        "locked = [line for line in open('/proc/self/status') if line.startswith('VmLck')]\n"
        "print(*told, int(locked[0].split()[1]) > 8000)"
    )

    def told(limit: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code, str(limit)], capture_output=True, text=True)

    assert told(1 << 20).stdout == "False False False\n", "a limit isn't run into"
    unlimited = told(resource.RLIM_INFINITY)
    if unlimited.returncode != 0:
        pytest.skip("only root may lift the limit")
    assert unlimited.stdout == "True True True\n"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT, signal.SIGKILL])
async def test_no_core_appears_when_the_daemon_is_killed_mid_scan(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Though whoever started it allows cores of any size; a page lies in memory."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()  # noqa: ASYNC240
    if pattern.startswith("|"):
        pytest.skip("cores go to a pipe here; PR_SET_DUMPABLE is asserted elsewhere")
    generous = (
        "import os, resource, sys; limit = resource.getrlimit(resource.RLIMIT_CORE)[1];"
        "resource.setrlimit(resource.RLIMIT_CORE, (limit, limit)); os.chdir(sys.argv.pop(1));"
        "from edged.cli import main; sys.exit(main())"
    )
    cores = tmp_path / "cores"
    cores.mkdir()
    async with Box(
        tmp_path / "box", command=("env", "--default-signal", sys.executable, "-c", generous, str(cores))
    ) as box:
        await box.hand.place(SPECIMENS["passport"].sides)
        await box.control.call("subscribe")
        scanning = asyncio.ensure_future(box.control.call("scan"))
        async for event in box.control.events():
            if event.get("stage") == "captured":
                break
        assert Path(f"/proc/{box.process.pid}/status").stat().st_uid == 0, "not dumpable: root's"  # noqa: ASYNC240
        assert core_limits(box.process.pid)[0] == "0"
        assert await box.stop(number) == -number
        with contextlib.suppress(Exception):
            await scanning
    named = Path(pattern)
    if named.is_absolute():
        assert list(named.parent.glob(f"*{box.process.pid}*")) == []
    assert list(cores.iterdir()) == []

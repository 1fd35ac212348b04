"""Where tests write, in which order files of tests are run, what must not change from run to run, and what a test must
not leave behind for the next one in its process.
"""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import structlog
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

if TYPE_CHECKING:
    from collections.abc import Generator


# In a new checkout the first text that is drawn has hypothesis make its tables of Unicode, which takes seconds. How
# long an example took says what else the machine was doing, so nothing fails by it.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "edged", settings.get_profile("explore"), derandomize=True, database=None, print_blob=True
)
if os.environ.get("EDGED_EXPLORE") == "1":
    settings.load_profile("explore")
else:
    settings.load_profile("edged")
    # Of the strings and numbers of whatever modules happen to be loaded by then, some would be drawn as well: other
    # examples on each worker, and after each other test.
    providers._get_local_constants = providers.Constants

MEMORY: Final = Path("/dev/shm")
ENOUGH_BYTES: Final = 4 << 30
"""What the tests write, several times over: they leave less than 1 GiB, pytest keeps three runs."""

LONGEST: Final = (
    "test_fleet_page.py",
    "test_leaks.py",
    "test_demo.py",
    "test_taint.py",
    "test_central_page.py",
    "test_leaks_chip.py",
    "test_devices_rig.py",
    "test_push_daemon.py",
    "test_fleet_rollouts.py",
    "test_daemon.py",
    "test_daemon_head.py",
    "test_systemd_sandbox.py",
    "test_counter.py",
    "test_setup_scripts.py",
    "test_forgetting.py",
    "test_enrol_ways_back.py",
    "test_benchmark_chip.py",
)
"""Files that take long for how few tests they have, the longest first."""


def _write_to_memory() -> None:
    """Temporary files go to memory where there is much of it: databases sync every commit, and a disk takes its time.

    Nothing that is proved hangs on the disk: what a power cut leaves is made from recorded writes, or under QEMU.
    """
    if "TMPDIR" in os.environ:
        return
    try:
        state = os.statvfs(MEMORY)
    except OSError:
        return
    runs_programs = not state.f_flag & os.ST_NOEXEC
    if runs_programs and os.access(MEMORY, os.W_OK) and state.f_bavail * state.f_frsize >= ENOUGH_BYTES:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


_write_to_memory()


def pytest_configure(config: pytest.Config) -> None:
    """Files are handed to processes in the order below: xdist's own begins with what has many tests, which is quick."""
    if getattr(config.option, "loadscopereorder", False):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes longest comes first where several processes share the tests, so that all of them end together."""
    if hasattr(config, "workerinput"):
        place = {name: number for number, name in enumerate(LONGEST)}
        items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Umask and logging are as they were: a command that a test runs in this process has libraries say nothing."""
    mask = os.umask(0)
    os.umask(mask)
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    configured = structlog.get_config() if structlog.is_configured() else None
    try:
        return (yield)
    finally:
        os.umask(mask)
        root.setLevel(level)
        root.handlers[:] = handlers
        if configured is None:
            structlog.reset_defaults()
        else:
            structlog.configure(**configured)

"""The units of the helper that installs packages: understood by systemd, and as closed as dpkg allows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edged.pushed.update_request import DIRECTORY
from tests.test_systemd import UNITS, analyze, needs_systemd

HELPER = UNITS / "edged-update.service"
WAY_BACK = UNITS / "edged-update-way-back.service"
PATH = UNITS / "edged-update.path"

THRESHOLD = 36
"""Exposure, in tenths: what has to write to /usr as root can't be closed like the daemon (1.5)."""


def settings(unit: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in unit.read_text(encoding="utf-8").splitlines())
    return {key: value for key, _, value in lines if key and not key.startswith("#")}


@needs_systemd
def test_units_are_understood_completely(tmp_path: Path) -> None:
    for unit in (HELPER, WAY_BACK, PATH):
        text = unit.read_text(encoding="utf-8").replace("/usr/bin/edged ", f"{sys.executable} ")
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    verified = analyze(
        "verify", "--man=no", *(str(tmp_path / unit.name) for unit in (HELPER, WAY_BACK, PATH))
    )
    assert verified.returncode == 0, verified.stderr
    assert "edged-update" not in verified.stderr


@needs_systemd
@pytest.mark.parametrize("unit", [HELPER, WAY_BACK], ids=lambda unit: unit.name)
def test_exposure_is_bounded(unit: Path) -> None:
    rated = analyze("security", "--offline=true", "--no-pager", f"--threshold={THRESHOLD}", str(unit))
    score = re.search(r"Overall exposure level for [^:]*: ([0-9.]+)", rated.stdout)
    assert score is not None
    assert float(score[1]) <= THRESHOLD / 10, rated.stdout


def test_the_helper_has_no_network_and_no_way_to_more_privileges() -> None:
    for unit in (HELPER, WAY_BACK):
        found = settings(unit)
        assert found["PrivateNetwork"] == "yes"
        assert found["RestrictAddressFamilies"] == "AF_UNIX"
        assert found["NoNewPrivileges"] == "yes"
        assert found["ProtectSystem"] == "strict"
        assert "/var/lib/edged" not in found["ReadWritePaths"].split()


def test_the_units_name_the_files_that_the_code_writes() -> None:
    from edged.pushed import package_update, update_request

    assert settings(PATH)["PathChanged"] == (
        f"/var/lib/edged/{update_request.DIRECTORY}/{update_request.REQUEST}"
    )
    way_back = str(update_request.HELPER / package_update.WAY_BACK)
    assert settings(WAY_BACK)["ConditionPathExists"] == way_back
    assert settings(WAY_BACK)["ExecStart"] == f"/bin/sh {way_back}"
    assert settings(HELPER)["StateDirectory"] == update_request.HELPER.name
    assert settings(HELPER)["OnFailure"] == WAY_BACK.name


def test_helper_and_way_back_do_not_call_each_other_without_end() -> None:
    """Each is started by the other, also where the helper can't even begin: on a full disk, say."""
    found = settings(WAY_BACK)
    assert found["StartLimitIntervalSec"] == "1h"
    assert int(found["StartLimitBurst"]) <= 3


def test_the_request_is_watched_on_a_box_that_is_enrolled_after_its_start() -> None:
    """A condition is looked at once, at the boot, when an enrolled box's boot file isn't there yet."""
    assert not [key for key in settings(PATH) if key.startswith("Condition")]
    assert f"/var/lib/edged/{DIRECTORY} 0700 edged edged" in (UNITS / "edged.tmpfiles").read_text()


@needs_systemd
@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg is not installed")
def test_dpkg_works_under_the_helpers_system_calls(tmp_path: Path) -> None:
    """seccomp as the unit has it, around a real installation below another root."""
    from tests.test_package_update import deb

    root = tmp_path / "root"
    (root / "var/lib/dpkg/updates").mkdir(parents=True)
    (root / "var/lib/dpkg/info").mkdir()
    (root / "var/lib/dpkg/status").touch()
    deb(tmp_path, "1.0")
    dpkg = shutil.which("dpkg")
    command = [sys.executable, "-m", "tests.sandbox", str(HELPER), dpkg, f"--root={root}"]
    command += ["--force-not-root", "--force-script-chrootless", "--install", str(tmp_path / "1.0.deb")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=UNITS.parent)
    if "libseccomp" in done.stderr:
        pytest.skip("libseccomp is not installed")
    assert done.returncode == 0, done.stderr
    assert (root / "usr/lib/edged/version").read_text() == "1.0"


@needs_systemd
def test_the_helper_works_under_its_system_calls() -> None:
    """Locks, copies, hashes, signatures: the whole of `edged update`, but for dpkg and systemd."""
    one = str(UNITS.parent / "tests/test_package_update.py::test_the_command_keeps_and_applies")
    pytest_ = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", one)
    done = subprocess.run(
        [sys.executable, "-m", "tests.sandbox", str(HELPER), *pytest_],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=UNITS.parent,
    )
    if "libseccomp" in done.stderr:
        pytest.skip("libseccomp is not installed")
    assert "1 passed" in done.stdout, done.stdout

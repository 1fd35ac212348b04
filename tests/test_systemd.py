"""What `systemd/` ships is accepted by systemd itself and exposes no more than it must."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[1] / "systemd"
SERVICE = UNITS / "edged.service"
ANALYZE = shutil.which("systemd-analyze")
THRESHOLD = 15
"""Exposure ≤ 1.5, in tenths as `--threshold=` wants it."""

needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run([ANALYZE, *arguments], capture_output=True, text=True, timeout=60)


def runnable_copy(directory: Path) -> Path:
    """The unit with an existing program in place of /usr/bin/edged, which tests don't install."""
    unit = directory / SERVICE.name
    text = SERVICE.read_text(encoding="utf-8")
    assert "ExecStart=/usr/bin/edged run --config /etc/edged/edged.toml\n" in text
    unit.write_text(
        text.replace("ExecStart=/usr/bin/edged ", f"ExecStart={sys.executable} "), encoding="utf-8"
    )
    return unit


@needs_systemd
def test_unit_is_understood_completely(tmp_path: Path) -> None:
    verified = analyze("verify", "--man=no", "--recursive-errors=no", str(runnable_copy(tmp_path)))
    assert verified.returncode == 0, verified.stderr
    # An unknown or misspelt setting is only a warning to systemd, and then protects nothing.
    assert "edged.service" not in verified.stderr


@needs_systemd
def test_unit_exposure_is_at_most_one_and_a_half() -> None:
    rated = analyze("security", "--offline=true", "--no-pager", f"--threshold={THRESHOLD}", str(SERVICE))
    assert rated.returncode == 0, rated.stdout
    score = re.search(r"Overall exposure level for edged.service: ([0-9.]+)", rated.stdout)
    assert score is not None
    assert float(score[1]) <= THRESHOLD / 10


@needs_systemd
@pytest.mark.parametrize(
    "drop_in", sorted(UNITS.glob("edged.service.d/*.example")), ids=lambda path: path.name
)
def test_drop_in_is_understood(drop_in: Path, tmp_path: Path) -> None:
    unit = runnable_copy(tmp_path)
    directory = tmp_path / "edged.service.d"
    directory.mkdir()
    shutil.copy(drop_in, directory / drop_in.name.removesuffix(".example"))
    verified = analyze("verify", "--man=no", "--recursive-errors=no", str(unit))
    assert verified.returncode == 0, verified.stderr
    assert "edged.service" not in verified.stderr


def test_unit_is_what_the_daemon_is_written_for() -> None:
    unit = RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(SERVICE, encoding="utf-8")
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["NotifyAccess"] == "main"
    assert 0 < int(service["WatchdogSec"]) <= 60
    assert service["StateDirectoryMode"] == "0700"
    assert service["UMask"] == "0077"
    # Whatever else ends it (a disk that is full, a database to be repaired) is tried again for ever.
    assert service["Restart"] == "always"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    # A configuration error (EX_CONFIG) must stay visible instead of becoming a restart loop.
    assert service["RestartPreventExitStatus"] == "78"


@needs_systemd
def test_a_misspelt_setting_would_be_noticed(tmp_path: Path) -> None:
    unit = runnable_copy(tmp_path)
    unit.write_text(
        unit.read_text(encoding="utf-8").replace("ProtectHome=", "ProtectHomes="), encoding="utf-8"
    )
    verified = analyze("verify", "--man=no", "--recursive-errors=no", str(unit))
    assert "edged.service" in verified.stderr


ENROLMENT = ("edged-enrol.service", "media-edged.mount", "media-edged.automount")


@needs_systemd
@pytest.mark.parametrize("name", ENROLMENT)
def test_a_unit_of_enrolment_is_understood_completely(name: str, tmp_path: Path) -> None:
    for other in (*ENROLMENT, "edged.service"):
        text = (UNITS / other).read_text(encoding="utf-8")
        text = text.replace("ExecStart=/usr/bin/edged ", f"ExecStart={sys.executable} ")
        (tmp_path / other).write_text(text, encoding="utf-8")
    verified = analyze("verify", "--man=no", "--recursive-errors=no", str(tmp_path / name))
    assert verified.returncode == 0, verified.stderr
    assert name not in verified.stderr


@needs_systemd
def test_enrolment_is_exposed_no_more_than_the_daemon() -> None:
    unit = UNITS / "edged-enrol.service"
    rated = analyze("security", "--offline=true", "--no-pager", f"--threshold={THRESHOLD}", str(unit))
    assert rated.returncode == 0, rated.stdout


def test_enrolment_is_over_once_there_are_certificates() -> None:
    from edged.commands.enrol import IDENTITY
    from edged.pushed.identity_files import IdentityFiles
    from edged.uplink.names import Usage

    link = IdentityFiles(IDENTITY).settings(Usage.TLS).directory
    for name in ("edged-enrol.service", "media-edged.automount"):
        assert f"ConditionPathExists=!{link}\n" in (UNITS / name).read_text(encoding="utf-8")
    assert f"--into {IDENTITY} " in (UNITS / "edged-enrol.service").read_text(encoding="utf-8")


def create(program: str, file: str, root: Path) -> None:
    tool = shutil.which(program)
    if tool is None:
        pytest.skip(f"{program} is not installed")
    options = ["--create"] if program == "systemd-tmpfiles" else []
    made = subprocess.run(
        [tool, f"--root={root}", *options, str(UNITS / file)], capture_output=True, text=True, timeout=60
    )
    assert made.returncode == 0, made.stderr


def test_the_service_user_is_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    create("systemd-sysusers", "edged.sysusers", tmp_path)
    users = (tmp_path / "etc/passwd").read_text(encoding="utf-8")
    assert re.search(r"^edged:.*:/var/lib/edged:", users, re.MULTILINE)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give directories to root and edged")
def test_the_directories_are_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "var/lib").mkdir(parents=True)
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nedged:x:987:988::/:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\nedged:x:988:\n")
    create("systemd-tmpfiles", "edged.tmpfiles", tmp_path)
    made = {name: (tmp_path / name).stat() for name in ("etc/edged", "var/lib/edged", "run/edged-handover")}
    assert {name: (stat.st_mode & 0o777, stat.st_uid, stat.st_gid) for name, stat in made.items()} == {
        "etc/edged": (0o755, 0, 0),
        "var/lib/edged": (0o700, 987, 988),
        "run/edged-handover": (0o755, 987, 988),
    }


@needs_systemd
def test_with_the_drop_in_of_the_handover_it_is_exposed_no_more_than_it_may(tmp_path: Path) -> None:
    """It gives up PrivateUsers=, and nothing else."""
    unit = runnable_copy(tmp_path)
    (tmp_path / "edged.service.d").mkdir()
    shutil.copy(
        UNITS / "edged.service.d/handover.conf.example", tmp_path / "edged.service.d" / "handover.conf"
    )
    rated = analyze("security", "--offline=true", "--no-pager", f"--threshold={THRESHOLD}", str(unit))
    assert rated.returncode == 0, rated.stdout
    lost = re.findall(r"^✗ (\w+)=", rated.stdout, re.MULTILINE)
    plain = analyze("security", "--offline=true", "--no-pager", str(SERVICE))
    assert set(lost) - set(re.findall(r"^✗ (\w+)=", plain.stdout, re.MULTILINE)) == {"PrivateUsers"}


def test_the_drop_in_of_the_handover_lets_applications_in_and_be_told_apart() -> None:
    """SO_PEERCRED of a process outside a service's own user namespace is `nobody`, whoever it is."""
    drop_in = (UNITS / "edged.service.d/handover.conf.example").read_text(encoding="utf-8")
    assert "\nPrivateUsers=no\n" in drop_in
    assert "\nReadWritePaths=/run/edged-handover\n" in drop_in
    page = (UNITS.parent / "docs/integration.md").read_text(encoding="utf-8")
    assert 'socket = "/run/edged-handover/handover.sock"' in page


def test_udev_rules_are_well_formed() -> None:
    token = r'[A-Z_]+(\{[A-Za-z_]+\})?(==|!=|=|\+=|:=)"[^"]*"'
    rules = [
        line
        for line in (UNITS / "70-edged.rules").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    assert rules
    for rule in rules:
        assert re.fullmatch(rf"{token}(, {token})*", rule), rule
        # Readable by edged alone: a camera or head any user can open would leak documents past the daemon.
        assert 'GROUP="edged", MODE="0660"' in rule


RULES = UNITS / "edged.polkit.rules"
_ASKED = r"""
const rules = [];
const polkit = { Result: { YES: "yes" }, addRule: (rule) => rules.push(rule) };
eval(require("fs").readFileSync(process.argv[1], "utf-8"));
const ask = (user, id) => rules.map((rule) => rule({ id: id }, { user: user }) || "-").join();
const ids = ["org.debian.pcsc-lite.access_pcsc", "org.debian.pcsc-lite.access_card", "org.freedesktop.login1.reboot"];
console.log(["edged", "mallory"].map((user) => ids.map((id) => ask(user, id)).join(" ")).join("\n"));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="no interpreter for polkit's rules is installed")
def test_the_polkit_rule_lets_edged_and_nobody_else_at_chip_readers_and_nothing_else() -> None:
    asked = subprocess.run(["node", "-e", _ASKED, str(RULES)], capture_output=True, text=True, timeout=60)
    assert asked.stdout == "yes yes -\n- - -\n", asked.stderr


def test_the_polkit_rule_names_the_service_user() -> None:
    assert re.search(r"^User=(.*)$", SERVICE.read_text(encoding="utf-8"), re.MULTILINE)[1] == "edged"  # type: ignore[index]
    assert RULES.read_text(encoding="utf-8").count('subject.user == "edged"') == 1

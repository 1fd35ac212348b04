"""tools/make-deb.sh makes a package that stands alone: what it says of itself, what is in it, and that it runs.

Slow (two minutes, and pip's network), like `tests/test_packaging.py`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import edged
from edged.pushed.dpkg import Dpkg

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg is not installed"),
]

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("deb")
    command = [ROOT / "tools/make-deb.sh", "-o", out, "-f", "0.0.9", "-p", sys.executable]
    made = subprocess.run(command, capture_output=True, text=True, timeout=800)
    assert made.returncode == 0, made.stderr
    return Path(made.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def tree(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What dpkg unpacks."""
    tree = tmp_path_factory.mktemp("tree")
    subprocess.run(["dpkg-deb", "--extract", package, tree], check=True)
    return tree


def test_it_says_what_it_is(package: Path) -> None:
    fields = Dpkg().fields(package)
    assert fields is not None
    assert (fields.package, fields.version, fields.floor) == ("edged", edged.__version__, "0.0.9")
    assert fields.architecture == Dpkg().architecture()


def test_a_floor_above_itself_is_refused(tmp_path: Path) -> None:
    """Before anything is built into it: a slip that would end all updates of every box that has it."""
    wheel = tmp_path / f"edged-{edged.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as made:
        made.writestr("edged/__init__.py", f'__version__ = "{edged.__version__}"\n')
        info = f"edged-{edged.__version__}.dist-info"
        made.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: edged\nVersion: {edged.__version__}\n"
        )
        made.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(f"{info}/RECORD", "")
    command = [
        ROOT / "tools/make-deb.sh",
        "-o",
        tmp_path,
        "-f",
        "999",
        "-p",
        sys.executable,
        "-w",
        wheel,
        "-d",
        tmp_path,
    ]
    stopped = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert stopped.returncode == 1
    assert "floor" in stopped.stderr
    assert not list(tmp_path.glob("*.deb"))


def test_it_runs_from_where_it_is_unpacked(tree: Path) -> None:
    """Without anything of this environment's."""
    base = sys._base_executable  # type: ignore[attr-defined]
    for arguments in (["--version"], ["config", "--help"]):
        ran = subprocess.run([base, "-I", tree / "usr/bin/edged", *arguments], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
    read = subprocess.run(
        [base, "-I", tree / "usr/bin/edged", "read", "--json", ROOT / "edged/specimens/passport.jpg"],
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in read.stderr
    assert read.stdout, read.stderr


def test_it_brings_its_units_and_nothing_of_the_machine_it_was_built_on(tree: Path) -> None:
    units = tree / "usr/lib/systemd/system"
    assert {path.name for path in units.iterdir()} == {
        "edged.service",
        "edged-update.service",
        "edged-update.path",
        "edged-update-way-back.service",
        "edged-enrol.service",
        "media-edged.mount",
        "media-edged.automount",
    }
    for path in (
        "usr/lib/sysusers.d/edged.conf",
        "usr/lib/tmpfiles.d/edged.conf",
        "usr/share/doc/edged/update.md",
        "usr/share/doc/edged/enrolment.md",
    ):
        assert (tree / path).is_file(), path
    assert {path.name for path in tree.iterdir()} == {"usr"}
    here = str(ROOT).encode()
    assert [path for path in tree.rglob("*") if path.is_file() and here in path.read_bytes()] == []


def test_dpkg_installs_it_below_another_root(package: Path, tmp_path: Path) -> None:
    (tmp_path / "var/lib/dpkg/updates").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/info").mkdir()
    (tmp_path / "var/lib/dpkg/status").touch()
    dpkg = Dpkg((f"--root={tmp_path}", "--force-not-root", "--force-script-chrootless", "--force-depends"))
    dpkg.install(package)
    assert dpkg.installed() == edged.__version__

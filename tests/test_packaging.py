"""The sdist and the wheel carry what they must, nothing else, and install into fresh environments.

Slow (a minute, and pip's network): `.ci/run` runs it, `./run-tests` leaves it out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[1]
PACKAGE_FILES = ("edged", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md")


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=500)


def clean_copy(directory: Path) -> Path:
    """What a fresh clone has of the package: sources, without anything an earlier build left beside them."""
    tree = directory / "edged-source"
    tree.mkdir()
    for name in PACKAGE_FILES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("*.so", "*.c", "__pycache__"))
        elif source.exists():
            shutil.copy(source, tree / name)
    return tree


def build(tree: Path) -> subprocess.CompletedProcess[str]:
    """sdist, then the wheel from that sdist: what the sdist lacks can't come in from the tree."""
    return run(sys.executable, "-m", "build", tree, cwd=tree.parent)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(sdist, wheel)."""
    tree = clean_copy(tmp_path_factory.mktemp("build"))
    made = build(tree)
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]
    (sdist,) = (tree / "dist").glob("*.tar.gz")
    (wheel,) = (tree / "dist").glob("*.whl")
    return sdist, wheel


def package_data() -> set[str]:
    """Files of the package, beside its modules, that it reads when it runs."""
    return {
        str(path.relative_to(ROOT))
        for directory in ("messages", "specimens", "core/models")
        for path in (ROOT / "edged" / directory).glob("*")
        if path.is_file() and path.suffix != ".py" and path.name != ".gitignore"
    }


def kernels(suffix: str) -> set[str]:
    """Files of the package with this suffix."""
    return {str(path.relative_to(ROOT)) for path in (ROOT / "edged").rglob(f"*{suffix}")}


def test_sdist_has_sources_and_nothing_generated(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"edged/core/_fastmrz.pyx", "edged/core/_fastmrz.pyi", "edged/py.typed", "LICENSE"} <= names
    assert set().union(*map(kernels, (".pyx", ".pxd", ".h", ".pyi"))) <= names
    assert package_data() <= names
    assert not [name for name in names if name.endswith((".so", ".c", ".pyc"))]


def test_wheel_has_everything_that_runs_and_no_sources_of_the_kernels(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as archive:
        names = set(archive.namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "edged").rglob("*.py")}
    assert modules <= names
    assert package_data() <= names
    assert {"edged/py.typed", "edged/core/_fastmrz.pyi"} <= names
    assert kernels(".pyi") <= names
    built_kernels = {name.partition(".")[0] for name in names if name.endswith(".so")}
    assert built_kernels == {name.partition(".")[0] for name in kernels(".pyx")}
    assert not [name for name in names if name.endswith((".c", ".h", ".pyx", ".pxd"))]
    assert {name.split("/")[0].split("-")[0] for name in names} == {"edged"}


@pytest.mark.parametrize("which", [0, 1], ids=["sdist", "wheel"])
def test_installs_into_a_fresh_environment(built: tuple[Path, Path], which: int, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True, symlinks=True)
    python = tmp_path / "env/bin/python"
    installed = run(python, "-m", "pip", "install", "--no-input", "--quiet", built[which], cwd=tmp_path)
    assert installed.returncode == 0, installed.stderr[-2000:]
    assert run(python, "-c", "import edged.core._fastmrz, edged.core.ocr", cwd=tmp_path).returncode == 0
    version = run(tmp_path / "env/bin/edged", "--version", cwd=tmp_path)
    assert version.returncode == 0, version.stderr
    assert version.stdout.strip()
    check = run(python, "-m", "pip", "check", cwd=tmp_path)
    assert check.returncode == 0, check.stdout
    # structlog imports rich whenever it is there, at five times its own memory: a box never has it.
    assert run(python, "-c", "import rich", cwd=tmp_path).returncode != 0


def test_a_failed_kernel_build_is_an_error(tmp_path: Path) -> None:
    tree = clean_copy(tmp_path)
    kernel = tree / "edged/core/_fastmrz.pyx"
    kernel.write_text(kernel.read_text(encoding="utf-8") + "\ncdef int broken(:\n", encoding="utf-8")
    assert build(tree).returncode != 0
    assert not list((tree / "dist").glob("*.whl"))

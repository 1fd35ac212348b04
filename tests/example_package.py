"""A package that brings drivers, installed into a directory: its modules and what pip writes beside them.

Written down from pyproject.toml rather than by pip: building a wheel takes seconds, and a network where there is no
`wheel` package.
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "acme-reader"


def installed(target: Path, source: Path = EXAMPLE) -> Path:
    """Install the package at `source`; the directory to put on the path."""
    project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))
    for package in project["tool"]["setuptools"]["packages"]:
        shutil.copytree(source / package, target / package, ignore=shutil.ignore_patterns("__pycache__"))
    about = project["project"]
    dist_info(target, about["name"], about["entry-points"]["edged.drivers"], version=about["version"])
    return target


def dist_info(target: Path, name: str, entry_points: Mapping[str, str], version: str = "1.0") -> None:
    """What makes a directory on the path a package with entry points."""
    directory = target / f"{name.replace('-', '_')}-{version}.dist-info"
    directory.mkdir(parents=True)
    (directory / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"{key} = {value}" for key, value in entry_points.items()]
    (directory / "entry_points.txt").write_text("\n".join(["[edged.drivers]", *lines, ""]))

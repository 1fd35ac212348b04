"""Fixture material: a verifying page as files, and its modules run by Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edged.slip import site, site_files

NODE = shutil.which("node")
HARNESS = Path(__file__).with_name("slip_page_node.mjs")

needs_node = pytest.mark.skipif(NODE is None, reason="Node runs the page's modules: apt install nodejs")


def make(directory: Path, roots: bytes, **fleet: Any) -> Path:
    """The page of a fleet, written as `edged slip page` writes it."""
    site_files.write(directory, site.files(site.fleet_of(roots, **fleet)))
    return directory


def ask(page: Path, questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the page's own modules answer (`slip_page_node.mjs`), all in one process."""
    assert NODE is not None
    modules = page.with_name(page.name + "-modules")
    if not modules.exists():  # Node wants to be told that these are modules; browsers know
        shutil.copytree(page, modules)
        (modules / "package.json").write_text('{"type": "module"}')
    command = [NODE, str(HARNESS), str(modules)]
    data = msgspec.json.encode(questions)
    done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    assert len(answers) == len(questions)
    return answers

"""What the layers (`.importlinter`) can't say: pure modules are handed the time; the page knows every module."""

from __future__ import annotations

import ast
import re
from configparser import ConfigParser
from pathlib import Path

import pytest

import edged

PACKAGE = Path(edged.__file__).parent
ROOT = Path(__file__).parents[1]
ASKS_THE_CLOCK = {"now", "today", "utcnow", "time", "time_ns", "monotonic", "monotonic_ns", "sleep"}
"""Attributes of `datetime`, `date` and `time` that ask. `perf_counter` may stay: it decides nothing."""


def pure_modules() -> list[Path]:
    """The source files behind the contract that keeps I/O out."""
    contracts = ConfigParser()
    assert contracts.read(ROOT / ".importlinter", encoding="utf-8")
    names = contracts["importlinter:contract:sans-io"]["source_modules"].split()
    files = []
    for name in names:
        path = PACKAGE.parent / name.replace(".", "/")
        files += sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    assert len(files) > len(names)
    return files


@pytest.mark.parametrize("path", pure_modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_pure_module_is_handed_the_time(path: Path) -> None:
    asked = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in ASKS_THE_CLOCK
        and isinstance(node.value, ast.Name | ast.Attribute)
        and ast.unparse(node.value).rpartition(".")[2] in {"datetime", "date", "time"}
    ]
    assert asked == []


@pytest.mark.parametrize("room", ["pushed", "fleet", "drivers", "technician", "testing"])
def test_the_page_names_every_module_of_a_room(room: str) -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    modules = {path.stem for path in (ROOT / "edged" / room).glob("*.py")} - {"__init__"}
    assert sorted(name for name in modules if not re.search(rf"`({room}[./])?{name}(\.py)?`", page)) == []


def test_no_section_of_the_page_is_there_twice() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    headings = re.findall(r"^#+ .+$", page, re.MULTILINE)
    paragraphs = [part for part in page.split("\n\n") if len(part) > 80]
    assert len(set(headings)) == len(headings)
    assert len(set(paragraphs)) == len(paragraphs)

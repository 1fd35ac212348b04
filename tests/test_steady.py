"""The suite says the same of the same code: what it draws depends on nothing but the code."""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).parent
EXPLORING = pytest.mark.skipif(os.environ.get("EDGED_EXPLORE") == "1", reason="other examples are asked for")

_UNSEEDED = {"SystemRandom", "urandom", "token_bytes", "token_hex", "randbytes", "uuid4"}
"""What draws from the machine; of `random.Random(seed)` a method is called, not the module's function."""
_CALENDAR = {"year", "month", "day"}


@pytest.fixture
def another_module(tmp_path: Path) -> Iterator[None]:
    """A module of ours comes in, as another test of the same process may import one."""
    file = tmp_path / "loaded_later.py"
    file.write_text(f"WORDS = {[f'word-{number}' for number in range(400)]}\n")
    spec = importlib.util.spec_from_file_location("loaded_later", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["loaded_later"] = module
    spec.loader.exec_module(module)
    yield
    del sys.modules["loaded_later"]


def drawn() -> list[tuple[str, int]]:
    came: list[tuple[str, int]] = []

    @given(st.text(max_size=20), st.integers())
    @settings(max_examples=300)
    def take(text: str, number: int) -> None:
        came.append((text, number))

    take()
    return came


@EXPLORING
def test_what_is_drawn_depends_on_nothing_that_ran_before(request: pytest.FixtureRequest) -> None:
    first = drawn()
    request.getfixturevalue("another_module")
    assert drawn() == first
    assert len(set(first)) > 100


@EXPLORING
def test_no_example_fails_for_taking_its_time() -> None:
    assert settings().deadline is None
    assert settings().derandomize
    assert settings().database is None


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str, str]]:
    """Each call of something's method: (it, the name it is called on, the method)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of = node.func.value
            yield node, of.id if isinstance(of, ast.Name) else getattr(of, "attr", ""), node.func.attr


def unsteady(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Lines that draw from the machine, or move a date to a year or month that may lack its day."""
    for call, of, method in calls(tree):
        if (of in {"os", "secrets", "random", "uuid"} and method in _UNSEEDED) or (
            of == "random"
            and method in {"choice", "choices", "randint", "random", "randrange", "sample", "shuffle"}
        ):
            yield call.lineno, f"{of}.{method}"
        elif method == "default_rng" and not call.args:
            yield call.lineno, method
        elif method == "replace" and not call.args:
            moved = {word.arg for word in call.keywords} & _CALENDAR
            if moved and "day" not in moved:
                yield call.lineno, f"replace({', '.join(sorted(map(str, moved)))}=)"


_ALLOWED = {
    ("test_chip_fuzz.py", "random.SystemRandom"): "only as long and as often as somebody asks for (slow)",
    ("test_trust_command.py", "replace(month=)"): "of a constant day",
}


def test_no_test_throws_dice_or_moves_today_to_a_year_without_it() -> None:
    found = {
        (file.name, what)
        for file in TESTS.rglob("*.py")
        for _, what in unsteady(ast.parse(file.read_text("utf-8")))
    }
    assert found == set(_ALLOWED)


@pytest.mark.parametrize(
    "line",
    [
        "os.urandom(4)",
        "random.choice(x)",
        "np.random.default_rng()",
        "now.replace(year=2100)",
        "uuid.uuid4()",
    ],
)
def test_the_search_for_it_finds_it(line: str) -> None:
    assert list(unsteady(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    ["random.Random(3).randbytes(4)", "chance.choice(x)", "day.replace(day=1)", "rng = default_rng(7)"],
)
def test_and_nothing_else(line: str) -> None:
    assert not list(unsteady(ast.parse(line)))

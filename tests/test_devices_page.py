"""docs/devices.md and docs/drivers.md say what the code does."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import get_args

import pytest

from edged import messages
from edged.cli import _parser
from edged.commands._acceptance_words import step_name
from edged.device_checks import NAMES
from edged.drivers import codes, registry
from edged.technician.card import LIMITS
from edged.technician.survey import State
from tests.example_package import EXAMPLE
from tests.test_devices_acceptance import Module, Place, Printer, PrinterStatus, _Beside, beside, tasks

DOCS = Path(__file__).parents[1] / "docs"
DEVICES = (DOCS / "devices.md").read_text(encoding="utf-8")
DRIVERS = (DOCS / "drivers.md").read_text(encoding="utf-8")


def test_every_state_and_every_step_is_explained(tmp_path: Path) -> None:
    for state in get_args(State):
        assert f"| {messages.text(f'devices.state_{state}', 'en')} |" in DEVICES

    async def named() -> list[str]:
        beside_it = {"chip": _Beside(), "id_card": Module(), "swipe": _Beside()}
        async with beside(
            Place(tmp_path), printer=Printer(PrinterStatus(answers=True)), **beside_it
        ) as opened:
            return [task.name for task in tasks(opened)]

    for name in asyncio.run(named()):
        assert f"`{name}`" in DEVICES, name
        assert step_name(name, "en") != name


def test_the_limits_are_those_of_the_code() -> None:
    for number in (
        *LIMITS.white,
        LIMITS.contrast,
        f"{LIMITS.uneven:.2f}",
        f"{LIMITS.dpi:.0f} dpi",
        LIMITS.sharpness,
    ):
        assert str(number) in DEVICES, number
    assert f"{LIMITS.burnt:.0%}".replace("%", " %") in DEVICES


@pytest.mark.parametrize(
    "line", re.findall(r"^\$ (?:sudo (?:-u edged )?)?edged (.+)$", DEVICES, re.MULTILINE)
)
def test_every_command_of_the_page_is_one(line: str) -> None:
    words = line.split()
    assert _parser(words, "en").parse_args(words).command == "devices"


def test_every_code_a_driver_may_say_is_on_the_page() -> None:
    names = {name for name, value in vars(codes).items() if isinstance(value, str) and value in codes.ANY}
    assert {f"codes.{name}" for name in names} == set(re.findall(r"`(codes\.[A-Z_]+)`", DRIVERS))
    assert all(messages.known(code) for code in codes.ANY)


def test_every_kind_and_its_contract_is_on_the_page() -> None:
    from edged import testing

    for section, protocol in registry.PROTOCOLS.items():
        assert f"| `[{section}]` | `{protocol.__name__}` | `{NAMES[section]}` |" in DRIVERS
    for name in testing.__all__:
        if name.endswith("Contract") and name != "DeviceContract":
            assert f"`{name}`" in DRIVERS


def test_what_the_page_quotes_of_the_example_is_in_it() -> None:
    files = [
        path.read_text(encoding="utf-8") for path in EXAMPLE.rglob("*") if path.suffix in (".py", ".toml")
    ]
    quoted = re.findall(r"^```(?:python|toml)\n(.+?)^```", DRIVERS, re.MULTILINE | re.DOTALL)
    assert len(quoted) >= 5
    for block in quoted:
        assert block.startswith("[head]") or any(block in text for text in files), block
    for name in re.findall(r"^\| `([a-z_/]+\.py)` \|", DRIVERS, re.MULTILINE):
        assert list(EXAMPLE.rglob(name.rpartition("/")[2])), name

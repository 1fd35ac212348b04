"""docs/hardware.md and the pages of the devices say what the code does: drivers, settings, commands."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edged import device_settings
from edged.cli import COMMANDS, _parser
from edged.commands.config import EXAMPLE
from edged.device_checks import BUILT_IN

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = ("hardware", "cameras", "id-cards", "swipe-readers", "printers", "devices", "update")
SETTINGS = {
    "head": device_settings.HeadSettings,
    "camera": device_settings.CameraSettings,
    "id_card": device_settings.IdCardSettings,
    "swipe": device_settings.SwipeSettings,
    "printer": device_settings.PrinterSettings,
}


def blocks(page: str, *languages: str) -> list[str]:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"^```(?:{'|'.join(languages)})\n(.+?)^```", text, re.MULTILINE | re.DOTALL)


def checked(text: str) -> set[str]:
    """The sections of devices in it, every one of which could be a box's."""
    wanted: dict[str, Any] = tomllib.loads(text)
    found = set(wanted) & set(SETTINGS)
    for section in found:
        msgspec.convert(wanted[section], SETTINGS[section], dec_hook=lambda wanted, given: wanted(given))
    return found


def test_every_driver_of_every_device_is_on_the_page() -> None:
    page = (DOCS / "hardware.md").read_text(encoding="utf-8")
    for section, drivers in BUILT_IN.items():
        assert f"`[{section}]`" in page, section
        if section == "head":
            assert set(drivers) == {"simulated", *re.findall(r"`(serial|usb|bare)`", page)}


@pytest.mark.parametrize("page", PAGES)
def test_every_example_of_a_section_is_one(page: str) -> None:
    for block in blocks(page, "toml"):
        checked(block)


def test_the_example_has_every_section() -> None:
    """Most of them as comments, which can be taken away."""
    named = set(re.findall(r"^(?:# )?\[(\w+)\]", EXAMPLE, re.MULTILINE))
    assert set(BUILT_IN) <= named
    checked(EXAMPLE)
    for section in set(SETTINGS) - {"head"}:
        start = EXAMPLE.index(f"# [{section}]")
        block = EXAMPLE[start : EXAMPLE.index("\n\n", start)]
        keys = block.removeprefix("# ").replace("\n# ", "\n")
        assert checked(keys) == {section}


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_pages_is_one(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        line.removeprefix("$ ").removeprefix("sudo -u edged ").partition("  ")[0]
        for block in blocks(page, "sh", "console")
        for line in re.sub(r"\\\n\s*", "", block).split("\n")
    ]
    for line in lines:
        if line.startswith("edged "):
            words = shlex.split(line)[1:]
            assert words[0] in COMMANDS
            try:
                _parser(words, "en").parse_args(words)
            except SystemExit:
                pytest.fail(f"{line}: {capsys.readouterr().err}")

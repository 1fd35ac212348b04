"""Drivers by name: those that come with edged, and those that packages bring, good ones and broken ones."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edged import device_checks, devices
from edged.commands._saying import explain
from edged.config import load_box, parse_toml
from edged.device_settings import CameraSettings, HeadSettings, IdCardSettings
from edged.drivers import Camera, Chip, Head, IdCard, Printer, Swipe, registry
from edged.drivers.simulated import SimulatedHead
from edged.errors import ConfigError
from edged.events import Indication, Light
from edged.uplink.envelope import Provenance
from tests.box import Box
from tests.example_package import EXAMPLE, dist_info, installed

BROKEN = """
import sys

class Half:
    async def events(self): ...

def half(options): return Half()
def fails(options): raise RuntimeError("libbroken.so.2: cannot open shared object file")
def refuses(options):
    from edged.errors import ConfigError
    raise ConfigError("port", "config.missing_key")
number = 7
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory on the path, in which packages are installed."""
    made = tmp_path / "site"
    made.mkdir()
    monkeypatch.syspath_prepend(str(made))
    yield made
    for name in [name for name in sys.modules if name.startswith(("acme_reader", "broken_driver"))]:
        del sys.modules[name]


@pytest.fixture
def broken(site: Path) -> Path:
    (site / "broken_driver.py").write_text(BROKEN)
    names = {
        "head.half": "broken_driver:half",
        "head.fails": "broken_driver:fails",
        "head.refuses": "broken_driver:refuses",
        "head.number": "broken_driver:number",
        "head.nowhere": "broken_driver:nowhere",
        "head.absent": "no_such_module:made",
        "head.simulated": "broken_driver:half",
        "head": "broken_driver:half",
        "camera.other": "broken_driver:half",
    }
    dist_info(site, "broken-driver", names)
    return site


def refused(driver: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        registry.open_head(HeadSettings(driver=driver))
    assert caught.value.where.startswith("head.")
    return caught.value


@pytest.mark.parametrize(
    ("driver", "code", "said"),
    [
        ("half", "drivers.lacking", "it lacks __aenter__, __aexit__, beep, document_present, illuminate"),
        ("fails", "drivers.factory_failed", "RuntimeError: libbroken.so.2: cannot open"),
        ("number", "drivers.no_factory", "can't be called"),
        ("nowhere", "drivers.not_loaded", "AttributeError"),
        ("absent", "drivers.not_loaded", "No module named 'no_such_module'"),
    ],
)
def test_what_is_wrong_with_a_package_is_said_with_its_name(
    broken: Path, driver: str, code: str, said: str
) -> None:
    error = refused(driver)
    assert error.code == code
    assert "broken-driver" in explain(error, "en")
    assert said in explain(error, "en")
    assert "broken-driver" in explain(error, "zh-CN")


def test_a_factory_may_complain_of_its_options(broken: Path) -> None:
    error = refused("refuses")
    assert (error.where, error.code) == ("head.options.port", "config.missing_key")


def test_an_unknown_driver_is_told_which_there_are(broken: Path) -> None:
    error = refused("magic")
    assert error.code == "drivers.unknown"
    assert error.params["known"].startswith("simulated, serial, usb, bare, absent, fails, half, nowhere, ")
    assert "broken_driver" not in sys.modules, "a package was imported to know its drivers' names"


def test_two_packages_with_one_name_are_both_named(broken: Path) -> None:
    dist_info(broken, "other-driver", {"head.half": "broken_driver:half"})
    error = refused("half")
    assert (error.code, error.params["packages"]) == ("drivers.twice", "broken-driver, other-driver")


def test_no_package_takes_the_place_of_what_comes_with_edged(broken: Path, tmp_path: Path) -> None:
    head = registry.open_head(HeadSettings(driver="simulated", socket=tmp_path / "glass.sock"))
    assert isinstance(head, SimulatedHead)
    assert "simulated" not in device_checks.outside("head")


def test_a_boot_file_that_names_a_driver_from_outside_is_checked_without_importing_it(
    site: Path, tmp_path: Path
) -> None:
    text = Box(tmp_path / "box").config.read_text().replace("fixed_today = 2026-06-15", "")
    wrong = (
        text.replace('driver = "simulated"\nsocket = "glass.sock"', 'driver = "acme"')
        + '\n[camera]\ndriver = "acme"\n'
    )
    config = tmp_path / "box" / "acme.toml"
    config.write_text(wrong)
    with pytest.raises(ConfigError) as caught:
        load_box(config)
    assert caught.value.code == "drivers.unknown"
    installed(site)
    assert load_box(config).head.driver == "acme"
    assert "acme_reader.driver" not in sys.modules


async def test_the_example_is_opened_from_a_boot_file(site: Path, tmp_path: Path) -> None:
    installed(site)
    text = Box(tmp_path / "box").config.read_text().replace("fixed_today = 2026-06-15", "")
    section = 'driver = "acme"\noptions = { serial = "A-17" }'
    text = text.replace('driver = "simulated"\nsocket = "glass.sock"', section) + f"\n[camera]\n{section}\n"
    config = tmp_path / "box" / "acme.toml"
    config.write_text(text)
    settings = load_box(config)
    sdk: Any = importlib.import_module("acme_reader.sdk")
    sdk.hardware("A-17").plug()
    async with devices.opened(settings) as opened:
        await opened.head.indicate(Indication.READING)
        sdk.hardware("A-17").lay([90])
        assert int((await opened.camera.capture(Light.WHITE)).image()[0, 0, 0]) == 90
        assert opened.provenance()["head"].identity == opened.provenance()["camera"].identity == "A-17"
    assert sdk.hardware("A-17").led == "reading"


@pytest.mark.parametrize("options", ["{}", "{ serial = 5 }", '{ serial = "1", baud = 9600 }'])
def test_the_example_explains_its_options(site: Path, tmp_path: Path, options: str) -> None:
    installed(site)
    head = parse_toml(f'driver = "acme"\noptions = {options}\n'.encode(), HeadSettings, base=tmp_path)
    with pytest.raises(ConfigError) as caught:
        registry.open_head(head)
    assert caught.value.where.startswith("head.options.")


def test_the_example_keeps_the_contracts(tmp_path: Path) -> None:
    """As its author runs them: in a process of their own, with pytest and nothing else."""
    site = installed(tmp_path / "site")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-W",
            "error",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:asyncio",
            "-p",
            "no:xdist",
            "--import-mode=importlib",
            "--rootdir",
            str(EXAMPLE),
            "-c",
            os.devnull,
            str(EXAMPLE / "tests"),
        ],
        env={**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


@pytest.mark.slow
def test_a_contract_that_is_broken_fails_and_says_why(tmp_path: Path) -> None:
    """The test of the tests: a head that forgets presses, a camera of two colours, a driver that leaves its thread."""
    site = installed(tmp_path / "site")
    driver = site / "acme_reader" / "driver.py"
    text = driver.read_text()
    for old, new in (
        ("sdk.WIDTH, 3).copy()", "sdk.WIDTH, 3)[:, :, ::-1][:, :, :2]"),
        (
            "        self._happened.put_nowait(EVENTS[what])",
            "        if what != 'pressed':\n            self._happened.put_nowait(EVENTS[what])",
        ),
        ("        await self._connection.leave(self._heard)", "        pass"),
    ):
        assert old in text
        driver.write_text(text.replace(old, new))
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-x",
                "-p",
                "no:cacheprovider",
                "-p",
                "no:asyncio",
                "--import-mode=importlib",
                "--rootdir",
                str(EXAMPLE),
                "-c",
                os.devnull,
                "-o",
                "addopts=",
                str(EXAMPLE / "tests"),
                "-k",
                "Camera and every_light or Head and press or Head and left_without_being",
            ],
            env={
                **os.environ,
                "PYTHONPATH": str(site),
                "PYTHONDONTWRITEBYTECODE": "1",
                "EDGED_TESTING_PATIENCE_S": "0.5",
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1, (old, done.stdout)


@pytest.mark.parametrize(("section", "driver"), sorted(registry._BUILT_IN))
def test_every_driver_that_comes_with_edged_is_there(section: str, driver: str) -> None:
    assert driver in device_checks.BUILT_IN[section]
    module, _, name = registry._BUILT_IN[section, driver].partition(":")
    assert callable(getattr(importlib.import_module(module), name))


def test_every_name_of_the_boot_file_has_a_driver() -> None:
    named = {(section, driver) for section, drivers in device_checks.BUILT_IN.items() for driver in drivers}
    assert named == set(registry._BUILT_IN)


def test_the_members_of_a_protocol() -> None:
    assert registry.members(Printer) == ("__aenter__", "__aexit__", "print", "provenance", "status")
    for protocol in (Head, Camera, Chip, IdCard, Swipe, Printer):
        assert {"__aenter__", "__aexit__", "provenance"} < set(registry.members(protocol))


def test_nothing_of_edged_needs_pytest() -> None:
    code = (
        "import sys, pkgutil, edged\n"
        "sys.modules['pytest'] = None\n"
        "import edged.cli, edged.daemon, edged.drivers.registry, edged.commands.devices\n"
        "assert not any(name.startswith('edged.testing') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_settings_of_a_section_from_outside() -> None:
    with pytest.raises(ConfigError) as caught:
        registry.open_id_card(IdCardSettings(driver="nobody"))
    assert caught.value.where == "id_card.driver"
    with pytest.raises(ConfigError):
        registry.open_camera(CameraSettings(driver="nobody"))


def test_what_was_simulated_stays_that_until_the_verdict() -> None:
    """An emulated reader swiped, and was changed for a real one before the commit."""
    emulated, real = (
        Provenance("swipe", name, simulated=name == "emulated") for name in ("emulated", "real")
    )
    head = SimpleNamespace(provenance=real)
    now: Any = devices.Devices(head, head, swipe=SimpleNamespace(provenance=real))  # type: ignore[arg-type]
    assert now.witnesses({"swipe": emulated}) == {
        "head": real,
        "camera": real,
        "swipe": Provenance("swipe", "real", simulated=True),
    }
    assert now.witnesses({"swipe": real}) == now.provenance()


def test_an_id_card_is_judged_by_the_boxs_day(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr("edged.drivers.sam.open", lambda *given: told.extend(given))

    def today() -> date:
        return date(2026, 6, 15)

    settings = IdCardSettings(port="/dev/none")
    registry.open_id_card(settings, today)
    assert told == [settings, today]

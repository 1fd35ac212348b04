"""The pytest plug-in `edged_drivers`: drivers opened by their names, as a box opens them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@pytest.fixture
def edged_driver() -> Callable[..., object]:
    """Opens a driver as a box does, by its entry point: `edged_driver("head.acme", {"serial": "1"})`.

    Tested with it, a package is one that a boot file can name. Raises `ConfigError`, which says what is wrong.
    """
    from edged.drivers.registry import open_by_name

    def opened(name: str, options: Mapping[str, str | int | float | bool] | None = None) -> object:
        section, _, driver = name.partition(".")
        return open_by_name(section, driver, options or {})

    return opened

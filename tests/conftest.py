"""What a test must not leave behind for the next one in its process, and what must not change from run to run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

if TYPE_CHECKING:
    from collections.abc import Generator


# In a new checkout the first text that is drawn has hypothesis make its tables of Unicode, which takes seconds. How
# long an example took says what else the machine was doing, so nothing fails by it.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "edged", settings.get_profile("explore"), derandomize=True, database=None, print_blob=True
)
if os.environ.get("EDGED_EXPLORE") == "1":
    settings.load_profile("explore")
else:
    settings.load_profile("edged")
    # Of the strings and numbers of whatever modules happen to be loaded by then, some would be drawn as well: other
    # examples on each worker, and after each other test.
    providers._get_local_constants = providers.Constants


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Umask and logging are as they were."""
    mask = os.umask(0)
    os.umask(mask)
    logging = structlog.get_config() if structlog.is_configured() else None
    try:
        return (yield)
    finally:
        os.umask(mask)
        if logging is None:
            structlog.reset_defaults()
        else:
            structlog.configure(**logging)

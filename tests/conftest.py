"""What a test must not leave behind for the next one in its process: commands that run in it set both."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Generator


# In a new checkout the first text that is drawn has hypothesis make its tables of Unicode, which takes seconds.
settings.register_profile("edged", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("edged")


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

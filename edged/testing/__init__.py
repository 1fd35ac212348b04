"""Contract tests of device drivers, for whoever writes one: edged's own drivers and vendors' pass the same.

A package gives its device, and hands to work it, in a fixture `bench`, and inherits the tests (docs/drivers.md):

    class TestHead(HeadContract):
        @pytest.fixture
        def bench(self):
            return acme_bench

Needs pytest, which edged itself doesn't: nothing of edged imports this package. pytest loads its plug-in
(`edged.testing.plugin`, which gives the fixture `edged_driver`) by itself wherever edged is installed.
"""

from __future__ import annotations

import pytest

# Before they are imported: so that a contract that fails explains itself.
pytest.register_assert_rewrite(
    *(
        f"edged.testing.{name}"
        for name in ("device", "head", "camera", "chip", "id_card", "swipe", "printer", "stories")
    )
)

# ruff: noqa: E402
from edged.testing.benches import (
    CameraBench,
    ChipBench,
    DeviceBench,
    HeadBench,
    IdCardBench,
    LaidCard,
    Maker,
    PrinterBench,
    SwipeBench,
)
from edged.testing.camera import CameraContract
from edged.testing.chip import ChipContract
from edged.testing.device import DeviceContract
from edged.testing.head import HeadContract
from edged.testing.id_card import IdCardContract
from edged.testing.printer import PrinterContract
from edged.testing.stories import next_of, story, until
from edged.testing.swipe import SwipeContract

__all__ = [
    "CameraBench",
    "CameraContract",
    "ChipBench",
    "ChipContract",
    "DeviceBench",
    "DeviceContract",
    "HeadBench",
    "HeadContract",
    "IdCardBench",
    "IdCardContract",
    "LaidCard",
    "Maker",
    "PrinterBench",
    "PrinterContract",
    "SwipeBench",
    "SwipeContract",
    "next_of",
    "story",
    "until",
]

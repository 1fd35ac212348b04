"""Scan after scan, and nothing grows. (`python -m tests.proof.soak --minutes 60` is the long one.)"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.proof.soak import HEAD, MEBIBYTE, Series, soak, theil_sen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_some_minutes_of_scans_are_flat(tmp_path: Path) -> None:
    made, balanced = soak(tmp_path, seconds=180)
    table = "\n".join([HEAD, *map(str, made.series.values())])
    assert balanced
    assert made.scans > 50
    assert all(series.flat for series in made.series.values()), table


def series(rss: Callable[[float], float], descriptors: Callable[[float], float] = lambda _: 12) -> Series:
    chance = random.Random(1)
    made = Series("box")
    for second in range(0, 1800, 5):
        noise = chance.gauss(0, 300_000)
        made.samples.append((second, round(rss(second) + noise), round(descriptors(second))))
    return made


@pytest.mark.parametrize(
    ("rss", "descriptors", "flat"),
    [
        (lambda _: 80 * MEBIBYTE, lambda _: 12, True),
        (lambda s: 60 * MEBIBYTE + min(s, 300) * 60_000, lambda _: 12, True),  # caches fill, then it stays
        (lambda s: (120 if 900 < s < 960 else 80) * MEBIBYTE, lambda _: 12, True),  # a peak that passes
        (lambda s: 80 * MEBIBYTE + s * 4_000, lambda _: 12, False),  # 14 MiB an hour
        (lambda _: 80 * MEBIBYTE, lambda s: 12 + s / 600, False),  # one descriptor every ten minutes
    ],
)
def test_what_is_flat(
    rss: Callable[[float], float], descriptors: Callable[[float], float], flat: bool
) -> None:
    assert series(rss, descriptors).flat == flat


def test_theil_and_sen() -> None:
    assert theil_sen([(x, 3.0 * x) for x in range(10)]) == pytest.approx(3.0)
    assert theil_sen([(0, 0), (1, 1), (2, 100), (3, 3), (4, 4)]) == pytest.approx(1.0)
    assert theil_sen([(1, 1)]) == 0.0

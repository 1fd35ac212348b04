"""The grid of a line as fitted by the kernel: the same as the plain NumPy way, on drawn columns of every kind."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edged.core._fastgrid import fit
from edged.core.ocr import CLASSES, Line, to_grid
from tests import ocr_oracle


def drawn(rng: np.random.Generator) -> NDArray[np.float32]:
    """Columns of a line: characters at a pitch that drifts, some missing, some two-faced, some of no line at all."""
    count = int(rng.integers(4, 60))
    pitch = rng.uniform(2.5, 9.5)
    index = np.arange(count)
    bend = rng.choice([0.0, rng.uniform(-0.2, 0.2) * pitch / count / 2])
    centres = rng.uniform(2, 30) + pitch * index + bend * index * index
    centres += rng.normal(0, rng.choice([0.01, 0.05, 0.2]) * pitch, count)
    columns = int(max(centres.max() + rng.uniform(3, 30), 8))
    logits = rng.normal(0, 0.7, (columns, CLASSES + 1))
    logits[:, CLASSES] += 5
    at = np.arange(columns)
    for centre in centres[rng.random(count) > rng.choice([0.0, 0.1, 0.4])]:
        inside = np.abs(at - centre) < rng.uniform(0.25, 0.45) * pitch
        faces = rng.integers(0, CLASSES, 2 if rng.random() < 0.1 else 1)
        logits[inside, rng.choice(faces, inside.sum())] += rng.uniform(3, 12)
    values = np.exp(logits)
    return (values / values.sum(axis=1, keepdims=True)).astype(np.float32)


def assert_same(one: Line | None, other: Line | None) -> None:
    assert (one is None) == (other is None)
    if one is None or other is None:
        return
    np.testing.assert_allclose(one.x, other.x, rtol=0, atol=1e-4)
    np.testing.assert_allclose(one.probabilities, other.probabilities, rtol=0, atol=1e-4)
    np.testing.assert_allclose(one.presence, other.presence, rtol=0, atol=1e-6)
    assert (one.pitch, one.residual) == pytest.approx((other.pitch, other.residual), abs=1e-5)


def test_the_same_grid_as_the_oracle() -> None:
    rng = np.random.default_rng(20261121)
    fitted = 0
    for _ in range(400):
        shares = drawn(rng)
        line = to_grid(shares)
        assert_same(line, ocr_oracle.to_grid(shares))
        fitted += line is not None
    assert 100 < fitted < 390  # both outcomes were seen often


def test_nothing_is_no_line() -> None:
    blank = np.zeros((64, CLASSES + 1), np.float32)
    blank[:, CLASSES] = 1
    assert to_grid(blank) is None
    assert to_grid(blank[:0]) is None
    assert to_grid(np.full((64, CLASSES + 1), 1 / (CLASSES + 1), np.float32)) is None


def test_a_line_may_be_a_view() -> None:
    shares = drawn(np.random.default_rng(3))
    assert_same(to_grid(np.asfortranarray(shares)), ocr_oracle.to_grid(shares))


def test_columns_without_end_are_refused() -> None:
    with pytest.raises(ValueError, match="columns"):
        fit(np.zeros((70_000, 3), np.float32))
    with pytest.raises(ValueError, match="columns"):
        fit(np.zeros((8, 1), np.float32))

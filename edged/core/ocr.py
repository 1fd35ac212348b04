"""The line reader: strips in, what stands at each place of a line out, with how sure it is.

The network is our own (`tools/train_mrz`), 295 thousand parameters, run by `cv2.dnn`. It knows shapes, not
words: which characters may stand where is the decoder's business (`edged.core.lattice`).
"""

from __future__ import annotations

import threading
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from edged.core.vision import cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ<"
"""The network's classes in order; one more stands for no character."""
CLASSES: Final = len(ALPHABET)
_STRIDE: Final = 4
_MODEL: Final = "mrz_lines.onnx"
_LOCK: Final = threading.Lock()
"""A `cv2.dnn.Net` holds its activations: one reading at a time."""
_MIN_PEAK: Final = 0.35
_BESIDE_HOLE: Final = 8
"""Gaps between characters, on each side, that tell how many are missing where nothing can be seen."""


class Line(NamedTuple):
    """What stands on one strip, on a regular grid.

    `probabilities` is (cells, CLASSES): the share of each character given that one stands there; `presence`
    (cells,) is how surely one does. `x` (cells,) are the cells' centres in strip pixels, `pitch` their
    distance; `residual` tells how far the characters stray from the grid, as a share of the pitch.
    """

    probabilities: NDArray[np.float32]
    presence: NDArray[np.float32]
    x: NDArray[np.float64]
    pitch: float
    residual: float


def normalise(strips: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, H, W) grey to zero mean and unit deviation each, the same as in training."""
    values = strips.astype(np.float32)
    values -= values.mean(axis=(1, 2), keepdims=True)
    values /= np.maximum(values.std(axis=(1, 2), keepdims=True), 4.0)
    return values


@cache
def _net() -> Any:
    model = files("edged.core").joinpath("models", _MODEL).read_bytes()
    return cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))


def columns(strip: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(W / 4, CLASSES + 1) probabilities of one (32, W) strip, W a multiple of 4."""
    with _LOCK:
        net = _net()
        net.setInput(normalise(strip[None])[:, None])
        logits = net.forward()[0, :, 0, :].T
    logits = logits - logits.max(axis=1, keepdims=True)
    values = np.exp(logits)
    return np.asarray(values / values.sum(axis=1, keepdims=True), np.float32)


def read_strip(strip: NDArray[np.uint8]) -> Line | None:
    """The line on a strip, or None where fewer than eight characters stand in a regular row."""
    return to_grid(columns(strip))


def to_grid(probabilities: NDArray[np.float32]) -> Line | None:
    """Fit a regular grid to the columns' characters, and gather what each of its cells holds."""
    ink = 1.0 - probabilities[:, CLASSES]
    peaks = _peaks(probabilities, ink)
    if len(peaks) < 8:
        return None
    fit = _fit_pitch(peaks)
    if fit is None:
        return None
    start, pitch, bend, first, last, residual = fit
    cells = np.arange(first - 1, last + 2)
    centres = start + pitch * cells + bend * cells * cells
    local = pitch + 2 * bend * cells
    at = np.arange(len(ink))
    distance = np.abs(at[None, :] - centres[:, None]) / local[:, None]
    weight = np.clip(1.0 - distance / 0.42, 0.0, None) * (0.02 + ink[None, :])
    weight[distance > 0.42] = 0.0
    mass = weight.sum(axis=1, keepdims=True)
    gathered = weight @ probabilities[:, :CLASSES] / np.maximum(mass, 1e-9)
    near = np.where(distance < 0.36, ink[None, :], 0.0)
    presence = near.max(axis=1)
    shares = gathered / np.maximum(gathered.sum(axis=1, keepdims=True), 1e-9)
    x = centres * _STRIDE + (_STRIDE - 1) / 2
    return Line(shares.astype(np.float32), presence.astype(np.float32), x, float(pitch * _STRIDE), residual)


def _peaks(probabilities: NDArray[np.float32], ink: NDArray[np.float32]) -> NDArray[np.float64]:
    """Centres (in columns) of the runs of columns that hold one character."""
    best = np.where(ink > _MIN_PEAK, probabilities[:, :CLASSES].argmax(axis=1), -1)
    change = np.flatnonzero(np.diff(best)) + 1
    runs = np.split(np.arange(len(best)), change)
    centres = [float((run * ink[run]).sum() / ink[run].sum()) for run in runs if best[run[0]] >= 0]
    # A character whose columns disagree gives two runs less than half a pitch apart: join them.
    merged: list[float] = []
    for centre in centres:
        if merged and centre - merged[-1] < 2.1:
            merged[-1] = (merged[-1] + centre) / 2
        else:
            merged.append(centre)
    return np.array(merged)


def _fit_pitch(peaks: NDArray[np.float64]) -> tuple[float, float, float, int, int, float] | None:
    """(start, pitch, bend, first cell, last cell, residual): a grid through the peaks, a little bent by perspective."""
    gaps = np.diff(peaks)
    middle = float(np.median(gaps[gaps < 1.6 * np.median(gaps)]))
    # Peaks stand on whole columns, so the median gap is off by up to half a column; the mean of the single ones isn't.
    single = (gaps > 0.6 * middle) & (gaps < 1.4 * middle)
    pitch = float(gaps[single].mean())
    if not 2.6 < pitch < 9.0:
        return None
    # Count cells along the line with a pitch that may drift: across a hole by what it is on both sides of it.
    index = np.zeros(len(peaks), int)
    for i in range(1, len(peaks)):
        step = 1
        if gaps[i - 1] > 1.4 * pitch:
            beside = slice(max(0, i - 1 - _BESIDE_HOLE), i + _BESIDE_HOLE)
            near = gaps[beside][single[beside]]
            step = max(1, round(gaps[i - 1] / (near.mean() if len(near) >= _BESIDE_HOLE else pitch)))
        index[i] = index[i - 1] + step
    keep = np.ones(len(peaks), bool)
    bend = 0.0
    for _ in range(3):
        degree = 2 if keep.sum() > 20 else 1
        coefficients = np.polyfit(index[keep], peaks[keep], degree)
        bend, slope, start = coefficients if degree == 2 else (0.0, *coefficients)
        if not 2.4 < slope < 9.5 or abs(2 * bend * index[-1]) > 0.25 * slope:
            bend = 0.0
            slope, start = np.polyfit(index[keep], peaks[keep], 1)
        error = peaks - (start + slope * index + bend * index * index)
        near = np.abs(error) < 0.3 * slope
        if near.sum() < max(8, 0.6 * len(peaks)):
            return None
        keep = near
    residual = float(np.sqrt(np.mean(np.minimum(np.abs(error) / slope, 0.5) ** 2)))
    return float(start), float(slope), float(bend), int(index[keep][0]), int(index[keep][-1]), residual

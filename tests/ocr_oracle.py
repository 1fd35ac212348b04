"""The line reader's slow, obvious parts: a convolution stack and the fit of a line's grid in plain NumPy, against which
`edged.core._fastnet` and `edged.core._fastgrid` are tested."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edged.core.ocr import CLASSES, Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edged.core.network import Layer

_STRIDE = 4
_MIN_PEAK = 0.35


def probabilities(strip: NDArray[np.uint8], layers: Sequence[Layer]) -> NDArray[np.float64]:
    """(columns, classes) of one (height, width) strip, in double precision."""
    grey = strip.astype(np.float64)
    x = ((grey - grey.mean()) / max(grey.std(), 4.0))[None]
    for weights, bias, stride, (pad_h, pad_w), relu in layers:
        x = np.pad(x, ((0, 0), (pad_h, pad_h), (pad_w, pad_w)))
        windows = np.lib.stride_tricks.sliding_window_view(x, weights.shape[2:], (1, 2))
        windows = windows[:, :: stride[0], :: stride[1]]
        x = np.einsum("chwij,ocij->ohw", windows, weights.astype(np.float64)) + bias[:, None, None]
        x = np.maximum(x, 0) if relu else x
    logits = x[:, 0].T
    values = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = values / values.sum(axis=1, keepdims=True)
    return shares


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
    middle = pitch + bend * (first + last)
    return Line(shares.astype(np.float32), presence.astype(np.float32), x, float(middle * _STRIDE), residual)


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
    single = (gaps > 0.6 * middle) & (gaps < 1.4 * middle)
    pitch = float(gaps[single].mean()) if single.any() else 0.0
    if not 2.6 < pitch < 9.0:
        return None
    index = np.zeros(len(peaks), int)
    for i in range(1, len(peaks)):
        step = 1
        if gaps[i - 1] > 1.4 * pitch:
            beside = slice(max(0, i - 1 - 8), i + 8)
            near = gaps[beside][single[beside]]
            step = max(1, round(gaps[i - 1] / (near.mean() if len(near) >= 8 else pitch)))
        index[i] = index[i - 1] + step
    keep = np.ones(len(peaks), bool)
    bend = 0.0
    for _ in range(3):
        degree = 2 if keep.sum() > 20 else 1
        coefficients = np.polyfit(index[keep], peaks[keep], degree)
        bend, slope, start = coefficients if degree == 2 else (0.0, *coefficients)
        if not 2.4 < slope < 9.5 or abs(2 * bend * index[-1]) > 0.55 * (slope + bend * index[-1]):
            bend = 0.0
            slope, start = np.polyfit(index[keep], peaks[keep], 1)
        error = peaks - (start + slope * index + bend * index * index)
        near = np.abs(error) < 0.3 * slope
        if near.sum() < max(8, 0.6 * len(peaks)):
            return None
        keep = near
    residual = float(np.sqrt(np.mean(np.minimum(np.abs(error) / slope, 0.5) ** 2)))
    return float(start), float(slope), float(bend), int(index[keep][0]), int(index[keep][-1]), residual

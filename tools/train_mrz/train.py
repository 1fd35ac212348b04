"""Training: processes draw lines, one learns from them; the same seed gives the same lines in the same order.

Serves the MRZ's line reader and, with another `Recipe`, the print reader (`tools/train_print`).
"""

from __future__ import annotations

import multiprocessing as mp
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import nn

from .model import LineReader
from .render import BLANK, IGNORE, STRIP_HEIGHT, LineSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_QUEUED = 8
"""Batches drawn ahead by each process."""


class Recipe(NamedTuple):
    """What is trained, on what, and how.

    `source(fonts, seed)` has `sample()`: one strip (height, width) and the label of each column, `blank` between
    characters, `ignore` where it doesn't count. `decay` is of the running average of the weights, `rate` the highest
    learning rate, reached after the share `warm_up` of the steps; every `report` steps `held` samples nobody learns
    from are read.
    """

    model: Callable[[], nn.Module]
    source: Callable[[list[Path], int], Any]
    height: int
    blank: int
    ignore: int
    seed: int
    steps: int
    batch: int
    drawers: int
    decay: float
    rate: float
    warm_up: float
    held: int
    report: int


RECIPE = Recipe(
    model=LineReader,
    source=LineSource,
    height=STRIP_HEIGHT,
    blank=BLANK,
    ignore=IGNORE,
    seed=20261121,
    steps=6000,
    batch=128,
    drawers=2,
    decay=0.998,
    rate=4e-3,
    warm_up=0.08,
    held=1500,
    report=500,
)


def normalise(strips: np.ndarray) -> np.ndarray:
    """Zero mean, unit deviation a strip: the same as in `edged/core/_fastnet_isa.h`."""
    values = strips.astype(np.float32)
    values -= values.mean(axis=(1, 2), keepdims=True)
    return values / np.maximum(values.std(axis=(1, 2), keepdims=True), 4.0)


def _samples(source: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    samples = [source.sample() for _ in range(count)]
    return np.stack([strip for strip, _ in samples]), np.stack([labels for _, labels in samples])


def _draw(recipe: Recipe, fonts: list[Path], seed: int, batches: int, out: Any) -> None:
    cv2.setNumThreads(1)
    source = recipe.source(fonts, seed)
    for _ in range(batches):
        out.put(_samples(source, recipe.batch))


def evaluate(
    model: nn.Module, strips: torch.Tensor, labels: torch.Tensor, recipe: Recipe
) -> tuple[float, float]:
    """(share of character columns read right, share of blank columns kept blank)."""
    model.eval()
    with torch.no_grad():
        best = torch.cat([model(part).argmax(1) for part in strips.split(256)])
    model.train()
    char, blank = (labels != recipe.blank) & (labels != recipe.ignore), labels == recipe.blank
    return (best == labels)[char].float().mean().item(), (best == labels)[blank].float().mean().item()


def train(recipe: Recipe, fonts: list[Path], out: Path, *, seed: int, steps: int) -> None:
    """Train and write the averaged weights to `out`, at every report and at the end."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    model = recipe.model().to(memory_format=torch.channels_last)
    print(
        f"{sum(p.numel() for p in model.parameters())} parameters, {steps} steps of {recipe.batch}",
        flush=True,
    )
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.decay), use_buffers=True
    )
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, total_steps=steps, pct_start=recipe.warm_up
    )
    strips, labels = _samples(recipe.source(fonts, seed + 1000), recipe.held)
    held_strips, held_labels = torch.from_numpy(normalise(strips))[:, None], torch.from_numpy(labels)
    context = mp.get_context("spawn")  # forked children of a process with OpenMP threads can hang
    queues = [context.Queue(maxsize=_QUEUED) for _ in range(recipe.drawers)]
    drawers = [
        context.Process(
            target=_draw, args=(recipe, fonts, seed + i, -(-steps // recipe.drawers), queue), daemon=True
        )
        for i, queue in enumerate(queues)
    ]
    for drawer in drawers:
        drawer.start()
    began, total, waited = time.monotonic(), 0.0, 0.0
    for step in range(steps):
        asked = time.monotonic()
        strips, labels = queues[step % recipe.drawers].get()
        waited += time.monotonic() - asked
        x = torch.from_numpy(normalise(strips))[:, None].contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(x)
        loss = nn.functional.cross_entropy(
            logits.float(), torch.from_numpy(labels), ignore_index=recipe.ignore
        )
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(model)
        total += loss.item()
        if (step + 1) % recipe.report == 0:
            right, blank = evaluate(average.module, held_strips, held_labels, recipe)
            print(
                f"step {step + 1} loss {total / recipe.report:.4f} characters {right:.4f} blanks {blank:.4f} "
                f"{time.monotonic() - began:.0f} s, {waited:.0f} s of it waiting for lines",
                flush=True,
            )
            total = 0.0
            torch.save(average.module.state_dict(), out)
    torch.save(average.module.state_dict(), out)
    for drawer in drawers:
        drawer.join(timeout=5)

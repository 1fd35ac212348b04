"""Training: two processes draw lines, one learns from them; the same seed gives the same lines in the same
order."""

from __future__ import annotations

import multiprocessing as mp
import time
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch import nn

from .model import LineReader
from .render import BLANK, IGNORE, LineSource

if TYPE_CHECKING:
    from pathlib import Path

SEED = 20261121
STEPS = 6000
BATCH = 128
DRAWERS = 2


def normalise(strips: np.ndarray) -> np.ndarray:
    """Zero mean, unit deviation a strip: the same as in `edged/core/_fastnet_isa.h`."""
    values = strips.astype(np.float32)
    values -= values.mean(axis=(1, 2), keepdims=True)
    return values / np.maximum(values.std(axis=(1, 2), keepdims=True), 4.0)


def _draw(fonts: list[Path], seed: int, batches: int, out: Any) -> None:
    cv2.setNumThreads(1)
    source = LineSource(fonts, seed)
    for _ in range(batches):
        samples = [source.sample() for _ in range(BATCH)]
        out.put((np.stack([strip for strip, _ in samples]), np.stack([labels for _, labels in samples])))


def evaluate(model: nn.Module, strips: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """(share of character columns read right, share of blank columns kept blank)."""
    model.eval()
    with torch.no_grad():
        best = torch.cat([model(part).argmax(1) for part in strips.split(256)])
    model.train()
    char, blank = (labels != BLANK) & (labels != IGNORE), labels == BLANK
    return (best == labels)[char].float().mean().item(), (best == labels)[blank].float().mean().item()


def train(fonts: list[Path], out: Path, *, seed: int, steps: int) -> None:
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    model = LineReader().to(memory_format=torch.channels_last)
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {steps} steps of {BATCH}", flush=True)
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998), use_buffers=True
    )
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps, pct_start=0.08)
    check = LineSource(fonts, seed + 1000)
    held = [check.sample() for _ in range(1500)]
    held_strips = torch.from_numpy(normalise(np.stack([s for s, _ in held])))[:, None]
    held_labels = torch.from_numpy(np.stack([y for _, y in held]))
    context = mp.get_context("spawn")  # forked children of a process with OpenMP threads can hang
    queues = [context.Queue(maxsize=8) for _ in range(DRAWERS)]
    drawers = [
        context.Process(target=_draw, args=(fonts, seed + i, -(-steps // DRAWERS), queues[i]), daemon=True)
        for i in range(DRAWERS)
    ]
    for drawer in drawers:
        drawer.start()
    began, total = time.monotonic(), 0.0
    for step in range(steps):
        strips, labels = queues[step % DRAWERS].get()
        x = torch.from_numpy(normalise(strips))[:, None].contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(x)
        loss = nn.functional.cross_entropy(logits.float(), torch.from_numpy(labels), ignore_index=IGNORE)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(model)
        total += loss.item()
        if (step + 1) % 500 == 0:
            right, blank = evaluate(average.module, held_strips, held_labels)
            print(
                f"step {step + 1} loss {total / 500:.4f} characters {right:.4f} blanks {blank:.4f} "
                f"{time.monotonic() - began:.0f} s",
                flush=True,
            )
            total = 0.0
            torch.save(average.module.state_dict(), out)
    for drawer in drawers:
        drawer.join(timeout=5)

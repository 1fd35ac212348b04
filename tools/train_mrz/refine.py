"""The second stage: a finished network learns more faces, its batch norms folded, in small steps.

    python -m tools.train_mrz.refine edged/core/models/mrz_lines.net edged/core/models/mrz_lines.net

It starts from a model file, so that a face can be added without the first stage's hour.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edged.core.network import parse

from .model import LineReader
from .netfile import packed
from .render import FONTS, IGNORE, MORE_FONTS, STRIP_HEIGHT, LineSource
from .train import DRAWERS, SEED, draw, evaluate, normalise

STEPS = 1400
RATE = 3e-4


class Folded(nn.Module):
    """The line reader without batch norms, with a model file's weights."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        like = LineReader()
        self.body = nn.Sequential(*(m for m in like.body if not isinstance(m, nn.BatchNorm2d)))
        self.head = like.head
        convolutions = [m for m in (*self.body, self.head) if isinstance(m, nn.Conv2d)]
        with torch.no_grad():
            for convolution, (weights, bias, *_) in zip(convolutions, parse(data)[0], strict=True):
                convolution.weight.copy_(torch.from_numpy(np.array(weights)))
                convolution.bias.copy_(torch.from_numpy(np.array(bias)))

    def forward(self, strips: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(strips)).squeeze(2)

    def layers(self) -> list[tuple[np.ndarray, np.ndarray, tuple[int, int], tuple[int, int], bool]]:
        return [
            (
                m.weight.detach().float().numpy(),
                m.bias.detach().float().numpy(),
                m.stride,
                m.padding,
                m is not self.head,
            )
            for m in (*self.body, self.head)
            if isinstance(m, nn.Conv2d)
        ]


def refine(fonts: list[Path], data: bytes, *, seed: int, steps: int) -> bytes:
    """The model file of a network that has learnt on from this one."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    faces = (*FONTS, *MORE_FONTS)
    model = Folded(data).to(memory_format=torch.channels_last)
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995)
    )
    optimiser = torch.optim.AdamW(model.parameters(), RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=0.1)
    check = LineSource(fonts, seed + 1000, faces)
    held = [check.sample() for _ in range(1000)]
    strips = torch.from_numpy(normalise(np.stack([s for s, _ in held])))[:, None]
    labels = torch.from_numpy(np.stack([y for _, y in held]))
    print("before", evaluate(model, strips, labels), flush=True)
    context = mp.get_context("spawn")
    queues = [context.Queue(maxsize=8) for _ in range(DRAWERS)]
    drawers = [
        context.Process(
            target=draw, args=(fonts, seed + i, -(-steps // DRAWERS), queues[i], faces), daemon=True
        )
        for i in range(DRAWERS)
    ]
    for drawer in drawers:
        drawer.start()
    began = time.monotonic()
    for step in range(steps):
        drawn, truth = queues[step % DRAWERS].get()
        x = torch.from_numpy(normalise(drawn))[:, None].contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(x)
        loss = nn.functional.cross_entropy(logits.float(), torch.from_numpy(truth), ignore_index=IGNORE)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(model)
        if (step + 1) % 200 == 0:
            seconds = time.monotonic() - began
            print(step + 1, evaluate(average.module, strips, labels), f"{seconds:.0f} s", flush=True)
    for drawer in drawers:
        drawer.join(timeout=5)
    return packed(average.module.layers(), STRIP_HEIGHT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--fonts", type=Path, action="append", help="folder searched for the fonts; repeatable"
    )
    parser.add_argument("--seed", type=int, default=SEED + 500)
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args()
    fonts = args.fonts or [Path("/usr/share/fonts"), Path("/usr/share/texmf/fonts")]
    args.out.write_bytes(refine(fonts, args.network.read_bytes(), seed=args.seed, steps=args.steps))


if __name__ == "__main__":
    main()

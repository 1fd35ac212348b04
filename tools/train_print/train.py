"""How the print reader is trained: by the trainer of `tools/train_mrz`, on lines of ordinary print."""

from __future__ import annotations

from tools.train_mrz.train import Recipe

from .model import PrintReader
from .render import BLANK, IGNORE, STRIP_HEIGHT, LineSource

RECIPE = Recipe(
    model=PrintReader,
    source=LineSource,
    height=STRIP_HEIGHT,
    blank=BLANK,
    ignore=IGNORE,
    seed=20261126,
    steps=4800,
    batch=96,
    drawers=1,
    decay=0.995,
    rate=5e-3,
    warm_up=0.1,
    held=800,
    report=200,
)

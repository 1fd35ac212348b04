"""Write a trained checkpoint as the file that ships in `edged/core/models`: batch norms folded in, 16-bit weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from tools.train_mrz.export import folded
from tools.train_mrz.netfile import packed

from .model import PrintReader
from .render import STRIP_HEIGHT

if TYPE_CHECKING:
    from pathlib import Path


def export(checkpoint: Path, out: Path) -> None:
    model = PrintReader()
    model.load_state_dict(torch.load(checkpoint, weights_only=True))
    model.eval()
    out.write_bytes(packed(folded(model), STRIP_HEIGHT))
    print(f"{out}: {out.stat().st_size} bytes")

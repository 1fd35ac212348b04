"""The line reader's network: convolutions only, so that any width goes in and a column comes out every 4
pixels."""

from __future__ import annotations

import torch
from torch import nn

from .render import BLANK


class LineReader(nn.Module):
    """(N, 1, 32, W) normalised strips -> (N, classes, W / 4) logits.

    The receptive field is a little over three characters: enough to see a neighbour's width (0 against O),
    too little to learn words.
    """

    def __init__(self, classes: int = BLANK + 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.ReLU(inplace=True),
            nn.Conv2d(24, 48, 3, 2, 1), nn.BatchNorm2d(48), nn.ReLU(inplace=True),
            nn.Conv2d(48, 64, 3, 1, 1), nn.BatchNorm2d(64), nn.ReLU(inplace=True),
            nn.Conv2d(64, 80, 3, (2, 1), 1), nn.BatchNorm2d(80), nn.ReLU(inplace=True),
            nn.Conv2d(80, 128, (4, 3), 1, (0, 1)), nn.BatchNorm2d(128), nn.ReLU(inplace=True),
            nn.Conv2d(128, 128, (1, 5), 1, (0, 2)), nn.BatchNorm2d(128), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.head = nn.Conv2d(128, classes, 1)

    def forward(self, strips: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(strips)).squeeze(2)

"""The print reader's network: convolutions only, a column out every two pixels."""

from __future__ import annotations

import torch
from torch import nn

from .text import BLANK


class PrintReader(nn.Module):
    """(N, 1, 24, W) normalised strips -> (N, classes, W / 2) logits.

    Proportional print has narrow characters: hence two pixels a column, and a field of view of about three
    characters, too little to learn words.
    """

    def __init__(self, classes: int = BLANK + 1) -> None:
        super().__init__()

        def block(inputs: int, outputs: int, *shape: int | tuple[int, int]) -> list[nn.Module]:
            conv = nn.Conv2d(inputs, outputs, *shape)  # size, stride, padding
            return [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]

        self.body = nn.Sequential(
            *block(1, 16, 3, 2, 1),
            *block(16, 32, 3, (2, 1), 1),
            *block(32, 48, 3, 1, 1),
            *block(48, 64, 3, (2, 1), 1),
            *block(64, 104, 3, 1, (0, 1)),
            *block(104, 104, (1, 5), 1, (0, 2)),
        )
        self.head = nn.Conv2d(104, classes, 1)

    def forward(self, strips: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(strips)).squeeze(2)

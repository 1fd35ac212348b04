"""Write a trained checkpoint as the file that ships in `edged/core/models` (`edged.core.network`).

Batch norms are folded into the convolutions. Weights are stored as 16-bit floats: half the file, and no
probability moved by more than 0.002 on 681 strips of real pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from .netfile import packed

if TYPE_CHECKING:
    from pathlib import Path

    from .netfile import Layer
    from .train import Recipe


def folded(model: nn.Module) -> list[Layer]:
    """Each convolution with its batch norm folded in; every one but the last is followed by a ReLU."""
    layers: list[Layer] = []
    modules = [*model.body, model.head]
    for i, module in enumerate(modules):
        if not isinstance(module, nn.Conv2d):
            continue
        weight, bias = module.weight.double(), module.bias.double()
        norm = modules[i + 1] if i + 1 < len(modules) else None
        if isinstance(norm, nn.BatchNorm2d):
            scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
            weight = weight * scale[:, None, None, None]
            bias = (bias - norm.running_mean.double()) * scale + norm.bias.double()
        relu = module is not model.head
        arrays = (weight.detach().float().numpy(), bias.detach().float().numpy())
        layers.append((*arrays, module.stride, module.padding, relu))
    return layers


def export(recipe: Recipe, checkpoint: Path, out: Path) -> None:
    """Write the network of a recipe, with a checkpoint's weights, to `out`."""
    model = recipe.model()
    model.load_state_dict(torch.load(checkpoint, weights_only=True))
    model.eval()
    out.write_bytes(packed(folded(model), recipe.height))
    print(f"{out}: {out.stat().st_size} bytes")

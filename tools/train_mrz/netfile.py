"""Writes the file that `edged.core.network` reads; its format is described there. Needs numpy alone."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    Pair = tuple[int, int]
    Layer = tuple[np.ndarray, np.ndarray, Pair, Pair, bool]
    """Weights (outputs, inputs, kernel height, kernel width), bias, stride, padding, whether a ReLU follows."""

MAGIC = b"EDGNET\x00\x01"


def packed(layers: Sequence[Layer], height: int, weights: str = "float16") -> bytes:
    """The file of a network that reads strips of this height; half precision halves it, ValueError where that is
    too little for a weight."""
    kind = {"float16": "<f2", "float32": "<f4"}[weights]
    values, headers = [], []
    for kernel, bias, stride, padding, relu in layers:
        outputs, inputs, *size = kernel.shape
        stored = np.clip(kernel, -np.finfo(kind).max, np.finfo(kind).max).astype(kind)
        if not np.allclose(stored.astype(np.float32), kernel, rtol=1e-3, atol=1e-4):
            raise ValueError(f"{weights} can't hold the weights")
        values += [stored.tobytes(), bias.astype("<f4").tobytes()]
        shape = {
            "kernel": size,
            "stride": [*stride],
            "padding": [*padding],
            "inputs": inputs,
            "outputs": outputs,
        }
        headers.append({**shape, "relu": bool(relu)})
    header = json.dumps({"height": height, "weights": weights, "layers": headers}).encode()
    data = b"".join([MAGIC, struct.pack("<I", len(header)), header, *values])
    return data + hashlib.sha256(data).digest()

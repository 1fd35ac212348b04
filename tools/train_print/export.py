"""Write a trained checkpoint as the ONNX file that ships in `edged/core/models`: batch norms folded in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from .model import PrintReader
from .render import STRIP_HEIGHT
from .text import BLANK

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np


def folded(model: PrintReader) -> list[tuple[nn.Conv2d, np.ndarray, np.ndarray]]:
    """(convolution, weights, bias) with each batch norm folded in; every one but the last is followed by a
    ReLU."""
    layers = []
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
        layers.append((module, weight.detach().float().numpy(), bias.detach().float().numpy()))
    return layers


def export(checkpoint: Path, out: Path) -> None:
    model = PrintReader()
    model.load_state_dict(torch.load(checkpoint, weights_only=True))
    model.eval()
    nodes, constants, name = [], [], "strips"
    layers = folded(model)
    for i, (conv, weight, bias) in enumerate(layers):
        constants += [numpy_helper.from_array(weight, f"w{i}"), numpy_helper.from_array(bias, f"b{i}")]
        pads = [conv.padding[0], conv.padding[1]] * 2
        result = f"c{i}" if i + 1 < len(layers) else "logits"
        attributes = {"kernel_shape": list(conv.kernel_size), "strides": list(conv.stride), "pads": pads}
        nodes.append(helper.make_node("Conv", [name, f"w{i}", f"b{i}"], [result], **attributes))
        if i + 1 < len(layers):
            nodes.append(helper.make_node("Relu", [result], [f"r{i}"]))
            name = f"r{i}"
    graph = helper.make_graph(
        nodes,
        "print_lines",
        [helper.make_tensor_value_info("strips", TensorProto.FLOAT, ["n", 1, STRIP_HEIGHT, "w"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", BLANK + 1, 1, "columns"])],
        constants,
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="edged")
    proto.ir_version = 8
    onnx.checker.check_model(proto)
    out.write_bytes(proto.SerializeToString())
    print(f"{out}: {out.stat().st_size} bytes")

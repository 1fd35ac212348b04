"""What the line reader's network costs: our kernel on every instruction set of this CPU beside `cv2.dnn`, one core.

`python benchmarks/inference.py [--model FILE] [--json]`: milliseconds a strip at several widths (the best of many
runs: what the machine can do when left alone), the largest difference of any probability from `cv2.dnn`'s, the time
to load, the memory a process gains by loading and running each, and what fitting a line's grid costs.

`cv2.dnn` gets the same network as ONNX, written here; `OPENCV_CPU_DISABLE=AVX2,FMA3,AVX,FP16` shows it on older CPUs.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from edged.core._fastnet import isas  # noqa: E402
from edged.core.network import load, parse  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edged.core.network import Layer

MODEL = ROOT / "edged/core/models/mrz_lines.net"
WIDTHS = (256, 512, 832, 1280)
SECONDS = 0.6
"""For each figure."""


def varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])


def field(number: int, value: int | str | bytes) -> bytes:
    """One field of a protocol buffer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def onnx(layers: Sequence[Layer], height: int) -> bytes:
    """The network as `cv2.dnn` reads it: Conv and Relu nodes (numbers of the fields: onnx.proto, IR version 8)."""

    def tensor(name: str, values: np.ndarray) -> bytes:
        dims = b"".join(field(1, size) for size in values.shape)
        return field(5, dims + field(2, 1) + field(8, name) + field(9, values.astype("<f4").tobytes()))

    def ints(name: str, *values: int) -> bytes:
        return field(5, field(1, name) + b"".join(field(8, value) for value in values) + field(20, 7))

    def info(number: int, name: str, *shape: int | str) -> bytes:
        dims = b"".join(field(1, field(1 if isinstance(size, int) else 2, size)) for size in shape)
        return field(number, field(1, name) + field(2, field(1, field(1, 1) + field(2, dims))))

    graph, name = field(2, "lines"), "strips"
    for i, (weights, bias, stride, padding, relu) in enumerate(layers):
        inputs = b"".join(field(1, one) for one in (name, f"w{i}", f"b{i}"))
        attributes = (
            ints("kernel_shape", *weights.shape[2:]) + ints("strides", *stride) + ints("pads", *padding * 2)
        )
        name = "logits" if i + 1 == len(layers) else f"c{i}"
        graph += tensor(f"w{i}", weights) + tensor(f"b{i}", bias)
        graph += field(1, inputs + field(2, name) + field(4, "Conv") + attributes)
        if relu:
            graph += field(1, field(1, name) + field(2, f"r{i}") + field(4, "Relu"))
            name = f"r{i}"
    graph += info(11, "strips", "n", 1, height, "w") + info(12, name, "n", len(layers[-1].bias), 1, "columns")
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))


class Peer:
    """`cv2.dnn` behind the same call as our kernel."""

    def __init__(self, model: bytes) -> None:
        from edged.core.vision import cv2

        self.net = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))

    def probabilities(self, strips: np.ndarray) -> np.ndarray:
        values = strips.astype(np.float32)
        values -= values.mean(axis=(1, 2), keepdims=True)
        values /= np.maximum(values.std(axis=(1, 2), keepdims=True), 4.0)
        self.net.setInput(values[:, None])
        logits = self.net.forward()[:, :, 0].transpose(0, 2, 1)
        shares = np.exp(logits - logits.max(axis=2, keepdims=True))
        return shares / shares.sum(axis=2, keepdims=True)


def best_ms(work: Callable[[], object]) -> float:
    end = time.perf_counter() + SECONDS
    best = np.inf
    while time.perf_counter() < end:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return round(best * 1e3, 3)


def strip(height: int, width: int) -> np.ndarray:
    """Dark strokes on grey paper, as many as characters would give."""
    rng = np.random.default_rng(width)
    grey = rng.normal(190, 6, (1, height, width))
    for x in range(8, width - 8, 9):
        grey[0, rng.integers(4, 12) : rng.integers(18, 28), x : x + rng.integers(2, 5)] -= 130
    return grey.clip(0, 255).astype(np.uint8)


def gained(which: str, model: Path) -> float:
    """MiB a fresh process gains by loading one of the two and reading a strip, OpenCV being there already."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from benchmarks import inference as i; from pathlib import Path\n"
        "from edged.core.vision import cv2; cv2.resize(i.strip(32, 832)[0], (99, 9)); before = i.rss()\n"
        "net = i.reader(sys.argv[2], Path(sys.argv[3])); s = i.strip(i.parse(Path(sys.argv[3]).read_bytes())[1], 832)\n"
        "[net.probabilities(s) for _ in range(5)]; print(i.rss() - before)"
    )
    command = [sys.executable, "-c", code, str(ROOT), which, str(model)]
    return round(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout), 1)


def rss() -> float:
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def reader(which: str, model: Path) -> Any:
    data = model.read_bytes()
    return Peer(onnx(*parse(data))) if which == "cv2.dnn" else load(data, which)


def grid_ms(shares: np.ndarray) -> dict[str, float]:
    from edged.core.ocr import to_grid
    from tests import ocr_oracle

    return {"kernel": best_ms(lambda: to_grid(shares)), "NumPy": best_ms(lambda: ocr_oracle.to_grid(shares))}


def characters(columns: int) -> np.ndarray:
    """Columns of a line whose characters stand 5 columns apart."""
    shares = np.full((columns, 38), 0.001, np.float32)
    at = np.arange(columns)
    inside = (at > 8) & (at < columns - 8) & (at % 5 != 0)
    shares[at, np.where(inside, at // 5 % 37, 37)] = 0.963
    return shares


def measure(model: Path) -> dict[str, Any]:
    data = model.read_bytes()
    layers, height = parse(data)
    peer_file = onnx(layers, height)
    peer = Peer(peer_file)
    found: dict[str, Any] = {"ms": {}, "difference": {}, "load ms": {}, "RSS MiB": {}, "bytes": {}}
    for name in ("cv2.dnn", *isas()):
        net = reader(name, model)
        strips = {width: strip(height, width) for width in WIDTHS}
        found["ms"][name] = {
            width: best_ms(lambda n=net, s=s: n.probabilities(s)) for width, s in strips.items()
        }
        found["difference"][name] = max(
            float(np.abs(net.probabilities(s) - peer.probabilities(s)).max()) for s in strips.values()
        )
        ours = name != "cv2.dnn"
        found["load ms"][name] = best_ms(lambda n=name, o=ours: load(data, n) if o else Peer(peer_file))
        found["RSS MiB"][name] = gained(name, model)
        found["bytes"][name] = len(data if ours else peer_file)
    found["grid ms"] = grid_ms(characters(208))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = measure(args.model)
    if args.json:
        print(json.dumps({"machine": platform.processor() or platform.machine(), **found}, indent=2))
        return
    print(
        f"{'':10}"
        + "".join(f"{width:>8} px" for width in WIDTHS)
        + "   difference  load ms  RSS MiB    bytes"
    )
    for name, times in found["ms"].items():
        costs = "".join(f"{times[width]:8.3f} ms" for width in WIDTHS)
        rest = f"{found['load ms'][name]:9.1f}{found['RSS MiB'][name]:9.1f}{found['bytes'][name]:9}"
        print(f"{name:10}{costs}   {found['difference'][name]:10.1e}{rest}")
    print("grid of a line: " + ", ".join(f"{name} {cost:.3f} ms" for name, cost in found["grid ms"].items()))


if __name__ == "__main__":
    main()

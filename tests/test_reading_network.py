"""The network's kernel against a plain convolution, on every instruction set of this CPU; its file and its damages."""

from __future__ import annotations

import hashlib
import json
import struct
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.core import ocr
from edged.core._fastnet import Net, isas
from edged.core.network import MAGIC, Layer, load, parse
from edged.errors import EdgedError
from tests import ocr_oracle
from tools.train_mrz.netfile import packed

SHIPPED = files("edged.core").joinpath("models", "mrz_lines.net").read_bytes()


def layer(
    rng: np.random.Generator,
    shape: tuple[int, int, int, int],
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    relu: bool = True,
) -> Layer:
    """Weights that keep activations about as large as they come in."""
    weights = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
    return Layer(weights, rng.normal(0, 0.3, shape[0]).astype(np.float32), stride, padding, relu)


@st.composite
def stacks(draw: st.DrawFn) -> tuple[list[Layer], int]:
    """(layers, height): up to five layers of any kernel, then one that leaves a single row."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    left = height = draw(st.integers(1, 20))
    inputs, layers = 1, []
    for _ in range(draw(st.integers(0, 5))):
        outputs = draw(st.sampled_from([3, 8, 16, 24, 38, 40, 48, 64, 80]))
        kernel = draw(st.integers(1, min(4, left))), draw(st.sampled_from([1, 2, 3, 3, 4, 5, 5]))
        stride = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (2, 2), (1, 2)]))
        padding = draw(st.integers(0, kernel[0] - 1)), kernel[1] // 2
        layers.append(layer(rng, (outputs, inputs, *kernel), stride, padding, draw(st.booleans())))
        left = (left + 2 * padding[0] - kernel[0]) // stride[0] + 1
        inputs = outputs
    while left > 16:
        layers.append(layer(rng, (8, inputs, 3, 3), (2, 1), (1, 1)))
        left, inputs = (left - 1) // 2 + 1, 8
    classes = draw(st.sampled_from([1, 8, 38, 40, 65]))
    return [*layers, layer(rng, (classes, inputs, left, 1), relu=False)], height


@settings(max_examples=60, deadline=None)
@given(stacks(), st.integers(4, 150), st.integers(0, 2**32))
def test_the_same_as_a_plain_convolution(stack: tuple[list[Layer], int], width: int, seed: int) -> None:
    layers, height = stack
    rng = np.random.default_rng(seed)
    strips = rng.integers(0, 256, (2, height, width), np.uint8)
    strips[1] //= 64  # nearly flat
    expected = [ocr_oracle.probabilities(strip, layers) for strip in strips]
    for isa in isas():
        found = Net(layers, height, isa).probabilities(strips)
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5, err_msg=isa)


@pytest.mark.parametrize("isa", isas())
@pytest.mark.parametrize("width", [4, 44, 100, 832])
def test_the_shipped_network_runs_as_written(isa: str, width: int) -> None:
    layers, height = parse(SHIPPED)
    strips = np.random.default_rng(width).integers(0, 256, (1, height, width), np.uint8)
    found = load(SHIPPED, isa).probabilities(strips)
    assert found.shape == (1, width // 4, ocr.CLASSES + 1)
    np.testing.assert_allclose(found[0], ocr_oracle.probabilities(strips[0], layers), rtol=0, atol=2e-5)


def test_threads_share_a_network_and_leave_the_strips_alone() -> None:
    strips = np.random.default_rng(7).integers(0, 256, (16, 32, 320), np.uint8)
    strips.setflags(write=False)
    net = load(SHIPPED)
    together = net.probabilities(strips)
    with ThreadPoolExecutor(8) as pool:
        apart = list(pool.map(ocr.columns, [*strips] * 4))
    for i, one in enumerate(apart):
        np.testing.assert_array_equal(one, together[i % 16])


def test_extreme_strips_give_shares() -> None:
    strips = np.zeros((3, 32, 64), np.uint8)
    strips[1] = 255
    strips[2, ::2] = 255
    found = load(SHIPPED).probabilities(strips)
    np.testing.assert_allclose(found.sum(axis=2), 1, atol=1e-5)
    np.testing.assert_array_equal(found[0], found[1])
    assert load(SHIPPED).probabilities(strips[:0]).shape == (0, 16, ocr.CLASSES + 1)


def test_strips_of_another_shape_are_refused() -> None:
    net = load(SHIPPED)
    for shape in [(1, 31, 64), (1, 32, 0), (1, 32, 20_000)]:
        with pytest.raises(ValueError, match="strips"):
            net.probabilities(np.zeros(shape, np.uint8))
    narrow = Net([layer(np.random.default_rng(0), (4, 1, 1, 9), relu=False)], 1)
    with pytest.raises(ValueError, match="narrow"):
        narrow.probabilities(np.zeros((1, 1, 8), np.uint8))


def test_layers_that_do_not_follow_each_other_are_refused() -> None:
    rng = np.random.default_rng(0)
    bad: list[list[Layer]] = [
        [],
        [layer(rng, (4, 2, 3, 3))],
        [layer(rng, (4, 1, 1, 1)), layer(rng, (4, 5, 3, 3))],
        [layer(rng, (4, 1, 2, 1))],  # two rows left of three
        [layer(rng, (4, 1, 4, 1))],  # higher than the strip
        [layer(rng, (4, 1, 3, 3), padding=(0, 3))],
        [layer(rng, (4, 1, 3, 3), stride=(0, 1))],
        [layer(rng, (300, 1, 3, 3))],
        [layer(rng, (4, 1, 3, 3))._replace(bias=np.zeros(3, np.float32))],
        [layer(rng, (1, 1, 1, 1))] * 16 + [layer(rng, (1, 1, 3, 1))],
    ]
    for layers in bad:
        with pytest.raises(ValueError, match=r"layer|row|network"):
            Net(layers, 3)
    with pytest.raises(ValueError, match="CPU"):
        Net([layer(rng, (4, 1, 3, 3))], 3, "abacus")


@pytest.mark.parametrize("weights", ["float16", "float32"])
def test_a_file_gives_back_what_was_written(weights: str) -> None:
    rng = np.random.default_rng(1)
    layers = [layer(rng, (24, 1, 3, 3), (2, 2), (1, 1)), layer(rng, (5, 24, 2, 1), relu=False)]
    found, height = parse(packed(layers, 4, weights))
    assert height == 4
    for one, other in zip(found, layers, strict=True):
        stored = other.weights.astype(weights).astype(np.float32)
        np.testing.assert_array_equal(one.weights, stored)
        np.testing.assert_array_equal(one.bias, other.bias)
        assert one[2:] == other[2:]


def test_half_precision_refuses_what_it_cannot_hold() -> None:
    one = layer(np.random.default_rng(0), (1, 1, 1, 1))
    with pytest.raises(ValueError, match="float16"):
        packed([one._replace(weights=one.weights * 0 + 1e6)], 1)


def sealed(data: bytes) -> bytes:
    return data + hashlib.sha256(data).digest()


def with_header(**changes: object) -> bytes:
    """The shipped file with another header and the right checksum."""
    (length,) = struct.unpack_from("<I", SHIPPED, len(MAGIC))
    start = len(MAGIC) + 4
    header = json.dumps(json.loads(SHIPPED[start : start + length]) | changes).encode()
    return sealed(MAGIC + struct.pack("<I", len(header)) + header + SHIPPED[start + length : -32])


def one_layer(**changes: object) -> list[object]:
    shape: dict[str, object] = {
        "kernel": [3, 3],
        "stride": [2, 2],
        "padding": [1, 1],
        "inputs": 1,
        "outputs": 24,
    }
    return [{**shape, "relu": True, **changes}]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        SHIPPED[:8],
        SHIPPED[:-1],
        SHIPPED[:5000],
        SHIPPED + b"\0",
        SHIPPED[:300_000] + bytes([SHIPPED[300_000] ^ 1]) + SHIPPED[300_001:],
        b"PK" + SHIPPED[2:],
        sealed(MAGIC[:-1] + b"\x02" + SHIPPED[len(MAGIC) : -32]),
        sealed(SHIPPED[:-34]),
        sealed(SHIPPED[:-32] + b"\0\0"),
        sealed(MAGIC + struct.pack("<I", 0xFFFFFFFF) + SHIPPED[12:-32]),
        with_header(height=64),
        with_header(height=-32),
        with_header(weights="int8"),
        with_header(layers=[]),
        with_header(more=1),
        with_header(layers=one_layer(outputs=1024, inputs=1024, kernel=[16, 16])),
        with_header(layers=one_layer(outputs=-24, inputs=-1)),
        with_header(layers=one_layer(kernel=[3, 3, 3])),
        sealed(SHIPPED[:-36] + struct.pack("<f", float("nan"))),
    ],
    ids=range(20),
)
def test_a_damaged_file_says_so(data: bytes) -> None:
    with pytest.raises(EdgedError, match="install edged again"):
        load(data)

r"""The file of a trained network: read, checked, and made ready to run (`edged.core._fastnet`).

`EDGNET\0\1`, the header's length (uint32), the header (JSON: the strip's height, the type of the weights, the
layers), then each layer's weights (outputs, inputs, kernel height, kernel width) and float32 biases, and at the end
SHA-256 of all of it. Little-endian. `tools/train_mrz/netfile.py` writes it.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple, TypeAlias

import msgspec
import numpy as np

from edged.core._fastnet import Net
from edged.errors import EdgedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC: Final = b"EDGNET\x00\x01"
"""The last byte is the version."""
_DIGEST: Final = hashlib.sha256().digest_size
_START: Final = len(MAGIC) + 4
# Bounds of what a layer may say, well above any network a box could run: sizes are products of five of these.
_Few: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=16)]
_Pad: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=15)]
_Many: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1024)]


class Layer(NamedTuple):
    """A convolution with what follows it folded in; the pairs are (vertical, horizontal).

    `weights` is (outputs, inputs, kernel height, kernel width), `bias` (outputs,).
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    stride: tuple[int, int]
    padding: tuple[int, int]
    relu: bool


class _LayerHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kernel: tuple[_Few, _Few]
    stride: tuple[_Few, _Few]
    padding: tuple[_Pad, _Pad]
    inputs: _Many
    outputs: _Many
    relu: bool


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    height: _Many
    weights: Literal["float16", "float32"]
    layers: list[_LayerHeader]


def parse(data: bytes) -> tuple[list[Layer], int]:
    """(layers, height of a strip) of a model file; EdgedError where it is damaged or of another version."""
    if data[: len(MAGIC) - 1] != MAGIC[:-1]:
        raise _damaged("this is no network")
    if data[: len(MAGIC)] != MAGIC:
        raise _damaged("the network's file is of another version")
    body = memoryview(data)[:-_DIGEST]
    if len(data) < _START + _DIGEST or hashlib.sha256(body).digest() != data[-_DIGEST:]:
        raise _damaged("the network's file does not match its checksum")
    (length,) = struct.unpack_from("<I", data, len(MAGIC))
    try:
        header = msgspec.json.decode(body[_START : _START + length], type=_Header)
        layers, end = _layers(header, body, _START + length)
    except (ValueError, msgspec.DecodeError) as error:
        raise _damaged("the network's header does not describe its file") from error
    if end != len(body):
        raise _damaged("the network's file is longer than its header says")
    return layers, header.height


def load(data: bytes, isa: str = "") -> Net:
    """The network of a model file, ready to run; EdgedError where it can't be."""
    layers, height = parse(data)
    try:
        return Net(layers, height, isa)
    except ValueError as error:
        raise _damaged(f"the network can't run ({error})") from error


def _layers(header: _Header, body: memoryview, at: int) -> tuple[list[Layer], int]:
    kind = np.dtype("<f2" if header.weights == "float16" else "<f4")
    layers = []
    for one in header.layers:
        shape = (one.outputs, one.inputs, *one.kernel)
        count = one.outputs * one.inputs * one.kernel[0] * one.kernel[1]
        weights = np.frombuffer(body, kind, count, at).astype(np.float32).reshape(shape)
        at += count * kind.itemsize
        bias = np.frombuffer(body, "<f4", one.outputs, at).astype(np.float32)
        at += bias.nbytes
        if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
            raise ValueError("weights that are no numbers")
        layers.append(Layer(weights, bias, one.stride, one.padding, one.relu))
    return layers, at


def _damaged(what: str) -> EdgedError:
    return EdgedError(f"{what}: install edged again")

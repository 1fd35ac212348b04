"""JPEG 2000 files of some hundred octets that ask for gigabytes are refused by their headers; usual ones are not."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from edged.core.image import MAX_DECODED, decode_image
from edged.core.imageheader import sniff
from edged.core.jpeg2000 import extent
from edged.errors import DecodeError
from tests.chip_fuzz import Measured
from tests.image_fuzz import seeds

MIB = 1 << 20


def codestream(width: int, height: int, mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (width, height)).save(file, "JPEG2000", no_jp2=True, **options)
    return file.getvalue()


def coded(data: bytes, *, layers: int = 1, block: int = 4, precincts: int | None = None) -> bytes:
    """The codestream with another COD: layers, code-blocks of 2**(block + 2), precincts of 2**precincts a side."""
    out = bytearray(data)
    at = out.index(b"\xff\x52")
    struct.pack_into(">H", out, at + 6, layers)
    out[at + 10] = out[at + 11] = block
    if precincts is not None:
        levels = out[at + 9]
        out[at + 4] |= 1
        out[at + 14 : at + 14] = bytes((precincts * 17,)) * (levels + 1)
        struct.pack_into(">H", out, at + 2, struct.unpack_from(">H", out, at + 2)[0] + levels + 1)
    return bytes(out)


def tiled(data: bytes, across: int, down: int) -> bytes:
    out = bytearray(data)
    struct.pack_into(">II", out, 24, across, down)
    return bytes(out)


def refused(data: bytes, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(DecodeError) as caught:
        decode_image(data)
    return caught.value.code


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tile_size": (256, 256)},
        {"codeblock_size": (32, 32)},
        {"codeblock_size": (64, 64), "precinct_size": (256, 256)},
        {"quality_layers": [40, 20, 10]},
        {"num_resolutions": 1},
        {"codeblock_size": (4, 4)},
    ],
    ids=str,
)
def test_usual_coding_is_decoded(mode, options):
    data = codestream(1000, 700, mode, **options)
    found = extent(data)
    assert (found.width, found.height, found.ended) == (1000, 700, True)
    assert found.books < (170 if "codeblock_size" in options else 8) * MIB
    assert decode_image(data).shape == (700, 1000, 3)


@pytest.mark.parametrize(
    "ask",
    [
        lambda data: tiled(data, 3, 5),  # held 750 MB in 65 000 tiles
        lambda data: coded(data, precincts=1),  # 545 MB, as one component
        lambda data: coded(data, precincts=5, layers=65_535),  # 770 MB
        lambda data: coded(data, block=0, precincts=3),
    ],
    ids=["tiles", "precincts", "packets", "code-blocks"],
)
def test_small_files_that_ask_for_much(ask, monkeypatch):
    data = ask(codestream(1400, 1400))
    assert len(data) < 400
    assert sniff(data).buffered > MAX_DECODED
    assert refused(data, monkeypatch) == "image.too_large"


def test_a_component_and_a_tile_part_may_not_ask_for_it_either(monkeypatch):
    data = codestream(1400, 1400)
    style = bytes.fromhex("FF53 0000 00 01 05 04 04 00 00") + b"\x11" * 6
    segment = style[:2] + struct.pack(">H", len(style) - 2) + style[4:]
    tile = data.index(b"\xff\x90")
    assert refused(data[:tile] + segment + data[tile:], monkeypatch) == "image.too_large"
    begun = data.index(b"\xff\x93", tile)
    assert refused(data[:begun] + segment + data[begun:], monkeypatch) == "image.too_large"


def test_a_palette_makes_components():
    jp2 = seeds()["jp2 grey"]
    body = struct.pack(">HB", 256, 200) + bytes(200) + bytes(256 * 200)
    box = struct.pack(">I4s", 8 + len(body), b"pclr") + body
    at, head = jp2.index(b"colr") - 4, jp2.index(b"jp2h") - 4
    longer = struct.pack(">I", struct.unpack_from(">I", jp2, head)[0] + len(box))
    found = extent(jp2[:head] + longer + jp2[head + 4 : at] + box + jp2[at:])
    assert found.samples == 201
    assert extent(jp2).samples == 1


@pytest.mark.parametrize("name", ["jp2", "j2k", "jp2 grey"])
def test_headers_cut_anywhere_are_answered(name):
    data = seeds()[name]
    whole = sniff(data)
    assert (whole.width, whole.height, whole.truncated) == (60, 40, False)
    for end in range(12, len(data)):
        found = sniff(data[:end])
        assert found is None or found.truncated or found[:3] == whole[:3]


@pytest.mark.parametrize(
    ("at", "value"),
    [(8, 0), (12, 0), (24, 0), (28, 0), (32, 1), (36, 1)],
    ids=["x", "y", "tx", "ty", "ox", "oy"],
)
def test_grids_that_are_none(at, value):
    data = bytearray(seeds()["j2k"])
    struct.pack_into(">I", data, at, value)
    assert sniff(bytes(data)) is None


def test_segments_without_end_are_followed_so_far_and_no_further():
    data = codestream(60, 40)
    tile = data.index(b"\xff\x90")
    comment = b"\xff\x64\x00\x04\x00\x01"
    assert sniff(data[:tile] + comment * 1000 + data[tile:]).truncated is False
    assert sniff(data[:tile] + comment * 70_000 + data[tile:]).truncated


def test_a_tile_part_that_ends_before_itself_is_gone_over_once():
    """It was gone over 65 000 times."""
    data = bytearray(codestream(60, 40))
    tile = data.index(b"\xff\x90")
    comment = b"\xff\x64\x00\x04\x00\x01"
    begun = data.index(b"\xff\x93", tile)
    data[begun:begun] = comment * 3
    struct.pack_into(">I", data, tile + 6, 14)
    with Measured(1000):
        assert sniff(bytes(data)) is not None


def test_the_picture_is_the_same_one():
    data = seeds()["j2k"]
    assert np.array_equal(decode_image(data), decode_image(seeds()["jp2"]))

"""Broken image files by the thousand, and those made to hurt: an answer each, in a process that can't take much."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from edged.core.image import MAX_CODED, decode_image
from edged.core.imageheader import png_pixels, sniff
from edged.core.tiff import MAX_PAGES, tiff_page, tiff_pages
from edged.errors import DecodeError
from tests import image_fuzz
from tests.image_fuzz import chunk, entries_changed, seeds

ROOT = Path(__file__).parents[1]
MIB = 768
"""What decoding may hold: a picture of 64 megapixels twice over, and room."""


def decode_in_a_small_process(what: str, first: int, second: int, timeout: float = 100) -> dict[str, object]:
    command = [sys.executable, "-m", "tests.image_fuzz", what, str(first), str(second)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=timeout
    )
    last = re.findall(r"^case \d+$", done.stderr, re.MULTILINE)[-1:]
    assert done.returncode == 0, f"{last} ended it ({done.returncode}): {done.stderr[-1000:]}"
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", list(seeds()))
def test_every_seed_is_a_picture(name):
    if name == "tiff big":
        assert image_fuzz.decode(seeds()[name]) == "image.not_an_image"
    else:
        assert image_fuzz.decode(seeds()[name]) == "decoded"


def test_broken_files_are_answered():
    seen = decode_in_a_small_process("cases", 0, 4000)
    assert set(seen["outcomes"]) <= {
        "decoded", "image.empty", "image.not_an_image", "image.too_large", "image.truncated"
    }  # fmt: skip
    assert seen["outcomes"]["decoded"] > 500, "breaking reaches the decoders"
    assert seen["mib"] < MIB


@pytest.mark.parametrize(
    ("width", "height"),
    [
        (4500, 4600),
        pytest.param(7900, 8000, marks=pytest.mark.slow),
        pytest.param(2130, 30_000, marks=pytest.mark.slow),
        pytest.param(30_000, 2130, marks=pytest.mark.slow),
    ],
)
def test_small_files_that_say_they_are_large_hold_no_more_than_large_ones(width, height):
    seen = decode_in_a_small_process("declared", width, height)
    assert sum(seen["outcomes"].values()) == len(image_fuzz.declared(width, height))
    assert seen["mib"] < MIB


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_broken_files_are_answered_for_long():
    for first in range(1_000_000, 2_000_000, 50_000):
        assert decode_in_a_small_process("cases", first, 50_000, 600)["mib"] < MIB


def code_of(data: bytes) -> str:
    with pytest.raises(DecodeError) as refused:
        decode_image(data)
    return refused.value.code


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_texts_and_profiles_of_a_png_are_never_unpacked(kind, monkeypatch):
    """Seven megabytes of them took 44 seconds: each chunk unpacks to a thousand times its size."""
    packed = zlib.compress(bytes(2_000_000), 9)
    head = {b"zTXt": b"k\0\0", b"iTXt": b"k\0\1\0\0\0", b"iCCP": b"k\0\0"}[kind]
    data = seeds()["png"]
    bomb = data[:33] + chunk(kind, head + packed) * 50 + data[33:]
    assert png_pixels(bomb) == data
    decoded = []
    decode = cv2.imdecode
    monkeypatch.setattr(
        cv2, "imdecode", lambda buffer, flags: decoded.append(len(buffer)) or decode(buffer, flags)
    )
    assert np.array_equal(decode_image(bomb), decode_image(data))
    assert decoded == [len(data)] * 2


def test_a_moving_png_is_its_still_picture():
    assert png_pixels(seeds()["png animated"]).count(b"fdAT") == 0
    assert np.array_equal(decode_image(seeds()["png animated"])[0, :, 0], np.arange(60))


def test_fill_bytes_before_a_marker_are_skipped_at_once():
    """63 MB of them took 6 seconds."""
    data = seeds()["jpeg"]
    header = sniff(data[:2] + b"\xff" * 40_000_000 + data[2:])
    assert header is not None
    assert (header.width, header.height, header.truncated) == (60, 40, False)


def test_tiles_larger_than_any_picture_are_refused_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    assert (
        code_of(entries_changed(seeds()["tiff tiles"], t322=(3, 16_384), t323=(3, 16_384)))
        == "image.too_large"
    )


@pytest.mark.parametrize("compression", [6, 34712, 34887, 34925, 50000, 50001])
def test_compressions_no_scanner_writes_are_not_decoded(compression, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    assert code_of(entries_changed(seeds()["tiff strips"], t259=(3, compression))) == "image.not_an_image"


@pytest.mark.parametrize("tag", ["t256", "t257", "t258", "t259", "t277"])
def test_numbers_a_decoder_may_read_otherwise_than_we_do_are_refused(tag, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    for kind in (1, 5, 6, 8, 9, 11, 16):
        assert code_of(entries_changed(seeds()["tiff strips"], **{tag: (kind, 60)})) == "image.not_an_image"


def test_a_moving_webp_of_many_pixels_is_refused_before_it_is_decoded(monkeypatch):
    """Its decoder holds every pixel three times over."""
    data = seeds()["webp animated"]
    wide = data[:24] + (7999).to_bytes(3, "little") + (7999).to_bytes(3, "little") + data[30:]
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    assert code_of(wide) == "image.too_large"


@pytest.mark.parametrize(("name", "kind"), [("j2k", "jpeg2000"), ("webp", "webp")])
def test_files_that_take_long_to_unpack_may_be_less_long(name, kind, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    data = seeds()[name]
    assert code_of(data + bytes(MAX_CODED[kind]) + data[-2:]) == "image.too_large"


def test_pages_of_a_tiff():
    data = seeds()["tiff pages"]
    first, second = (decode_image(tiff_page(data, place)) for place in tiff_pages(data))
    assert np.array_equal(first, image_fuzz.picture())
    assert np.array_equal(second[:, :, 0], image_fuzz.picture()[:, :, 2])
    assert tiff_pages(seeds()["png"]) == []
    assert len(tiff_pages(seeds()["tiff strips"])) == 1


def test_pages_that_follow_themselves_or_never_end():
    data = seeds()["tiff strips"]
    (count,) = struct.unpack_from("<H", data, 8)
    end = 10 + 12 * count
    itself = data[:end] + struct.pack("<I", 8) + data[end + 4 :]
    assert tiff_pages(itself) == [8]
    directory = struct.pack("<H", 0)
    chain = b"II*\0" + struct.pack("<I", 8)
    for _ in range(500):
        chain += directory + struct.pack("<I", len(chain) + 6)
    assert len(tiff_pages(chain)) == MAX_PAGES
    assert len(tiff_pages(chain, 300)) == 300
    cut = data[: end + 2]
    assert tiff_pages(cut) == [8]


def test_a_small_copy_of_a_page_is_no_page():
    data = bytearray(seeds()["tiff pages"])
    _, second = tiff_pages(bytes(data))
    tag = struct.unpack_from("<H", data, second + 2)[0]
    struct.pack_into("<HHII", data, second + 2, 254, 4, 1, 1)
    assert tag in {254, 256}
    assert len(tiff_pages(bytes(data))) == 1

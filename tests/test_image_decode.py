"""Image files: every kind edged reads, and every way a file can be bad."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.core.image import MAX_PIXELS, decode_image
from edged.core.imageheader import sniff
from edged.errors import DecodeError

KINDS = (".jpg", ".png", ".tiff", ".bmp", ".webp", ".jp2")


def picture(height: int = 40, width: int = 60) -> np.ndarray:
    """Smooth, and different in every quarter: survives compression and shows turns."""
    y, x = np.mgrid[0:height, 0:width]
    return np.dstack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)]).astype(
        np.uint8
    )


def encoded(kind: str, image: np.ndarray) -> bytes:
    return cv2.imencode(kind, image)[1].tobytes()


def exif(orientation: int) -> bytes:
    return b"II*\x00\x08\x00\x00\x00\x01\x00" + struct.pack("<HHIHH", 274, 3, 1, orientation, 0) + bytes(4)


def jpeg_turned(image: np.ndarray, orientation: int) -> bytes:
    data = encoded(".jpg", image)
    body = b"Exif\x00\x00" + exif(orientation)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def code_of(data: bytes) -> str:
    with pytest.raises(DecodeError) as refused:
        decode_image(data)
    assert refused.value.what == "image"
    return refused.value.code


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_picture_and_its_header_tells_the_size(kind):
    data = encoded(kind, picture())
    image = decode_image(data)
    assert image.shape == (40, 60, 3)
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - picture()).mean() < 6
    header = sniff(data)
    assert header is not None
    assert (header.width, header.height, header.truncated) == (60, 40, False)


@pytest.mark.parametrize("kind", [".png", ".tiff"])
def test_grey_alpha_and_sixteen_bits_become_eight_bit_colour(kind):
    grey = picture()[:, :, 0]
    assert np.array_equal(decode_image(encoded(kind, grey))[:, :, 1], grey)
    deep = grey.astype(np.uint16) * 257
    assert np.array_equal(decode_image(encoded(kind, deep))[:, :, 2], grey)
    clear = np.dstack([picture(), np.zeros((40, 60), np.uint8)])
    assert decode_image(encoded(kind, clear)).min() == 255, "transparent is white, not what lies under it"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation):
    upright = picture()
    stored = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p),
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        8: lambda p: np.rot90(p, -1),
    }[orientation](upright)
    image = decode_image(jpeg_turned(np.ascontiguousarray(stored), orientation))
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright).mean() < 6


def test_exif_orientation_of_a_png():
    data = encoded(".png", np.ascontiguousarray(np.rot90(picture())))
    chunk = png_chunk(b"eXIf", exif(6))
    assert np.array_equal(decode_image(data[:33] + chunk + data[33:]), picture())


def test_empty_and_other_files_are_refused():
    assert code_of(b"") == "image.empty"
    for data in (b"hello", b"%PDF-1.7", b"GIF89a" + bytes(40), bytes(100), b"\x7fELF" + bytes(60)):
        assert code_of(data) == "image.not_an_image"


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch):
    side = 14_143  # 200 megapixels
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    rows = zlib.compress(bytes(1000)) * 20
    bomb = b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    assert side * side > MAX_PIXELS
    assert code_of(bomb) == "image.too_large"
    jpeg = bytearray(encoded(".jpg", picture()))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 60_000, 60_000)
    assert code_of(bytes(jpeg)) == "image.too_large"
    bmp = bytearray(encoded(".bmp", picture()))
    bmp[18:26] = struct.pack("<ii", 20_000, -20_000)
    assert code_of(bytes(bmp)) == "image.too_large"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.98])
def test_a_truncated_file_is_refused(kind, share):
    data = encoded(kind, picture(200, 300))
    assert code_of(data[: int(len(data) * share)]) in {"image.truncated", "image.not_an_image"}


def test_a_progressive_jpeg_is_whole_and_cut_it_is_not():
    data = cv2.imencode(".jpg", picture(200, 300), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert decode_image(data).shape == (200, 300, 3)
    assert code_of(data[: len(data) // 2]) == "image.truncated"


def test_trailing_bytes_do_no_harm():
    for kind in (".jpg", ".png"):
        assert decode_image(encoded(kind, picture()) + b"\x00" * 100).shape == (40, 60, 3)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\x00", b"BM",
                                                  b"RIFF\x00\x00\x00\x00WEBP", b"\xff\x4f\xff\x51"]))  # fmt: skip
def test_arbitrary_bytes_only_ever_raise_decode_error(tail, magic):
    try:
        decode_image(magic + tail)
    except DecodeError as error:
        assert error.code.startswith("image.")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(KINDS), st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=12))
def test_flipped_bytes_only_ever_raise_decode_error(kind, flips):
    data = bytearray(encoded(kind, picture()))
    for place, value in flips:
        data[int(place * len(data))] = value
    try:
        image = decode_image(bytes(data))
    except DecodeError as error:
        assert error.code.startswith("image.")
    else:
        assert image.ndim == 3
        assert image.dtype == np.uint8


def png(
    width: int, height: int, *, depth: int = 8, colours: int = 2, second: tuple[int, int] | None = None
) -> bytes:
    """A black PNG; `second` adds another size after the pixels."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colours]
    rows = zlib.compressobj(1)
    row = bytes(1 + width * channels * depth // 8)
    pixels = b"".join(rows.compress(row) for _ in range(height)) + rows.flush()

    def size(w: int, h: int) -> bytes:
        return png_chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, colours, 0, 0, 0))

    later = b"" if second is None else size(*second)
    body = size(width, height) + png_chunk(b"IDAT", pixels) + later + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_deep_pictures_of_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch):
    assert decode_image(png(40, 30, depth=16, colours=6)).shape == (30, 40, 3)
    deep = bytearray(png(40, 30, depth=16, colours=6))
    deep[8:33] = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 7000, 7000, 16, 6, 0, 0, 0))
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    assert MAX_PIXELS > 7000 * 7000
    assert code_of(bytes(deep)) == "image.too_large"


def test_sixteen_bits_lose_their_lower_eight():
    image = (picture().astype(np.uint16) << 8) + 77
    assert np.array_equal(decode_image(encoded(".png", image)), picture())


def test_the_first_size_of_a_png_counts_and_there_is_no_second():
    for second in ((10, 10), (9000, 9000)):
        assert code_of(png(30, 20, second=second)) == "image.not_an_image"


def test_a_jpeg_of_endless_scans_is_refused_before_it_is_decoded(monkeypatch):
    grey = np.full((2000, 2000), 128, np.uint8)
    data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert decode_image(data).shape == (2000, 2000, 3)
    last = data.rindex(b"\xff\xda")
    table = data.rindex(b"\xff\xc4", 0, last)
    bomb = data[:-2] + data[table:-2] * 400 + data[-2:]
    header = sniff(bomb)
    assert header is not None
    assert header.scans > 400
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    assert code_of(bomb) == "image.too_large"


def test_a_second_frame_in_a_jpeg_is_refused():
    data = encoded(".jpg", picture())
    at = data.index(b"\xff\xc0")
    frame = data[at : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")]
    assert code_of(data[:at] + frame + data[at:]) == "image.not_an_image"


def test_the_size_of_a_jpeg_2000_is_its_codestreams_not_a_decoys():
    data = encoded(".jp2", picture())
    code = data.index(b"\xff\x4f\xff\x51")
    decoy = bytearray(data[code : code + 100])
    decoy[8:16] = struct.pack(">II", 7, 7)
    at = 12 + int.from_bytes(data[12:16], "big")
    box = struct.pack(">I4s", 8 + 16 + len(decoy), b"uuid") + bytes(16) + decoy
    header = sniff(data[:at] + box + data[at:])
    assert header is not None
    assert (header.width, header.height) == (60, 40)

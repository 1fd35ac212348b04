"""DG2: the portrait in the chip is found in every form that chips keep it in, and never decoded unmeasured."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from edged.core.emrtd.biometric import MAX_INSTANCES
from edged.core.emrtd.dg7 import MAX_IMAGES, parse_dg7
from edged.core.emrtd.portrait_file import MAX_FILE_BYTES, decode_portrait, find_portrait
from edged.core.emrtd.tlv import encode
from edged.core.image import decode_image
from edged.errors import DecodeError, IdentityLeakError
from tests.image_fuzz import picture
from tests.lds_files import (
    BSI,
    dg2,
    dg7,
    face_19794,
    face_39794,
    images,
    needs_chip_data,
    template,
)

KINDS = {"jpeg": "jpeg", "jp2": "jpeg2000", "j2k": "jpeg2000"}
every_image = pytest.mark.parametrize("name", KINDS)


def refused(file: bytes) -> str:
    with pytest.raises(DecodeError) as caught:
        find_portrait(file)
    assert caught.value.what == "portrait"
    return caught.value.code


def is_the_picture(file: bytes, name: str) -> None:
    portrait = find_portrait(file)
    assert portrait.octets == images()[name]
    assert (portrait.kind, portrait.width, portrait.height) == (KINDS[name], 60, 40)
    decoded = decode_portrait(portrait)
    assert decoded.shape == (40, 60, 3)
    assert np.abs(decoded.astype(int) - picture()).mean() < 12


@needs_chip_data
def test_the_bsi_specimen():
    portrait = find_portrait((BSI / "0102").read_bytes())
    assert (portrait.kind, portrait.width, portrait.height, portrait.instances) == ("jpeg2000", 413, 531, 1)
    assert len(portrait.octets) == 15_083 - 84
    assert decode_portrait(portrait).shape == (531, 413, 3)


@every_image
def test_19794(name):
    is_the_picture(dg2(template(face_19794(images()[name]))), name)


@every_image
def test_19794_with_feature_points(name):
    is_the_picture(dg2(template(face_19794(images()[name], points=17))), name)


@every_image
@pytest.mark.parametrize("wrapped", [True, False])
def test_39794(name, wrapped):
    is_the_picture(dg2(template(face_39794(images()[name], wrapped=wrapped), 0x7F2E)), name)


@every_image
@pytest.mark.parametrize("length", [0, 6, 0xFFFFFFFF])
def test_the_records_own_length_is_not_believed(name, length):
    """New Zealand counts it without a header."""
    is_the_picture(dg2(template(face_19794(images()[name], record_length=length))), name)


@every_image
def test_feature_points_miscounted(name):
    record = bytearray(face_19794(images()[name], points=3))
    struct.pack_into(">H", record, 18, 0)
    is_the_picture(dg2(template(bytes(record))), name)
    struct.pack_into(">H", record, 18, 65_535)
    is_the_picture(dg2(template(bytes(record))), name)


def test_several_faces_in_a_record_and_several_records():
    record = face_19794(images()["jpeg"], images()["jp2"])
    is_the_picture(dg2(template(record)), "jpeg")
    both = dg2(template(face_19794(images()["j2k"])), template(record))
    is_the_picture(both, "j2k")
    assert find_portrait(both).instances == 2


@pytest.mark.parametrize("count", [0, 1, 2, 200])
def test_templates_are_counted_not_believed(count):
    portrait = find_portrait(dg2(template(face_19794(images()["jpeg"])), count=count))
    assert portrait.instances == 1


def test_the_first_record_with_a_picture_counts():
    good = template(face_19794(images()["jp2"]))
    for bad in (face_19794(), b"FAC\x00", b"FMR\x00 20", face_39794(b"no picture"), face_19794(b"GIF89a")):
        is_the_picture(dg2(template(bad), good), "jp2")


def test_a_picture_that_is_cut():
    for name in KINDS:
        assert refused(dg2(template(face_19794(images()[name][:-300])))) in {
            "image.truncated",
            "face.no_image",
        }


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (b"", "tlv.cut"),
        (encode(0x75, b""), "biometric.malformed"),
        (encode(0x75, encode(0x7F61, b"")), "biometric.malformed"),
        (encode(0x75, encode(0x7F61, encode(0x02, b"\x01"))), "biometric.malformed"),
        (encode(0x75, encode(0x7F61, encode(0x7F60, b""))), "biometric.malformed"),
        (encode(0x75, encode(0x7F61, encode(0x04, b""))), "biometric.malformed"),
        (encode(0x75, encode(0x7F61, encode(0x7D, b""))), "biometric.encrypted"),
        (dg2(encode(0x7F60, encode(0x7D, b"x"))), "biometric.encrypted"),
        (dg2(*[template(b"?")] * (MAX_INSTANCES + 1)), "biometric.too_many"),
        (dg2(template(b"")), "face.unknown_record"),
        (dg2(template(b"FMR\x00 20\x00")), "face.unknown_record"),
        (dg2(template(b"FAC\x00010\x00")), "face.malformed"),
        (dg2(template(face_19794(bytes(100), faces=0))), "face.no_image"),
        (dg2(template(face_19794(bytes(100)))), "face.no_image"),
        (dg2(template(encode(0x64, b""))), "face.unknown_record"),
        (dg2(template(encode(0xA1, encode(0x64, b"")))), "face.unknown_record"),
        (dg2(template(encode(0x65, b""))), "face.no_image"),
        (dg2(template(face_39794(b"no picture"))), "face.no_image"),
        (dg2(template(face_19794(images()["jpeg"]))) + b"\x00", "tlv.unexpected"),
        (bytes(MAX_FILE_BYTES + 1), "image.too_large"),
    ],
    ids=range(20),
)
def test_what_is_no_portrait(file, code):
    assert refused(file) == code


def sized(width: int, height: int) -> bytes:
    data = bytearray(images()["j2k"])
    struct.pack_into(">II", data, 8, width, height)
    struct.pack_into(">II", data, 24, width, height)
    return bytes(data)


def test_pixels_are_counted_before_anything_is_decoded(monkeypatch):
    import cv2

    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    assert find_portrait(dg2(template(face_19794(sized(2000, 2000))))).width == 2000
    assert refused(dg2(template(face_19794(sized(2001, 2000))))) == "image.too_large"
    assert refused(dg2(template(face_39794(sized(65_535, 65_535))))) == "image.too_large"


def test_books_are_counted_too():
    data = bytearray(images()["j2k"])
    struct.pack_into(">II", data, 24, 1, 1)  # every pixel a tile
    assert refused(
        dg2(template(face_19794(bytes(data[:8]) + struct.pack(">II", 600, 400) + bytes(data[16:]))))
    ) == ("image.too_large")


def test_a_portrait_is_withheld():
    portrait = find_portrait(dg2(template(face_19794(images()["jpeg"]))))
    with pytest.raises(IdentityLeakError):
        str(portrait)


def test_signatures():
    found = parse_dg7(dg7(images()["jpeg"], images()["jp2"]))
    assert [image.reveal() for image in found] == [images()["jpeg"], images()["jp2"]]
    assert decode_image(found[0].reveal()).shape == (40, 60, 3)


@pytest.mark.parametrize(
    "file",
    [
        b"",
        dg7(),
        dg7(b"GIF89a"),
        dg7(*[images()["jpeg"]] * (MAX_IMAGES + 1)),
        encode(0x67, encode(0x5F44, images()["jpeg"])),
        encode(0x65, encode(0x5F43, images()["jpeg"])),
    ],
    ids=range(6),
)
def test_what_is_no_signature(file):
    with pytest.raises(DecodeError) as caught:
        parse_dg7(file)
    assert caught.value.what == "dg7"

"""Files of trust data are told apart by what they are, not by their names."""

from __future__ import annotations

import io
import random
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edged.core.emrtd.ldif import Kind
from edged.errors import DecodeError
from edged.trust import inputs
from tests import trust_builders as world

CSCA = world.issue("UT", "CSCA Utopia")
SIGNER = world.signer(CSCA, "UT")
CRL = world.crl(CSCA, [7])
LIST = world.master_list(SIGNER, [CSCA.der], datetime(2026, 1, 1, tzinfo=UTC))


def kinds(path: Path) -> list[Kind]:
    return [item.kind for item in inputs.gather(path).items]


def refused(path: Path) -> str:
    with pytest.raises(DecodeError) as caught:
        inputs.gather(path)
    return caught.value.code


def archive(files: dict[str, bytes]) -> bytes:
    room = io.BytesIO()
    with zipfile.ZipFile(room, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return room.getvalue()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (LIST, [Kind.MASTER_LIST]),
        (CSCA.der, [Kind.CERTIFICATE]),
        (CSCA.pem + SIGNER.pem, [Kind.CERTIFICATE, Kind.CERTIFICATE]),
        (b"Subject: x\n" + CSCA.pem, [Kind.CERTIFICATE]),
        (CRL, [Kind.CRL]),
        (
            world.ldif(("o=ml,c=UT", "pkdMasterListContent", LIST), ("c=UT", "cACertificate", CSCA.der)),
            [Kind.MASTER_LIST, Kind.CERTIFICATE],
        ),
        (archive({"a/list.ml": LIST, "README.txt": b"hello"}), [Kind.MASTER_LIST]),
    ],
)
def test_kinds_by_content(tmp_path: Path, data: bytes, expected: list[Kind]) -> None:
    file = tmp_path / "no-name-that-helps"
    file.write_bytes(data)
    assert kinds(file) == expected


def test_pem_of_a_revocation_list(tmp_path: Path) -> None:
    import base64

    file = tmp_path / "crl.pem"
    body = base64.encodebytes(CRL)
    file.write_bytes(b"-----BEGIN X509 CRL-----\n" + body + b"-----END X509 CRL-----\n")
    assert inputs.gather(file).items == (inputs.Item(Kind.CRL, CRL, "crl.pem"),)


def test_a_directory_takes_what_is_trust_data_and_names_the_rest(tmp_path: Path) -> None:
    (tmp_path / "b.der").write_bytes(CSCA.der)
    (tmp_path / "a.zip").write_bytes(archive({"x.ml": LIST, "licence.txt": b"..."}))
    (tmp_path / "c.txt").write_bytes(b"read me")
    (tmp_path / ".hidden").write_bytes(CSCA.der)
    (tmp_path / "deeper").mkdir()
    found = inputs.gather(tmp_path)
    assert [(item.kind, item.file) for item in found.items] == [
        (Kind.MASTER_LIST, "a.zip/x.ml"),
        (Kind.CERTIFICATE, "b.der"),
    ]
    assert found.skipped == ("a.zip/licence.txt", "c.txt")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "trustfile.unknown"),
        (b"hello", "trustfile.unknown"),
        pytest.param(CSCA.der[:100], "trustfile.unknown", id="half a certificate"),
        (b"\x30\x03\x02\x01\x00", "trustfile.unknown"),
        (archive({"a.txt": b"hello"}), "trustfile.unknown"),
        pytest.param(archive({"a.ml": LIST})[:-40], "trustfile.bad_archive", id="half an archive"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB", "trustfile.bad_pem"),
        (b"-----BEGIN CERTIFICATE-----\nMII*\n-----END CERTIFICATE-----\n", "trustfile.bad_pem"),
        (b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", "trustfile.unknown"),
        (b"dn: c=UT\nchangetype: add\n", "ldif.changes"),
    ],
)
def test_what_is_no_trust_data(tmp_path: Path, data: bytes, code: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(data)
    assert refused(file) == code


def test_an_archive_can_t_unpack_to_more_than_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bomb.zip"
    file.write_bytes(archive({"a": bytes(200_000), "b": bytes(200_000)}))
    monkeypatch.setattr(inputs, "MAX_BYTES", 300_000)
    assert refused(file) == "trustfile.too_large"
    monkeypatch.setattr(inputs, "MAX_FILES", 1)
    assert refused(file) == "trustfile.too_many"


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_that_takes_memory_as_its_header_likes(tmp_path: Path, compression: int) -> None:
    """LZMA's dictionary has the size its header asks for, 4 GB at most, and its errors are of a kind of their own."""
    room = io.BytesIO()
    with zipfile.ZipFile(room, "w", compression) as made:
        made.writestr("a.ml", LIST)
    file = tmp_path / "odd.zip"
    file.write_bytes(room.getvalue())
    assert refused(file) == "trustfile.bad_archive"
    damaged = bytearray(room.getvalue())
    damaged[50] ^= 0xFF
    file.write_bytes(damaged)
    assert refused(file) == "trustfile.bad_archive"


@pytest.mark.parametrize("seed", range(3))
def test_mutations_raise_one_error(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    wholes = [LIST, CSCA.der, CSCA.pem, CRL, archive({"a.ml": LIST, "b": CSCA.der})]
    file = tmp_path / "file"
    for _ in range(150):
        data = bytearray(dice.choice(wholes))
        for _ in range(dice.randint(1, 4)):
            data[dice.randrange(min(len(data), dice.choice((40, 10_000))))] = dice.randrange(256)
        file.write_bytes(data[: dice.choice((len(data), dice.randrange(len(data))))])
        try:
            assert inputs.gather(file).items
        except DecodeError as error:
            assert error.code.split(".")[0] in ("trustfile", "ldif")

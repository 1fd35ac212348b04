"""Keys on disk: nobody else can read them, and a write is whole or absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from edged.errors import CertificateError
from edged.uplink.keys import (
    MAX_KEY_FILE,
    generate_key,
    load_private,
    private_pem,
    read_private,
    write_private,
)


def refusal(path: Path) -> str:
    with pytest.raises(CertificateError) as caught:
        read_private(path)
    return caught.value.code


def test_a_written_key_is_private_and_reads_back(tmp_path: Path) -> None:
    key = generate_key()
    path = tmp_path / "device.key"
    write_private(path, private_pem(key))
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_private(read_private(path)).private_numbers() == key.private_numbers()
    assert [entry.name for entry in tmp_path.iterdir()] == ["device.key"]


def test_a_loose_umask_makes_no_difference(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_private(tmp_path / "k", b"secret")
    finally:
        os.umask(before)
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610, 0o777])
def test_a_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "k"
    write_private(path, b"secret")
    path.chmod(mode)
    assert refusal(path) == "key.readable_by_others"


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "directory").mkdir(mode=0o700)
    write_private(tmp_path / "large", b"x" * (MAX_KEY_FILE + 1))
    assert refusal(tmp_path / "fifo") == "key.malformed"  # and doesn't hang
    assert refusal(tmp_path / "directory") in {"key.malformed", "key.unreadable"}
    assert refusal(tmp_path / "large") == "key.malformed"
    assert refusal(tmp_path / "missing") == "key.missing"
    assert refusal(tmp_path / "large" / "below") == "key.unreadable"


def test_a_failed_write_leaves_the_old_key_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "k"
    write_private(path, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_private(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["k"]


def test_a_write_is_synced_before_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    real_fsync, real_replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (steps.append("fsync"), real_fsync(fd))[1])
    monkeypatch.setattr(Path, "replace", lambda a, b: (steps.append("rename"), real_replace(a, b))[1])
    write_private(tmp_path / "k", b"secret")
    assert steps == ["fsync", "rename", "fsync"]


@pytest.mark.parametrize(
    ("pem", "code"),
    [
        (b"", "key.malformed"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "key.malformed"),
        pytest.param(private_pem(generate_key())[:100], "key.malformed", id="half a key"),
    ],
)
def test_a_broken_key_is_refused_without_being_quoted(pem: bytes, code: str) -> None:
    with pytest.raises(CertificateError) as caught:
        load_private(pem)
    assert caught.value.code == code
    assert caught.value.__cause__ is None


def test_keys_of_other_kinds_are_refused() -> None:
    def pem(
        key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, password: bytes | None = None
    ) -> bytes:
        protection = (
            serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        )
        return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)

    for other in (ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())):
        with pytest.raises(CertificateError) as caught:
            load_private(pem(other))
        assert caught.value.code == "key.wrong_type"
    with pytest.raises(CertificateError) as caught:
        load_private(pem(generate_key(), b"password"))
    assert caught.value.code == "key.malformed"

"""Firmware images of the head: built and checked by the tool, read by anybody, trusted only when signed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.cli import main
from edged.drivers import head_image
from edged.drivers.head_image import HEADER, PREFIX, UNIT, Version
from edged.errors import DecodeError, SignatureRefusedError
from edged.uplink.keys import generate_key

KEY = generate_key()
NUMBERS = st.integers(0, 0xFFFFFFFF)
VERSIONS = st.builds(Version, st.integers(0, 255), st.integers(0, 255), st.integers(0, 65535))


def image(payload: bytes = b"firmware", **changes: object) -> bytes:
    said = {
        "board": "host",
        "version": Version(1, 2, 3),
        "security_version": 4,
        "load_address": 5,
        "key": KEY,
    }
    return head_image.build(payload, **{**said, **changes})  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(
    st.binary(min_size=1, max_size=500),
    VERSIONS,
    NUMBERS,
    NUMBERS,
    st.from_regex(r"[a-z0-9][a-z0-9.-]{0,22}", fullmatch=True),
)
def test_what_was_built_is_read(
    payload: bytes, version: Version, security: int, load: int, board: str
) -> None:
    data = image(payload, version=version, security_version=security, load_address=load, board=board)
    found = head_image.verify(data, KEY.public_key())
    assert found[:4] == (board, version, security, load)
    assert found.size == len(data)
    assert data[PREFIX:].rstrip(b"\xff") == payload.rstrip(b"\xff")
    assert (len(data) - PREFIX) % UNIT == 0


@settings(deadline=None)
@given(st.binary(max_size=400), st.integers(0, 240))
def test_a_strangers_octets_are_refused_with_a_code(noise: bytes, kept: int) -> None:
    for data in (noise, image()[:kept] + noise):
        with pytest.raises((DecodeError, SignatureRefusedError)) as refused:
            head_image.verify(data, KEY.public_key())
        assert refused.value.code.startswith("head_image.")


def test_every_flipped_bit_is_refused() -> None:
    good = image()
    for bit in range(8 * len(good)):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises((DecodeError, SignatureRefusedError)):
            head_image.verify(bytes(bad), KEY.public_key())


def test_another_key_is_not_ours() -> None:
    with pytest.raises(SignatureRefusedError) as refused:
        head_image.verify(image(), generate_key().public_key())
    assert refused.value.code == "head_image.wrong_signature"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not_an_image"),
        (image()[:-1], "incomplete"),
        (image() + b"\0", "incomplete"),
        (image()[:-1] + b"\0", "wrong_digest"),
        (image()[:100] + b"\1" + image()[101:], "not_an_image"),
        (image()[: HEADER - 1], "not_an_image"),
    ],
)
def test_each_fault_has_its_code(data: bytes, code: str) -> None:
    with pytest.raises(DecodeError) as refused:
        head_image.parse(data)
    assert refused.value.code == f"head_image.{code}"


@pytest.mark.parametrize(
    "text", ["1", "1.2", "1.2.3.4", "256.0.0", "0.0.65536", "01.0.0", "-1.0.0", "1.2.x", "١.0.0"]
)
def test_a_version_is_three_numbers(text: str) -> None:
    with pytest.raises(DecodeError):
        Version.parse(text)


def test_versions_are_compared_as_numbers() -> None:
    assert Version.parse("1.10.0") > Version.parse("1.9.9")
    assert Version.of_number(Version(1, 2, 300).number) == Version(1, 2, 300)


# --- the commands of a release engineer ---


def test_a_release_from_key_to_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, payload, out = tmp_path / "key.pem", tmp_path / "head.bin", tmp_path / "head.img"
    payload.write_bytes(b"\1\2\3" * 1000)
    assert main(["head", "key", "new", str(key)]) == 0
    public = capsys.readouterr().out.strip()
    assert key.stat().st_mode & 0o777 == 0o600
    assert main(["head", "key", "new", str(key)]) == 73, "a key is never overwritten"
    assert main(["head", "key", "show", str(key)]) == 0
    assert capsys.readouterr().out.strip() == public
    build = [
        "head",
        "image",
        "build",
        str(payload),
        "-o",
        str(out),
        "--key",
        str(key),
        "--board",
        "mps2-an385",
    ]
    assert main([*build, "--version", "1.2.3", "--security-version", "7", "--load-address", "0x100000"]) == 0
    capsys.readouterr()
    assert main(["head", "image", "show", str(out), "--public-key", public, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["board"], found["version"], found["security_version"]) == ("mps2-an385", "1.2.3", 7)
    assert (found["load_address"], found["signature"]) == (0x100000, "good")
    other = head_image.point(generate_key().public_key()).hex()
    assert main(["head", "image", "show", str(out), "--public-key", other]) == 65
    assert "not signed by that key" in capsys.readouterr().err
    assert main(["head", "image", "show", str(payload)]) == 65
    assert main([*build, "--version", "1.2", "--security-version", "7"]) == 65

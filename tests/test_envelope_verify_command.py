"""`edged verify` as people use it: files, standard input, words, JSON, exit codes."""

from __future__ import annotations

import io
import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from edged import messages
from edged.cli import main
from edged.verdict import CheckClass, JudgedCheck, Kind, Result
from tests.test_envelope_seal import sealed
from tests.trust_support import authority, certificate, signer

if TYPE_CHECKING:
    from pathlib import Path

AT = ("--at", "2026-11-21T12:30")


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_bytes(authority().certificate_pem)
    return path


@pytest.fixture
def envelope(tmp_path: Path) -> Path:
    path = tmp_path / "envelope.jws"
    path.write_text(sealed().jws + "\n")
    return path


def verify(*arguments: object) -> int:
    return main(["verify", *map(str, arguments)])


def feed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.mark.parametrize("lang", messages.LANGUAGES)
def test_words(ca: Path, envelope: Path, capsys: pytest.CaptureFixture[str], lang: str) -> None:
    assert verify(envelope, "--ca", ca, *AT, "--lang", lang) == os.EX_OK
    out = capsys.readouterr().out
    for part in ("box-1", "harbour", "bank", "UTO", messages.text("result.failed", lang)):
        assert part in out
    assert messages.text("claim.check_digit_wrong", lang) in out
    assert "Unexpected message" not in out
    assert "未知消息" not in out


def test_standard_input(
    ca: Path, envelope: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments in ((), ("-",)):
        feed(monkeypatch, envelope.read_bytes())
        assert verify(*arguments, "--ca", ca, *AT, "--json") == os.EX_OK
        answer = json.loads(capsys.readouterr().out)
        assert answer["verified"] is True
        assert answer["signed_by"] == "edged://harbour/device/box-1"
        assert answer["payload"]["claims"]["issuing_state"] == "UTO"


def test_refused_with_the_reason_in_words(
    ca: Path, envelope: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = tmp_path / "changed"
    head, _payload, signature = sealed().jws.split(".")
    changed.write_text(f"{head}.{sealed(scene='hotel').jws.split('.')[1]}.{signature}")
    junk, huge, empty = tmp_path / "junk", tmp_path / "huge", tmp_path / "empty"
    junk.write_bytes(b"\xff\x00 hello")
    huge.write_bytes(b"A" * 1_000_000)
    empty.write_bytes(b"")
    for arguments, code in (
        ((changed, *AT), "jws.signature_wrong"),
        ((junk, *AT), "jws.malformed"),
        ((huge, *AT), "jws.too_large"),
        ((empty, *AT), "jws.malformed"),
        ((envelope, *AT, "--audience", "hotel"), "envelope.wrong_audience"),
        ((envelope, *AT, "--device", "box-2"), "envelope.wrong_issuer"),
        ((envelope, "--at", "2031-01-01"), "cert.expired"),
        ((envelope, "--at", "2026-11-20"), "cert.not_yet_valid"),
    ):
        assert verify(*arguments, "--ca", ca, "--lang", "en") == os.EX_DATAERR
        said = capsys.readouterr()
        assert messages.text(code, "en") in said.err
        assert said.out == ""
        assert verify(*arguments, "--ca", ca, "--lang", "en", "--json") == os.EX_DATAERR
        answer = json.loads(capsys.readouterr().out)
        assert answer == {"verified": False, "reason": code, "text": messages.text(code, "en")}


def test_files_that_are_not_there(
    ca: Path, envelope: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(tmp_path / "absent", "--ca", ca) == os.EX_NOINPUT
    assert verify(tmp_path, "--ca", ca) == os.EX_NOINPUT
    assert verify(envelope, "--ca", tmp_path / "absent") == os.EX_NOINPUT
    leaf = tmp_path / "leaf.pem"
    leaf.write_bytes(certificate().public_bytes(Encoding.PEM))
    for no_authority in (envelope, leaf):
        assert verify(envelope, "--ca", no_authority) == os.EX_CONFIG
    assert len(capsys.readouterr().err.splitlines()) == 5


def test_a_demonstration_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ca").write_bytes(authority(demo=True).certificate_pem)
    (tmp_path / "envelope").write_text(sealed(by=signer(demo=True), kind=Kind.TEST, clock="not_trusted").jws)
    assert verify(tmp_path / "envelope", "--ca", tmp_path / "ca", *AT, "--lang", "en") == os.EX_OK
    out = capsys.readouterr().out
    assert messages.text("verify.demo", "en") in out
    assert messages.text("claim.clock_not_trusted", "en") in out


def test_a_device_cannot_talk_to_the_terminal(
    ca: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "envelope"
    check = JudgedCheck("\x1b]0;owned\x07", CheckClass.OPTIONAL, Result.FAILED)
    path.write_text(sealed(claims={"sex": "\x1b[2J\r"}, checks=(check,)).jws)
    assert verify(path, "--ca", ca, *AT) == os.EX_OK
    out = capsys.readouterr().out
    assert "owned" in out
    assert not {"\x1b", "\r", "\x07"} & set(out)


def test_a_pseudonym_of_two_periods_is_two_words(
    tmp_path: Path, ca: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "two"
    path.write_text(sealed(claims={"holder": {"current": "newer", "previous": "older"}}).jws)
    assert verify(path, "--ca", ca, *AT) == os.EX_OK
    assert "newer / older" in capsys.readouterr().out


def test_the_clock_is_asked_when_no_date_is_given(
    ca: Path, envelope: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime(2040, 1, 1, tzinfo=UTC)

    monkeypatch.setattr("edged.commands.verify.datetime", Later)
    assert verify(envelope, "--ca", ca, "--lang", "en") == os.EX_DATAERR
    assert messages.text("cert.expired", "en") in capsys.readouterr().err


@pytest.mark.parametrize("date", ["yesterday", "2026-13-01", "2026-11-21T25:00", ""])
def test_a_date_that_is_none(ca: Path, envelope: Path, date: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        verify(envelope, "--ca", ca, "--at", date)
    assert "2026-11-21" in capsys.readouterr().err

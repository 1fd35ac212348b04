"""A partner opens what is sealed for it: our command, and the examples that the partners' page gives away."""

from __future__ import annotations

import base64
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from edged.cli import main
from edged.errors import DecodeError
from edged.partner.opening import open_contents
from edged.privacy.encrypting import encrypt_claims
from edged.sealing import envelope_context, key_id, seal
from edged.uplink.envelope import PolicyMark, open_envelope
from edged.uplink.keys import generate_key, load_private, private_pem, write_private
from tests.test_envelope_seal import NOW, anchor, sealed
from tests.trust_support import authority

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples" / "open-sealed"
NODE = shutil.which("node")
KEY, OLD = generate_key(), generate_key()
CLAIMS = {"surname": "CANARYSURNAME", "chinese_name": "金丝雀姓名测试", "age_over_18": True}
RECORD = {"kind": "lodging", "fields": {"surname": "CANARYRECORD", "room": "0417"}}
POLICY = PolicyMark("bank", "1", "a" * 64)
PLACE = {"fleet": "harbour", "device": "box-1", "audience": "bank", "policy_sha256": "a" * 64}
AT = ("--at", "2026-11-21T12:30")


def compact(**changes: Any) -> str:
    context = envelope_context(**PLACE, record_id="r-1")
    record = seal(json.dumps(RECORD).encode(), OLD.public_key(), what="record", context=context)
    content = {
        "claims": {},
        "policy": POLICY,
        "encrypted": encrypt_claims(CLAIMS, KEY.public_key(), **PLACE),
        "record": record,
        "record_id": "r-1",
    }
    return sealed(**(content | changes)).jws


def payload(envelope: str) -> Any:
    return open_envelope(envelope, anchor=anchor(), at=NOW).payload


@pytest.fixture
def keys(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "new.key", tmp_path / "old.key"]
    for path, key in zip(paths, (KEY, OLD), strict=True):
        write_private(path, private_pem(key))
    return paths


@pytest.fixture
def ask(tmp_path: Path, keys: list[Path], capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(authority().certificate_pem)

    def ask(envelope: str, *words: str, using: list[Path] | None = None) -> tuple[int, str, str]:
        file = tmp_path / "envelope.jws"
        file.write_text(envelope)
        with_keys = [word for path in (keys if using is None else using) for word in ("--key", str(path))]
        code = main(["partner", "open", str(file), "--ca", str(ca), *AT, *with_keys, *words])
        return code, *capsys.readouterr()

    return ask


def test_each_part_opens_with_its_key() -> None:
    contents = open_contents(payload(compact()), [KEY, OLD])
    assert contents.claims == CLAIMS
    assert contents.record == RECORD
    assert "CANARY" not in repr(contents) + str(contents)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"encrypted": None, "record": None}, "sealed.nothing"),
        ({"policy": None}, "sealed.no_policy"),
        ({"policy": PolicyMark("bank", "1", "b" * 64)}, "sealed.broken"),
        ({"audience": "hotel"}, "sealed.broken"),
        ({"record_id": "r-2"}, "sealed.broken"),
    ],
)
def test_what_belongs_elsewhere_isnt_opened(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(DecodeError) as caught:
        open_contents(payload(compact(**changes)), [KEY, OLD])
    assert caught.value.code == code


def test_claims_and_record_arent_exchanged() -> None:
    found = payload(compact())
    swapped = msgspec.structs.replace(found, encrypted=found.record, record=None)
    with pytest.raises(DecodeError) as caught:
        open_contents(swapped, [KEY, OLD])
    assert caught.value.code == "sealed.wrong_kind"


@pytest.mark.parametrize("plain", [b"", b"CANARYTEXT", b"[1]", b'{"CANARY":5}', b"[" * 9000, b"\xff"])
def test_what_is_inside_is_looked_at_and_never_quoted(plain: bytes) -> None:
    odd = seal(plain, KEY.public_key(), what="claims", context=envelope_context(**PLACE))
    with pytest.raises(DecodeError) as caught:
        open_contents(payload(compact(encrypted=odd, record=None)), [KEY])
    assert caught.value.code == "sealed.malformed"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "CANARY" not in str(caught.value)


def test_values_are_printed_only_for_who_asks(ask: Callable[..., Any]) -> None:
    for words in ((), ("--json",), ("--lang", "zh-CN")):
        code, out, err = ask(compact(), *words)
        assert (code, err) == (os.EX_OK, "")
        assert "surname" in out
        assert "CANARY" not in out
        assert "金丝雀" not in out
    code, out, err = ask(compact(), "--show", "--json")
    found = json.loads(out)
    assert (found["claims"], found["record"], found["record_id"]) == (CLAIMS, RECORD, "r-1")
    assert "personal data" in err
    assert "CANARY" not in err
    code, out, err = ask(compact(), "--show")
    assert "CANARYSURNAME" in out
    assert "0417" in out
    assert "金丝雀姓名测试" in out
    assert code == os.EX_OK


def test_nothing_is_opened_of_an_envelope_that_isnt_genuine(ask: Callable[..., Any]) -> None:
    head, body, signature = compact().split(".")
    text = base64.urlsafe_b64decode(body + "==").replace(b'"jti-1"', b'"jti-2"')
    forged = ".".join((head, base64.urlsafe_b64encode(text).rstrip(b"=").decode(), signature))
    code, out, _ = ask(forged, "--show", "--json")
    assert code == os.EX_DATAERR
    assert json.loads(out)["opened"] is False
    assert "CANARY" not in out


def test_a_missing_key_is_said(ask: Callable[..., Any], keys: list[Path], tmp_path: Path) -> None:
    code, out, _ = ask(compact(), "--show", "--json", using=keys[:1])
    assert (code, json.loads(out)["reason"]) == (os.EX_DATAERR, "sealed.other_key")
    assert "CANARY" not in out, "nor the part that would open"
    code, _, err = ask(compact(), using=[tmp_path / "nowhere.key"])
    assert code == os.EX_CONFIG
    assert "nowhere.key" in err


def test_a_key_is_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "partner.key"
    assert main(["partner", "key", "new", "--out", str(path)]) == os.EX_OK
    out, err = capsys.readouterr()
    made = load_private(path.read_bytes())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_pem_public_key(out.encode()) == made.public_key()
    assert key_id(made.public_key()) in err
    before = path.read_bytes()
    assert main(["partner", "key", "new", "--out", str(path)]) == os.EX_CANTCREAT
    assert path.read_bytes() == before


# --- the examples ----------------------------------------------------------------------------------------------


def run(program: list[str], envelope: str, keys: list[Path]) -> subprocess.CompletedProcess[str]:
    data = msgspec.json.encode(payload(envelope)).decode()
    return subprocess.run(
        [*program, *map(str, keys)], input=data, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "program",
    [
        pytest.param([sys.executable, str(EXAMPLES / "open_sealed.py")], id="python"),
        pytest.param(
            [str(NODE), str(EXAMPLES / "open-sealed.mjs")],
            id="javascript",
            marks=pytest.mark.skipif(NODE is None, reason="Node.js isn't installed"),
        ),
    ],
)
def test_the_examples_open_what_we_seal(program: list[str], keys: list[Path]) -> None:
    done = run(program, compact(), keys)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"claims": CLAIMS, "record": RECORD}
    clear = run(program, compact(claims={"sex": "F"}, encrypted=None, record=None), keys)
    assert json.loads(clear.stdout) == {"claims": {"sex": "F"}, "record": None}
    for envelope, using in ((compact(record_id="r-2"), keys), (compact(), keys[:1])):
        done = run(program, envelope, using)
        assert done.returncode != 0
        assert done.stderr.startswith("refused: record: ")
        assert "CANARY" not in done.stdout + done.stderr

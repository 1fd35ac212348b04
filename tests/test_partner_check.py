"""`edged partner check`: every mistake that integrations make is named, and nothing about anybody is printed."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from edged import messages
from edged.cli import main
from edged.partner.checking import Report, check
from edged.uplink.envelope import TYP_VERDICT
from edged.uplink.gaps import Gap, seal_gap
from edged.uplink.names import Role, Usage
from edged.uplink.receipts import TYP_RECEIPT, ReceiptRange, seal_receipt
from edged.uplink.replay import TYP_REQUEST, seal_end, seal_request
from edged.uplink.sign import _ORDER
from tests.test_envelope_seal import sealed
from tests.test_replay_messages import end, request
from tests.trust_support import FLEET, NOW, anchor, authority, certificate, key, signer

if TYPE_CHECKING:
    from pathlib import Path

IAT = int(NOW.timestamp())
AT = ("--at", "2026-11-21T12:00")
BOX = signer()
BANK = signer(Role.AUDIENCE, "bank")
CENTRE = signer(Role.COLLECTOR, "centre")
GOOD = sealed().jws
HEAD, BODY, SIGNATURE = GOOD.split(".")


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


def checked(data: str | bytes, **named: Any) -> Report:
    raw = data.encode() if isinstance(data, str) else data
    return check(raw, anchor=anchor(), at=NOW, **named)


def found(report: Report) -> tuple[str | None, str | None, list[str]]:
    return report.failed, report.code, [hint.code for hint in report.hints]


def signed(head: dict[str, Any], payload: bytes, *, over: bytes | None = None) -> str:
    """A JWS signed by hand with the device's key, as an integrator's own code might."""
    text = f"{b64(msgspec.json.encode(head))}.{b64(payload)}"
    r, s = decode_dss_signature(
        key().sign(text.encode() if over is None else over, ec.ECDSA(hashes.SHA256()))
    )
    s = min(s, _ORDER - s)
    return f"{text}.{b64(r.to_bytes(32) + s.to_bytes(32))}"


def header(**changes: Any) -> dict[str, Any]:
    x5c = [base64.b64encode(certificate().public_bytes(Encoding.DER)).decode()]
    return {"alg": "ES256", "typ": TYP_VERDICT, "x5c": x5c} | changes


MESSAGES = {
    "verdict": (GOOD, f"edged/1/{FLEET}/box-1/verdict/bank"),
    "gap": (
        seal_gap(
            Gap(log_id="l", audience="bank", first=3, last=None, sha256=None, reason="unreadable"),
            jti="j",
            iat=IAT,
            clock="trusted",
            signer=BOX,
        ),
        f"edged/1/{FLEET}/box-1/gap/bank",
    ),
    "receipt": (
        seal_receipt("box-1", [ReceiptRange("l", "bank", 1, 1, "0" * 64)], iat=IAT, signer=CENTRE),
        f"edged/1/{FLEET}/box-1/receipt",
    ),
    "replay_request": (seal_request(request(), signer=BANK), f"edged/1/{FLEET}/replay/bank"),
    "replay_end": (seal_end(end(), signer=CENTRE), f"edged/1/{FLEET}/replay/bank/r-1"),
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_good_message_is_good(kind: str) -> None:
    compact, topic = MESSAGES[kind]
    for named in ({}, {"topic": topic}, {"topic": topic, "audience": "bank"} if kind != "receipt" else {}):
        report = checked(compact + "\n", **named)
        assert (report.good, report.kind, report.failed) == (True, kind, None)
        assert report.sha256 == hashlib.sha256(compact.encode()).hexdigest()
    assert checked(compact, topic=f"edged/1/{FLEET}/replay/bank/r-1").good == (
        kind in ("verdict", "gap", "replay_end")
    )


@pytest.mark.parametrize("kind", MESSAGES)
@pytest.mark.parametrize("other", MESSAGES)
def test_each_topic_has_its_kind(kind: str, other: str) -> None:
    report = checked(MESSAGES[kind][0], topic=MESSAGES[other][1])
    allowed = kind == other or (other == "replay_end" and kind in ("verdict", "gap"))
    assert report.good == allowed
    if not allowed:
        assert (report.failed, report.code) == ("kind", "jws.wrong_type")
        assert [hint.code for hint in report.hints][0] == "check.type_found"
        assert "check.type_wanted" in [hint.code for hint in report.hints]


WRAPPED = {
    "check.quotes": [f'"{GOOD}"', f"'{GOOD}'", f"b'{GOOD}'", f"`{GOOD}`"],
    "check.byte_order_mark": [b"\xef\xbb\xbf" + GOOD.encode(), GOOD.encode("utf-16")],
    "check.line_breaks": [
        "\n".join(GOOD[i : i + 64] for i in range(0, len(GOOD), 64)),
        GOOD.replace(".", ". "),
    ],
    "check.base64": [base64.b64encode(GOOD.encode()), base64.encodebytes(GOOD.encode()), b64(GOOD.encode())],
    "check.hexadecimal": [GOOD.encode().hex()],
    "check.pem": [
        f"-----BEGIN JWS-----\n{GOOD}\n-----END JWS-----",
        "-----BEGIN MESSAGE-----\n" + base64.encodebytes(GOOD.encode()).decode() + "-----END MESSAGE-----",
    ],
    "check.json_field": [
        json.dumps({"payload": GOOD}),
        json.dumps({"at": 1, "mqtt": {"topic": "x", "message": GOOD}}),
        json.dumps([GOOD]),
        json.dumps({"payload": {"type": "Buffer", "data": list(GOOD.encode())}}),
    ],
    "check.json_serialisation": [
        json.dumps({"payload": BODY, "protected": HEAD, "signature": SIGNATURE}),
        json.dumps({"payload": BODY, "signatures": [{"protected": HEAD, "signature": SIGNATURE}]}),
    ],
    "check.text_around": ["{not json: " + GOOD + "}"],
}


@pytest.mark.parametrize("code", WRAPPED)
def test_what_is_around_a_message_is_taken_off_and_named(code: str) -> None:
    for data in WRAPPED[code]:
        report = checked(data)
        assert [wrapping.code for wrapping in report.wrappings] == [code], data
        assert (report.failed, report.kind) == (None, "verdict")
        assert not report.good, "the message must be verified as it came"


def test_several_layers_and_the_topic_beside_it() -> None:
    wrong = f"edged/1/{FLEET}/box-1/verdict/hotel"
    inner = json.dumps({"topic": wrong, "payload": base64.b64encode(GOOD.encode()).decode()})
    report = checked(json.dumps(inner))
    codes = [wrapping.code for wrapping in report.wrappings]
    assert codes == ["check.quotes", "check.json_field", "check.base64"]
    report = checked(inner)
    assert [(one.code, one.field) for one in report.wrappings] == [
        ("check.json_field", "payload"),
        ("check.base64", ""),
    ]
    assert found(report)[:2] == ("names", "envelope.wrong_audience")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("", "check.nothing"),
        (" \n", "check.nothing"),
        ("hello", None),
        ("{}", "check.no_message"),
        (b"\xef\xbb\xbf", "check.nothing"),
        (GOOD + ".a.b", "check.encrypted"),
        (certificate().public_bytes(Encoding.PEM), "check.a_certificate"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "check.a_key"),
        (json.dumps({"event": "verdict", "verdict": {"seq": 1}, "sha256": "x"}), "check.our_output"),
        (unb64(BODY), "check.payload_alone"),
        (json.dumps({"state": "online", "device": "box-1", "log_id": "l"}), "check.a_status"),
        (b"[" * 100_000, "check.no_message"),
    ],
)
def test_what_is_given_instead_of_a_message(data: str | bytes, code: str | None) -> None:
    report = checked(data)
    if code is None:
        assert found(report) == ("form", "jws.malformed", ["check.parts"])
    else:
        assert (report.failed, report.code) == ("found", code)


DER = key().sign(f"{HEAD}.{BODY}".encode(), ec.ECDSA(hashes.SHA256()))
HIGH_S = unb64(SIGNATURE)[:32] + (_ORDER - int.from_bytes(unb64(SIGNATURE)[32:])).to_bytes(32)


@pytest.mark.parametrize(
    ("compact", "hints"),
    [
        (f"{HEAD}.{BODY}", ["check.parts"]),
        (f"{HEAD}.{BODY}.{SIGNATURE}==", ["check.padding"]),
        (f"{HEAD}.{BODY}=.{SIGNATURE}", ["check.padding"]),
        (f"{HEAD}.{BODY}.{SIGNATURE[:-2]}+/", ["check.standard_base64"]),
        (f"{HEAD}.{BODY[:7]}!{BODY[8:]}.{SIGNATURE}", ["check.strange_character"]),
        (f"{HEAD}.{BODY}.", ["check.empty_part"]),
        (f"{HEAD}.{BODY}.{b64(DER)}", ["check.der_signature"]),
        (f"{HEAD}.{BODY}.{b64(unb64(SIGNATURE)[:63])}", ["check.signature_length"]),
        (f"{HEAD}.{BODY}.{SIGNATURE[:-1]}" + ("B" if SIGNATURE[-1] == "A" else "h"), None),
    ],
)
def test_mistakes_of_form(compact: str, hints: list[str] | None) -> None:
    report = checked(compact)
    assert (report.failed, report.code) == ("form", "jws.malformed")
    assert [hint.code for hint in report.hints] == (["check.slack_bits"] if hints is None else hints)


def payload(**changes: Any) -> bytes:
    return msgspec.json.encode(json.loads(unb64(BODY)) | changes)


@pytest.mark.parametrize(
    ("compact", "expected"),
    [
        (
            signed(header(kid="k", jku="http"), payload()),
            ("header", "jws.header_refused", ["check.header_extra"]),
        ),
        (signed({"alg": "ES256"}, payload()), ("header", "jws.header_refused", ["check.header_missing"])),
        (signed(header(x5c="MII"), payload()), ("header", "jws.header_refused", ["check.x5c_not_a_list"])),
        (
            f"{b64(b'not json')}.{BODY}.{SIGNATURE}",
            ("header", "jws.header_refused", ["check.header_not_json"]),
        ),
        (signed(header(alg="RS256"), payload()), ("header", "jws.wrong_algorithm", ["check.algorithm"])),
        (
            signed(header(typ="JWT"), payload()),
            ("kind", "jws.wrong_type", ["check.type_found", "check.types_known"]),
        ),
        (signed(header(x5c=[]), payload()), ("certificate", "jws.no_certificate", [])),
        (signed(header(x5c=["!"]), payload()), ("certificate", "cert.malformed", ["check.x5c_encoding"])),
        (f"{HEAD}.{BODY}.{b64(HIGH_S)}", ("signature", "jws.signature_wrong", ["check.high_s"])),
        (
            signed(
                header(),
                payload(),
                over=hashlib.sha256(
                    f"{b64(msgspec.json.encode(header()))}.{b64(payload())}".encode()
                ).digest(),
            ),
            ("signature", "jws.signature_wrong", ["check.signed_digest"]),
        ),
        (
            signed(header(), payload(), over=payload()),
            ("signature", "jws.signature_wrong", ["check.signed_payload_alone"]),
        ),
        (
            signed(header(), payload(), over=msgspec.json.encode(header()) + b"." + payload()),
            ("signature", "jws.signature_wrong", ["check.signed_decoded"]),
        ),
        (
            f"{HEAD}.{b64(payload(seq=2))}.{SIGNATURE}",
            ("signature", "jws.signature_wrong", ["check.changed_or_other_key"]),
        ),
        (signed(header(), b"hello"), ("content", "envelope.malformed", ["check.payload_not_json"])),
        (signed(header(), b"[1]"), ("content", "envelope.malformed", ["check.payload_not_object"])),
        (signed(header(), payload(seq="1")), ("content", "envelope.malformed", ["check.field_wrong"])),
        (signed(header(), payload(more=1)), ("content", "envelope.malformed", ["check.fields_unknown"])),
        (signed(header(), b"{}"), ("content", "envelope.malformed", ["check.fields_missing"])),
        (
            signed(header(), json.dumps(json.loads(unb64(BODY)), ensure_ascii=False).encode()),
            ("content", "envelope.malformed", ["check.not_canonical", "check.spaces"]),
        ),
        (
            signed(header(), msgspec.json.encode(dict(reversed(json.loads(unb64(BODY)).items())))),
            ("content", "envelope.malformed", ["check.not_canonical", "check.field_order"]),
        ),
        (
            signed(header(), payload().replace(b'"seq":1', b'"seq":1,"seq":1')),
            ("content", "envelope.malformed", ["check.not_canonical", "check.field_twice"]),
        ),
        (
            signed(header(), payload().replace(b'"txn-1"', b'"tx\\u006e-1"')),
            ("content", "envelope.malformed", ["check.not_canonical", "check.escapes"]),
        ),
        (signed(header(), payload(seq=2)), ("content", "envelope.broken_stream", [])),
        (signed(header(), payload(iss="box-2")), ("names", "envelope.wrong_issuer", ["check.names"])),
        (signed(header(), payload(fleet="depot")), ("names", "envelope.wrong_fleet", ["check.names"])),
    ],
)
def test_mistakes_further_in(compact: str, expected: tuple[str, str, list[str]]) -> None:
    report = checked(compact)
    assert found(report) == expected
    assert list(report.reached)[-1:] != [expected[0]]


def test_the_wrong_certificate() -> None:
    def x5c(*chain: Any) -> dict[str, Any]:
        return header(x5c=[base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in chain])

    from cryptography.x509 import load_pem_x509_certificate

    root = load_pem_x509_certificate(authority().certificate_pem)
    tls = certificate(usage=Usage.TLS)
    collector = certificate(Role.COLLECTOR, "centre")
    for head, expected in (
        (x5c(tls), ("certificate", "cert.wrong_usage", ["check.connection_certificate"])),
        (x5c(root), ("certificate", "cert.malformed", ["check.leaf_first"])),
        (x5c(collector), ("role", "cert.wrong_role", ["check.role"])),
        (x5c(root, certificate()), ("certificate", "cert.wrong_usage", ["check.leaf_first"])),
        (x5c(certificate(demo=True)), ("certificate", "cert.unknown_issuer", ["check.other_authority"])),
    ):
        assert found(checked(signed(head, payload()))) == expected
    late = check(GOOD.encode(), anchor=anchor(), at=NOW + timedelta(days=5000))
    assert found(late) == ("certificate", "cert.expired", ["check.validity"])


def test_the_wrong_names_and_the_wrong_time() -> None:
    asked = MESSAGES["replay_request"][0]
    for data, named, expected in (
        (GOOD, {"audience": "hotel"}, ("names", "envelope.wrong_audience", ["check.names"])),
        (GOOD, {"topic": "edged/1/depot/box-1/verdict/bank"}, ("names", "topic.not_ours", ["check.topics"])),
        (
            GOOD,
            {"topic": f"edged/1/{FLEET}/box-2/verdict/bank"},
            ("names", "envelope.wrong_issuer", ["check.names"]),
        ),
        (
            MESSAGES["receipt"][0],
            {"topic": f"edged/1/{FLEET}/box-2/receipt"},
            ("names", "receipt.wrong_device", ["check.names"]),
        ),
        (
            asked,
            {"topic": f"edged/1/{FLEET}/replay/hotel"},
            ("names", "replay.wrong_issuer", ["check.names"]),
        ),
    ):
        assert found(checked(data, **named)) == expected
    late = check(asked.encode(), anchor=anchor(), at=NOW + timedelta(hours=1))
    assert found(late) == ("names", "replay.stale", ["check.clock"])
    turned = seal_request(request(), signer=BANK)
    spans = json.loads(unb64(turned.split(".")[1]))
    spans["spans"][0]["first"] = 10
    report = checked(BANK.sign(TYP_REQUEST, msgspec.json.encode(spans)))
    assert found(report) == ("content", "replay.malformed", ["check.fields_contradict"])
    report = checked(CENTRE.sign(TYP_RECEIPT, msgspec.json.encode({"iss": "centre"})))
    assert found(report) == ("content", "receipt.malformed", ["check.fields_missing"])


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = main(["partner", "check", *map(str, arguments)])
    return code, capsys.readouterr().out


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_bytes(authority().certificate_pem)
    return path


SECRETS = ("UTO", "txn-1", "document_number", "claim.check_digit_wrong")


@pytest.mark.parametrize("lang", messages.LANGUAGES)
def test_in_words_and_without_what_it_says_about_anybody(
    ca: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], lang: str
) -> None:
    everything = [compact for compact, _ in MESSAGES.values()]
    everything += [data for variants in WRAPPED.values() for data in variants if isinstance(data, str)]
    everything += [
        signed(header(), payload(claims={"surname": 7})),
        signed(header(), payload(kind="UTO")),
        signed(header(kid="k"), payload()),
        signed(header(), json.dumps(json.loads(unb64(BODY))).encode()),
        signed(header(), payload(**{"ERIKSSON ANNA": 1})),
        f"{HEAD}.{BODY}=.{SIGNATURE}",
        "hello",
        unb64(BODY).decode(),
        json.dumps({"ERIKSSON, ANNA": GOOD}),
    ]
    path = tmp_path / "message"
    for data in everything:
        path.write_text(data)
        for more in ((), ("--json",)):
            code, out = run(capsys, path, "--ca", ca, *AT, "--lang", lang, *more)
            assert code in (os.EX_OK, os.EX_DATAERR)
            assert not [secret for secret in SECRETS if secret in out]
            assert "ERIKSSON" not in out
            assert "Unexpected message" not in out
            assert "未知消息" not in out
            assert "…" not in out or "-…" in out


def test_exit_codes_and_json(
    ca: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(GOOD.encode())))
    code, out = run(capsys, "-", "--ca", ca, *AT, "--json", "--topic", MESSAGES["verdict"][1])
    answer = json.loads(out)
    assert code == os.EX_OK
    assert answer["good"] is True
    assert answer["signed_by"] == f"edged://{FLEET}/device/box-1"
    assert [step["holds"] for step in answer["steps"]] == [True] * 9
    assert answer["hints"] == []
    path = tmp_path / "message"
    path.write_text(json.dumps({"payload": f"{HEAD}.{BODY}.{b64(HIGH_S)}"}))
    code, out = run(capsys, path, "--ca", ca, *AT, "--json", "--lang", "en")
    answer = json.loads(out)
    assert code == os.EX_DATAERR
    assert answer["refused"]["code"] == "jws.signature_wrong"
    assert [hint["code"] for hint in answer["hints"]] == ["check.high_s"]
    assert [step["holds"] for step in answer["steps"]] == [False, *[True] * 5, False, None, None]
    assert [one["code"] for one in answer["wrappings"]] == ["check.json_field"]
    assert run(capsys, tmp_path / "absent", "--ca", ca)[0] == os.EX_NOINPUT
    assert run(capsys, path, "--ca", tmp_path / "absent")[0] == os.EX_NOINPUT
    assert run(capsys, path, "--ca", path)[0] == os.EX_CONFIG


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    data=st.binary(max_size=300)
    | st.text(max_size=100).map(str.encode)
    | st.from_regex(rb"eyJ[\w.=+/{}\" ]{0,60}")
)
def test_any_bytes_get_an_answer(data: bytes) -> None:
    report = checked(data)
    assert not report.good
    assert messages.known(report.code or "")
    assert all(messages.known(hint.code) for hint in report.hints)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(place=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255))
def test_any_change_is_noticed(place: int, byte: int) -> None:
    data = bytearray(GOOD.encode())
    if data[place] == byte:
        byte = (byte + 1) % 256
    data[place] = byte
    report = checked(bytes(data))
    assert not report.good
    assert report.failed or report.wrappings

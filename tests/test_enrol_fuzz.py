"""Strangers' bytes at the enrolment service and at the box: one kind of error, whatever they are."""

from __future__ import annotations

import base64
import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edged.errors import CodedError, DecodeError, SignatureRefusedError
from edged.fleet.http_request import END_OF_HEAD, MAX_HEAD, parse_head
from edged.pushed.founding import believe
from edged.uplink import est
from edged.uplink.authority import FleetAuthority
from edged.uplink.keys import generate_key
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.roles import TrustAnchor, load_chain
from edged.uplink.sign import Signer
from edged.uplink.token import Token
from tests.enrolling import Office

NOW = datetime.now(UTC)
KEY = generate_key()
DER = est.request(KEY, "box-1")
AUTHORITY = FleetAuthority.create("north", demo=True, now=NOW)
ANCHOR = TrustAnchor.from_pem(AUTHORITY.certificate_pem)
CHAIN = load_chain(
    AUTHORITY.issue(Principal("north", Role.DEVICE, "box-1"), Usage.SIGNING, KEY.public_key(), now=NOW)
)
BODY = est.certificates((*CHAIN, *load_chain(AUTHORITY.certificate_pem)))
RENEWAL = est.signed_renewal(Signer(KEY, CHAIN), DER).encode()
HEAD = (
    b"POST /.well-known/est/tls/simpleenroll HTTP/1.1\r\nHost: enrol:8443\r\nContent-Type: application/pkcs10\r\n"
    b"Authorization: Basic Ym94LTE6c2VjcmV0\r\nContent-Length: 400\r\n\r\n"
)


def damaged(genuine: bytes) -> st.SearchStrategy[bytes]:
    """`genuine` with a piece replaced, or anything at all."""

    def cut(start: int, length: int, piece: bytes) -> bytes:
        return genuine[:start] + piece + genuine[start + length :]

    return st.builds(cut, st.integers(0, len(genuine)), st.integers(0, 8), st.binary(max_size=8)) | st.binary(
        max_size=200
    )


def test_the_genuine_ones_are_read() -> None:
    assert est.requested_key(est.of_body(est.to_body(DER))) == KEY.public_key()
    assert est.read_certificates(BODY)[0] in (*CHAIN, *load_chain(AUTHORITY.certificate_pem))
    principal, certificate, key = est.open_renewal(RENEWAL, anchor=ANCHOR, at=NOW)
    assert (principal.name, certificate, key) == ("box-1", CHAIN[0], KEY.public_key())
    head = parse_head(HEAD)
    assert (head.method, est.parse_path(head.path), head.length) == ("POST", (Usage.TLS, "simpleenroll"), 400)
    assert head.basic == ("box-1", "secret")
    assert "secret" not in repr(head)
    assert "Ym94" not in repr(head)


@settings(max_examples=150)
@given(damaged(DER))
def test_requests(der: bytes) -> None:
    try:
        assert est.requested_key(der) == KEY.public_key()
    except DecodeError as error:
        assert error.code in ("enrol.request_malformed", "enrol.request_wrong_key")


@settings(max_examples=150)
@given(damaged(base64.b64decode(BODY)).map(est.to_body) | damaged(BODY))
def test_certificates(body: bytes) -> None:
    try:
        assert est.read_certificates(body)
    except DecodeError as error:
        assert error.code == "enrol.answer_malformed"


@settings(max_examples=150)
@given(damaged(RENEWAL))
def test_renewals(body: bytes) -> None:
    with contextlib.suppress(SignatureRefusedError, DecodeError):
        assert est.open_renewal(body, anchor=ANCHOR, at=NOW)[2] == KEY.public_key()


@settings(max_examples=300)
@given(damaged(HEAD) | st.binary(max_size=200).map(lambda text: text + END_OF_HEAD))
def test_heads(data: bytes) -> None:
    try:
        head = parse_head(data)
        assert head.length >= 0
        assert head.basic is None or len(head.basic) == 2
        assert est.parse_path(head.path) is None or head.path.startswith(est.EST)
    except DecodeError as error:
        assert error.code in ("enrol.request_malformed", "enrol.too_large")


@pytest.mark.parametrize(
    "data",
    [
        HEAD.replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\n"),
        HEAD.replace(b"Host: ", b"Host : "),
        HEAD.replace(b"HTTP/1.1", b"HTTP/2.0"),
        HEAD.replace(b"/.well", b"//\r\n"),
        HEAD.replace(b"Host: enrol", b"Host: enr\x00l"),
        HEAD.replace(b"\r\nHost", b"\nHost"),
        b"GET " + b"/" * 300 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"a%d: b\r\n" % number for number in range(65)) + b"\r\n",
        b"GET / HTTP/1.1\r\na: " + b"b" * MAX_HEAD + b"\r\n\r\n",
    ],
)
def test_a_head_that_could_be_read_in_two_ways_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        parse_head(data)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (est.path(Usage.SIGNING, "simplereenroll"), (Usage.SIGNING, "simplereenroll")),
        ("/.well-known/est/simpleenroll", None),
        ("/.well-known/est/tls/simpleenroll/", None),
        ("/.well-known/est/other/simpleenroll", None),
        ("tls/simpleenroll", None),
        ("/.well-known/est/tls/fullcmc", None),
    ],
)
def test_paths(path: str, found: Any) -> None:
    assert est.parse_path(path) == found


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[est.Founding, Token]:
    office = Office(Path(tmp_path_factory.mktemp("office")))
    return office.enrolment().founding(), office.invite()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_what_a_service_shows_of_a_fleet(shown: tuple[est.Founding, Token], data: Any) -> None:
    """No change of what was shown is believed, unless it means the very same."""
    founding, token = shown
    which = data.draw(st.sampled_from(("roots", "targets", "authority")))
    genuine = founding.roots[0] if which == "roots" else getattr(founding, which)
    text = data.draw(damaged(genuine.encode())).decode(errors="replace")
    changed = msgspec.structs.replace(founding, **{which: (text,) if which == "roots" else text})
    try:
        found = believe(est.read_founding(msgspec.json.encode(changed)), token, NOW)
    except CodedError as error:
        assert error.code in ("enrol.root_refused", "enrol.other_fleet", "enrol.root_expired")
    else:
        assert found.anchor.fleet == "north"
        assert found.authorities == believe(founding, token, NOW).authorities


@settings(max_examples=200)
@given(st.binary(max_size=200) | st.text(max_size=80).map(lambda text: text.encode()))
def test_answers_that_are_none(body: bytes) -> None:
    code = est.read_refusal(body)
    assert code is None or "." in code
    for read in (est.read_founding, est.read_boot):
        with pytest.raises(DecodeError):
            read(body)

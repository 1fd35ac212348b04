"""Replay requests and ends: what is sealed opens, and nothing else does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import SignatureRefusedError
from edged.uplink import fields, sign
from edged.uplink.names import Role
from edged.uplink.replay import (
    FRESH,
    MAX_LISTED,
    MAX_PAGE,
    MAX_SPANS,
    TYP_END,
    TYP_REQUEST,
    Place,
    ReplayEnd,
    ReplayRequest,
    Span,
    StreamExtent,
    open_end,
    open_request,
    seal_end,
    seal_request,
)
from tests.trust_support import FLEET, NOW, anchor, signer

BANK = signer(Role.AUDIENCE, "bank")
CENTRE = signer(Role.COLLECTOR, "centre")
IAT = int(NOW.timestamp())


def request(**changes: Any) -> ReplayRequest:
    content: dict[str, Any] = {
        "iss": "bank",
        "fleet": FLEET,
        "request": "r-1",
        "iat": IAT,
        "spans": (Span("box-1", "log-1", 1, 9), Span("box-1", "log-2", 1, None)),
        "after": None,
        "limit": MAX_PAGE,
    }
    return ReplayRequest(**(content | changes))


def end(**changes: Any) -> ReplayEnd:
    content: dict[str, Any] = {
        "iss": "centre",
        "fleet": FLEET,
        "audience": "bank",
        "request": "r-1",
        "iat": IAT,
        "request_sha256": "0" * 64,
        "sent": 2,
        "more": (Span("box-1", "log-1", 3, 9),),
        "streams": (),
        "more_streams": False,
    }
    return ReplayEnd(**(content | changes))


def opened_request(compact: str, *, at: datetime = NOW, audience: str = "bank") -> ReplayRequest:
    return open_request(compact, anchor=anchor(), at=at, audience=audience).request


def opened_end(compact: str, *, audience: str = "bank") -> ReplayEnd:
    return open_end(compact, anchor=anchor(), at=NOW, audience=audience)


def refusal(call: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(SignatureRefusedError) as refused:
        call(*arguments, **named)
    return refused.value.code


def signed(by: sign.Signer, typ: str, payload: msgspec.Struct, **changes: Any) -> str:
    """As somebody would sign who doesn't use `seal_…`."""
    return by.sign(typ, msgspec.json.encode(msgspec.to_builtins(payload) | changes))


def test_what_is_sealed_opens() -> None:
    for asked in (request(), request(spans=()), request(spans=(), after=Place("box-1", "log-1"), limit=1)):
        assert opened_request(seal_request(asked, signer=BANK)) == asked
    for ended in (
        end(),
        end(more=(), streams=(StreamExtent("box-1", "log-1", 9, 8),), more_streams=True, sent=0),
    ):
        assert opened_end(seal_end(ended, signer=CENTRE)) == ended


def test_a_request_is_named_by_its_hash() -> None:
    import hashlib

    compact = seal_request(request(), signer=BANK)
    opened = open_request(compact, anchor=anchor(), at=NOW, audience="bank")
    assert opened.sha256 == hashlib.sha256(compact.encode()).hexdigest()


@pytest.mark.parametrize(
    ("changes", "at", "audience", "code"),
    [
        ({"iss": "hotel"}, NOW, "bank", "replay.wrong_issuer"),
        ({}, NOW, "hotel", "replay.wrong_issuer"),
        ({"fleet": "depot"}, NOW, "bank", "replay.wrong_fleet"),
        ({}, NOW + FRESH + timedelta(seconds=1), "bank", "replay.stale"),
        ({"iat": IAT + int(FRESH.total_seconds()) + 1}, NOW, "bank", "replay.stale"),
        ({"iat": 0}, NOW, "bank", "replay.stale"),
        ({"iat": fields.LAST_SECOND}, NOW, "bank", "replay.stale"),
        ({"limit": 0}, NOW, "bank", "replay.malformed"),
        ({"limit": MAX_PAGE + 1}, NOW, "bank", "replay.malformed"),
        ({"request": "R/1"}, NOW, "bank", "replay.malformed"),
        ({"extra": 1}, NOW, "bank", "replay.malformed"),
        ({"spans": [["box-1", "log-1", 1, 2]]}, NOW, "bank", "replay.malformed"),
        (
            {"spans": [{"device": "box-1", "log_id": "l", "first": 2, "last": 1}]},
            NOW,
            "bank",
            "replay.malformed",
        ),
        ({"after": {"device": "box-1", "log_id": "l"}}, NOW, "bank", "replay.malformed"),
        (
            {"spans": [{"device": "b", "log_id": "l", "first": 1, "last": None}] * (MAX_SPANS + 1)},
            NOW,
            "bank",
            "replay.malformed",
        ),
    ],
)
def test_requests_that_are_refused(changes: dict[str, Any], at: datetime, audience: str, code: str) -> None:
    compact = signed(BANK, TYP_REQUEST, request(), **changes)
    assert refusal(opened_request, compact, at=at, audience=audience) == code


def test_a_recorded_request_is_answered_for_ten_minutes_and_no_longer() -> None:
    compact = seal_request(request(), signer=BANK)
    for moment in (NOW - FRESH, NOW + FRESH):
        assert opened_request(compact, at=moment) == request()
    assert refusal(opened_request, compact, at=NOW + FRESH + timedelta(seconds=1)) == "replay.stale"


@pytest.mark.parametrize("role", [Role.DEVICE, Role.COLLECTOR, Role.ADMIN, Role.PRIVACY])
def test_only_an_audience_asks(role: Role) -> None:
    other = signer(role, "bank")
    assert refusal(seal_request, request(), signer=other) == "cert.wrong_role"
    assert refusal(opened_request, signed(other, TYP_REQUEST, request())) == "cert.wrong_role"


@pytest.mark.parametrize("role", [Role.DEVICE, Role.AUDIENCE, Role.ADMIN, Role.PRIVACY])
def test_only_a_collector_answers(role: Role) -> None:
    other = signer(role, "centre")
    assert refusal(seal_end, end(), signer=other) == "cert.wrong_role"
    assert refusal(opened_end, signed(other, TYP_END, end())) == "cert.wrong_role"


@pytest.mark.parametrize(
    ("changes", "audience", "code"),
    [
        ({"iss": "second"}, "bank", "replay.wrong_issuer"),
        ({"fleet": "depot"}, "bank", "replay.wrong_fleet"),
        ({}, "hotel", "replay.wrong_audience"),
        ({"sent": MAX_PAGE + 1}, "bank", "replay.malformed"),
        ({"sent": -1}, "bank", "replay.malformed"),
        ({"request_sha256": "AA" * 32}, "bank", "replay.malformed"),
        ({"more": None}, "bank", "replay.malformed"),
        (
            {"streams": [{"device": "b", "log_id": "l", "highest": 1, "stored": 1}] * (MAX_LISTED + 1)},
            "bank",
            "replay.malformed",
        ),
    ],
)
def test_ends_that_are_refused(changes: dict[str, Any], audience: str, code: str) -> None:
    assert refusal(opened_end, signed(CENTRE, TYP_END, end(), **changes), audience=audience) == code


def test_one_kind_is_not_the_other() -> None:
    assert refusal(opened_request, signed(BANK, TYP_END, request())) == "jws.wrong_type"
    assert refusal(opened_end, signed(CENTRE, TYP_REQUEST, end())) == "jws.wrong_type"


def test_a_changed_message_is_no_message() -> None:
    for compact, opener in (
        (seal_request(request(), signer=BANK), opened_request),
        (seal_end(end(), signer=CENTRE), opened_end),
    ):
        head, _, signature = compact.split(".")
        other = BANK.sign(TYP_REQUEST, b"{}").split(".")[1]
        assert refusal(opener, f"{head}.{other}.{signature}") == "jws.signature_wrong"


@pytest.mark.parametrize("spelling", [b' {"iss"', b'{ "iss"', b'{"iss" '])
def test_there_is_one_spelling(spelling: bytes) -> None:
    data = fields.encode(request())
    assert refusal(opened_request, BANK.sign(TYP_REQUEST, data.replace(b'{"iss"', spelling, 1))) == (
        "replay.malformed"
    )
    turned = dict(reversed(msgspec.to_builtins(request()).items()))
    assert refusal(opened_request, BANK.sign(TYP_REQUEST, msgspec.json.encode(turned))) == "replay.malformed"


def test_the_largest_messages_fit() -> None:
    long = "a" * 63
    spans = tuple(Span(long, "L" * 64, fields.MAX_SEQ, fields.MAX_SEQ) for _ in range(MAX_SPANS))
    extents = tuple(StreamExtent(long, "L" * 64, fields.MAX_SEQ, fields.MAX_SEQ) for _ in range(MAX_LISTED))
    assert opened_request(seal_request(request(spans=spans), signer=BANK)).spans == spans
    ended = end(more=spans, streams=extents, more_streams=True)
    assert opened_end(seal_end(ended, signer=CENTRE)) == ended


NAMES = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,8}){0,2}", fullmatch=True)
NUMBERS = st.integers(1, fields.MAX_SEQ)
SPANS = st.builds(
    lambda device, first, more: Span(
        device, "log-1", first, None if more is None else min(first + more, fields.MAX_SEQ)
    ),
    NAMES,
    NUMBERS,
    st.none() | st.integers(0, 1000),
)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(spans=st.lists(SPANS, max_size=MAX_SPANS), name=NAMES, limit=st.integers(1, MAX_PAGE))
def test_any_request_opens_as_it_was_sealed(spans: list[Span], name: str, limit: int) -> None:
    asked = request(spans=tuple(spans), request=name, limit=limit)
    assert opened_request(seal_request(asked, signer=BANK)) == asked


@settings(derandomize=True, deadline=None, max_examples=100)
@given(junk=st.binary(max_size=200) | st.text(max_size=200))
def test_junk_is_refused_in_order(junk: bytes | str) -> None:
    moment = datetime(2026, 11, 21, tzinfo=UTC)
    for opener in (open_request, open_end):
        assert refusal(opener, junk, anchor=anchor(), at=moment, audience="bank").startswith("jws.")

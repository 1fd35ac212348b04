"""Envelopes and receipts: sealed and opened, and what a device or collector can't claim."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged import __version__
from edged.errors import SignatureRefusedError
from edged.uplink.envelope import (
    TYP_VERDICT,
    DocumentSummary,
    Envelope,
    EnvelopePayload,
    OpenedEnvelope,
    Provenance,
    StreamPosition,
    open_envelope,
    seal,
)
from edged.uplink.fields import (
    LAST_SECOND,
    MAX_OPAQUE,
    MAX_SEQ,
)
from edged.uplink.names import Role
from edged.uplink.receipts import (
    MAX_ENTRIES,
    TYP_RECEIPT,
    Receipt,
    ReceiptRange,
    open_receipt,
    range_sha256,
    seal_receipt,
)
from edged.uplink.sign import MAX_COMPACT, Signer
from edged.verdict import CheckClass, JudgedCheck, Kind, Reason, Result
from tests.trust_support import FLEET, NOW, anchor, draft, signer

FIRST = StreamPosition(1, None)
SIMULATED = {"head": Provenance("simulated", "simulated-head", simulated=True)}


def sealed(position: StreamPosition = FIRST, *, by: Signer | None = None, **changes: Any) -> Envelope:
    return seal(
        draft(**changes),
        position=position,
        log_id="log-1",
        jti="jti-1",
        iat=int(NOW.timestamp()),
        config_version="7",
        signer=by or signer(),
    )


def opened(compact: str, **options: Any) -> OpenedEnvelope:
    demo = options.pop("demo", False)
    return open_envelope(compact, anchor=anchor(demo=demo), at=NOW, **options)


def refusal(compact: str, **options: Any) -> str:
    with pytest.raises(SignatureRefusedError) as caught:
        opened(compact, **options)
    return caught.value.code


def refused_seal(*args: Any, **changes: Any) -> str:
    with pytest.raises(SignatureRefusedError) as caught:
        sealed(*args, **changes)
    return caught.value.code


def payload_of(envelope: Envelope) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(msgspec.json.encode(opened(envelope.jws).payload))
    return found


def signed(payload: dict[str, Any] | bytes, typ: str = TYP_VERDICT, by: Signer | None = None) -> str:
    """A payload that `seal` would never make, properly signed."""
    data = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    return (by or signer()).sign(typ, data)


def test_a_sealed_envelope_opens_to_what_went_in() -> None:
    envelope = sealed()
    found = opened(envelope.jws, audience="bank", device="box-1")
    assert found.principal == signer().principal
    assert found.sha256 == envelope.sha256 == hashlib.sha256(envelope.jws.encode("ascii")).hexdigest()
    assert (envelope.audience, envelope.seq) == ("bank", 1)
    went_in = draft()
    for name in went_in.__struct_fields__:
        assert getattr(found.payload, name) == getattr(went_in, name)
    assert (found.payload.iss, found.payload.fleet) == ("box-1", FLEET)
    assert (found.payload.log_id, found.payload.jti) == ("log-1", "jti-1")
    assert (found.payload.config_version, found.payload.software_version) == ("7", __version__)
    assert found.payload.iat == int(NOW.timestamp())


def test_equal_content_makes_equal_bytes() -> None:
    one = sealed(claims={"sex": "F", "issuing_state": "UTO"})
    two = sealed(claims={"issuing_state": "UTO", "sex": "F"})
    assert one.jws.split(".")[1] == two.jws.split(".")[1]


opaque = st.none() | st.text(min_size=1, max_size=MAX_OPAQUE)
claims = st.dictionaries(
    st.text(min_size=1, max_size=64),
    st.none() | st.booleans() | st.text() | st.dictionaries(st.text(), st.text()),
)
checks = st.lists(
    st.builds(
        JudgedCheck,
        st.text(),
        st.sampled_from(CheckClass),
        st.sampled_from(Result),
        st.lists(st.builds(Reason, st.text(), st.dictionaries(st.text(), st.text())), max_size=2).map(tuple),
    ),
    max_size=5,
).map(tuple)


@settings(deadline=None, max_examples=60)
@given(reference=opaque, operator=opaque, claims=claims, checks=checks, seq=st.integers(2, MAX_SEQ))
def test_any_content_survives(seq: int, **changes: Any) -> None:
    found = opened(sealed(StreamPosition(seq, "ab" * 32), **changes).jws).payload
    assert found.seq == seq
    assert all(getattr(found, name) == value for name, value in changes.items())


class TestStream:
    def test_the_first_has_no_predecessor_and_the_others_have(self) -> None:
        first = sealed()
        second = sealed(StreamPosition(2, first.sha256))
        assert opened(second.jws).payload.prev == first.sha256
        for position in (StreamPosition(1, first.sha256), StreamPosition(2, None)):
            assert refused_seal(position) == "envelope.broken_stream"
        for changes in ({"prev": first.sha256}, {"seq": 2}):
            assert refusal(signed(payload_of(first) | changes)) == "envelope.broken_stream"

    @pytest.mark.parametrize("position", [StreamPosition(0, None), StreamPosition(2, "AB" * 32)])
    def test_a_place_that_cannot_be_is_refused(self, position: StreamPosition) -> None:
        assert refused_seal(position) == "envelope.malformed"


class TestNames:
    def test_topic_and_envelope_must_agree(self) -> None:
        envelope = sealed()
        assert refusal(envelope.jws, audience="hotel") == "envelope.wrong_audience"
        assert refusal(envelope.jws, device="box-2") == "envelope.wrong_issuer"

    def test_a_device_speaks_for_itself_alone(self) -> None:
        good = payload_of(sealed())
        assert refusal(signed(good | {"iss": "box-2"})) == "envelope.wrong_issuer"
        assert refusal(signed(good | {"iss": "box-2"}), device="box-2") == "envelope.wrong_issuer"
        assert refusal(signed(good | {"fleet": "depot"})) == "envelope.wrong_fleet"

    @pytest.mark.parametrize("role", sorted(set(Role) - {Role.DEVICE}))
    def test_other_roles_give_no_verdicts(self, role: Role) -> None:
        other = signer(role, "box-1")
        assert refused_seal(by=other) == "cert.wrong_role"
        assert refusal(signed(payload_of(sealed()), by=other)) == "cert.wrong_role"


class TestTestsAreNotLive:
    def test_a_demo_fleet_is_never_live(self) -> None:
        demo = signer(demo=True)
        assert refused_seal(by=demo) == "envelope.live_from_demo"
        assert refusal(signed(payload_of(sealed()), by=demo), demo=True) == "envelope.live_from_demo"
        for kind in (Kind.TEST, Kind.TRAINING):
            envelope = sealed(by=demo, kind=kind, provenance=SIMULATED)
            assert opened(envelope.jws, demo=True).payload.kind is kind

    def test_a_simulated_device_is_never_live(self) -> None:
        assert refused_seal(provenance=SIMULATED) == "envelope.live_from_simulated"
        lie = payload_of(sealed()) | {"provenance": msgspec.to_builtins(SIMULATED)}
        assert refusal(signed(lie)) == "envelope.live_from_simulated"
        envelope = sealed(provenance=SIMULATED, kind=Kind.TEST)
        assert opened(envelope.jws).payload.kind is Kind.TEST

    def test_a_demo_envelope_is_refused_by_a_live_fleet(self) -> None:
        envelope = sealed(by=signer(demo=True), kind=Kind.TEST)
        assert refusal(envelope.jws) == "cert.unknown_issuer"


class TestForm:
    @pytest.mark.parametrize(
        "change",
        [
            {"extra": 1},
            {"seq": 0},
            {"seq": 1.0},
            {"seq": "1"},
            {"seq": MAX_SEQ + 1},
            {"seq": True},
            {"iat": -1},
            {"iat": LAST_SECOND + 1},
            {"iat": 1.5},
            {"audience": "Bank"},
            {"audience": "bank\n"},
            {"audience": "bank/+"},
            {"log_id": ""},
            {"log_id": "a b"},
            {"log_id": "x\n"},
            {"jti": "x" * 65},
            {"kind": "real"},
            {"result": "passed"},
            {"scene": ""},
            {"scene": "x" * 65},
            {"reference": ""},
            {"reference": "x" * (MAX_OPAQUE + 1)},
            {"clock": "maybe"},
            {"claims": []},
            {"claims": {"surname": 1.5}},
            {"claims": {"surname": {"a": {"b": "c"}}}},
            {"claims": {"": "x"}},
            {"checks": [{"name": "expiry", "result": "successful"}]},
            {"checks": [{"name": "expiry", "check_class": "optional", "result": "successful"}] * 65},
            {"checks": [{"name": "expiry", "check_class": "optional", "result": "successful", "more": 1}]},
            {
                "checks": [
                    {"name": "expiry", "check_class": "optional", "result": "successful", "reasons": []}
                ]
            },
            {"document": {"document_class": "passport"}},
            {"provenance": {"head": {"driver": "x", "identity": None}}},
        ],
    )
    def test_a_payload_outside_the_form_is_refused(self, change: dict[str, Any]) -> None:
        assert refusal(signed(payload_of(sealed()) | change)) == "envelope.malformed"

    def test_what_a_later_release_added_is_left_out_where_there_is_none(self) -> None:
        """Otherwise envelopes of the releases before would not be canonical, and refused."""
        added = {field.name for field in msgspec.structs.fields(EnvelopePayload) if not field.required}
        assert added == {"policy", "consent", "encrypted", "record_id", "record", "slip"}
        payload = payload_of(sealed())
        assert added.isdisjoint(payload)
        for name in sorted(added):
            assert refusal(signed(payload | {name: None})) == "envelope.malformed"

    @pytest.mark.parametrize(
        "name", [field.name for field in msgspec.structs.fields(EnvelopePayload) if field.required]
    )
    def test_no_field_may_be_missing(self, name: str) -> None:
        payload = payload_of(sealed())
        del payload[name]
        assert refusal(signed(payload)) == "envelope.malformed"

    @pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 3000, b'"x"'])
    def test_what_is_no_payload_is_refused(self, data: bytes) -> None:
        assert refusal(signed(data)) == "envelope.malformed" or data == b""

    def test_another_spelling_of_the_same_payload_is_refused(self) -> None:
        """Two readers could understand such a message in two ways."""
        payload = payload_of(sealed())
        canonical = msgspec.json.encode(payload)
        assert opened(signed(canonical)).payload.result is Result.FAILED
        twice = canonical.replace(b'"result":"failed"', b'"result":"successful","result":"failed"', 1)
        spaced = json.dumps(payload).encode()
        shuffled = msgspec.json.encode(dict(reversed(payload.items())))
        escaped = canonical.replace(b"txn-1", rb"txn\u002d1")
        for spelling in (twice, spaced, shuffled, escaped, canonical + b" "):
            assert spelling != canonical
            assert refusal(signed(spelling)) == "envelope.malformed"

    def test_seal_refuses_what_nobody_would_open(self) -> None:
        assert refused_seal(reference="x" * (MAX_OPAQUE + 1)) == "envelope.malformed"
        assert refused_seal(claims={"surname": 1.5}) == "envelope.malformed"
        assert refused_seal(document=DocumentSummary("", None)) == "envelope.malformed"

    def test_a_refusal_quotes_nothing(self) -> None:
        secret = "ERIKSSON"
        for payload in (payload_of(sealed()) | {"scene": secret * 20}, payload_of(sealed()) | {secret: 1}):
            with pytest.raises(SignatureRefusedError) as caught:
                opened(signed(payload))
            assert secret not in str(caught.value)
            assert caught.value.__cause__ is None
            assert caught.value.__suppress_context__

    def test_one_kind_of_message_is_not_taken_for_another(self) -> None:
        assert refusal(signed(payload_of(sealed()), TYP_RECEIPT)) == "jws.wrong_type"
        assert refusal(receipt()) in {"jws.wrong_type", "cert.wrong_role"}


RANGE = ReceiptRange("log-1", "bank", 1, 3, "ab" * 32)


def receipt(*ranges: ReceiptRange, device: str = "box-1", by: Signer | None = None) -> str:
    collector = by or signer(Role.COLLECTOR, "centre")
    return seal_receipt(device, ranges or (RANGE,), iat=int(NOW.timestamp()), signer=collector)


def opened_receipt(compact: str, device: str = "box-1") -> Receipt:
    return open_receipt(compact, anchor=anchor(), at=NOW, device=device)


def refused_receipt(compact: str, device: str = "box-1") -> str:
    with pytest.raises(SignatureRefusedError) as caught:
        opened_receipt(compact, device)
    return caught.value.code


class TestReceipts:
    def test_a_receipt_opens_to_what_went_in(self) -> None:
        found = opened_receipt(receipt())
        assert found == Receipt("centre", FLEET, "box-1", int(NOW.timestamp()), (RANGE,), (), ())

    def test_only_a_collector_gives_receipts(self) -> None:
        for role in set(Role) - {Role.COLLECTOR}:
            other = signer(role, "centre")
            with pytest.raises(SignatureRefusedError) as caught:
                receipt(by=other)
            assert caught.value.code == "cert.wrong_role"
            forged = signed(msgspec.to_builtins(opened_receipt(receipt())), TYP_RECEIPT, other)
            assert refused_receipt(forged) == "cert.wrong_role"

    def test_a_receipt_is_for_one_device_of_one_fleet(self) -> None:
        assert refused_receipt(receipt(), device="box-2") == "receipt.wrong_device"
        good = msgspec.to_builtins(opened_receipt(receipt()))
        collector = signer(Role.COLLECTOR, "centre")
        for change, code in (
            ({"fleet": "depot"}, "receipt.wrong_fleet"),
            ({"iss": "elsewhere"}, "receipt.wrong_issuer"),
            ({"ranges": []}, "receipt.malformed"),
            ({"more": 1}, "receipt.malformed"),
        ):
            assert refused_receipt(signed(good | change, TYP_RECEIPT, collector)) == code

    def test_a_range_runs_forward(self) -> None:
        backward = ReceiptRange("log-1", "bank", 3, 1, "ab" * 32)
        with pytest.raises(SignatureRefusedError):
            receipt(backward)
        good = msgspec.to_builtins(opened_receipt(receipt()))
        lie = signed(
            good | {"ranges": [msgspec.to_builtins(backward)]}, TYP_RECEIPT, signer(Role.COLLECTOR, "centre")
        )
        assert refused_receipt(lie) == "receipt.malformed"

    def test_the_fullest_receipt_fits(self) -> None:
        name = "a" * 63
        longest = ReceiptRange("l" * 64, name, MAX_SEQ - 1, MAX_SEQ, "ab" * 32)
        compact = receipt(*[longest] * MAX_ENTRIES, device=name)
        assert len(compact) <= MAX_COMPACT
        assert len(opened_receipt(compact, name).ranges) == MAX_ENTRIES
        with pytest.raises(SignatureRefusedError):
            receipt(*[longest] * (MAX_ENTRIES + 1))

    def test_the_hash_of_a_range_covers_every_envelope_in_order(self) -> None:
        hashes = [hashlib.sha256(bytes([number])).hexdigest() for number in range(3)]
        expected = hashlib.sha256(b"".join(bytes.fromhex(each) for each in hashes)).hexdigest()
        assert range_sha256(hashes) == expected
        assert range_sha256(iter(hashes)) == expected
        assert len({range_sha256(hashes), range_sha256(hashes[::-1]), range_sha256(hashes[:2])}) == 3

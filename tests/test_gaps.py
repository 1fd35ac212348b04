"""Gap records: a device's signed word for what will not come, in one spelling, and nobody else's."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edged.demo.fleet import DemoFleet
from edged.errors import SignatureRefusedError
from edged.uplink import sign
from edged.uplink.envelope import StreamPosition, open_envelope
from edged.uplink.fields import encode
from edged.uplink.gaps import TYP_GAP, Gap, GapPayload, open_gap, seal_gap
from edged.uplink.names import Role, Usage
from edged.uplink.outbox import Bounds
from edged.uplink.roles import TrustAnchor
from edged.uplink.sign import Signer
from tests.broker import FLEET, NOW, Sealer, draft
from tests.outbox import commit, later, open_state

if TYPE_CHECKING:
    from pathlib import Path

LATE = timedelta(days=30)
HASH = "ab" * 32
GAP = Gap(log_id="log1", audience="bank", first=3, last=9, sha256=HASH, reason="too_many_bytes")


class Keys:
    def __init__(self, directory: Path) -> None:
        self.fleet = DemoFleet(directory, fleet=FLEET, now=NOW)
        self.anchor = TrustAnchor.from_file(self.fleet.ca)

    def signer(self, role: Role, name: str) -> Signer:
        files = self.fleet.issue(role, name, Usage.SIGNING)
        return Signer.from_files(files.key, files.certificate)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module")
def device(keys: Keys) -> Signer:
    return keys.signer(Role.DEVICE, "box-1")


def sealed(signer: Signer, gap: Gap = GAP, **changes: Any) -> str:
    settings: dict[str, Any] = {"jti": "j1", "iat": int(NOW.timestamp()), "clock": "trusted"}
    return seal_gap(gap, signer=signer, **(settings | changes))


def opened(keys: Keys, compact: str | bytes, **changes: Any) -> Any:
    settings: dict[str, Any] = {"at": NOW, "audience": "bank", "device": "box-1", "late": LATE}
    return open_gap(compact, anchor=keys.anchor, **(settings | changes))


def refused(keys: Keys, compact: str | bytes, **changes: Any) -> str:
    with pytest.raises(SignatureRefusedError) as caught:
        opened(keys, compact, **changes)
    return caught.value.code


def payload(**changes: Any) -> dict[str, Any]:
    fields = {name: getattr(GAP, name) for name in Gap.__struct_fields__}
    whole = GapPayload(
        iss="box-1",
        fleet=FLEET,
        jti="j",
        iat=int(NOW.timestamp()),
        clock="trusted",
        software_version="1",
        **fields,
    )
    return dict(json.loads(encode(whole)) | changes)


def signed(signer: Signer, content: dict[str, Any]) -> str:
    return signer.sign(TYP_GAP, json.dumps(content, separators=(",", ":")).encode())


def test_what_is_sealed_opens_as_it_was(keys: Keys, device: Signer) -> None:
    for gap in (
        GAP,
        msgspec.structs.replace(GAP, reason="too_old", last=3),
        msgspec.structs.replace(GAP, reason="refused", code="mqtt.packet_too_large"),
        msgspec.structs.replace(GAP, reason="unreadable", sha256=None),
        msgspec.structs.replace(GAP, reason="unreadable", sha256=None, last=None),
    ):
        found = opened(keys, sealed(device, gap))
        assert Gap(**{name: getattr(found.payload, name) for name in Gap.__struct_fields__}) == gap
        assert (found.payload.iss, found.payload.fleet, found.principal.name) == ("box-1", FLEET, "box-1")
        assert len(found.sha256) == 64


@pytest.mark.parametrize(
    "changes",
    [
        {"last": 2},
        {"last": None},
        {"last": None, "sha256": None},
        {"reason": "refused"},
        {"code": "mqtt.packet_too_large"},
        {"first": 0},
        {"audience": "Bank"},
        {"sha256": "AB" * 32},
        {"log_id": "a b"},
        {"reason": "unreadable", "last": None},
    ],
)
def test_what_makes_no_sense_is_not_sealed_and_not_opened(
    keys: Keys, device: Signer, changes: dict[str, Any]
) -> None:
    with pytest.raises(SignatureRefusedError) as caught:
        sealed(device, msgspec.structs.replace(GAP, **changes))
    assert caught.value.code == "gap.malformed"
    assert refused(keys, signed(device, payload(**changes)), audience=None) == "gap.malformed"


def test_only_a_device_speaks_for_its_streams(keys: Keys) -> None:
    collector = keys.signer(Role.COLLECTOR, "centre")
    with pytest.raises(SignatureRefusedError) as caught:
        sealed(collector)
    assert caught.value.code == "cert.wrong_role"
    assert refused(keys, signed(collector, payload(iss="centre")), device=None) == "cert.wrong_role"


def test_names_have_to_agree(keys: Keys, device: Signer) -> None:
    good = sealed(device)
    assert refused(keys, good, device="box-2") == "gap.wrong_issuer"
    assert refused(keys, good, audience="hotel") == "gap.wrong_audience"
    assert refused(keys, signed(device, payload(iss="box-2")), device=None) == "gap.wrong_issuer"
    assert refused(keys, signed(device, payload(fleet="south"))) == "gap.wrong_fleet"


def test_another_fleets_record_is_a_forgery(keys: Keys, tmp_path: Path) -> None:
    stranger = Keys(tmp_path / "other").signer(Role.DEVICE, "box-1")
    assert refused(keys, sealed(stranger)).startswith("cert.")


def test_one_changed_bit_is_a_forgery(keys: Keys, device: Signer) -> None:
    head, body, signature = sealed(device).split(".")
    for changed in (
        f"{head}.{body[:-2]}{'A' if body[-2] != 'A' else 'B'}{body[-1]}.{signature}",
        f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}",
    ):
        with pytest.raises(SignatureRefusedError):
            opened(keys, changed)


def test_there_is_one_spelling(keys: Keys, device: Signer) -> None:
    content = payload()
    spaced = json.dumps(content).encode()
    backwards = json.dumps(dict(reversed(content.items())), separators=(",", ":")).encode()
    more = json.dumps(content | {"more": 1}, separators=(",", ":")).encode()
    less = json.dumps({k: v for k, v in content.items() if k != "code"}, separators=(",", ":")).encode()
    opened(keys, signed(device, content))
    for data in (spaced, backwards, more, less, b"[]", b"\xff", b"{" * 2000):
        assert refused(keys, device.sign(TYP_GAP, data)) == "gap.malformed"


def test_a_verdict_is_no_gap_record_and_a_gap_record_no_verdict(keys: Keys, device: Signer) -> None:
    verdict = Sealer(device, "log1")(draft("bank"), StreamPosition(1, None)).jws
    assert refused(keys, verdict).startswith("jws.")
    with pytest.raises(SignatureRefusedError):
        open_envelope(sealed(device), anchor=keys.anchor, at=NOW)


def test_a_late_record_counts_if_a_trusted_clock_signed_it_in_time(keys: Keys, device: Signer) -> None:
    end = sign.verify(
        sealed(device), typ=TYP_GAP, anchor=keys.anchor, role=Role.DEVICE, at=NOW, late=LATE
    ).not_after
    after = end + timedelta(days=1)
    assert opened(keys, sealed(device), at=after).payload.first == 3
    assert refused(keys, sealed(device, clock="not_trusted"), at=after) == "cert.expired"
    assert refused(keys, sealed(device), at=after, late=timedelta(0)) == "cert.expired"


def test_what_the_outbox_loses_is_signed_as_it_says(keys: Keys, device: Signer, tmp_path: Path) -> None:
    """From a full outbox to a record that a reader opens."""
    state = open_state(tmp_path / "state.sqlite", bounds=Bounds(max_bytes=5000))
    for number in range(20):
        commit(state, "bank", name=str(number), filler=600)
    assert state.seal_gaps(lambda gap: sealed(device, gap)) == 1
    (due,) = state.look(later(1), since=0, live=0, backlog=0).gaps
    found = opened(keys, due.jws)
    assert found.sha256 == due.sha256
    assert (found.payload.log_id, found.payload.first, found.payload.last) == (
        state.log_id,
        1,
        state.counts().lost,
    )
    state.close()

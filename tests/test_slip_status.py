"""Lists of slips that hold no more: signed, merged without losing one, and bounded."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import SignatureRefusedError
from edged.uplink import sign, slip_status
from edged.uplink.fields import encode
from edged.uplink.names import Role
from edged.uplink.slip_status import (
    MAX_LISTED,
    MAX_MERGED,
    TYP_SLIPS,
    DeviceSlips,
    SlipList,
    Superseded,
    merge,
    open_list,
    open_status,
    seal_list,
    seal_status,
)
from tests.trust_support import FLEET, NOW, anchor, signer

T = int(NOW.timestamp())
DAY = 86_400
ONE, TWO, THREE = "7K3M9QXA04TZ", "000000000001", "ZZZZZZZZZZZZ"


def refused(code: str, work: Any) -> None:
    with pytest.raises(SignatureRefusedError) as caught:
        work()
    assert caught.value.code == code


def heard(iat: int = T, device: str = "box-1", **changes: Any) -> SlipList:
    content = {"withdrawn": {}, "superseded": {}} | changes
    return SlipList(iss=device, fleet=FLEET, iat=iat, exp=iat + DAY, **content)


def test_a_box_s_list_is_what_it_says_on_its_own_topic() -> None:
    compact = seal_list({ONE: T + DAY}, {TWO: Superseded(THREE, T + DAY)}, now=NOW, signer=signer())
    found = open_list(compact, anchor=anchor(), at=NOW, device="box-1")
    assert (found.withdrawn, found.superseded) == ({ONE: T + DAY}, {TWO: Superseded(THREE, T + DAY)})
    assert open_list(compact, anchor=anchor(), at=NOW + timedelta(days=8)).exp < T + 8 * DAY
    refused("slip_status.wrong_issuer", lambda: open_list(compact, anchor=anchor(), at=NOW, device="box-2"))
    early = NOW - timedelta(minutes=6)
    refused("slip_status.wrong_time", lambda: open_list(compact, anchor=anchor(), at=early))
    refused("jws.wrong_type", lambda: open_status(compact, anchor=anchor(), at=NOW))
    centre = signer(Role.COLLECTOR, "centre")
    refused("cert.wrong_role", lambda: seal_list({}, {}, now=NOW, signer=centre))
    refused("cert.wrong_role", lambda: seal_status({}, now=NOW, signer=signer()))


@pytest.mark.parametrize(
    "changes",
    [
        {"withdrawn": {"7k3m9qxa04tz": T}},
        {"withdrawn": {ONE: T + 401 * DAY}},
        {"superseded": {ONE: Superseded(ONE, T)}},
        {"superseded": {ONE: Superseded(TWO, T + 401 * DAY)}},
        {"exp": T},
        {"withdrawn": {f"{number:012}": T for number in range(MAX_LISTED + 1)}},
    ],
)
def test_a_broken_list_is_refused(changes: dict[str, Any]) -> None:
    content: dict[str, Any] = {"exp": T + DAY, "withdrawn": {}, "superseded": {}} | changes
    payload = encode(SlipList(iss="box-1", fleet=FLEET, iat=T, **content))
    compact = signer().sign(TYP_SLIPS, payload)
    refused("slip_status.malformed", lambda: open_list(compact, anchor=anchor(), at=NOW))


def test_the_longest_list_of_a_box_fits_into_a_message() -> None:
    withdrawn = {f"{number:012}": T + DAY for number in range(MAX_LISTED)}
    superseded = {f"{number:012}": Superseded(ONE, T + DAY) for number in range(MAX_LISTED)}
    compact = seal_list(withdrawn, superseded, now=NOW, signer=signer())
    assert len(compact) <= sign.MAX_COMPACT
    assert open_list(compact, anchor=anchor(), at=NOW).withdrawn == withdrawn


def test_the_centre_s_list_outlives_its_end_for_what_it_lists() -> None:
    centre = signer(Role.COLLECTOR, "centre")
    devices = {"box-1": DeviceSlips(heard=T, withdrawn={ONE: T + 9 * DAY, TWO: T - 1}, superseded={})}
    compact = seal_status(devices, now=NOW, signer=centre)
    later = NOW + timedelta(days=3)
    found = open_status(compact, anchor=anchor(), at=later)
    assert found.devices["box-1"].withdrawn == {ONE: T + 9 * DAY}  # what had expired has dropped out
    assert found.expired(later)
    assert not found.expired(NOW)
    early = NOW - timedelta(minutes=6)
    refused("slip_status.wrong_time", lambda: open_status(compact, anchor=anchor(), at=early))


def test_a_whole_fleet_s_list_is_signed_and_read() -> None:
    """Far more than other messages may have: 64 KiB."""
    chance = random.Random(4)
    numbers = ("".join(chance.choices("0123456789ABCDEFGHJKMNPQRSTVWXYZ", k=12)) for _ in range(20_000))
    devices = {
        f"box-{number}": DeviceSlips(
            heard=T, withdrawn={next(numbers): T + DAY for _ in range(20)}, superseded={}
        )
        for number in range(1000)
    }
    compact = seal_status(devices, now=NOW, signer=signer(Role.COLLECTOR, "centre"))
    assert sign.MAX_COMPACT < len(compact) < slip_status.MAX_STATUS
    assert open_status(compact, anchor=anchor(), at=NOW).devices == devices


NUMBERS = st.sampled_from([f"{number:012}" for number in range(9)])
UNTIL = st.integers(T, T + DAY)
LISTS = st.builds(
    heard,
    iat=st.integers(T - DAY, T),
    device=st.sampled_from(["box-1", "box-2"]),
    withdrawn=st.dictionaries(NUMBERS, UNTIL, max_size=4),
    superseded=st.dictionaries(NUMBERS, st.builds(Superseded, by=st.just(ONE), until=UNTIL), max_size=4),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(LISTS, max_size=6), st.randoms(use_true_random=False))
def test_merging_never_loses_a_withdrawal_in_any_order(lists: list[SlipList], chance: random.Random) -> None:
    """An old list that is played again changes nothing."""
    chance.shuffle(replayed := [*lists, *lists])
    known: dict[str, DeviceSlips] = {}
    for one in replayed:
        before = known
        known = merge(known, one, now=NOW)
        for device, slips in before.items():
            assert slips.withdrawn.keys() <= known[device].withdrawn.keys()
            assert slips.superseded.keys() <= known[device].superseded.keys()
    for one in lists:
        assert one.withdrawn.keys() <= known[one.iss].withdrawn.keys()
        assert known[one.iss].heard >= one.iat
    assert set(known) == {one.iss for one in lists}


def test_expired_slips_drop_out_and_a_flood_costs_nothing_that_is_known() -> None:
    known = merge({}, heard(withdrawn={ONE: T + 5}), now=NOW)
    full = {f"{number:012}": T + DAY for number in range(MAX_MERGED)}
    refused("slip_status.too_many", lambda: merge(known, heard(withdrawn=full), now=NOW))
    assert ONE in known["box-1"].withdrawn
    later = NOW + timedelta(seconds=6)
    assert ONE not in merge(known, heard(withdrawn=full), now=later)["box-1"].withdrawn


def test_a_box_that_was_reset_has_room_for_a_whole_list_of_its_own() -> None:
    first, second = (
        {f"{number:012}": T + DAY for number in range(start, start + MAX_LISTED)} for start in (0, MAX_LISTED)
    )
    known = merge(merge({}, heard(withdrawn=first), now=NOW), heard(withdrawn=second), now=NOW)
    known = slip_status.withdraw(known, "box-1", ONE, now=NOW)
    centre = signer(Role.COLLECTOR, "centre")
    found = open_status(seal_status(known, now=NOW, signer=centre), anchor=anchor(), at=NOW)
    assert found.devices["box-1"].withdrawn.keys() == first.keys() | second.keys() | {ONE}


def test_the_centre_withdraws_what_a_box_can_not_any_more() -> None:
    known = merge({}, heard(), now=NOW)
    after = slip_status.withdraw(known, "box-1", ONE, now=NOW)
    assert known["box-1"].withdrawn == {}
    assert after["box-1"].heard == T  # nothing came from the box
    assert ONE in merge(after, heard(iat=T + 5), now=NOW)["box-1"].withdrawn  # whatever it says later
    assert ONE in slip_status.join({}, after, now=NOW + timedelta(days=399))["box-1"].withdrawn
    assert ONE not in slip_status.join({}, after, now=NOW + timedelta(days=401))["box-1"].withdrawn
    refused("slip_status.unknown_device", lambda: slip_status.withdraw(known, "box-9", ONE, now=NOW))

"""An organisation's pseudonym key on its way: from the privacy officer to a box, past everybody who could swap it."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged import in_force, start_up
from edged.cli import main
from edged.config import load_box
from edged.errors import ConfigError, DecodeError, PushRefusedError, StateError
from edged.fleet import delivered_keys, organisation_keys, sealing_keys
from edged.fleet.heard import Report
from edged.fleet.layers import deliveries
from edged.fleet.tuf_roles import Holder
from edged.privacy.pseudonym import Pseudonymiser
from edged.pushed.verifying import first_trust, verify_bundle
from edged.sealing import Sealed, key_id
from edged.sealing_key import SEALING_FILE, opened_key, own_key, public_pem
from edged.uplink.keys import generate_key
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.reported import Reported, open_reported, seal_reported
from edged.uplink.roles import load_chain
from edged.uplink.sealed_keys import (
    DeviceKeys,
    KeyTree,
    OrganisationKey,
    device_target,
    encode,
    index_target,
    open_key,
    parse_device_keys,
    parse_index,
    proved,
    seal_key,
)
from edged.uplink.sign import Signer
from tests import box as daemons
from tests import fleet_made
from tests.fleet_made import Fleet, fleet, make_bundle, moment, take
from tests.pushed_box import FLEET, PushedBox, device_signer
from tests.tuf_repository import AUDIENCE, DEVICE

NOW = moment()
KEY = bytes(range(100, 132))
BOXES = {name: generate_key() for name in ("box-1", "box-2", "box-3")}
BANK = {
    "format": 1,
    "name": "first-bank",
    "scenes": ["bank"],
    "policy": {"claims": {"holder": "pseudonymise"}, "pseudonym_scope": "organisation"},
}

Capture = pytest.CaptureFixture[str]


def sealed_to(device: str, *, number: int = 1, key: bytes = KEY, fleet: str = "acme") -> Sealed:
    box = BOXES[device].public_key()
    return seal_key(key, box, fleet=fleet, device=device, audience="bank", number=number)


# --- the tree, and one sealed key ------------------------------------------------------------------------------

SEALED = sealed_to("box-1")
OTHER = sealed_to("box-1", key=bytes(32))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 70), st.data())
def test_the_tree_vouches_for_each_box_and_nothing_else(count: int, data: st.DataObject) -> None:
    names = [f"box-{number}" for number in range(count)]
    tree = KeyTree(dict.fromkeys(names, SEALED))
    index = tree.index("bank", 7)
    for name in names:
        assert proved(index, name, tree.proven(name)) == OrganisationKey(7, SEALED)
    name = data.draw(st.sampled_from(names))
    proof = tree.proven(name)
    places = [place for place in range(count + 2) if place != proof.place]
    wrong = [
        ("stranger", proof),
        (name, msgspec.structs.replace(proof, sealed=OTHER)),
        (name, msgspec.structs.replace(proof, path=(*proof.path, "0" * 64))),
        (name, msgspec.structs.replace(proof, place=data.draw(st.sampled_from(places)))),
    ]
    if proof.path:
        wrong.append((name, msgspec.structs.replace(proof, path=proof.path[1:])))
        wrong.append((name, msgspec.structs.replace(proof, path=("0" * 64, *proof.path[1:]))))
    for device, bad in wrong:
        with pytest.raises(DecodeError, match="not_vouched_for"):
            proved(index, device, bad)


def test_a_push_stays_small_for_ten_thousand_boxes() -> None:
    names = [f"box-{number}" for number in range(10_000)]
    tree = KeyTree(dict.fromkeys(names, SEALED))
    own = encode(DeviceKeys(1, "box-77", {"bank": tree.proven("box-77")}))
    assert len(own) < 1600
    assert len(encode(tree.index("bank", 1))) < 200


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_strangers_bytes_are_refused_with_a_code(data: bytes) -> None:
    for parse in (lambda: parse_index(data, "bank"), lambda: parse_device_keys(data, "box-1")):
        with pytest.raises(DecodeError, match=r"organisation_key\.malformed"):
            parse()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"own": BOXES["box-2"]}, "sealed.other_key"),
        ({"fleet": "other"}, "sealed.broken"),
        ({"device": "box-2"}, "sealed.broken"),
        ({"audience": "hotel"}, "sealed.broken"),
        ({"found": OrganisationKey(2, SEALED)}, "sealed.broken"),
    ],
)
def test_a_key_opens_at_its_box_for_its_audience_as_its_number(changes: dict[str, Any], code: str) -> None:
    right = {"found": OrganisationKey(1, SEALED), "own": BOXES["box-1"], "fleet": "acme", "device": "box-1"}
    right["audience"] = "bank"

    def opened(found: Any, own: Any, **place: Any) -> bytes:
        return open_key(found, own, **place)

    assert opened(**right) == KEY
    with pytest.raises(DecodeError) as caught:
        opened(**(right | changes))
    assert caught.value.code == code


def test_a_boxs_own_key_is_made_once_and_never_replaced(tmp_path: Path) -> None:
    made = own_key(tmp_path)
    path = tmp_path / SEALING_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert public_pem(own_key(tmp_path)) == public_pem(made)
    path.write_bytes(b"rubbish")
    found = OrganisationKey(1, SEALED)
    with pytest.raises(ConfigError) as caught:
        opened_key(tmp_path, "bank", found, Principal("acme", Role.DEVICE, "box-1"))
    assert (caught.value.where, caught.value.code) == ("audiences.bank.organisation_key", "key.malformed")
    assert path.read_bytes() == b"rubbish"


# --- the box's word for its key --------------------------------------------------------------------------------


def report(made: Fleet, device: str, key: Any, *, role: Role = Role.DEVICE) -> Report:
    signing = generate_key()
    principal = Principal("acme", role, device)
    chain = load_chain(made.state.issue(principal, Usage.SIGNING, signing.public_key(), now=NOW))
    said = Reported(
        iss=device,
        fleet="acme",
        iat=int(NOW.timestamp()),
        push=0,
        outcome="none",
        running="boot",
        running_push=0,
        software="1",
        **({} if key is None else {"sealing_key": public_pem(key)}),
    )
    signer = Signer(signing, chain)
    if role is not Role.DEVICE:
        return Report(device, said, True, signer.sign("reported+jws", msgspec.json.encode(said)).encode())
    return Report(device, said, True, seal_reported(said, signer).encode())


def test_a_report_without_a_key_is_as_it_was_before_there_were_any(tmp_path: Path) -> None:
    made = fleet(tmp_path, NOW)
    old = report(made, "box-1", None)
    assert b"sealing_key" not in base64.urlsafe_b64decode(old.compact.split(b".")[1] + b"==")
    opened = open_reported(old.compact, anchor=made.state.anchor(), at=NOW, device="box-1")
    assert opened.sealing_key is msgspec.UNSET


# --- the officer's work, and the admin's -----------------------------------------------------------------------


class Office:
    """A fleet whose boxes have said their keys, and whose officer has made one for the bank."""

    def __init__(self, directory: Path) -> None:
        self.fleet = fleet(directory, NOW)
        fleet_made.sign_audiences(self.fleet, NOW, BANK)
        self.state = self.fleet.state
        self.officer = self.fleet.keys / Holder.PRIVACY
        self.root = self.fleet.repository.file("root", 1)
        self.hear("box-1", "box-2")

    def hear(self, *names: str, **keys: Any) -> list[str]:
        reports = {
            name: report(self.fleet, name, keys.get(name.replace("-", "_"), BOXES[name])) for name in names
        }
        with self.state.changing():
            return sealing_keys.keep(self.state, reports, NOW)

    def says(self, what: str, *words: str) -> int:
        where = ["--state", str(self.state.directory), "--privacy-keys", str(self.officer)]
        return main(["fleet", "organisation-key", what, "first-bank", *words, *where])

    def secret(self, number: int = 1) -> bytes:
        return (self.officer / f"organisation-first-bank-{number}.key").read_bytes()

    def take(self, device: str = "box-1") -> bytes:
        """The key at the box that takes a push now."""
        made = make_bundle(self.state, device, NOW)
        accepted = verify_bundle(made.data, trusted=first_trust(self.root), device=device, now=NOW)
        found = accepted.organisation_keys["first-bank"]
        return open_key(found, BOXES[device], fleet="acme", device=device, audience="first-bank")

    def refused(self, device: str = "box-1") -> tuple[str, str]:
        with pytest.raises(PushRefusedError) as caught:
            self.take(device)
        return caught.value.code, caught.value.where


@pytest.fixture
def office(tmp_path: Path, capsys: Capture) -> Office:
    made = Office(tmp_path)
    assert made.says("new") == os.EX_OK
    assert made.says("deliver", "box-1", "box-2") == os.EX_OK
    return made


def test_a_key_gets_from_the_officer_to_the_box(office: Office, tmp_path: Path, capsys: Capture) -> None:
    assert office.take("box-1") == office.take("box-2") == office.secret()
    made = make_bundle(office.state, "box-1", NOW)
    got = take(tmp_path / "plain", made, office.root)  # python-tuf alone finds every target signed for
    assert {index_target("first-bank"), device_target("box-1")} <= set(got)
    out, err = capsys.readouterr()
    assert key_id(BOXES["box-1"].public_key()) in out
    for spelled in (office.secret().hex(), base64.b64encode(office.secret()).decode(), repr(office.secret())):
        assert spelled not in out + err
        assert all(
            spelled.encode() not in path.read_bytes()
            for path in office.state.directory.rglob("*")
            if path.is_file()
        )
    assert (office.officer / "organisation-first-bank-1.key").stat().st_mode & 0o777 == 0o600


def test_whoever_makes_pushes_can_neither_swap_nor_leave_out(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The admin's keys are all here, and a patched tool to make what it wouldn't."""
    kind = delivered_keys.DeliveredKeys
    really = kind.own
    swapped = seal_key(
        bytes(32), BOXES["box-1"].public_key(), fleet="acme", device="box-1", audience="first-bank", number=1
    )

    def own(change: Callable[[DeviceKeys], DeviceKeys]) -> Callable[..., dict[str, bytes]]:
        def changed(self: Any, device: str, audiences: Any) -> dict[str, bytes]:
            ((path, data),) = really(self, device, audiences).items()
            return {path: encode(change(parse_device_keys(data, device)))}

        return changed

    def with_key(found: DeviceKeys, **changes: Any) -> DeviceKeys:
        keys = {name: msgspec.structs.replace(one, **changes) for name, one in found.keys.items()}
        return msgspec.structs.replace(found, keys=keys)

    place = "audiences.first-bank.organisation_key"
    cases: list[tuple[str, Any, tuple[str, str]]] = [
        (
            "own",
            own(lambda found: with_key(found, sealed=swapped)),
            ("organisation_key.not_vouched_for", place),
        ),
        ("own", own(lambda found: DeviceKeys(1, "box-1", {})), ("organisation_key.not_for_this_box", place)),
        ("own", own(lambda found: DeviceKeys(1, "box-2", found.keys)), ("organisation_key.malformed", place)),
        ("own", lambda *_: {}, ("organisation_key.not_for_this_box", place)),
        ("indexes", lambda *_: {}, ("push.incomplete", index_target("first-bank"))),
    ]
    for name, instead, refusal in cases:
        with monkeypatch.context() as patched:
            patched.setattr(kind, name, instead)
            assert office.refused() == refusal
    assert office.take() == office.secret()


def test_the_admin_cant_have_the_officer_sign_another_key(office: Office, capsys: Capture) -> None:
    """What lies in the shared directory is anybody's to write; it is kept only as it was signed."""
    path = office.state.directory / "organisation-keys/first-bank.json"
    found = json.loads(path.read_text())
    theirs = seal_key(
        bytes(32), BOXES["box-2"].public_key(), fleet="acme", device="box-2", audience="first-bank", number=1
    )
    found["sealed"]["box-2"] = msgspec.to_builtins(theirs)
    path.write_text(json.dumps(found))
    with pytest.raises(StateError, match="file_not_signed"):
        make_bundle(office.state, "box-1", NOW)
    office.hear("box-1")
    capsys.readouterr()
    assert office.says("deliver", "box-1") != os.EX_OK
    assert "--anew" in capsys.readouterr().err
    assert office.says("deliver", "box-1", "box-2", "--anew") == os.EX_OK
    assert office.take("box-2") == office.secret()


def test_a_box_that_says_another_key_is_looked_at(office: Office, capsys: Capture) -> None:
    """Whoever holds an issuing authority can be any box; the officer remembers which key each had."""
    assert office.hear("box-2", box_2=BOXES["box-3"]) == ["box-2"]
    capsys.readouterr()
    assert office.says("deliver", "box-2") == os.EX_CONFIG
    err = capsys.readouterr().err
    assert key_id(BOXES["box-2"].public_key()) in err
    assert key_id(BOXES["box-3"].public_key()) in err
    assert deliveries(office.state)["first-bank"].sealed["box-2"].kid == key_id(BOXES["box-2"].public_key())
    assert office.says("deliver", "--changed", "box-2", "--json") == os.EX_OK
    told = json.loads(capsys.readouterr().out)
    assert told["to"] == {"box-2": {"key": key_id(BOXES["box-3"].public_key()), "why": "key_changed"}}
    assert told["kept"] == ["box-1"]


def test_a_report_that_no_device_signed_is_no_key(office: Office) -> None:
    forged = report(office.fleet, "box-2", BOXES["box-3"], role=Role.ADMIN)
    path = office.state.directory / sealing_keys.REPORTS / "box-2.jws"
    path.write_bytes(forged.compact)
    boxes = sealing_keys.BoxKeys(office.state, NOW)
    assert set(boxes.known) == {"box-1"}
    assert boxes.code("box-2") == "cert.wrong_role"
    path.write_bytes((office.state.directory / sealing_keys.REPORTS / "box-1.jws").read_bytes())
    assert "box-2" not in sealing_keys.BoxKeys(office.state, NOW).known


def test_a_rotated_key_gets_a_number_and_goes_to_all(office: Office) -> None:
    first = office.secret()
    before = make_bundle(office.state, "box-1", NOW).version
    assert office.says("new") == os.EX_OK
    assert make_bundle(office.state, "box-1", NOW).version == before, "it isn't delivered yet"
    assert office.says("deliver") == os.EX_OK
    assert office.take("box-1") == office.take("box-2") == office.secret(2) != first
    assert make_bundle(office.state, "box-1", NOW).version != before
    assert deliveries(office.state)["first-bank"].number == 2


def test_an_officers_directory_that_was_restored_takes_nobody_back_to_an_older_key(office: Office) -> None:
    assert office.says("new") == os.EX_OK
    assert office.says("deliver") == os.EX_OK
    second = office.secret(2)
    (office.officer / "organisation-first-bank-2.key").unlink()
    assert office.says("deliver") == os.EX_CONFIG
    assert office.take("box-1") == second
    assert office.says("new") == os.EX_OK
    assert office.says("deliver") == os.EX_OK
    assert office.take("box-1") == office.secret(3)
    assert deliveries(office.state)["first-bank"].number == 3


def test_another_box_changes_nothing_for_those_that_have_the_key(office: Office) -> None:
    from edged.fleet.state import DeviceRecord

    office.state.save_device(DeviceRecord(name="box-3", added_at=0))
    with pytest.raises(ConfigError, match="no_organisation_key"):
        make_bundle(office.state, "box-3", NOW)
    before = make_bundle(office.state, "box-1", NOW).version
    assert office.says("deliver", "box-3") == os.EX_CONFIG, "it hasn't said its key"
    office.hear("box-3")
    assert office.says("deliver", "box-3") == os.EX_OK
    assert office.take("box-3") == office.secret()
    assert make_bundle(office.state, "box-1", NOW).version == before


def test_a_revoked_box_gets_the_next_key_no_more(office: Office, capsys: Capture) -> None:
    record = office.state.device("box-2")
    office.state.save_device(msgspec.structs.replace(record, revoked_at=1))
    office.says("new")
    capsys.readouterr()
    assert office.says("deliver", "--json") == os.EX_OK
    told = json.loads(capsys.readouterr().out)
    assert told["dropped"] == ["box-2"]
    assert list(told["to"]) == ["box-1"]


def test_a_dry_run_changes_nothing(office: Office) -> None:
    def everything() -> dict[Path, bytes]:
        return {
            path: path.read_bytes()
            for directory in (office.state.directory, office.officer)
            for path in directory.rglob("*")
            if path.is_file()
        }

    office.says("new")
    before = everything()
    assert office.says("new", "--dry-run") == os.EX_OK
    assert office.says("deliver", "--dry-run") == os.EX_OK
    assert everything() == before


def test_the_list_says_who_has_what(office: Office, capsys: Capture) -> None:
    office.hear("box-2", box_2=BOXES["box-3"])
    capsys.readouterr()
    for lang in ("en", "zh-CN"):
        words = ["fleet", "organisation-key", "list", "--state", str(office.state.directory), "--lang", lang]
        assert main(words) == os.EX_OK
        assert "box-1" in capsys.readouterr().out
    assert main([*words, "--json"]) == os.EX_OK
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["device"], one["state"]) for one in found] == [
        ("box-1", "organisation_key.state_good"),
        ("box-2", "organisation_key.state_other_key"),
    ]


def test_an_audience_that_is_removed_takes_its_key_along(office: Office) -> None:
    from edged.fleet import audience_signing
    from edged.fleet.tuf_roles import PRIVACY

    audience_signing.remove(office.state, ["first-bank"], office.fleet.officer(Holder.PRIVACY), NOW)
    signed = office.fleet.repository.targets(PRIVACY).signed.targets
    assert not [path for path in signed if "first-bank" in path]
    assert deliveries(office.state) == {}


def test_a_key_file_that_is_none_is_not_delivered(office: Office) -> None:
    office.says("new")
    (office.officer / "organisation-first-bank-2.key").write_bytes(b"short")
    assert office.says("deliver") != os.EX_OK
    assert deliveries(office.state)["first-bank"].number == 1
    assert organisation_keys.newest("first-bank", office.officer) == 2


# --- at the box ------------------------------------------------------------------------------------------------


async def test_a_push_whose_key_is_anothers_is_rejected_before_it_is_tried(tmp_path: Path) -> None:
    signer = device_signer(tmp_path / "pki")
    async with PushedBox(tmp_path, signer) as box:
        own = own_key(tmp_path)

        def deliver(recipient: Any) -> None:
            sealed = seal_key(
                KEY, recipient.public_key(), fleet=FLEET, device=DEVICE, audience="bank", number=1
            )
            tree = KeyTree({DEVICE: sealed})
            keys = DeviceKeys(1, DEVICE, {"bank": tree.proven(DEVICE)})
            box.repository.set_target("privacy", index_target("bank"), encode(tree.index("bank", 1)))
            box.repository.roles["privacy"].version += 1
            box.repository.publish(["privacy"])
            box.repository.set_target("config", device_target(DEVICE), encode(keys))

        policy = {"claims": {"holder": "pseudonymise"}, "pseudonym_scope": "organisation"}
        box.repository.set_document("privacy", "audience/bank.json", AUDIENCE | {"policy": policy})
        deliver(BOXES["box-2"])
        await box.push("rejected", version="anothers")
        assert (box.report.code, box.report.path) == ("sealed.other_key", "audiences.bank.organisation_key")
        assert box.host.versions == ["boot"]
        deliver(own)
        await box.push("applied", version="ours")
        assert box.host.in_force is not None
        found = box.host.in_force.settings.audiences["bank"].organisation_key
        assert opened_key(tmp_path, "bank", found, signer.principal) == KEY
        said = open_reported(box.agent._sealed(), anchor=_anchor(tmp_path), at=box.now, device=DEVICE)
        assert said.sealing_key == public_pem(own)
        assert box.agent.sealing_key == key_id(own.public_key())
        for data in box.disk().values():
            assert not [one for one in (KEY, KEY.hex().encode(), base64.b64encode(KEY)) if one in data]


def _anchor(directory: Path) -> Any:
    from edged.uplink.roles import TrustAnchor

    return TrustAnchor.from_file(next((directory / "pki").glob("*ca*.pem")))


def test_a_delivered_key_makes_the_organisations_pseudonyms(tmp_path: Path) -> None:
    box = daemons.Box(tmp_path / "box")
    settings = load_box(box.config)
    directory = settings.state.directory
    start_up.make_private(directory)
    name, audience = next(iter(settings.audiences.items()))
    fleet_name = in_force.prepare(settings).signer.principal.fleet

    def with_key(recipient: Any) -> Any:
        sealed = seal_key(
            KEY, recipient.public_key(), fleet=fleet_name, device="box-1", audience=name, number=3
        )
        policy = msgspec.structs.replace(audience.policy, pseudonym_scope="organisation")
        changed = msgspec.structs.replace(
            audience, policy=policy, organisation_key=OrganisationKey(3, sealed)
        )
        return msgspec.structs.replace(settings, audiences={name: changed})

    own = own_key(directory)
    held = in_force.prepare(with_key(own))
    expected = Pseudonymiser(KEY, f"organisation:{name}").pseudonym("holder", "UTO", "x")
    assert held.pseudonyms[name].pseudonym("holder", "UTO", "x") == expected
    assert KEY not in b"".join(path.read_bytes() for path in directory.iterdir() if path.is_file())
    with pytest.raises(ConfigError) as caught:
        in_force.prepare(with_key(BOXES["box-2"]))
    assert (caught.value.where, caught.value.code) == (
        f"audiences.{name}.organisation_key",
        "sealed.other_key",
    )

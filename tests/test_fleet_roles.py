"""The fleet's roles: what they sign is what plain python-tuf takes, and nobody signs another's part."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from edged.errors import CertificateError, ConfigError, StateError
from edged.fleet import (
    audience_signing,
    authorities,
    bundles,
    ceremony,
    key_files,
    push_numbers,
    recovery,
    repository,
)
from edged.fleet.key_files import make_offline, owner_of, read_key
from edged.fleet.repository import set_delegated_key
from edged.fleet.state import FleetState, write_text
from edged.fleet.tuf_roles import (
    ADMIN_FILES,
    CONFIG,
    LIFETIME,
    PRIVACY,
    RELEASE,
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    Holder,
    role_of,
)
from edged.uplink.bundle import MAX_BUNDLE, decode_bundle
from edged.uplink.fleet_authority import TARGET, parse, sha256_of
from edged.uplink.keys import generate_key, load_private, private_pem, read_private, write_private
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.roles import load_chain
from edged.uplink.token import FILE_NAME
from tests.fleet_made import BANK, HOTEL, Fleet, fleet, make_bundle, moment, plain_box, sign_audiences, take

NOW = moment()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("fleet")
    fleet(directory, NOW)
    return directory


@pytest.fixture
def made(template: Path, tmp_path: Path) -> Fleet:
    """A fleet of this test's own."""
    shutil.copytree(template, tmp_path / "fleet")
    return Fleet(FleetState.open(tmp_path / "fleet/state"), tmp_path / "fleet/keys")


def first_root(made: Fleet) -> bytes:
    return made.repository.file(ROOT, 1)


def push(made: Fleet, device: str = "box-1", **options: int) -> bundles.Made:
    return make_bundle(made.state, device, NOW, **options)


# --- how it begins ---


def test_a_push_is_what_plain_python_tuf_takes(made: Fleet, tmp_path: Path) -> None:
    pushed = push(made)
    got = take(tmp_path / "box", pushed, first_root(made))
    assert set(got) == {"config/box-1.json", "audience/first-bank.json", TARGET}
    document = json.loads(got["config/box-1.json"])
    assert document["device"] == "box-1"
    assert document["timeouts"] == {"document_s": 20.0}
    assert document["version"] == pushed.version
    assert json.loads(got["audience/first-bank.json"]) == BANK
    assert parse(got[TARGET]).anchor().fleet == "acme"
    assert len(pushed.data) < MAX_BUNDLE / 4
    assert pushed.expires == NOW + LIFETIME[TIMESTAMP]


def test_every_key_is_in_its_place_and_readable_by_its_owner_alone(made: Fleet) -> None:
    names = {str(path.relative_to(made.keys)) for path in made.keys.rglob("*.key")}
    assert names == {
        *("root1/root.key", "root1/ca-root.key", "root2/root.key", "root3/root.key"),
        *("privacy/privacy.key", "release/release.key"),
    }
    for path in [*made.keys.rglob("*.key"), *made.state.secrets.iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(made.state.secrets.stat().st_mode) == 0o700


def ignored(path: Path, state: Path) -> bool:
    """As git reads the .gitignore that init writes."""
    relative = path.relative_to(state)
    return (
        relative.parts[0] in ("secrets", "artefacts")
        or path.name == ".lock"
        or path.suffix == ".key"
        or (path.name.startswith(".") and path.suffix == ".new")
    )


def kept_by_git(state: Path) -> Iterator[Path]:
    return (path for path in state.rglob("*") if path.is_file() and not ignored(path, state))


def test_nothing_that_git_would_keep_is_secret(made: Fleet) -> None:
    lines = (made.state.directory / ".gitignore").read_text().split()
    assert {"secrets/", "artefacts/", ".lock", "*.key", ".*.new", FILE_NAME} <= set(lines)
    push(made)
    recovery.replace_admin(made.state, made.offline(), NOW)
    secrets = [path.read_bytes() for path in (*made.keys.rglob("*.key"), *made.state.secrets.rglob("*.key"))]
    bodies = [b"".join(secret.splitlines()[1:-1]) for secret in secrets]
    assert len(bodies) == 10
    seen = 0
    for path in kept_by_git(made.state.directory):
        data = path.read_bytes()
        assert b"PRIVATE KEY" not in data, path
        assert not any(body in data.replace(b"\n", b"").replace(b"\\n", b"") for body in bodies), path
        seen += 1
    assert seen > 10


def test_certificates_given_out_verify_up_to_the_offline_authority(made: Fleet) -> None:
    anchor = made.state.anchor()
    device = Principal("acme", Role.DEVICE, "box-1")
    key = generate_key().public_key()
    chain = load_chain(made.state.issue(device, Usage.SIGNING, key, now=NOW))
    assert len(chain) == 2
    assert anchor.verify(chain, usage=Usage.SIGNING, at=NOW) == device
    assert made.state.signer().principal == Principal("acme", Role.ADMIN, "alice")
    server = load_chain(made.state.issue_server(["broker"], key, now=NOW))
    server[0].verify_directly_issued_by(server[1])
    # No certificate outlives its authority.
    late = NOW + timedelta(days=authorities.ISSUING_DAYS - 30)
    last = load_chain(made.state.issue(device, Usage.TLS, key, now=late))
    assert last[0].not_valid_after_utc <= last[1].not_valid_after_utc
    with pytest.raises(CertificateError) as ended:
        made.state.issue(device, Usage.TLS, key, now=NOW + timedelta(days=authorities.ISSUING_DAYS))
    assert ended.value.code == "fleet.authority_ended"


def plan_of(directory: Path, **changed: object) -> ceremony.Plan:
    plan = ceremony.Plan(
        directory / "state",
        ceremony.FleetFile(fleet="acme", admin="alice"),
        tuple(directory / name for name in ("a", "b", "c")),
        2,
        directory / "p",
        directory / "r",
    )
    return plan._replace(**changed)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"threshold": 4}, "fleet.bad_threshold"),
        ({"threshold": 0}, "fleet.bad_threshold"),
        ({"privacy_keys": "a"}, "fleet.same_directory"),
        ({"release_keys": "x/../p"}, "fleet.same_directory"),
        ({"privacy_keys": "state/keys"}, "fleet.keys_inside_state"),
        ({"file": ceremony.FleetFile(fleet="keys", admin="alice")}, "config.bad_name"),
        ({"file": ceremony.FleetFile(fleet="acme", admin="a" * 63)}, "config.bad_name"),
    ],
)
def test_a_plan_that_puts_keys_in_the_wrong_place_makes_nothing(
    tmp_path: Path, changed: dict[str, object], code: str
) -> None:
    changed = {key: tmp_path / value if isinstance(value, str) else value for key, value in changed.items()}
    with pytest.raises((StateError, ConfigError)) as refused:
        ceremony.found(plan_of(tmp_path, **changed), NOW, "en")
    assert refused.value.code == code
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_no_key_is_ever_written_over(made: Fleet, tmp_path: Path) -> None:
    key = (made.keys / "root2/root.key").read_bytes()
    with pytest.raises(StateError) as refused:
        ceremony.found(plan_of(tmp_path, root_keys=(tmp_path / "new", made.keys / "root2")), NOW, "en")
    assert refused.value.code == "fleet.key_exists"
    assert not (tmp_path / "new").exists()
    with pytest.raises(StateError):
        make_offline(Holder.ROOT, made.keys / "root2", "x")
    assert (made.keys / "root2/root.key").read_bytes() == key
    with pytest.raises(StateError) as refused:
        ceremony.found(plan_of(tmp_path)._replace(directory=made.state.directory), NOW, "en")
    assert refused.value.code == "fleet.state_exists"


# --- who may sign what ---


def forged(made: Fleet, pushed: bundles.Made, role: str, key: object) -> bundles.Made:
    """`pushed` with a role's metadata signed by another key than it should."""
    bundle = decode_bundle(pushed.data)
    name = next(name for name in bundle.metadata if name.removesuffix(".json").split(".")[-1] == role)
    metadata = Metadata.from_bytes(bundle.metadata[name].encode())
    metadata.sign(key)
    files = {name: text.encode() for name, text in bundle.metadata.items()} | {name: metadata.to_bytes()}
    data = bundles.encode_bundle(files, {path: text.encode() for path, text in bundle.targets.items()})
    return pushed._replace(data=data)


WRONG = {
    TARGETS: "privacy",
    SNAPSHOT: "root",
    TIMESTAMP: "release",
    CONFIG: "privacy",
    PRIVACY: "admin",
    RELEASE: "admin",
    ADMIN_FILES: "release",
}


@pytest.mark.parametrize("role", WRONG)
def test_plain_tuf_refuses_each_role_signed_by_anothers_key(made: Fleet, tmp_path: Path, role: str) -> None:
    keys = {
        "admin": read_key(made.state.secrets / bundles.ONLINE_KEY).signer,
        "root": made.offline()[0].signer,
        "privacy": made.officer(Holder.PRIVACY).signer,
        "release": made.officer(Holder.RELEASE).signer,
    }
    pushed = forged(made, push(made), role, keys[WRONG[role]])
    with pytest.raises(RepositoryError):
        updater = plain_box(tmp_path / "box", pushed, first_root(made))
        updater.refresh()
        asked = {PRIVACY: "audience/first-bank.json", RELEASE: "software/x", ADMIN_FILES: "scene/x"}
        updater.get_targetinfo(asked.get(role, "config/box-1.json"))


@pytest.mark.parametrize(
    ("role", "path"),
    [
        (PRIVACY, "config/box-1.json"),
        (ADMIN_FILES, "audience/x.json"),
        (ADMIN_FILES, "trust/x"),
        (RELEASE, "scene/x"),
    ],
)
def test_a_role_signs_only_its_own_paths(made: Fleet, tmp_path: Path, role: str, path: str) -> None:
    holder = {PRIVACY: Holder.PRIVACY, RELEASE: Holder.RELEASE}.get(role)
    online = read_key(made.state.secrets / bundles.ONLINE_KEY)
    signer = (online if holder is None else made.officer(holder)).signer
    with pytest.raises(ValueError, match="signs no targets"):
        made.repository.put_targets(role, {path: b"x"}, [signer], NOW)

    def around(targets: Targets) -> None:
        targets.targets[path] = bundles.TargetFile.from_data(path, b"x", ["sha256"])

    made.repository.revise(role, around, [signer], NOW)  # a thief has no such tool
    updater = plain_box(tmp_path / "box", push(made), first_root(made))
    updater.refresh()
    found = updater.get_targetinfo(path)
    assert found is None or found.length != 1
    assert role_of(path) != role


def test_the_privacy_officers_key_alone_changes_what_a_recipient_learns(made: Fleet) -> None:
    before = made.repository.versions(PRIVACY)
    path = made.keys / "more.json"
    path.write_text(json.dumps(BANK | {"policy": {"claims": {"sex": "keep"}}}))
    checked = audience_signing.check_files(made.state, [path])
    online = read_key(made.state.secrets / bundles.ONLINE_KEY)
    with pytest.raises(StateError) as refused:
        audience_signing.sign(made.state, checked, online, NOW)
    assert refused.value.code == "fleet.role_not_signed"
    assert made.repository.versions(PRIVACY) == before
    # Nor can whoever holds the state directory: a document that differs from the signed one is pushed to nobody.
    write_text(made.state.directory / "audiences/first-bank.json", path.read_text())
    with pytest.raises(StateError) as refused:
        push(made)
    assert refused.value.code == "fleet.file_not_signed"


@pytest.mark.parametrize(
    ("changed", "where", "code"),
    [
        ({"policy": {"claims": {"surname": "keep"}}}, "policy.claims.surname", "config.above_ceiling"),
        (
            {"policy": {"claims": {"optional_data": "mask"}}},
            "policy.claims.optional_data",
            "config.above_ceiling",
        ),
        ({"policy": {"claims": {"shoe": "keep"}}}, "policy.claims.shoe", "config.unknown_name"),
        ({"scenes": ["moon"]}, "scenes", "config.unknown_name"),
        ({"scenes": []}, "scenes", "config.no_scene"),
        ({"receives": []}, "receives", "config.no_kind"),
        ({"name": "replay"}, "name", "config.bad_name"),
        ({"extra": 1}, "extra", "config.unknown_key"),
    ],
)
def test_what_a_box_would_refuse_the_officer_cannot_sign(
    made: Fleet, changed: dict[str, object], where: str, code: str
) -> None:
    path = made.keys / "bad.json"
    path.write_text(json.dumps(BANK | changed))
    with pytest.raises(ConfigError) as refused:
        audience_signing.check_files(made.state, [path])
    assert (refused.value.where, refused.value.code) == (f"{path}: {where}", code)


@pytest.mark.parametrize("receives", [["training"], ["live", "test"]])
def test_an_audience_may_want_little(made: Fleet, receives: list[str]) -> None:
    path = made.keys / "good.json"
    path.write_text(json.dumps(BANK | {"name": "other", "receives": receives, "scenes": ["hotel", "bank"]}))
    assert [one.name for one in audience_signing.check_files(made.state, [path])] == ["other"]


# --- pushes ---


def test_numbers_only_ever_rise_and_are_on_disk_first(made: Fleet) -> None:
    assert push_numbers.last(made.state) == 0
    first = push(made)
    assert push(made, "box-2").number == first.number + 1 == push_numbers.last(made.state)
    assert list(push_numbers.reserve(made.state, 3)) == [3, 4, 5]
    assert push(made, above=40).number == 41
    (
        made.state.directory / push_numbers.FILE
    ).unlink()  # an old copy of the state knows its boxes' last pushes
    made.state.save_device(bundles.noted(made.state.device("box-2"), first._replace(number=44)))
    assert push(made).number == 45
    write_text(made.state.directory / push_numbers.FILE, "4x\n")
    with pytest.raises(StateError) as refused:
        push(made)
    assert refused.value.code == "fleet.bad_number"


def test_a_push_that_cannot_be_made_costs_no_number(made: Fleet) -> None:
    write_text(made.state.directory / "config/device/box-1.toml", "default_scene = 7\n")
    with pytest.raises(ConfigError) as refused:
        push(made)
    assert refused.value.where == "config/device/box-1.toml: default_scene"
    assert push_numbers.last(made.state) == 0
    assert push(made, "box-2").number == 1


def test_a_number_is_written_before_it_is_used(made: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    def power_cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bundles.BundleMaker, "make", power_cut)
    with pytest.raises(KeyboardInterrupt):
        push(made)
    assert push_numbers.last(made.state) == 1


def test_an_older_push_is_refused_by_plain_tuf(made: Fleet, tmp_path: Path) -> None:
    older, newer = push(made), push(made)
    take(tmp_path / "box", newer, first_root(made))
    with pytest.raises(RepositoryError):
        plain_box(tmp_path / "box", older, first_root(made)).refresh()


def test_an_audience_nobody_signed_and_an_artefact_nobody_signed(made: Fleet) -> None:
    layer = made.state.directory / "config/device/box-1.toml"
    write_text(layer, 'audiences = ["second-bank"]\n')
    with pytest.raises(ConfigError) as refused:
        push(made)
    assert (refused.value.where, refused.value.code) == (
        "config/device/box-1.toml: audiences.second-bank",
        "config.no_such_audience",
    )
    write_text(layer, '[artefacts]\ntrust = "trust/icao.sqlite"\n')
    with pytest.raises(ConfigError) as refused:
        push(made)
    assert (refused.value.where, refused.value.code) == (
        "config/device/box-1.toml: artefacts.trust",
        "fleet.artefact_not_signed",
    )
    made.repository.put_targets(
        RELEASE, {"trust/icao.sqlite": b"one"}, [made.officer(Holder.RELEASE).signer], NOW
    )
    one = push(made)
    made.repository.put_targets(
        RELEASE, {"trust/icao.sqlite": b"two"}, [made.officer(Holder.RELEASE).signer], NOW
    )
    assert push(made).version != one.version  # what the box runs has changed
    assert push(made).version == push(made).version


def test_a_push_that_is_too_large_says_what_is_large(made: Fleet) -> None:
    files = {f"software/edged-{number}.deb": b"x" for number in range(600)}
    made.repository.put_targets(RELEASE, files, [made.officer(Holder.RELEASE).signer], NOW)
    with pytest.raises(StateError) as refused:
        push(made)
    assert refused.value.code == "fleet.push_too_large"
    assert refused.value.params["largest"].startswith("2.release.json")


def test_expired_metadata_is_not_pushed(made: Fleet) -> None:
    late = NOW + LIFETIME[PRIVACY] + timedelta(days=1)
    with pytest.raises(StateError) as refused:
        make_bundle(made.state, "box-1", late)
    assert refused.value.code == "fleet.role_expired"
    assert refused.value.params["role"] in (TARGETS, PRIVACY)


def test_a_wrong_admin_key_is_found_before_a_box_finds_it(made: Fleet) -> None:
    write_private(made.state.secrets / bundles.ONLINE_KEY, private_pem(generate_key()))
    with pytest.raises(StateError) as refused:
        push(made)
    assert refused.value.code == "fleet.wrong_admin_key"


def test_boxes_due_for_the_same_push_again(made: Fleet) -> None:
    made.state.save_device(bundles.noted(made.state.device("box-1"), push(made)))
    assert bundles.due_devices(made.state, NOW + timedelta(days=19)) == []
    assert bundles.due_devices(made.state, NOW + timedelta(days=21)) == ["box-1"]


# --- ways back ---


def keyid(made: Fleet, name: str) -> str:
    return made.offline(name)[0].keyid


def test_a_lost_root_key_is_replaced_by_the_others(made: Fleet, tmp_path: Path) -> None:
    root = first_root(made)
    take(tmp_path / "box", push(made), root)
    rotation = recovery.plan_rotation(made.state, [keyid(made, "root3")[:9]], 1, None)
    new = [made.keys / "root4"]
    with pytest.raises(StateError) as refused:
        recovery.rotate_root(made.state, rotation, made.offline("root1"), new, NOW)
    assert refused.value.code == "fleet.role_not_signed"
    assert not new[0].exists()
    assert recovery.rotate_root(made.state, rotation, made.offline("root1", "root2"), new, NOW) == 2
    take(tmp_path / "box", push(made), root)
    # From now on the new key counts, and the lost one doesn't.
    rotation = recovery.plan_rotation(made.state, [keyid(made, "root1")], 1, None)
    with pytest.raises(StateError):
        recovery.rotate_root(made.state, rotation, made.offline("root1", "root3"), [made.keys / "root5"], NOW)
    assert (
        recovery.rotate_root(made.state, rotation, made.offline("root1", "root4"), [made.keys / "root5"], NOW)
        == 3
    )
    take(tmp_path / "box", push(made), root)
    take(tmp_path / "another", push(made, "box-2"), root)  # from the first root to the third at once
    owners = {owner_of(key) for key in made.repository.root().signed.keys.values()}
    assert owners == {"root-2", "root-2-1", "root-3-1", "admin alice"}


def test_a_root_signed_by_one_key_is_refused_by_plain_tuf(made: Fleet, tmp_path: Path) -> None:
    root = made.repository.root()
    root.signed.version = 2
    root.sign(made.offline("root1")[0].signer)
    write_text(made.state.directory / "metadata/2.root.json", root.to_bytes().decode())
    with pytest.raises(StateError) as refused:
        push(made)
    assert refused.value.code == "fleet.role_not_signed"
    (made.state.directory / "metadata/2.root.json").unlink()
    pushed = push(made)
    bundle = decode_bundle(pushed.data)
    files = {name: text.encode() for name, text in bundle.metadata.items()} | {"2.root.json": root.to_bytes()}
    data = bundles.encode_bundle(files, {path: text.encode() for path, text in bundle.targets.items()})
    with pytest.raises(RepositoryError):
        plain_box(tmp_path / "box", pushed._replace(data=data), first_root(made)).refresh()


def test_a_stolen_admin_key_is_worth_nothing_after_the_next_push(made: Fleet, tmp_path: Path) -> None:
    root, box = first_root(made), tmp_path / "box"
    stolen = tmp_path / "stolen"
    shutil.copytree(made.state.directory, stolen)
    thief = Fleet(FleetState.open(stolen), made.keys)
    signing = sha256_of(load_chain((made.state.secrets / "admin-signing.pem").read_bytes())[0])
    take(box, push(made), root)
    # The thief pushes with numbers as high as they go, so that the admin's own would be refused as old.
    take(box, push(thief, above=2**40), root)
    with pytest.raises(RepositoryError):
        take(box, push(made), root)
    revoked = recovery.replace_admin(made.state, made.offline(), NOW)
    assert signing in revoked
    assert len(revoked) == 2
    got = take(
        box, push(made), root
    )  # an ordinary number is taken again: fast-forward attacks end with the key
    assert {one.sha256 for one in parse(got[TARGET]).revoked} == set(revoked)
    with pytest.raises(RepositoryError):
        take(box, push(thief, above=2**41), root)
    assert made.state.signer().principal.name == "alice"
    assert not parse(got[TARGET]).revokes(load_chain((made.state.secrets / "admin-signing.pem").read_bytes()))


@pytest.mark.parametrize("holder", [Holder.PRIVACY, Holder.RELEASE])
def test_an_officers_stolen_key_is_replaced(made: Fleet, tmp_path: Path, holder: Holder) -> None:
    root, box = first_root(made), tmp_path / "box"
    old = made.officer(holder)
    take(box, push(made), root)
    with pytest.raises(StateError):
        recovery.replace_officer(made.state, holder, made.offline("root3"), made.keys / "new", NOW)
    again = recovery.replace_officer(
        made.state, holder, made.offline("root3", "root1"), made.keys / "new", NOW
    )
    privacy = ("audience/first-bank.json", "audience/grand-hotel.json")
    assert again == (privacy if holder is Holder.PRIVACY else ())
    role, path = (PRIVACY, "audience/x.json") if holder is Holder.PRIVACY else (RELEASE, "trust/x")
    with pytest.raises(StateError):
        made.repository.put_targets(role, {path: b"x"}, [old.signer], NOW)
    take(box, push(made), root)
    with pytest.raises(RepositoryError):
        plain_box(tmp_path / "fresh", forged(made, push(made), role, old.signer), root).get_targetinfo(path)


def test_a_document_the_thief_signed_is_not_signed_again(made: Fleet) -> None:
    thiefs = {"audience/thief.json": b"{}"}
    made.repository.put_targets(PRIVACY, thiefs, [made.officer(Holder.PRIVACY).signer], NOW)
    again = recovery.replace_officer(made.state, Holder.PRIVACY, made.offline(), made.keys / "new", NOW)
    assert again == ("audience/first-bank.json", "audience/grand-hotel.json")
    assert set(made.repository.targets(PRIVACY).signed.targets) == set(again)


def test_a_lost_authority_key(made: Fleet, tmp_path: Path) -> None:
    """The offline TUF keys bring in another authority; what the old one issued goes on for as long as it is listed."""
    old = made.state.anchor()
    before = (made.state.secrets / "admin-signing.pem").read_bytes()
    (made.keys / "root1/ca-root.key").unlink()
    root = authorities.new_root(made.state, made.keys / "ca2", NOW)
    signers = [key.signer for key in made.offline()]
    authorities.put(made.state, lambda one: authorities.with_anchor(one, root.certificate_pem), signers, NOW)
    made.state.anchor().verify(load_chain(before), usage=Usage.SIGNING, at=NOW)
    read = authorities.read_root(made.state, made.keys / "ca2")
    authorities.write_issuing(made.state.secrets, authorities.new_issuing(read, NOW))
    authorities.write_admin(made.state, NOW)
    after = load_chain((made.state.secrets / "admin-signing.pem").read_bytes())
    made.state.anchor().verify(after, usage=Usage.SIGNING, at=NOW)
    with pytest.raises(CertificateError):
        old.verify(after, usage=Usage.SIGNING, at=NOW)
    document = parse(take(tmp_path / "box", push(made), first_root(made))[TARGET])
    assert len(document.anchors) == 2
    retired = list((made.state.secrets / authorities.RETIRED).iterdir())
    assert {path.suffix for path in retired} == {".key", ".pem"}
    oldest = sha256_of(load_chain(document.anchors[1].encode())[0])
    authorities.put(made.state, lambda one: authorities.without_anchor(one, oldest), signers, NOW)
    with pytest.raises(CertificateError):
        made.state.anchor().verify(load_chain(before), usage=Usage.SIGNING, at=NOW)


def test_authorities_change_by_the_offline_keys_alone(made: Fleet) -> None:
    digest = sha256_of(authorities.admin_certificates(made.state)[0])
    before = authorities.current(made.state)
    for signers in (
        [],
        [made.offline()[0].signer],
        [read_key(made.state.secrets / bundles.ONLINE_KEY).signer],
    ):
        with pytest.raises(StateError) as refused:
            authorities.put(
                made.state,
                lambda one: authorities.with_revoked(one, [digest], "superseded", NOW),
                signers,
                NOW,
            )
        assert refused.value.code == "fleet.role_not_signed"
    assert authorities.current(made.state) == before
    with pytest.raises(StateError) as refused:
        authorities.without_anchor(before, sha256_of(load_chain(before.anchors[0].encode())[0]))
    assert refused.value.code == "fleet.last_anchor"
    with pytest.raises(CertificateError):  # another fleet's
        other = authorities.FleetAuthority.create("other", demo=False, now=NOW)
        authorities.with_anchor(before, other.certificate_pem)


def test_refresh_signs_what_it_has_keys_for_and_names_the_rest(made: Fleet, tmp_path: Path) -> None:
    assert recovery.due(made.state, NOW) == []
    later = NOW + timedelta(days=310)
    done = recovery.refresh(made.state, {}, later)
    assert done.signed == (ADMIN_FILES,)
    assert [one.role for one in done.waiting] == [TARGETS, PRIVACY, RELEASE]
    present = {Holder.ROOT: made.offline(), Holder.PRIVACY: [made.officer(Holder.PRIVACY)]}
    done = recovery.refresh(made.state, present, later)
    assert done.signed == (TARGETS, PRIVACY)
    assert [one.role for one in done.waiting] == [RELEASE]
    take(tmp_path / "box", push(made), first_root(made))
    much_later = NOW + timedelta(days=700)
    assert ROOT in recovery.refresh(made.state, present, much_later).signed
    assert made.repository.root().signed.expires == much_later + LIFETIME[ROOT]


def cut_at(write: int, cut: pytest.MonkeyPatch, *modules: object) -> None:
    """A power cut instead of the nth file that is written from now on."""
    left = [write]
    for module in modules:
        for name in ("write_text", "write_private"):
            if (real := getattr(module, name, None)) is not None:

                def writing(*args: object, real: Callable[..., None] = real) -> None:
                    left[0] -= 1
                    if left[0] < 0:
                        raise KeyboardInterrupt
                    real(*args)

                cut.setattr(module, name, writing)


WRITERS = (authorities, recovery, repository, key_files)


def done_at_last(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[int], object], after: Callable[[], object]
) -> int:
    """Cut the power at each write of `act`, look `after` each, until it gets through; how many writes there were."""
    for write in range(30):
        with monkeypatch.context() as cut:
            cut_at(write, cut, *WRITERS)
            try:
                act(write)
            except KeyboardInterrupt:
                pass
            else:
                return write
        after()
    raise AssertionError("it never ends")


def test_a_fleet_that_was_begun_halfway_is_not_begun_on_top(
    made: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever `init` was cut, a second one refuses before it has made a key."""
    for write in range(3, 30, 4):
        plan = plan_for(made, tmp_path / f"at-{write}")
        with monkeypatch.context() as cut:
            cut_at(write, cut, *WRITERS, ceremony)
            try:
                ceremony.found(plan, NOW, "en")
            except KeyboardInterrupt:
                pass
            else:
                return
        # Offline keys that were moved away, and a state that was left: the worst mixture.
        shutil.rmtree(tmp_path / f"at-{write}/keys")
        if not list((plan.directory / "secrets").iterdir()):
            continue
        with pytest.raises(StateError) as refused:
            ceremony.found(plan, NOW, "en")
        assert refused.value.code in ("fleet.key_exists", "fleet.metadata_exists")
        assert not (tmp_path / f"at-{write}/keys").exists()
    raise AssertionError("it never ends")


def plan_for(made: Fleet, directory: Path) -> ceremony.Plan:
    keys = directory / "keys"
    return ceremony.Plan(
        directory=directory / "state",
        file=made.state.file,
        root_keys=(keys / "root1", keys / "root2"),
        threshold=2,
        privacy_keys=keys / "privacy",
        release_keys=keys / "release",
    )


def test_a_root_is_written_only_when_its_own_keys_sign_it(made: Fleet) -> None:
    signers = [key.signer for key in made.offline()]

    def all_three(root: Root) -> None:
        root.roles[ROOT].threshold = 3

    with pytest.raises(StateError) as refused:
        made.repository.revise_root(all_three, signers, NOW)
    assert refused.value.code == "fleet.role_not_signed"
    assert made.repository.versions(ROOT) == [1]


def test_a_power_cut_in_a_rotation_leaves_the_fleet_as_it_was(
    made: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or as it is meant to be: either way everything is signed by those who should have."""

    def rotate(write: int) -> None:
        forget = [keyid(made, "root3")] if made.repository.root().signed.version == 1 else []
        rotation = recovery.plan_rotation(made.state, forget, 1, None)
        recovery.rotate_root(made.state, rotation, made.offline(), [made.keys / f"new-{write}"], NOW)

    assert done_at_last(monkeypatch, rotate, lambda: push(made)) == 3
    assert push(made).root_version == 2
    assert recovery.due(made.state, NOW) == []


def test_a_power_cut_while_authorities_change(made: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    signers = [key.signer for key in made.offline()]

    def revoke(write: int) -> None:
        authorities.put(
            made.state,
            lambda one: authorities.with_revoked(one, [f"{write:064x}"], "superseded", NOW),
            signers,
            NOW,
        )

    assert done_at_last(monkeypatch, revoke, lambda: push(made)) == 4
    assert parse((made.state.directory / TARGET).read_bytes()) == authorities.current(made.state)
    # What was signed before a cut is revoked as well; nothing that was revoked is forgotten.
    assert {int(one.sha256, 16) for one in authorities.current(made.state).revoked} == {2, 3, 4}
    assert not (made.state.directory / authorities.NEXT).exists()


def test_a_power_cut_while_the_admins_keys_are_replaced(made: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pushes may have to wait until it was done again; then everything is in order."""
    writes = done_at_last(
        monkeypatch, lambda _: recovery.replace_admin(made.state, made.offline(), NOW), lambda: None
    )
    assert writes == 11
    push(made)
    made.state.signer()
    assert recovery.due(made.state, NOW) == []


def test_a_power_cut_keeps_the_key_of_the_authority_before(
    made: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lists of revoked certificates are signed with it for as long as they last."""
    first = (made.state.secrets / "ca.pem").read_bytes()
    root = authorities.read_root(made.state, made.keys / "root1")
    done_at_last(
        monkeypatch,
        lambda _: authorities.write_issuing(made.state.secrets, authorities.new_issuing(root, NOW)),
        lambda: None,
    )
    name = sha256_of(load_chain(first)[0])[:16]
    retired = made.state.secrets / authorities.RETIRED
    kept = load_private(read_private(retired / f"ca-{name}.key"))
    assert kept.public_key() == load_chain(first)[0].public_key()
    made.state.authority()


def planted(made: Fleet, role: str, change: Callable[[Targets], None]) -> None:
    """Somebody who has no key of it writes a role's next metadata into the directory."""
    stranger = make_offline(Holder.RELEASE, made.keys / "stranger", "stranger").signer
    metadata = made.repository.targets(role)
    change(metadata.signed)
    metadata.signed.version += 1
    metadata.sign(stranger)
    path = made.state.directory / f"metadata/{metadata.signed.version}.{role}.json"
    path.write_bytes(metadata.to_bytes())


def test_an_officer_signs_nothing_that_somebody_laid_into_the_directory(made: Fleet) -> None:
    wide = json.dumps(BANK | {"policy": {"claims": {"surname": "keep"}}}).encode()
    thiefs = TargetFile.from_data("audience/first-bank.json", wide, ["sha256"])
    planted(made, PRIVACY, lambda signed: signed.targets.update({thiefs.path: thiefs}))
    with pytest.raises(StateError) as refused:
        sign_audiences(made, NOW, HOTEL | {"scenes": ["hotel", "bank"]})
    assert refused.value.code == "fleet.not_signed_before"
    present = {Holder.PRIVACY: [made.officer(Holder.PRIVACY)]}
    done = recovery.refresh(made.state, present, NOW)
    assert done.signed == ()
    assert [one.role for one in done.waiting] == [PRIVACY]


def test_the_offline_keys_sign_no_anchor_that_somebody_laid_into_the_directory(made: Fleet) -> None:
    signers = [key.signer for key in made.offline()]
    digest = sha256_of(authorities.admin_certificates(made.state)[0])
    other = authorities.FleetAuthority.create("acme", demo=False, now=NOW)
    document = authorities.with_anchor(authorities.current(made.state), other.certificate_pem)
    authorities.write_files(made.state.directory, document)
    for act in (
        lambda: authorities.put(
            made.state,
            lambda one: authorities.with_revoked(one, [digest], "superseded", NOW),
            signers,
            NOW,
        ),
        lambda: recovery.replace_admin(made.state, made.offline(), NOW),
    ):
        with pytest.raises(StateError) as refused:
            act()
        assert refused.value.code == "fleet.file_not_signed"


@pytest.mark.parametrize("role", [ROOT, TARGETS])
def test_the_offline_keys_sign_on_from_their_own_root_alone(made: Fleet, role: str) -> None:
    """A directory in which everything was made anew, with the real keys among a stranger's."""
    stranger = make_offline(Holder.RELEASE, made.keys / "stranger", "stranger").signer
    root = made.repository.root()
    for name in (ROOT, TARGETS):
        root.signed.add_key(stranger.public_key, name)
        root.signed.roles[name].threshold = 1
    root.sign(stranger)
    (made.state.directory / "metadata/1.root.json").write_bytes(root.to_bytes())
    targets = made.repository.targets()
    set_delegated_key(targets.signed, Holder.PRIVACY, stranger.public_key)
    targets.sign(stranger)
    (made.state.directory / "metadata/1.targets.json").write_bytes(targets.to_bytes())
    signers = [key.signer for key in made.offline()]
    with pytest.raises(StateError) as refused:
        if role == ROOT:
            made.repository.revise_root(lambda _: None, signers, NOW)
        else:
            made.repository.revise(TARGETS, lambda _: None, signers, NOW)
    assert refused.value.code == "fleet.not_signed_before"


def test_a_taken_back_audience_is_pushed_to_nobody(made: Fleet) -> None:
    key = made.officer(Holder.PRIVACY)
    audience_signing.remove(made.state, ["first-bank"], key, NOW)
    with pytest.raises(ConfigError) as refused:
        push(made)
    assert refused.value.code == "config.no_such_audience"
    with pytest.raises(ConfigError):
        audience_signing.remove(made.state, ["first-bank"], key, NOW)
    sign_audiences(made, NOW, BANK)
    push(made)


def test_the_admins_certificates_are_renewed_in_time(made: Fleet) -> None:
    assert not authorities.admin_due(made.state, NOW + timedelta(days=330))
    later = NOW + timedelta(days=340)
    assert authorities.admin_due(made.state, later)
    before = authorities.write_admin(made.state, later)
    assert len(before) == 2
    assert not authorities.admin_due(made.state, later)
    assert made.state.signer().not_after == later + timedelta(days=397)
    assert authorities.issuing_end(made.state) == NOW + timedelta(days=authorities.ISSUING_DAYS)

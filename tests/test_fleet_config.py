"""Layers edited, compared, pushed and taken back; the list; and the help desk, which changes nothing."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.cli import main
from edged.fleet import heard, rolling, seen
from edged.fleet.differences import alike, changes, flat
from edged.fleet.identities import endpoint_as
from edged.fleet.link import admin_link
from edged.fleet.overview import overview
from edged.fleet.pushes import Pushes
from edged.fleet.seen import Seen, Sightings
from edged.fleet.simulated import Script, running
from edged.fleet.state import DeviceRecord
from edged.uplink import topics
from edged.uplink.mqtt import PublishRefusedError
from edged.uplink.mqtt_types import Received
from edged.uplink.names import Role
from edged.uplink.reported import Reported
from edged.uplink.roles import TrustAnchor
from edged.uplink.status import Status
from tests.fleet_made import moment
from tests.fleet_town import LAYER, FleetTown, applied, edged, fleet_town

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edged.pushed.verifying import Accepted

    Output = pytest.CaptureFixture[str]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[FleetTown]:
    with fleet_town(tmp_path, 4) as made:
        yield made


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (rolling, seen):
        monkeypatch.setattr(module, "QUIET_S", 0.3)


def editor(directory: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """An editor that appends a line."""
    path = directory / "editor.sh"
    path.write_text(f"#!/bin/sh\nprintf '%s\\n' '{line}' >> \"$1\"\n")
    path.chmod(0o700)
    monkeypatch.setenv("VISUAL", str(path))


def test_a_layer_is_compiled_before_it_counts(
    place: FleetTown, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = place.state.directory / "config/fleet.toml"
    editor(tmp_path, monkeypatch, "probation_s = 60.0")
    assert place.edged("config", "edit", "--dry-run") == os.EX_OK
    assert layer.read_text() == LAYER
    assert place.edged("config", "edit") == os.EX_OK
    assert layer.read_text() == LAYER + "probation_s = 60.0\n"
    assert "4 device(s) have this layer; the configuration of 4 changes." in capsys.readouterr().out

    editor(tmp_path, monkeypatch, "outbox = { no_such_key = 1 }")
    assert place.edged("config", "edit", "--device", "box-001") == os.EX_CONFIG
    told = capsys.readouterr().err
    assert "config/device/box-001.toml: outbox.no_such_key:" in told
    assert not (place.state.directory / "config/device/box-001.toml").exists()

    editor(tmp_path, monkeypatch, "probation_s = ")
    assert place.edged("config", "edit", "--group", "hotel") == os.EX_CONFIG
    assert "config/group/hotel.toml" in capsys.readouterr().err
    monkeypatch.setenv("VISUAL", "false")
    assert place.edged("config", "edit") == os.EX_CANTCREAT
    assert place.edged("config", "edit", "--device", "nobody") == os.EX_CONFIG


def test_a_group_layer_that_clashes_is_refused_for_those_that_have_it(
    place: FleetTown, tmp_path: Path, capsys: Output
) -> None:
    source = tmp_path / "layer.toml"
    source.write_text("default_scene = { name = 'bank' }\n")
    assert place.edged("config", "edit", "--group", "hotel", "--from", source) == os.EX_CONFIG
    assert "config/group/hotel.toml: default_scene" in capsys.readouterr().err
    source.write_text("probation_s = 30.0\n")
    assert place.edged("config", "edit", "--group", "hotel", "--from", source, "--json") == os.EX_OK
    found = json.loads(capsys.readouterr().out)
    assert found == {
        "file": "config/group/hotel.toml",
        "boxes": 4,
        "changed": place.names,
        "written": True,
    }


async def test_compared_pushed_and_taken_back(place: FleetTown, capsys: Output) -> None:
    def script(name: str, accepted: Accepted) -> Script:
        bad = accepted.document.probation_s == 5
        return Script("rejected", code="push.hash_wrong", path="audience/x.json") if bad else Script()

    boxes = place.boxes(script)
    async with running(boxes):
        assert await edged(place, "config", "diff") == os.EX_OK
        assert "(4), nothing pushed yet:\n+ audiences" in capsys.readouterr().out
        assert await edged(place, "config", "push", "--all") == os.EX_OK
        assert "4 of 4 device(s) have applied it." in capsys.readouterr().out
        assert await edged(place, "config", "push", "--all") == os.EX_OK
        assert "4 device(s) have this configuration already" in capsys.readouterr().out
        place.layer("probation_s = 20.0\n", "config/device/box-002.toml")
        assert await edged(place, "config", "diff") == os.EX_OK
        told = capsys.readouterr().out
        assert "box-002 (1):\n+ probation_s = 20.0\n- version" in told
        assert "3 device(s): no difference" in told
        assert await edged(place, "config", "push", "box-002", "--no-wait") == os.EX_OK
        place.layer("probation_s = 5.0\n", "config/device/box-003.toml")
        assert await edged(place, "config", "push", "box-003") == os.EX_UNAVAILABLE
        assert "rejected  audience/x.json: " in capsys.readouterr().out
        assert await edged(place, "list", "--problem") == os.EX_OK
        assert "push rejected" in capsys.readouterr().out
        assert await edged(place, "config", "back", "box-002") == os.EX_OK
    numbers = Pushes(place.state).numbers("box-002")
    assert boxes[2].taken == sorted(numbers)
    first, second, third = (Pushes(place.state).read("box-002", number) for number in sorted(numbers))
    assert third.again == first.number
    assert third.version == first.version != second.version
    assert second.outcome == third.outcome == "applied"  # noticed by the list, which nobody had waited for
    capsys.readouterr()
    assert place.edged("config", "history", "box-002") == os.EX_OK
    assert f"(again {first.number})" in capsys.readouterr().out


async def test_nothing_is_pushed_when_one_box_does_not_compile(place: FleetTown, capsys: Output) -> None:
    place.layer("audiences = ['nobody']\n", "config/device/box-001.toml")
    boxes = place.boxes(applied)
    async with running(boxes):
        assert await edged(place, "config", "push", "--all") == os.EX_CONFIG
        assert "config/device/box-001.toml: audiences.nobody" in capsys.readouterr().err
        assert await edged(place, "rollout", "start", "--all") == os.EX_CONFIG
        assert not any(box.heard for box in boxes)
        assert await edged(place, "config", "push", "--all", "--skip", "--dry-run") == os.EX_OK
        assert not any(box.heard for box in boxes)
        assert await edged(place, "config", "push", "--all", "--skip") == os.EX_OK
    assert [len(box.taken) for box in boxes] == [1, 0, 1, 1]


@pytest.mark.parametrize("name", ["../../devices/box-001", "..", "a/b", "A"])
def test_a_name_is_never_a_path(place: FleetTown, capsys: Output, name: str) -> None:
    before = place.state.devices()
    for command in (
        ("config", "edit", "--group", name, "--from", place.state.directory / "config/fleet.toml"),
        ("config", "edit", "--device", name),
        ("show", name, "--offline"),
        ("config", "diff", name),
    ):
        assert place.edged(*command) == os.EX_CONFIG
        assert capsys.readouterr().err.startswith(f"edged: {name}: ")
    assert place.state.devices() == before


def test_two_who_edit_one_layer(
    place: FleetTown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    """The second to finish is told, and the first one's work stays."""
    theirs = LAYER + "probation_s = 7.0\n"
    layer = place.state.directory / "config/fleet.toml"
    (tmp_path / "theirs").write_text(theirs)
    editor(tmp_path, monkeypatch, "probation_s = 9.0")
    script = tmp_path / "editor.sh"
    script.write_text(script.read_text() + f"cp {tmp_path / 'theirs'} {layer}\n")
    assert place.edged("config", "edit") == os.EX_CANTCREAT
    assert "edit it again" in capsys.readouterr().err
    assert layer.read_text() == theirs


def test_a_file_that_is_no_text_is_no_layer(place: FleetTown, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "x").write_bytes(b"\xff\xfe")
    assert place.edged("config", "edit", "--from", tmp_path / "x") == os.EX_CONFIG
    assert "config/fleet.toml" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["-1", "0", "x"])
def test_a_limit_is_a_count(place: FleetTown, limit: str) -> None:
    with pytest.raises(SystemExit) as ended:
        place.edged("config", "history", "--limit", limit)
    assert ended.value.code == os.EX_USAGE


async def test_every_line_for_machines_is_an_object(place: FleetTown, capsys: Output) -> None:
    """Also where there is nothing to do, and where nobody can be reached."""
    commands: list[tuple[str, ...]] = [
        ("config", "push", "--all", "--dry-run"),
        ("config", "diff", "--all"),
        ("config", "push", "--all"),
        ("config", "push", "--all"),
        ("config", "history"),
        ("rollout", "start", "--all"),
        ("rollout", "start", "--all", "--force", "--waves", "100%", "--name", "r"),
        ("rollout", "status"),
        ("rollout", "list"),
        ("list",),
        ("show", place.names[0]),
        ("keys",),
        ("authority", "show"),
        ("refresh", "--dry-run"),
    ]
    async with running(place.boxes(applied)):
        for command in commands:
            assert await edged(place, *command, "--json") == os.EX_OK, command
            lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
            assert lines, command
            assert all(isinstance(line, dict) for line in lines), command


def test_choosing_devices(place: FleetTown, capsys: Output) -> None:
    assert place.edged("config", "push") == os.EX_USAGE
    assert place.edged("config", "push", "--group", "none") == os.EX_CONFIG
    assert place.edged("config", "push", "box-9") == os.EX_CONFIG
    place.state.save_device(msgspec.structs.replace(place.state.device("box-000"), revoked_at=1))
    assert place.edged("config", "push", "--all", "--dry-run", "--json") == os.EX_OK
    assert "box-000" not in capsys.readouterr().out
    assert place.edged("config", "push", "box-000") == os.EX_CONFIG
    assert "revoked" in capsys.readouterr().err


async def test_the_help_desk_looks_and_changes_nothing(
    place: FleetTown, tmp_path: Path, capsys: Output
) -> None:
    """A copy of the state without the admin's secrets: lists and shows; every other command and the broker say no."""
    keys = tmp_path / "keys-of-the-help-desk"
    assert place.edged("certify", "helpdesk", "first-line", "--keys", keys) == os.EX_OK
    copy = tmp_path / "copy"
    shutil.copytree(place.state.directory, copy, ignore=shutil.ignore_patterns("secrets"))
    (copy / "secrets").mkdir(mode=0o700)
    for end in ("key", "pem"):
        shutil.copy2(keys / f"helpdesk.first-line-tls.{end}", copy / f"secrets/helpdesk-tls.{end}")

    def as_help_desk(*arguments: str) -> int:
        return main(["fleet", *arguments, "--state", str(copy)])

    async with running(place.boxes(applied)):
        capsys.readouterr()
        for arguments in (["list"], ["show", "box-000"], ["list", "--as", "helpdesk"]):
            assert await edged(place, *arguments, call=as_help_desk) == os.EX_OK
            assert "online" in capsys.readouterr().out
        for arguments in (
            ["config", "push", "--all"],
            ["config", "edit"],
            ["config", "back", "--all"],
            ["rollout", "start", "--all"],
            ["rollout", "stop", "r"],
            ["rollout", "resume", "r", "--as", "helpdesk"],
        ):
            assert await edged(place, *arguments, call=as_help_desk) == os.EX_NOPERM
            assert "Only the fleet's admin may do this" in capsys.readouterr().err
        assert await edged(place, "config", "push", "--all", "--as", "helpdesk") == os.EX_NOPERM
        state = type(place.state).open(copy)
        async with admin_link(state, endpoint=endpoint_as(state, Role.HELPDESK)) as link:
            with pytest.raises(PublishRefusedError):
                await link.publish(topics.desired("acme", "box-000"), b"{}", retain=True)


async def test_the_list_without_a_broker_says_how_old_it_is(place: FleetTown, capsys: Output) -> None:
    assert place.edged("list", "--offline") == os.EX_OK
    assert "Nobody has looked yet" in capsys.readouterr().out
    async with running(place.boxes(applied)):
        assert await edged(place, "list", "--json") == os.EX_OK
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["device"] for line in lines if line["online"]] == place.names
    place.broker.stop()
    kept = seen.load(place.state)
    assert kept is not None
    kept.at -= 7200
    seen.save(place.state, kept)
    assert await edged(place, "list") == os.EX_OK
    told = capsys.readouterr()
    assert "2 hours ago" in told.out
    assert "box-003" in told.out
    assert told.err.startswith("edged: ")
    (place.state.directory / seen.FILE).write_bytes(b"\xff{")
    assert place.edged("list", "--offline") == os.EX_OK


def report(**changes: Any) -> Reported:
    content = {"iss": "box-1", "fleet": "acme", "iat": 5, "push": 2, "outcome": "applied", "running": "2.a"}
    return Reported(**(content | {"running_push": 2, "software": "1"} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "reported", "problems"),
    [
        (None, None, ("never_seen",)),
        ({}, {}, ()),
        ({"state": "offline"}, {}, ("offline",)),
        ({"clock_trusted": False, "lost": 1, "dead": 2}, {}, ("clock", "lost", "refused")),
        ({}, {"outcome": "rejected", "running_push": 1}, ("rejected",)),
        ({}, {"outcome": "rolled_back", "probe": "head", "running_push": 1}, ("rolled_back",)),
        ({}, {"push": 1, "running_push": 1}, ("behind",)),
        ({}, {"push": 3, "running_push": 3}, ("elsewhere",)),
        ({}, {"push": 3, "outcome": "rejected"}, ("rejected", "elsewhere")),
    ],
)
def test_what_is_a_problem(
    status: dict[str, Any] | None, reported: dict[str, Any] | None, problems: tuple[str, ...]
) -> None:
    record = DeviceRecord(name="box-1", added_at=0, push=2)
    told = None
    if status is not None:
        said = {
            "state": "online",
            "device": "box-1",
            "log_id": "l",
            "software_version": "1",
            "config_version": "2",
        }
        told = Seen(status=Status(**(said | status)), online_at=4.0, reported=report(**reported or {}))
    found = overview(record, told, 10.0)
    assert found.problems == problems
    assert found.last_seen == (None if status is None else 5)


documents = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.text("xyz", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
tables = st.dictionaries(st.text("xyz", min_size=1, max_size=2), documents, max_size=4)


@settings(max_examples=80, deadline=None)
@given(tables, tables)
def test_differences_lead_from_one_document_to_the_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    found = changes(old, new)
    assert (found == ()) == (flat(old) == flat(new))
    result = flat(old)
    for one in found:
        assert result.pop(one.key, None) == one.old
        if one.new is not None:
            result[one.key] = one.new
    assert result == flat(new)
    groups = alike({"a": found, "b": found, "c": ()})
    assert sum(len(devices) for devices, _ in groups) == 3


@pytest.fixture(scope="module")
def anchor(tmp_path_factory: pytest.TempPathFactory) -> TrustAnchor:
    from edged.demo.fleet import DemoFleet

    return TrustAnchor.from_file(DemoFleet(tmp_path_factory.mktemp("ca"), fleet="acme", now=moment()).ca)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        ["edged/1/acme/box-1/status", "edged/1/acme/box-1/reported", "edged/1/acme/x/y/z", "", "a/#"]
    ),
    st.binary(max_size=200)
    | st.builds(
        lambda fields: msgspec.json.encode(fields),
        st.dictionaries(st.sampled_from(Status.__struct_fields__), documents, max_size=8),
    ),
)
def test_strangers_bytes_are_never_believed_and_never_raise(
    anchor: TrustAnchor, topic: str, payload: bytes
) -> None:
    message = Received(topic, payload, retained=True, user_properties={}, mid=1)
    found = heard.read(message, anchor=anchor, fleet="acme", at=moment())
    assert found is None or found.device == "box-1"
    assert not isinstance(found, heard.Report)
    if isinstance(found, heard.Presence):
        assert found.status.device == "box-1"
    if found is not None:
        Sightings(at=0.0, boxes={}).take(found, 1.0)

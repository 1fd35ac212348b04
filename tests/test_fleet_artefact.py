"""`edged fleet artefact`: a file from the admin's disk to a box, over a real broker and real metadata."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edged.cli import main
from edged.fleet import artefacts
from edged.fleet.state import FleetFile, as_toml, write_text
from edged.pushed.artefact_fetch import Limits
from edged.pushed.artefact_rider import ArtefactRider
from edged.pushed.artefact_store import ArtefactStore
from edged.pushed.verifying import first_trust, verify_bundle
from edged.trust.store import TrustStore
from edged.uplink import topics
from edged.uplink.mqtt import connect
from edged.uplink.names import Role, Usage
from edged.uplink.reconnect import first_to_end
from edged.uplink.riding import hand_out, serve_all
from tests.artefacts import content
from tests.broker import FLEET, Town, session, town
from tests.fleet_made import Fleet, fleet, make_bundle, moment
from tests.test_trust_store import content as trust_content

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edged.pushed.verifying import ArtefactTarget


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("town")) as made:
        yield made


@pytest.fixture
def made(place: Town, tmp_path: Path) -> Fleet:
    """A fleet with roles of its own, whose admin is let in by the town's broker."""
    made = fleet(tmp_path, moment(), roots=1)
    files = place.fleet.issue(Role.ADMIN, "ops", Usage.TLS)
    directory = made.state.directory
    shutil.copy(files.key, directory / "secrets/admin-tls.key")
    shutil.copy(files.certificate, directory / "secrets/admin-tls.pem")
    shutil.copy(place.fleet.ca, directory / "authorities.pem")
    file = FleetFile(fleet=FLEET, admin="ops", broker_port=place.broker.port)
    write_text(directory / "fleet.toml", as_toml(file))
    return made


def run(made: Fleet, capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any, str]:
    """A command's exit code, its JSON, what it complained of."""
    capsys.readouterr()
    command = ["fleet", "artefact", *map(str, arguments), "--state", str(made.state.directory)]
    code = main([*command, "--json", "--lang", "en"])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else None, said.err


def push(
    made: Fleet, capsys: pytest.CaptureFixture[str], file: Path, kind: str, *more: object
) -> tuple[int, Any, str]:
    return run(made, capsys, "push", file, "--kind", kind, "--name", "edged", "--version", "2.0~rc1", *more)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "edged.deb"
    path.write_bytes(content(5.5, 31))
    return path


def name_it(made: Fleet, **paths: str) -> None:
    """Name files in the fleet's layer of configuration."""
    layer = made.state.directory / "config/fleet.toml"
    lines = [f'{kind} = "{path}"' for kind, path in paths.items()]
    layer.write_text(layer.read_text() + "[artefacts]\n" + "\n".join(lines) + "\n")


async def fetched(place: Town, directory: Path, targets: dict[Any, ArtefactTarget]) -> dict[Any, Path]:
    rider = ArtefactRider(
        FLEET, ArtefactStore(directory), limits=Limits(rate=1e9, answer_s=0.5, tries=2, retry_s=0.1)
    )
    async with connect(place.endpoint(Role.DEVICE, "box-1"), session("box-1")) as connection:
        fetching = asyncio.create_task(rider.fetch(targets, lambda _: None))
        riding = first_to_end(hand_out(connection, [rider]), serve_all(connection, [rider]))
        serving = asyncio.create_task(riding)
        try:
            return await fetching
        finally:
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving


async def test_from_the_admins_disk_to_a_box(
    made: Fleet, place: Town, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release = ("--release-keys", made.keys / "release")
    code, told, _ = await asyncio.to_thread(push, made, capsys, package, "software", *release)
    assert (code, told["path"]) == (0, "software/edged-2.0-rc1")
    name_it(made, software=told["path"])
    bundle = make_bundle(made.state, "box-1", moment())
    trusted = first_trust(made.repository.file("root", 1))
    accepted = verify_bundle(bundle.data, trusted=trusted, device="box-1", now=datetime.now(UTC))
    found = await fetched(place, tmp_path, accepted.artefacts)
    assert found["software"].read_bytes() == content(5.5, 31)
    assert accepted.artefacts["software"].version == "2.0~rc1"


def test_a_dry_run_changes_nothing(made: Fleet, package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(made.state.directory.rglob("*"))
    code, told, _ = push(
        made, capsys, package, "software", "--release-keys", made.keys / "release", "--dry-run"
    )
    assert (code, told["dry_run"], told["chunks"]) == (0, True, 6)
    assert sorted(made.state.directory.rglob("*")) == before


def test_pushing_again_changes_nothing_and_another_file_needs_another_version(
    made: Fleet, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release = ("--release-keys", made.keys / "release")
    _, first, _ = push(made, capsys, package, "software", *release)
    assert push(made, capsys, package, "software", *release)[1] == first
    package.write_bytes(content(2, 32))
    code, _, said = push(made, capsys, package, "software", *release)
    assert code == 78
    assert "another version" in said


def test_who_may_sign_is_known_before_anything_is_published(
    made: Fleet, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, said = push(made, capsys, package, "software")
    assert code == 78
    assert "--release-keys" in said
    shutil.copy(made.keys / "privacy/privacy.key", made.keys / "release/release.key")
    code, _, said = push(made, capsys, package, "software", "--release-keys", made.keys / "release")
    assert code == 73
    assert not (made.state.directory / "artefacts").exists()


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("scenes", b"{}"),
        ("messages", b'["no.such_code"]\nen = "x"\nzh-CN = "x"'),
        ("trust", b"no trust store"),
        ("thresholds", b"{}"),
        ("firmware", b"anything"),
        ("software", b""),
        ("messages", bytes(256 * 1024 + 1)),
    ],
)
def test_what_is_not_of_its_kind_is_not_published(
    made: Fleet, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, data: bytes
) -> None:
    file = tmp_path / "file"
    file.write_bytes(data)
    code, _, said = push(made, capsys, file, kind, "--release-keys", made.keys / "release")
    assert code == 78
    assert said.startswith(f"edged: {file}")


def test_a_trust_stores_directory_stands_for_its_generation(
    made: Fleet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = TrustStore(tmp_path / "trust")
    release = ("--release-keys", made.keys / "release")
    with store.changing() as change:
        change.commit(trust_content("a"), moment())
    _, told, _ = push(made, capsys, store.directory, "trust", *release, "--dry-run")
    assert told["length"] == (store.directory / "generation-1").stat().st_size


async def test_dropped_is_what_nothing_names(
    made: Fleet, place: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The named one stays, on the broker and in the list; the other's pieces are gone."""
    code = "mrz.check_digit_wrong"
    for number in (1, 2):
        (tmp_path / f"{number}.toml").write_text(
            f'["{code}"]\nen = "{number} {{field}}"\nzh-CN = "{{field}}"\n'
        )

    def pushed(number: int) -> dict[str, Any]:
        file = tmp_path / f"{number}.toml"
        more = ("--kind", "messages", "--name", "north", "--version", number)
        return run(made, capsys, "push", file, *more)[1]

    kept, gone = [await asyncio.to_thread(pushed, number) for number in (1, 2)]
    name_it(made, messages=kept["path"])
    listed = run(made, capsys, "list")[1]["artefacts"]
    assert [(one["path"], one["named_by"]) for one in listed] == [
        (kept["path"], ["config/fleet.toml"]),
        (gone["path"], []),
    ]
    code, _, said = run(made, capsys, "drop", kept["path"])
    assert (code, "config/fleet.toml" in said) == (78, True)
    assert run(made, capsys, "drop", "--dry-run")[1]["artefacts"] == [gone["path"]]
    assert (await asyncio.to_thread(run, made, capsys, "drop"))[1]["artefacts"] == [gone["path"]]
    assert list(artefacts.signed(made.state)) == [kept["path"]]
    async with connect(place.endpoint(Role.DEVICE, "box-1"), session("box-1")) as connection:
        for sha256 in (gone["sha256"], kept["sha256"]):
            for part in (topics.INDEX, 0, 1):
                await connection.subscribe(topics.artefact(FLEET, sha256, part))  # type: ignore[arg-type]
        heard = [(await connection.receive())[0].topic for _ in range(3)]
    assert all(kept["sha256"] in topic for topic in heard)


async def test_a_broker_that_lost_everything_gets_it_again(
    made: Fleet, tmp_path: Path, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release = ("--release-keys", made.keys / "release")
    with town(tmp_path / "other") as other:
        file = msgspec.structs.replace(made.state.file, broker_port=other.broker.port)
        issued = other.fleet.issue(Role.ADMIN, "ops", Usage.TLS)
        shutil.copy(issued.key, made.state.secrets / "admin-tls.key")
        shutil.copy(issued.certificate, made.state.secrets / "admin-tls.pem")
        shutil.copy(other.fleet.ca, made.state.directory / "authorities.pem")
        write_text(made.state.directory / "fleet.toml", as_toml(file))
        _, told, _ = await asyncio.to_thread(push, made, capsys, package, "software", *release)
        other.broker.restart()  # killed: nothing was saved
        code, again, _ = await asyncio.to_thread(run, made, capsys, "publish")
        assert (code, again["artefacts"]) == (0, [told["path"]])
        name_it(made, software=told["path"])
        trusted = first_trust(made.repository.file("root", 1))
        data = make_bundle(made.state, "box-1", moment()).data
        accepted = verify_bundle(data, trusted=trusted, device="box-1", now=datetime.now(UTC))
        found = await fetched(other, tmp_path, accepted.artefacts)
        assert found["software"].read_bytes() == content(5.5, 31)
        (made.state.directory / "artefacts" / told["sha256"]).write_bytes(b"changed")
        code, _, said = await asyncio.to_thread(run, made, capsys, "publish")
        assert code == 73
        assert "push the file again" in said

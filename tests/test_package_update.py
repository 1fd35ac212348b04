"""The box's own software is updated: verified by root itself, proved, taken back, through power cuts, with dpkg."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edged.cli import main
from edged.commands import update as command
from edged.errors import ConfigError, StateError
from edged.fleet import artefacts
from edged.fleet.tuf_roles import Holder
from edged.pushed import package_update, update_request
from edged.pushed.dpkg import Dpkg, Fields
from edged.pushed.package_update import STATE, WAY_BACK, Updater
from edged.pushed.update_request import ask, mark_healthy, outcome
from edged.pushed.update_steps import Mark, Outcome, Request
from edged.uplink.artefact import cut
from tests.artefacts import pieces
from tests.box import Box
from tests.fleet_made import Fleet, fleet, make_bundle, moment

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = moment()

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg is not installed")


class CutError(Exception):
    """The power is gone."""


def package(version: str, floor: str | None = None, name: str = "edged", architecture: str = "all") -> bytes:
    """A package for `Shelf`: what it says of itself."""
    return msgspec.json.encode([name, version, architecture, floor or version])


class Shelf:
    """Stands in for dpkg: the installed version is a file, comparing is by numbers, and any of it may fail."""

    def __init__(self, directory: Path, installed: str | None) -> None:
        self._installed = directory / "installed"
        if installed is not None:
            self._installed.write_text(installed)
        self.broken: set[str] = set()
        self.calls: list[str] = []

    def fields(self, package: Path) -> Fields | None:
        try:
            return Fields(*msgspec.json.decode(package.read_bytes()))
        except msgspec.DecodeError:
            return None

    def architecture(self) -> str:
        return "amd64"

    def installed(self) -> str | None:
        return self._installed.read_text() if self._installed.exists() else None

    def older(self, one: str, other: str) -> bool:
        return [int(part) for part in one.split(".")] < [int(part) for part in other.split(".")]

    def install(self, package: Path) -> None:
        found = self.fields(package)
        assert found is not None
        self.calls.append(found.version)
        if found.version in self.broken:
            raise StateError("update.dpkg_failed", "broken")
        self._installed.write_text(found.version)


@dataclass
class World:
    """A fleet that pushes software, a box's state directory, and the helper's."""

    made: Fleet
    directory: Path
    packages: Any
    healthy: set[str] = field(default_factory=set)
    push: int = 0
    restarts: int = 0
    state: str = "box"
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def helper(self) -> Path:
        return self.directory / "helper"

    @property
    def box(self) -> Path:
        return self.directory / self.state

    def updater(self, **changes: Any) -> Updater:
        time = iter(range(10**9))
        settings: dict[str, Any] = {
            "packages": self.packages,
            "restart": self.restart,
            "device": lambda: "box-1",
            "root": lambda: self.made.repository.file("root", 1),
            "now": self.now,
            "clock": lambda: float(next(time)),
            "sleep": lambda _: None,
        }
        return Updater(self.helper, self.box, **(settings | changes))

    def run(self, **changes: Any) -> Outcome | None:
        return self.updater(**changes).run().last

    def restart(self) -> None:
        """The daemon starts; if this version is a good one, it proves itself."""
        self.restarts += 1
        version = self.packages.installed()
        if version in self.healthy and self.push:
            mark_healthy(self.box, Mark(push=self.push, version=version))

    def keep(self, data: bytes) -> None:
        file = self.directory / "kept.deb"
        file.write_bytes(data)
        self.updater().keep(file)

    def sign(self, data: bytes, version: str, path: str | None = None) -> str:
        """The release role signs for a package; its target's path."""
        made = cut(pieces(data))
        path = path or artefacts.path_of("software", "edged", version)
        custom = made.custom("software", "edged", version)
        signers = [self.made.officer(Holder.RELEASE).signer]
        artefacts.sign(self.made.state, path, made, custom, signers, NOW)
        return path

    def order(self, data: bytes, version: str, **changes: Any) -> Request:
        """Push a package to the box and have its daemon ask for it."""
        path = self.sign(data, version)
        layer = self.made.state.directory / "config/fleet.toml"
        layer.write_text(
            layer.read_text().partition("[artefacts]")[0] + f'[artefacts]\nsoftware = "{path}"\n'
        )
        made = make_bundle(self.made.state, "box-1", NOW, above=self.push)
        self.push = made.number
        sha256 = cut(pieces(data)).sha256
        store = self.box / "artefacts"
        store.mkdir(exist_ok=True)
        (store / sha256).write_bytes(changes.get("file", data))
        request = Request(push=changes.get("push", made.number), sha256=changes.get("sha256", sha256))
        ask(self.box, request, changes.get("bundle", made.data))
        return request


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return fleet(tmp_path_factory.mktemp("fleet"), NOW, roots=1)


@pytest.fixture
def made(founded: Fleet, tmp_path: Path) -> Fleet:
    """The same fleet in a directory of its own."""
    directory = tmp_path / "made"
    shutil.copytree(founded.keys.parent, directory)
    from edged.fleet.state import FleetState

    return Fleet(FleetState.open(directory / "state"), directory / "keys")


@pytest.fixture
def world(made: Fleet, tmp_path: Path) -> World:
    box = tmp_path / "box"
    box.mkdir(mode=0o700)
    world = World(made, tmp_path, Shelf(tmp_path, "1.0"), healthy={"1.0", "2.0"})
    world.keep(package("1.0"))
    return world


# --- what happens ---


def test_a_good_version_is_installed_and_kept(world: World) -> None:
    request = world.order(package("2.0"), "2.0")
    last = world.run()
    assert last == Outcome(push=request.push, sha256=request.sha256, outcome="installed")
    assert outcome(request, world.helper) == last
    assert (world.helper / update_request.OUTCOME).stat().st_mode & 0o777 == 0o644
    assert world.packages.installed() == "2.0"
    assert [path.name for path in world.helper.glob("*.deb")] == [f"{request.sha256}.deb"]
    assert not (world.helper / WAY_BACK).exists()
    assert world.run() == last
    assert world.packages.calls == ["2.0"], "once"


def test_a_version_that_never_proves_itself_is_taken_back(world: World) -> None:
    world.healthy = {"1.0"}
    request = world.order(package("2.0"), "2.0")
    last = world.run()
    assert (last.outcome, last.code) == ("rolled_back", "update.not_healthy")  # type: ignore[union-attr]
    assert world.packages.installed() == "1.0"
    assert world.packages.calls == ["2.0", "1.0"]
    assert world.restarts == 2
    assert outcome(request, world.helper) == last
    assert world.run() == last, "what was taken back isn't tried again"


def test_a_version_that_dpkg_refuses_is_taken_back(world: World) -> None:
    world.packages.broken = {"2.0"}
    world.order(package("2.0"), "2.0")
    last = world.run()
    assert (last.outcome, last.code) == ("rolled_back", "update.dpkg_failed")  # type: ignore[union-attr]
    assert world.packages.installed() == "1.0"


def test_a_daemon_that_does_not_start_is_taken_back(world: World) -> None:
    starts = iter([StateError("update.no_restart"), None])

    def restart() -> None:
        if (error := next(starts)) is not None:
            raise error

    world.order(package("2.0"), "2.0")
    last = world.run(restart=restart)
    assert (last.outcome, last.code) == ("rolled_back", "update.no_restart")  # type: ignore[union-attr]


def test_another_versions_mark_proves_nothing(world: World) -> None:
    """Nor another push's: what the old version once said of itself doesn't speak for the new one."""
    world.healthy = set()
    request = world.order(package("2.0"), "2.0")
    for mark in (Mark(push=request.push, version="1.0"), Mark(push=request.push + 1, version="2.0")):
        mark_healthy(world.box, mark)
    last = world.run()
    assert last.outcome == "rolled_back"  # type: ignore[union-attr]


def test_what_is_installed_already_is_no_work(world: World) -> None:
    world.order(package("1.0"), "1.0")
    assert world.run().outcome == "installed"  # type: ignore[union-attr]
    assert world.packages.calls == []


# --- what is not believed ---


def refused(world: World, code: str, **changes: Any) -> None:
    last = world.run(**changes)
    assert last is not None
    assert (last.outcome, last.code) == ("refused", code)
    assert world.packages.calls == []


def test_a_daemon_that_lies_about_the_file_is_not_believed(world: World) -> None:
    world.order(package("2.0"), "2.0", file=package("2.1"))
    refused(world, "update.wrong_file")


def test_a_file_that_is_a_link_or_a_pipe_is_not_opened(world: World, tmp_path: Path) -> None:
    request = world.order(package("2.0"), "2.0")
    file = world.box / "artefacts" / request.sha256
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    refused(world, "update.wrong_file")
    request = world.order(package("2.0"), "2.0")
    file.unlink()
    os.mkfifo(file)
    refused(world, "update.wrong_file")


def test_a_daemon_that_asks_for_more_than_was_pushed_is_not_followed(world: World) -> None:
    world.order(package("2.0"), "2.0", sha256="0" * 64)
    refused(world, "update.other_request")
    world.order(package("2.0"), "2.0", push=10**6)
    refused(world, "update.other_request")


def test_a_push_nobody_signed_installs_nothing(world: World) -> None:
    world.order(package("2.0"), "2.0")
    bundle = world.box / "update/bundle.json"
    text = bundle.read_bytes()
    bundle.write_bytes(text.replace(b"software/edged-2.0", b"software/edged-2.1"))
    last = world.run()
    assert last is not None
    assert last.outcome == "refused"
    assert last.code is not None
    assert last.code.startswith("push.")
    assert world.packages.calls == []


def test_another_boxs_push_is_refused(world: World) -> None:
    world.order(package("2.0"), "2.0")
    refused(world, "push.foreign_device", device=lambda: "box-2")


def test_the_device_and_the_root_are_asked_once(world: World) -> None:
    """Whoever takes over the daemon later can't make the helper another box's, or another fleet's."""
    world.order(package("2.0"), "2.0")
    assert world.run().outcome == "installed"  # type: ignore[union-attr]
    world.order(package("2.0"), "2.0")

    def never() -> Any:
        raise AssertionError("asked again")

    assert world.run(device=never, root=never).outcome == "installed"  # type: ignore[union-attr]


def test_an_older_push_installs_nothing(world: World) -> None:
    """A replay: genuine and superseded."""
    world.healthy.add("3.0")
    world.order(package("2.0"), "2.0")
    old = {name: (world.box / "update" / name).read_bytes() for name in ("request.json", "bundle.json")}
    world.order(package("3.0"), "3.0")
    assert world.run().outcome == "installed"  # type: ignore[union-attr]
    for name, data in old.items():
        (world.box / "update" / name).write_bytes(data)
    last = world.run()
    assert (last.outcome, last.code) == ("refused", "push.replayed")  # type: ignore[union-attr]
    assert world.packages.installed() == "3.0"


@pytest.mark.parametrize(
    "data",
    [
        package("2.0", name="bash"),
        package("2.1"),
        package("2.0", architecture="arm64"),
        package("2.0", floor="not a version!"),
        package("2.0", floor="2.1"),
        b"no package",
    ],
    ids=[
        "another name",
        "another version",
        "another machine",
        "bad floor",
        "unreachable floor",
        "no package",
    ],
)
def test_a_signed_file_that_is_not_our_package_is_refused(world: World, data: bytes) -> None:
    world.order(data, "2.0")
    refused(world, "update.wrong_package")


@pytest.mark.parametrize("floor", ["1:1.0", "not a version!", "1.1"])
def test_a_package_that_cannot_be_written_down_is_not_kept(world: World, floor: str) -> None:
    """Kept, it would be a state that the next start can't read: no update ever again."""
    before = world.updater().run().kept
    with pytest.raises(StateError) as refused:
        world.keep(package("1.0", floor=floor))
    assert refused.value.code == "update.wrong_package"
    assert world.updater().run().kept == before


def test_a_link_is_not_kept(world: World, tmp_path: Path) -> None:
    (tmp_path / "real.deb").write_bytes(package("1.0"))
    (tmp_path / "link.deb").symlink_to(tmp_path / "real.deb")
    with pytest.raises(StateError) as refused:
        world.updater().keep(tmp_path / "link.deb")
    assert refused.value.code == "update.wrong_package"


def test_without_a_way_back_nothing_is_installed(world: World) -> None:
    for path in world.helper.glob("*.deb"):
        path.write_bytes(b"rotten")
    world.order(package("2.0"), "2.0")
    refused(world, "update.no_way_back")


def test_an_installation_without_dpkg_is_not_updated(made: Fleet, tmp_path: Path) -> None:
    (tmp_path / "box").mkdir()
    world = World(made, tmp_path, Shelf(tmp_path, None))
    world.order(package("2.0"), "2.0")
    refused(world, "update.not_a_package")


@given(st.sampled_from(["request.json", "healthy.json", "bundle.json"]), st.binary(max_size=300), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_fuzz_whatever_the_daemon_writes_stops_nothing(
    world: World, name: str, noise: bytes, draw: st.DataObject
) -> None:
    """Notes of any bytes, or good ones with some bytes changed: refused, or not even a request."""
    world.healthy = set()
    shutil.rmtree(world.box, ignore_errors=True)
    shutil.rmtree(world.helper)
    world.box.mkdir()
    world.packages._installed.write_text("1.0")
    world.packages.calls.clear()
    world.keep(package("1.0"))
    path = world.box / update_request.DIRECTORY / name
    path.parent.mkdir()
    mark = msgspec.json.encode(Mark(push=1, version="2.0"))
    ask(world.box, Request(push=1, sha256="0" * 64), b'{"format": 1, "metadata": {}, "targets": {}}')
    good = mark if name == update_request.HEALTHY else path.read_bytes()
    at = draw.draw(st.integers(0, len(good)))
    path.write_bytes(draw.draw(st.sampled_from([noise, good[:at] + noise[:3] + good[at:]])))
    last = world.run()
    assert last is None or (last.outcome, (last.code or "").partition(".")[0]) == ("refused", "push")
    assert world.packages.calls == []


# --- older versions ---


def test_an_older_version_is_refused_unless_the_release_role_allows_it(world: World) -> None:
    world.healthy |= {"0.9", "3.0"}
    world.order(package("0.9"), "0.9")
    refused(world, "update.too_old")
    world.order(package("3.0", floor="2.0"), "3.0")
    assert world.run().outcome == "installed"  # type: ignore[union-attr]
    world.order(package("2.0"), "2.0")
    last = world.run()
    assert last.outcome == "installed", last  # type: ignore[union-attr]
    world.order(package("1.0"), "1.0")
    assert world.run().code == "update.too_old"  # type: ignore[union-attr]
    assert world.packages.installed() == "2.0"


def test_a_version_that_failed_raises_no_floor(world: World) -> None:
    world.healthy = {"1.0"}
    world.order(package("2.0"), "2.0")
    assert world.run().outcome == "rolled_back"  # type: ignore[union-attr]
    assert world.updater().run().floor == "1.0"


# --- power cuts ---


class Power:
    """Goes off at the n-th thing that is done to the world: before it, or after."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, world: World) -> None:
        self.left = -1
        self.after = False
        install, restart, write = world.packages.install, world.restart, package_update.write_note
        monkeypatch.setattr(package_update, "write_note", self._wrapped(write))
        world.packages.install = self._wrapped(install)
        world.restart = self._wrapped(restart)  # type: ignore[method-assign]

    def _wrapped(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            if self.left == 0 and not self.after:
                raise CutError
            done = call(*arguments)
            if self.left == 0:
                raise CutError
            self.left -= 1
            return done

        return wrapped

    def cut(self, world: World, number: int, after: bool) -> bool:
        """Run with the power going off once; whether it did."""
        self.left, self.after = number, after
        try:
            world.run()
        except CutError:
            return True
        finally:
            self.left = -1
        return False


@pytest.mark.parametrize("good", [True, False], ids=["good", "bad"])
def test_a_power_cut_anywhere_costs_nothing(
    made: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: bool
) -> None:
    (tmp_path / "first").mkdir()
    world = World(
        made,
        tmp_path / "first",
        Shelf(tmp_path / "first", "1.0"),
        healthy={"1.0"} | ({"2.0"} if good else set()),
    )
    world.box.mkdir()
    world.keep(package("1.0"))
    request = world.order(package("2.0"), "2.0")
    cuts = 0
    for number in range(40):
        for after in (False, True):
            directory = tmp_path / f"{number}-{after}"
            shutil.copytree(world.directory, directory)
            cut_world = World(made, directory, Shelf(directory, None), world.healthy, world.push)
            power = Power(monkeypatch, cut_world)
            happened = power.cut(cut_world, number, after)
            monkeypatch.undo()
            cuts += happened
            last = cut_world.run()
            assert last is not None
            assert last.outcome == ("installed" if good else "rolled_back"), (number, after)
            assert outcome(request, cut_world.helper) == last
            assert cut_world.packages.installed() == ("2.0" if good else "1.0")
            assert len(list(cut_world.helper.glob("*.deb"))) == 1
            assert not (cut_world.helper / WAY_BACK).exists()
        if not happened:
            break
    assert cuts >= 14


def test_a_version_that_takes_the_power_with_it_is_taken_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every start of it ends in a power cut."""
    request = world.order(package("2.0"), "2.0")

    def dark() -> None:
        raise CutError

    for _ in range(4):
        with pytest.raises(CutError):
            world.run(restart=dark)
    world.healthy = {"1.0"}
    assert world.run(restart=lambda: None).code == "update.power_cuts"  # type: ignore[union-attr]
    assert world.packages.installed() == "1.0"
    assert outcome(request, world.helper) is not None


def test_the_way_back_without_us_is_noticed(world: World) -> None:
    """The new version can't even run the helper: the script has installed the old one."""
    request = world.order(package("2.0"), "2.0")

    def dark() -> None:
        raise CutError

    with pytest.raises(CutError):
        world.run(restart=dark)
    script = (world.helper / WAY_BACK).read_text()
    (kept,) = (path for path in world.helper.glob("*.deb") if request.sha256 not in path.name)
    assert f"--install {kept}\n" in script
    assert subprocess.run(["sh", "-n", world.helper / WAY_BACK]).returncode == 0
    world.packages._installed.write_text("1.0")
    last = world.run()
    assert (last.outcome, last.code) == ("rolled_back", "update.replaced")  # type: ignore[union-attr]


def test_a_damaged_state_stops_it_and_says_so(world: World) -> None:
    (world.helper / STATE).write_text("{")
    with pytest.raises(StateError) as stopped:
        world.run()
    assert stopped.value.code == "update.state_damaged"


def test_two_helpers_do_not_meet(world: World) -> None:
    def meanwhile() -> None:
        with pytest.raises(StateError) as busy:
            world.updater().run()
        assert busy.value.code == "update.busy"
        world.__class__.restart(world)

    world.order(package("2.0"), "2.0")
    assert world.run(restart=meanwhile).outcome == "installed"  # type: ignore[union-attr]


# --- with dpkg itself ---


def deb(directory: Path, version: str, floor: str | None = None) -> bytes:
    """A tiny package with one file that tells its version."""
    tree = directory / f"tree-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/lib/edged").mkdir(parents=True)
    (tree / "usr/lib/edged/version").write_text(version)
    lines = [
        "Package: edged",
        f"Version: {version}",
        "Architecture: all",
        "Maintainer: Test <test@example.invalid>",
    ]
    lines += [f"Edged-Floor: {floor}"] if floor else []
    (tree / "DEBIAN/control").write_text("\n".join([*lines, "Description: a test", ""]))
    path = directory / f"{version}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, path], check=True, capture_output=True
    )
    return path.read_bytes()


@pytest.fixture
def debian(made: Fleet, tmp_path: Path) -> World:
    """A box whose dpkg database lies in a directory of its own."""
    (tmp_path / "box").mkdir(mode=0o700)
    root = tmp_path / "root"
    (root / "var/lib/dpkg/updates").mkdir(parents=True)
    (root / "var/lib/dpkg/info").mkdir()
    (root / "var/lib/dpkg/status").touch()
    dpkg = Dpkg((f"--root={root}", "--force-not-root", "--force-script-chrootless"))
    world = World(made, tmp_path, dpkg, healthy={"1.0", "2.0~rc1"})
    first = deb(tmp_path, "1.0")
    dpkg.install(tmp_path / "1.0.deb")
    world.keep(first)
    return world


@needs_dpkg
@pytest.mark.parametrize("good", [True, False], ids=["good", "never healthy"])
def test_dpkg_installs_and_the_previous_one_comes_back(debian: World, good: bool) -> None:
    if not good:
        debian.healthy = {"1.0"}
    debian.order(deb(debian.directory, "2.0~rc1", floor="1.0"), "2.0~rc1")
    last = debian.run()
    assert last is not None
    assert last.outcome == ("installed" if good else "rolled_back")
    there = (debian.directory / "root/usr/lib/edged/version").read_text()
    assert there == debian.packages.installed() == ("2.0~rc1" if good else "1.0")


@needs_dpkg
def test_dpkg_that_was_killed_is_finished(debian: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The power went in the middle of unpacking."""
    debian.order(deb(debian.directory, "2.0~rc1"), "2.0~rc1")
    install = debian.packages.install

    def half(package: Path) -> None:
        arguments = (*debian.packages._arguments, "--unpack", str(package))
        subprocess.run(["dpkg", *arguments], check=True, capture_output=True)
        raise CutError

    monkeypatch.setattr(debian.packages, "install", half)
    with pytest.raises(CutError):
        debian.run()
    monkeypatch.setattr(debian.packages, "install", install)
    assert debian.run().outcome == "installed"  # type: ignore[union-attr]
    status = (debian.directory / "root/var/lib/dpkg/status").read_text()
    assert "Status: install ok installed" in status


@needs_dpkg
def test_dpkg_says_why_it_fails(debian: World, tmp_path: Path) -> None:
    bad = tmp_path / "bad.deb"
    bad.write_bytes(b"nothing")
    assert debian.packages.fields(bad) is None
    with pytest.raises(StateError) as failed:
        debian.packages.install(bad)
    assert failed.value.code == "update.dpkg_failed"
    assert failed.value.detail
    assert debian.packages.older("2.0~rc1", "2.0")
    assert not debian.packages.older("2.0", "2.0~rc1")


LOCKER = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


@needs_dpkg
def test_another_package_tool_is_waited_for(debian: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lock isn't the new version's fault, and mustn't keep the old one from coming back."""
    lock = debian.directory / "root/var/lib/dpkg/lock-frontend"
    deb(debian.directory, "2.0")
    package = debian.directory / "2.0.deb"
    command = [sys.executable, "-c", LOCKER, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        hasty = Dpkg(debian.packages._arguments, lock_s=0)
        with pytest.raises(StateError, match="another package tool"):
            hasty.install(package)
        assert debian.packages.installed() == "1.0"
        looks = []

        def look(_: float) -> None:
            looks.append(1)
            if not other.stdin.closed:  # type: ignore[union-attr]
                other.stdin.close()  # type: ignore[union-attr]
                other.wait()

        monkeypatch.setattr("edged.pushed.dpkg.time.sleep", look)
        debian.packages.install(package)
    assert looks
    assert debian.packages.installed() == "2.0"


@needs_dpkg
def test_dpkg_without_an_answer_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever can't compare must not hear that a version is new enough."""
    failed = subprocess.CompletedProcess[str]((), 2, "", "broken")
    monkeypatch.setattr("edged.pushed.dpkg.subprocess.run", lambda *_, **__: failed)
    with pytest.raises(StateError) as stopped:
        Dpkg().older("1.0", "2.0")
    assert stopped.value.code == "update.dpkg_failed"


# --- the command ---


@pytest.mark.parametrize(("mode", "safe"), [(0o644, True), (0o664, False), (0o646, False)])
def test_a_root_that_others_may_write_is_not_believed(tmp_path: Path, mode: int, safe: bool) -> None:
    root = tmp_path / "root.json"
    root.write_bytes(b"{}")
    root.chmod(mode)
    tmp_path.chmod(0o755)
    if safe:
        assert command.trusted_root(root) == b"{}"
        tmp_path.chmod(0o777)
    with pytest.raises(ConfigError) as refused:
        command.trusted_root(root)
    assert refused.value.code == "update.root_not_safe"


def test_a_root_in_a_directory_that_others_may_rename_is_not_believed(tmp_path: Path) -> None:
    """File and directory are ours; but whoever owns what they lie in may put others in their place while we look."""
    outside = tmp_path / "theirs"
    inside = outside / "ours"
    inside.mkdir(parents=True)
    (inside / "root.json").write_bytes(b"{}")
    assert command.trusted_root(inside / "root.json") == b"{}"
    outside.chmod(0o777)
    (tmp_path / "link").symlink_to(inside)
    for path in (inside / "root.json", tmp_path / "link/root.json"):
        with pytest.raises(ConfigError) as refused:
            command.trusted_root(path)
        assert (refused.value.where, refused.value.code) == (str(outside), "update.root_not_safe")
    outside.chmod(0o1777)
    assert command.trusted_root(tmp_path / "link/root.json") == b"{}", (
        "sticky: nobody renames what is another's"
    )


def test_a_root_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(bytes(command.MAX_FILE + 1))
    found = {}
    for name in ("none", "circle", "pipe", "large"):
        with pytest.raises(ConfigError) as refused:
            command.trusted_root(tmp_path / name)
        found[name] = refused.value.code
    assert found == {
        "none": "update.no_fleet",
        "circle": "update.no_fleet",
        "pipe": "update.unreadable",
        "large": "update.unreadable",
    }


def test_the_command_keeps_and_applies(
    made: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the unit calls it: boot file, certificate, root metadata and all; only dpkg and systemd are stood in for."""
    directory = tmp_path / "machine"
    box = Box(directory)
    (directory / "state").mkdir(mode=0o700)
    root = directory / "root.json"
    root.write_bytes(made.repository.file("root", 1))
    # What the daemon's own configuration names as its root is nobody's word: enrolment lets the daemon own that file.
    box.config.write_text(box.config.read_text() + '\n[fleet]\nroot = "another.json"\n')
    world = World(made, directory, Shelf(directory, "1.0"), healthy={"2.0"}, state="state")
    monkeypatch.setattr(command, "Dpkg", lambda: world.packages)
    monkeypatch.setattr(command, "restart", world.restart)
    monkeypatch.setattr(package_update, "LOOK_S", 0.01)
    where = ["--config", str(box.config), "--root", str(root), "--state", str(world.helper), "--lang", "en"]
    old = directory / "old.deb"
    old.write_bytes(package("1.0"))
    assert main(["update", "apply", *where]) == 0
    assert capsys.readouterr().out == "Nothing was asked for.\n"
    assert main(["update", "keep", str(old), *where]) == 0
    assert "1.0" in capsys.readouterr().out
    world.order(package("2.0"), "2.0")
    assert main(["update", "apply", *where]) == 0
    assert "is installed and has proved itself" in capsys.readouterr().out
    assert main(["update", "apply", *where, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["last"]["outcome"] == "installed"
    world.order(package("0.9"), "0.9")
    assert main(["update", "apply", *where]) == 0
    assert "older than the oldest" in capsys.readouterr().out
    assert main(["update", "keep", str(old), *where]) == 73
    root.chmod(0o666)
    shutil.rmtree(world.helper)
    assert main(["update", "apply", *where]) == 78


def test_systemd_is_asked_and_its_refusal_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "systemctl"
    fake.write_text(
        f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n[ "$1" != restart ] || [ ! -e {tmp_path}/bad ]\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    command.restart()
    assert (tmp_path / "asked").read_text() == "daemon-reload\nrestart edged.service\n"
    (tmp_path / "bad").touch()
    with pytest.raises(StateError) as failed:
        command.restart()
    assert failed.value.code == "update.no_restart"

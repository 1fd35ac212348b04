"""Settings exchanged in a box at work: whole or not at all, one at a time."""

from __future__ import annotations

import asyncio
import errno
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edged import breaks, in_force, log, renewals, start_up
from edged.box import Box
from edged.config import BoxSettings, FleetSettings, load_box
from edged.demo.fleet import DemoFleet
from edged.errors import CertificateError, ConfigError, StateError
from edged.events import ScanRequest
from edged.managed import ANCHORS, Managed
from edged.membership import Membership
from edged.pushed.artefact_rider import ArtefactRider
from edged.pushed.artefact_store import ArtefactStore
from edged.pushed.host import Generation
from edged.pushed.software import Software
from edged.uplink import fleet_authority, keys
from edged.uplink.fleet_authority import FleetAuthorities, Revoked
from edged.uplink.names import Role, Usage
from edged.uplink.roles import load_chain
from tests import box as daemons
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Inside:
    """A box at work in this process, without a broker in reach."""

    def __init__(self, directory: Path) -> None:
        made = daemons.Box(directory)
        self.fleet = made.fleet
        self.settings = load_box(made.config)
        start_up.make_private(self.settings.state.directory)

    async def open(self) -> None:
        self.state = await start_up.state(self.settings, "box-1")
        self.box = Box(self.settings, in_force.prepare(self.settings), self.state, lambda _: None)
        directory = self.settings.state.directory
        files = ArtefactRider("demo-fleet", ArtefactStore(directory))
        software = Software(files, topic="t", state=directory, taken=lambda: (0, None))
        self.managed = Managed(self.box, software)

    def version(self, name: str, **changes: Any) -> BoxSettings:
        return msgspec.structs.replace(self.settings, version=name, **changes)

    @property
    def in_force(self) -> str:
        return self.box.held.settings.version

    def anchors(self) -> list[str]:
        return sorted(path.name for path in self.settings.state.directory.glob(f"{ANCHORS}*"))


@pytest.fixture
async def inside(tmp_path: Path) -> AsyncIterator[Inside]:
    made = Inside(tmp_path / "box")
    await made.open()
    async with made.box.opened():
        tasks = [asyncio.create_task(made.box.station.run()), asyncio.create_task(made.box.line.run())]
        yield made
        await made.box.station.stop()
        await made.box.line.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await made.state.close()


async def test_a_renewal_meanwhile_undoes_no_push(inside: Inside) -> None:
    scanning = asyncio.create_task(inside.box.station.scan(ScanRequest("bank")))
    await until(lambda: inside.box.station.state == "waiting")
    pushing = asyncio.create_task(inside.box.switch(inside.version("pushed")))
    await asyncio.sleep(0.05)
    renewing = asyncio.create_task(inside.box.renew())
    await asyncio.sleep(0.05)
    await inside.box.station.cancel()
    await scanning
    await asyncio.gather(pushing, renewing)
    assert inside.in_force == "pushed"


async def test_what_fails_in_the_break_leaves_what_was_before(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_: BoxSettings) -> None:
        raise StateError("state.disk_error")

    monkeypatch.setattr(inside.box, "_configure_outbox", fails)
    before = inside.box.held
    with pytest.raises(StateError, match="disk_error"):
        await inside.box.switch(inside.version("pushed"))
    assert inside.box.held is before


async def test_a_disk_that_hangs_costs_the_switch_and_not_the_box(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(_: BoxSettings) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(inside.box, "_configure_outbox", hangs)
    monkeypatch.setattr(breaks, "MAX_BREAK_S", 0.05)
    before = inside.box.held
    with pytest.raises(StateError, match="too_slow"):
        await inside.box.switch(inside.version("pushed"))
    assert inside.box.held is before
    monkeypatch.undo()
    await inside.box.switch(inside.version("pushed"))
    assert inside.in_force == "pushed"


async def test_a_pushed_log_level_holds_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels: list[str] = []
    monkeypatch.setattr(log, "set_level", levels.append)
    made = Inside(tmp_path / "box")
    await made.open()
    await made.box.switch(
        made.version("pushed", log=msgspec.structs.replace(made.settings.log, level="error"))
    )
    assert levels == ["error"]
    await made.state.close()


def document(*fleets: DemoFleet, revoked: tuple[Revoked, ...] = ()) -> bytes:
    return fleet_authority.encode(
        FleetAuthorities(1, tuple(fleet.ca.read_text() for fleet in fleets), revoked)
    )


async def test_pushed_authorities_are_written_whole_and_only_those_in_force_kept(
    inside: Inside, tmp_path: Path
) -> None:
    other = DemoFleet(tmp_path / "other", fleet="demo-fleet", now=datetime.now(UTC))
    first, second = document(inside.fleet), document(other, inside.fleet)
    await inside.managed.switch(Generation(1, inside.version("one"), {}, authority=first))
    (name,) = inside.anchors()
    path = inside.settings.state.directory / name
    whole = path.read_bytes()
    path.write_bytes(whole[:100])  # as a bad disk leaves it
    await inside.managed.switch(Generation(1, inside.version("one"), {}, authority=first))
    assert path.read_bytes() == whole
    await inside.managed.switch(Generation(2, inside.version("two"), {}, authority=second))
    (kept,) = inside.anchors()
    assert kept != name
    assert inside.box.held.settings.identity.fleet_ca.name == kept
    await inside.managed.switch(Generation(0, inside.settings, {}))
    assert inside.anchors() == []


async def test_authorities_of_another_fleet_are_no_way_in(inside: Inside, tmp_path: Path) -> None:
    stranger = DemoFleet(tmp_path / "other", fleet="another", now=datetime.now(UTC))
    with pytest.raises(ConfigError, match="wrong_fleet"):
        await inside.managed.switch(Generation(1, inside.version("one"), {}, authority=document(stranger)))
    assert (inside.in_force, inside.anchors()) == ("demo", [])


async def test_what_a_push_revokes_is_refused_though_the_push_cannot_be_put_in_force(inside: Inside) -> None:
    files = inside.fleet.issue(Role.ADMIN, "mallory", Usage.SIGNING)
    chain = load_chain(files.certificate.read_bytes())
    revoked = Revoked(fleet_authority.sha256_of(chain[0]), 1, "key_compromise")
    bad = inside.version("bad", audiences={})
    bad = msgspec.structs.replace(
        bad, identity=msgspec.structs.replace(bad.identity, signing_key=inside.settings.state.directory)
    )
    assert not inside.box.held.anchor.is_revoked(chain)
    with pytest.raises(CertificateError):
        await inside.managed.switch(
            Generation(1, bad, {}, revoked=document(inside.fleet, revoked=(revoked,)))
        )
    assert inside.in_force == "demo"
    assert inside.box.held.anchor.is_revoked(chain)


async def test_boxes_hear_of_an_authority_that_is_replaced_and_renew(
    inside: Inside, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(renewals, "files_of", lambda _: object())
    inside.box.boot = msgspec.structs.replace(
        inside.settings, fleet=FleetSettings(tmp_path / "root.json", "localhost:1")
    )
    journal: Any = None
    membership = Membership(inside.box, journal, status=dict, stop=lambda: None)  # type: ignore[arg-type]
    assert membership._renewals is not None
    newest = membership._renewals._renewer._newest
    assert newest() is None
    accepted = document(inside.fleet)
    await membership.managed.revoke(accepted)
    assert newest() is None, "taken, and not in force: what it names can't be verified yet"
    await membership.managed.switch(Generation(1, inside.settings, {}, accepted, accepted))
    assert newest() == fleet_authority.parse(accepted)


async def test_a_full_disk_is_named_when_a_new_audience_needs_a_key(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    one = inside.settings.audiences["first-bank"]
    pushed = inside.version("pushed", audiences={**inside.settings.audiences, "second-bank": one})
    monkeypatch.setattr(keys, "write_private", full)
    with pytest.raises(StateError, match="disk_full"):
        await inside.box.switch(pushed)
    assert inside.in_force == "demo"
    with pytest.raises(StateError, match="disk_full"):
        await inside.managed.switch(
            Generation(1, inside.version("one"), {}, authority=document(inside.fleet))
        )
    assert inside.in_force == "demo"


async def test_a_fleet_that_is_no_demo_accepts_nothing_simulated(inside: Inside) -> None:
    inside.box.held.anchor.demo = False  # as a device might say at any time that it is simulated
    answer = await inside.box.station.scan(ScanRequest("bank"))
    assert (answer["outcome"], answer["reason"]["code"]) == ("refused", "device.demo_only")

"""A box in its fleet: what is believed in which order at the start, and that nobody undoes another's switch."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from edged import box as box_module
from edged.box import Box
from edged.membership import Membership
from edged.pushed.directory_rider import FILE, DirectoryRider
from edged.uplink.directory_reader import DirectoryReader
from edged.uplink.names import Role
from edged.uplink.roles import TrustAnchor
from tests.broker import FLEET, NOW, Town, town
from tests.directories import Made

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path / "town") as made:
        yield made


async def test_the_kept_directory_is_read_after_the_authorities_that_were_pushed(
    place: Town, tmp_path: Path
) -> None:
    """Its signer may be under one of them: read before, it would be refused, and who was revoked believed again."""
    made = Made(place, revoked=((Role.COLLECTOR, "centre", NOW),))
    reader = DirectoryReader(place.anchor, pages=False)
    reader.take_head(made.head, at=NOW)
    (tmp_path / FILE).write_bytes(reader.stored())
    with town(tmp_path / "before") as other:
        anchor = TrustAnchor.from_file(other.fleet.ca)  # what the boot file still names

    class Agent:
        async def begin(self) -> None:
            anchor.believe(TrustAnchor.from_file(place.fleet.ca))

    membership: Any = Membership.__new__(Membership)
    membership._agent = Agent()
    membership._directory = DirectoryRider(anchor, tmp_path, clock=lambda: NOW)
    membership._renewals = None
    membership._box = SimpleNamespace()
    membership._software = membership._files = membership._commands = SimpleNamespace()
    await membership.begin()
    assert ("collector", "centre") in anchor.revocations.principals
    assert anchor.fleet == FLEET


async def test_a_renewal_never_undoes_a_push_that_is_just_being_put_in_force(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepared: list[str] = []
    anchor = SimpleNamespace(believe=lambda _: None)

    class Held(SimpleNamespace):
        pass

    def prepare(settings: Any) -> Held:
        prepared.append(settings.version)
        return Held(settings=settings, anchor=anchor, version=settings.version)

    monkeypatch.setattr(box_module.in_force, "prepare", prepare)
    monkeypatch.setattr(box_module, "replace", lambda held, **_: held)
    before = Held(
        settings=SimpleNamespace(version="before", log=SimpleNamespace(level="info")), anchor=anchor
    )
    box: Any = Box(None, before, None, lambda _: None)  # type: ignore[arg-type]

    async def configure(settings: Any) -> None:
        box.held.anchor = anchor
        await asyncio.sleep(0)

    box._configure_outbox = configure
    await asyncio.gather(
        box.switch(SimpleNamespace(version="pushed", log=SimpleNamespace(level="info"))), box.renew()
    )
    assert box.held.settings.version == "pushed"
    assert prepared == ["pushed", "pushed"]
